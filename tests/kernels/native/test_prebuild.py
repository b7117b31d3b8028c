"""Libraries for a wheel: what is loaded without a compiler, and what is not."""

import functools
import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from w3action import kernels
from w3action.kernels.native import library, passes
from w3action.kernels.native.compiler import find_compilers
from w3action.kernels.native.prebuild import prebuild

FLOAT = passes.SOURCES[torch.float32]
KNOWN = library._processor().split() if sys.platform == "linux" else []

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not find_compilers() or not set(library.VARIANTS["avx2"]) <= set(KNOWN),
    reason="wheels hold libraries for Linux x86-64 with AVX2, and a C compiler makes them",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prebuilt")
    prebuild(folder)
    return folder


@pytest.fixture
def prebuilt(built, tmp_path, monkeypatch):
    """A copy of what was built, in its place; there is no compiler, and nothing is loaded or kept."""
    folder = tmp_path / "prebuilt"
    shutil.copytree(built, folder)
    monkeypatch.setattr(library, "PREBUILT", folder)
    monkeypatch.setattr(library, "_warned", [])
    monkeypatch.setattr(library, "_library", functools.cache(library._library.__wrapped__))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    return folder


@pytest.fixture
def loaded(monkeypatch):
    """Names of the libraries that are loaded from now on."""
    names, load = [], library.ctypes.CDLL

    def count(path, **options):
        names.append(os.path.basename(path))
        return load(path, **options)

    monkeypatch.setattr(library.ctypes, "CDLL", count)
    return names


def knows(monkeypatch, *features: str) -> None:
    monkeypatch.setattr(library, "_processor", lambda: f"flags : sse2 {' '.join(features)}")


@pytest.mark.parametrize("variant", library.VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_a_compiler_the_prebuilt_passes_compute_what_the_plain_form_does(
    prebuilt, loaded, monkeypatch, caplog, variant, dtype
):
    if not set(library.VARIANTS[variant]) <= set(KNOWN):
        pytest.skip(f"this processor has no {variant}")
    knows(monkeypatch, *library.VARIANTS[variant])
    numbers = torch.Generator().manual_seed(0)
    x = torch.randn(2, 67, 3, 13, 11, generator=numbers).to(dtype).to(memory_format=torch.channels_last_3d)
    channel, spatial = (torch.rand(shape, generator=numbers) for shape in ((2, 67, 3), (2, 3, 13, 11)))
    given = [y.requires_grad_() for y in (x, channel, spatial)]
    found = []
    for form in ("native", "plain"):
        with kernels.using(form):
            outputs = (
                *kernels.pool_planes(x),
                kernels.gated_channel_pool(x, channel)[0],
                kernels.apply_masks(x, channel, spatial, shortcut=x, relu=True),
            )
            found.append([*outputs, *torch.autograd.grad(sum(y.float().square().sum() for y in outputs), given)])
    for ours, plain in zip(*found, strict=True):
        tolerance = 1e-4 if dtype == torch.float32 else 0.05
        torch.testing.assert_close(ours, plain, rtol=tolerance, atol=tolerance * plain.abs().max().item())
    assert f"{passes.SOURCES[dtype].name}-{variant}.so" in loaded
    assert not caplog.records


@pytest.mark.parametrize("variant", library.VARIANTS)
def test_prebuilt_pixels_have_the_same_bits(prebuilt, loaded, monkeypatch, variant):
    if not set(library.VARIANTS[variant]) <= set(KNOWN):
        pytest.skip(f"this processor has no {variant}")
    knows(monkeypatch, *library.VARIANTS[variant])
    frames = torch.randint(256, (2, 9, 33, 3), dtype=torch.uint8).permute(3, 0, 1, 2)
    scale, shift = torch.tensor([0.017, 0.0175, 0.0174]), torch.tensor([2.1, 2.0, 1.8])
    with kernels.using("native"):
        found = kernels.scale_pixels(frames, scale, shift)
    assert f"pixels-{variant}.so" in loaded
    with kernels.using("plain"):
        assert torch.equal(found, kernels.scale_pixels(frames, scale, shift))


def test_all_variants_give_the_same_bits(prebuilt, monkeypatch):
    x, weights = torch.randn(1, 70, 2, 9, 9), torch.rand(1, 2, 70)
    found = []
    for features in library.VARIANTS.values():
        if set(features) <= set(KNOWN):
            knows(monkeypatch, *features)
            library._library.cache_clear()
            planes = x.transpose(1, 2).flatten(3)
            found.append([*passes.pool(planes, weights, over_channels=True, dtype=torch.float32)])
    for others in found[1:]:
        assert all(torch.equal(*pair) for pair in zip(found[0], others, strict=True))


def test_the_best_that_a_processor_knows_is_taken(prebuilt, loaded, monkeypatch):
    knows(monkeypatch, *library.VARIANTS["avx2"])
    assert library.library(FLOAT).scale.argtypes
    assert "passes-float32-avx2.so" in loaded
    assert "passes-float32-avx512.so" not in loaded


def test_a_processor_without_avx2_falls_back_to_the_plain_form(prebuilt, loaded, monkeypatch, caplog):
    knows(monkeypatch)
    x = torch.randn(1, 3, 2, 4, 4)
    with kernels.using("native"):
        assert torch.equal(kernels.apply_masks(x, None, None, relu=True), x.relu())
    assert not [name for name in loaded if name.startswith("passes")]
    (line,) = caplog.messages
    assert "nothing prebuilt fits" in line


def test_a_processor_without_avx2_compiles_where_there_is_a_compiler(prebuilt, monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setattr(library, "PREBUILT", prebuilt)
    monkeypatch.setattr(library, "_library", functools.cache(library._library.__wrapped__))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    knows(monkeypatch)
    assert library.library(FLOAT).scale
    assert len(list((tmp_path / "cache" / "w3action" / "kernels").iterdir())) == 1


def change_library(folder):
    for path in folder.glob("*.so"):
        path.write_bytes(path.read_bytes()[:-1] + b"\1")


def change_source(folder):
    listed = json.loads((folder / "manifest.json").read_text())
    for about in listed["libraries"].values():
        about["source"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(listed))


@pytest.mark.parametrize("change", [change_library, change_source, lambda folder: (folder / "manifest.json").unlink()])
def test_what_is_damaged_or_made_of_another_source_is_never_loaded(prebuilt, loaded, change):
    change(prebuilt)
    assert library.library(FLOAT) is None
    assert not [name for name in loaded if name.startswith("passes")]


def test_the_command_writes_every_library_and_its_hash_alike_each_time(built, tmp_path):
    command = [sys.executable, "-m", "w3action.kernels.native.prebuild", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == sorted(str(path) for path in tmp_path.iterdir())
    names = {f"{source.name}-{variant}.so" for source in passes.SOURCES.values() for variant in library.VARIANTS}
    assert {path.name for path in tmp_path.iterdir()} == names | {library.MANIFEST}
    assert all(path.read_bytes() == (built / path.name).read_bytes() for path in tmp_path.iterdir())


def test_without_a_compiler_nothing_is_prebuilt(prebuilt, tmp_path):
    with pytest.raises(ValueError, match=r"there is no C compiler \(CC, gcc, cc\); install GCC"):
        prebuild(tmp_path / "out")
