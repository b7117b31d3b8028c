"""What `make wheel` builds, installed where there is no compiler; what importing costs."""

import ensurepip
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINUX = sys.platform == "linux" and sysconfig.get_platform().endswith("x86_64")
PREBUILT = "w3action/kernels/native/prebuilt"

USE = f"""
import torch, w3action
from w3action.kernels import scale_pixels
from w3action.layers.w3 import W3

pixels = torch.zeros(8, 32, 32, 3, dtype=torch.uint8).permute(3, 0, 1, 2)
scale_pixels(pixels, torch.ones(3), torch.zeros(3))
W3(64)(torch.zeros(1, 64, 8, 64, 64))
print(w3action.__file__)
print(len({{line.split()[-1] for line in open("/proc/self/maps") if {PREBUILT!r} in line}}))
"""


def run(*command: object, **environment: str) -> str:
    ran = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def build_wheel(out: Path, **environment: str) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out, **environment)
    (wheel,) = out.glob("*.whl")
    return wheel


def make_environment(folder: Path, wheel: Path) -> Path:
    """Install a wheel alone; all other packages are those of this environment."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    (pip,) = Path(ensurepip.__file__).with_name("_bundled").glob("pip-*.whl")
    install = ("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile", "--ignore-installed", wheel)
    run(folder / "bin" / "python", *install, PYTHONPATH=str(pip))
    return folder / "bin"


@pytest.mark.skipif(not LINUX, reason="the compiled passes are built on Linux on x86-64")
def test_an_installed_wheel_has_its_compiled_passes_and_needs_no_compiler(tmp_path):
    run(sys.executable, "-m", "w3action.kernels.native.prebuild", tmp_path / "prebuilt")
    wheel = build_wheel(tmp_path, W3_PREBUILT=str(tmp_path / "prebuilt"))
    programs = make_environment(tmp_path / "venv", wheel)
    alone = {"PATH": str(programs), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": ""}
    assert "train" in run(programs / "w3", "--help", **alone)
    where, num_libraries = run(programs / "python", "-c", USE, **alone).splitlines()
    assert Path(where).is_relative_to(tmp_path)
    assert int(num_libraries) >= 2  # pixels, and passes over features
    assert not list(tmp_path.glob("cache/**/*.so"))


@pytest.mark.skipif(not LINUX, reason="the compiled passes are built on Linux on x86-64")
def test_a_wheel_is_tagged_by_what_is_in_it(tmp_path):
    pure = build_wheel(tmp_path / "pure")
    assert pure.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(pure) as opened:
        assert "w3action/py.typed" in opened.namelist()
        assert not [name for name in opened.namelist() if name.endswith(".so")]
    library = tmp_path / "prebuilt" / "some.so"
    library.parent.mkdir()
    code = "#define _GNU_SOURCE\n#include <unistd.h>\nlong some(void) { return gettid(); }"  # of glibc 2.30
    subprocess.run(["gcc", "-shared", "-fPIC", "-xc", "-", "-o", library], input=code, text=True, check=True)
    compiled = build_wheel(tmp_path / "compiled", W3_PREBUILT=str(library.parent))
    assert compiled.name.endswith("-py3-none-manylinux_2_30_x86_64.whl")
    with zipfile.ZipFile(compiled) as opened:
        assert f"{PREBUILT}/some.so" in opened.namelist()


def test_a_wheel_without_passes_or_with_a_foreign_library_is_refused(tmp_path):
    library = tmp_path / "some.so"
    with pytest.raises(AssertionError, match="no .so in it"):
        build_wheel(tmp_path / "dist", W3_PREBUILT=str(tmp_path))
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-xc", "-", "-Wl,--no-as-needed", "-lgcc_s", "-o", library],
        input="int some(void) { return 1; }",
        text=True,
        check=True,
    )
    with pytest.raises(AssertionError, match=r"need libgcc_s\.so\.1, which not every Linux has"):
        build_wheel(tmp_path / "dist", W3_PREBUILT=str(tmp_path))


def test_training_and_prediction_import_neither_matplotlib_nor_tensorboard():
    code = """
import sys, w3action.cli
assert "torch" not in sys.modules
import w3action.use.predict, w3action.train, w3action.runs.measure
print(sorted({"matplotlib", "tensorboard"} & sys.modules.keys()))
"""
    assert run(sys.executable, "-c", code) == "[]\n"
