"""Our checkpoints: what is saved is what is loaded, and a failed write harms nothing."""

import errno
import hashlib
import json
import os
import resource
from pathlib import Path

import pytest
import torch

from w3action.models import ClipFormat, WeightsError, create_model, load_checkpoint
from w3action.models.checkpoint import save_description, save_weights, write_atomically

CLASSES = ("Opening a door", "Closing a door", 'Türe auf, "weit"')
CLIPS = torch.randn(2, 3, 3, 48, 40, generator=torch.Generator().manual_seed(0))
OPTIONS = {"temporal_conv": "bottleneck", "reduction": 8}


@pytest.fixture
def saved(tmp_path, scramble):
    """A saved network with nothing at its default, and the folder it is in."""
    model = create_model(
        "tsm_small",
        num_classes=3,
        attention="w3",
        attention_options=OPTIONS,
        place="output",
        refine_from="every",
        dropout=0.3,
    )
    scramble(model)
    save_description(tmp_path, model, classes=CLASSES, clip_format=ClipFormat(num_frames=4, size=48, resize=55))
    save_weights(tmp_path / "model.safetensors", model)
    return model, tmp_path


def edit(folder: Path, **changes: object) -> None:
    path = folder / "model.json"
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_a_round_trip_is_exact(saved):
    model, folder = saved
    checkpoint = load_checkpoint(folder)
    assert torch.equal(checkpoint.model(CLIPS), model(CLIPS))
    assert repr(checkpoint.model) == repr(model)
    assert checkpoint.model.arguments == model.arguments
    assert checkpoint.classes == CLASSES
    assert checkpoint.clip_format == ClipFormat(4, 48, 55)
    assert not any(m.training for m in checkpoint.model.modules())
    assert checkpoint.sha256 == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_the_best_epoch_s_weights_are_asked_for_by_name_or_by_path(saved):
    model, folder = saved
    model.head.fc.weight.data += 1.0
    save_weights(folder / "best.safetensors", model)
    expected = model(CLIPS)
    assert torch.equal(load_checkpoint(folder, weights="best.safetensors").model(CLIPS), expected)
    assert torch.equal(load_checkpoint(folder / "best.safetensors").model(CLIPS), expected)
    assert torch.equal(load_checkpoint(str(folder / "best.safetensors")).model(CLIPS), expected)
    assert not torch.equal(load_checkpoint(folder).model(CLIPS), expected)
    assert load_checkpoint(folder / "best.safetensors").path == folder / "best.safetensors"


def test_a_loaded_network_can_be_saved_again(saved):
    _, folder = saved
    checkpoint = load_checkpoint(folder)
    save_weights(folder / "again.safetensors", checkpoint.model)
    assert (folder / "again.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("missing", ["model.json", "model.safetensors"])
def test_a_missing_file_is_named(saved, missing):
    _, folder = saved
    (folder / missing).unlink()
    with pytest.raises(WeightsError, match=rf"no checkpoint here \({missing} is missing\)"):
        load_checkpoint(folder)


def test_a_missing_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(WeightsError, match="no checkpoint here"):
        load_checkpoint(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "hello", "[1, 2]", "3", '{"model": {}}'])
def test_what_is_no_description_is_refused(saved, text):
    _, folder = saved
    (folder / "model.json").write_text(text)
    with pytest.raises(WeightsError, match="not a checkpoint's description"):
        load_checkpoint(folder)


def test_binary_is_no_description(saved):
    _, folder = saved
    (folder / "model.json").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(WeightsError, match="not a checkpoint's description"):
        load_checkpoint(folder)


def test_another_version_s_format_is_named(saved):
    _, folder = saved
    edit(folder, format=2)
    with pytest.raises(WeightsError, match="format 2 .* reads format 1"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": None},
        {"model": {"num_classes": 3}},
        {"model": {"name": "tsm_small", "num_classes": 3, "colour": "red"}},
        {"classes": None},
        {"clip": {"num_frames": 8}},
    ],
)
def test_an_incomplete_description_is_refused(saved, changes):
    _, folder = saved
    edit(folder, **changes)
    with pytest.raises(WeightsError, match="not a checkpoint's description"):
        load_checkpoint(folder)


def test_an_unknown_network_is_named(saved):
    _, folder = saved
    edit(folder, model={"name": "tsm_giant", "num_classes": 3})
    with pytest.raises(ValueError, match="unknown model 'tsm_giant'"):
        load_checkpoint(folder)


def test_weights_of_another_network_are_refused(saved):
    _, folder = saved
    save_weights(folder / "model.safetensors", create_model("tsm_small", num_classes=5))
    text = r"does not fit the network of model\.json: \d+ missing: .*; 2 mis-shaped: .*\(5,\) instead of \(3,\)"
    with pytest.raises(WeightsError, match=text):
        load_checkpoint(folder)


def test_a_broken_weights_file_is_refused(saved):
    _, folder = saved
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="not a weights file"):
        load_checkpoint(folder)


# Writing whole or not at all


def test_a_write_makes_folders_and_replaces_what_was_there(tmp_path):
    path = tmp_path / "a" / "b" / "model.json"
    for content in (b"old and long", b"new"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.open"])
def test_on_a_full_disk_the_old_content_stays(step, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(step, full)
        with pytest.raises(OSError, match="last complete version is untouched.*--resume") as caught:
            write_atomically(path, b"new")
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]  # no temporary file is left


def test_a_write_that_really_breaks_off_leaves_the_old_content(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # a file of more bytes cannot be written
    try:
        with pytest.raises(OSError, match="last complete version is untouched"):
            write_atomically(path, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_device_that_is_full_leaves_the_old_content(tmp_path):
    path = tmp_path / "model.json"
    path.write_bytes(b"old")
    temporary = tmp_path / f".model.json.{os.getpid()}"
    temporary.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device; the last complete version is untouched"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_in_a_folder_that_cannot_be_written_the_old_content_stays(tmp_path):
    path = tmp_path / "model.json"
    path.write_bytes(b"old")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OSError, match="Permission denied"):
            write_atomically(path, b"new")
    finally:
        tmp_path.chmod(0o700)
    assert path.read_bytes() == b"old"


def test_a_file_where_a_folder_should_be_is_an_os_error(tmp_path):
    (tmp_path / "run").write_bytes(b"I am a file")
    with pytest.raises(OSError, match="run"):
        write_atomically(tmp_path / "run" / "model.json", b"new")
    assert (tmp_path / "run").read_bytes() == b"I am a file"
