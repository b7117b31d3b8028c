"""The flow stream end to end: trained on drawn videos, measured, asked, and fused with the RGB stream."""

import json

import pytest
import torch

from w3action.config import DataConfig, ModelConfig, RunConfig
from w3action.data import find_flip_pairs, read_manifest
from w3action.runs.checkpoint import load_checkpoint
from w3action.runs.fuse import fuse
from w3action.runs.measure import measure
from w3action.train import train
from w3action.train.clips import training_loader
from w3action.use.predict import predict

pytest.importorskip("cv2", reason="OpenCV is an extra")

DATA = {"num_frames": 2, "size": 32, "num_workers": 0, "cache_gib": 0.1}


def config(modality, **data):
    return RunConfig(
        model=ModelConfig(name="tsm_small"),
        data=DataConfig(modality=modality, **{**DATA, **data}),
        batch_size=8,
        epochs=1,
    )


@pytest.fixture(scope="module")
def runs(tabletop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams")
    for modality in ("rgb", "flow"):
        train(config(modality), data=tabletop, val=None, out=folder / modality)
    return folder


def test_training_sees_ten_channels_and_its_labels_swap_with_the_mirror(tabletop):
    manifest = read_manifest(tabletop, split="train")
    loader = training_loader(
        config("flow").data,
        manifest,
        find_flip_pairs(manifest.classes),
        batch_size=4,
        seed=0,
        rank=0,
        world_size=1,
        pin_memory=False,
        cache=None,
    )
    batch = next(iter(loader(0, 0)))
    assert batch.clips.shape == (4, 1, 10, 2, 32, 32)
    assert batch.clips.abs().max() < 128 / 255 / 0.226 + 1e-3


def test_a_run_remembers_what_it_saw(runs):
    assert json.loads((runs / "flow" / "run.json").read_text())["config"]["data"]["modality"] == "flow"
    checkpoint = load_checkpoint(runs / "flow", device="cpu")
    assert checkpoint.model.arguments["in_channels"] == 10
    fresh = load_checkpoint(runs / "rgb", device="cpu")
    assert fresh.model.arguments["in_channels"] == 3


def test_the_flow_stream_is_measured_and_asked(runs, tabletop):
    measured = measure(runs / "flow", data=tabletop, split="test", num_workers=0)
    assert measured.metrics.num_videos == 16
    assert measured.cost.gflops > load_and_count(runs / "rgb", tabletop)
    video = read_manifest(tabletop, split="test").videos[0].path
    found = predict(runs / "flow", video, top=16)
    assert sum(found.probabilities) == pytest.approx(1, abs=1e-4)
    expected = torch.tensor(found.probabilities)[[found.classes.index(name) for name in measured.classes]]
    from w3action.runs.score_file import read_scores

    scored = read_scores(measured.scores)
    row = scored.scores[scored.videos.index(f"videos/{video.stem}")].softmax(dim=0)
    torch.testing.assert_close(row, expected, atol=1e-4, rtol=1e-3)


def load_and_count(run, tabletop):
    return measure(run, data=tabletop, split="test", num_workers=0).cost.gflops


def test_both_streams_are_fused(runs, tabletop, tmp_path):
    singles = [measure(runs / name, data=tabletop, split="test", num_workers=0) for name in ("rgb", "flow")]
    fused = fuse([runs / "rgb", runs / "flow"], weights=(1, 1.5), out=tmp_path / "fused")
    assert [alone.top1 for alone in fused.single] == pytest.approx([one.metrics.top1 for one in singles])
    assert fused.metrics.num_videos == 16
    report = json.loads(fused.report.read_text())
    assert report["gflops"] == pytest.approx(sum(one.cost.gflops for one in singles))
    only_rgb = fuse([runs / "rgb", runs / "flow"], weights=(1, 0), out=tmp_path / "alone")
    assert torch.equal(only_rgb.metrics.confusion, singles[0].metrics.confusion)


def test_every_protocol_takes_flow(runs, tabletop, tmp_path):
    for protocol in ("full", "ten_crop"):
        measured = measure(runs / "flow", data=tabletop, split="val", protocol=protocol, out=tmp_path, num_workers=0)
        assert measured.metrics.num_videos == 8


def test_colour_jitter_of_flow_is_refused(tabletop, tmp_path):
    with pytest.raises(ValueError, match=r"color_jitter is 0.4 but flow has no colours"):
        train(config("flow", color_jitter=0.4), data=tabletop, val=None, out=tmp_path / "run")
