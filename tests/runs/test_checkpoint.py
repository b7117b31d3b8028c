"""Our checkpoints: what is saved is what is loaded, and a failed write harms nothing."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from w3action.clip_format import ClipFormat
from w3action.models import WeightsError, create_model
from w3action.runs.checkpoint import load_checkpoint, save_description, save_weights

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
