import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

from w3action.config import DataConfig, ModelConfig, RunConfig
from w3action.data import ManifestError, read_manifest
from w3action.evaluate import UnreadableVideosError
from w3action.models.for_inference import for_inference
from w3action.runs.checkpoint import load_checkpoint
from w3action.runs.measure import measure
from w3action.train import train
from w3action.use.predict import predict

TINY = RunConfig(
    model=ModelConfig(name="tsm_small"),
    data=DataConfig(num_frames=2, size=32, num_workers=0, cache_gib=0.1),
    batch_size=8,
    epochs=1,
)


@pytest.fixture(scope="module")
def run(tabletop, tmp_path_factory):
    out = tmp_path_factory.mktemp("measured") / "run"
    train(TINY, data=tabletop, val=None, out=out)
    return out


def test_the_report_says_all_that_is_needed_to_repeat_it(run, tabletop):
    measured = measure(run, data=tabletop, split="test", num_workers=0)
    report = json.loads(measured.report.read_text())
    assert measured.report == run / "eval_center.json"
    assert [picture.is_file() for picture in measured.pictures] == [True]
    assert report["num_videos"] == 16
    assert report["top1"] == measured.metrics.top1
    assert len(report["per_class"]) == 16
    assert len(report["weights_sha256"]) == 64
    assert report["settings"]["config"]["data"]["size"] == 32
    assert report["recipe"] == "default"
    assert {"data.size", "epochs", "model.name"} <= set(report["changed"])
    assert not {"data.num_workers", "data.cache_gib"} & set(report["changed"])
    assert {"version", "commit", "torch", "device", "split", "protocol"} <= report.keys()
    assert report["gflops"] == pytest.approx(measured.cost.gflops)


@pytest.mark.parametrize("bf16", [False, True])
def test_scores_are_those_of_the_network_as_it_was_trained(run, tabletop, tmp_path, monkeypatch, bf16):
    asked = []

    def prepare(model, **how):
        asked.append(how.get("autocast"))
        return for_inference(model, **how)

    def in_place_of_both(function):
        monkeypatch.setattr("w3action.runs.measure.for_inference", function)
        monkeypatch.setattr("w3action.runs.checkpoint.for_inference", function)

    in_place_of_both(prepare)
    folded = measure(run, data=tabletop, split="test", num_workers=0, out=tmp_path / "folded", bf16=bf16)
    assert asked == [torch.bfloat16 if bf16 else None]
    in_place_of_both(lambda model, **how: model.eval())
    trained = measure(run, data=tabletop, split="test", num_workers=0, out=tmp_path / "trained")
    scores, expected = (load_file(measured.scores)["scores"] for measured in (folded, trained))
    error = (scores - expected).abs().max()
    assert (0 < error < 1e-4) if not bf16 else (1e-4 < error < 0.1)
    assert json.loads(folded.report.read_text())["precision"] == ("bfloat16" if bf16 else "float32")


def test_predictions_are_of_the_network_that_is_measured(run, tabletop, tmp_path, monkeypatch):
    prepared = []

    def prepare(model, **how):
        prepared.append(for_inference(model, **how))
        return prepared[-1]

    monkeypatch.setattr("w3action.runs.checkpoint.for_inference", prepare)
    measured = measure(run, data=tabletop, split="test", num_workers=0, out=tmp_path)
    expected = load_file(measured.scores)["scores"].softmax(dim=1)
    checkpoint = load_checkpoint(run, device="cpu")
    for video, row in zip(read_manifest(tabletop, split="test").videos[:2], expected, strict=False):
        found = predict(checkpoint, video.path, top=16)
        order = [checkpoint.classes.index(name) for name in found.classes]
        assert torch.tensor(found.probabilities) == pytest.approx(row[order], abs=1e-6)
    assert len(prepared) == 2, "once for each checkpoint, however many videos are predicted"


def test_costs_count_every_view_at_its_own_size(run, tabletop):
    center = measure(run, data=tabletop, split="test", num_workers=0)
    full = measure(run, data=tabletop, split="test", protocol="full", num_workers=0)
    assert full.num_views == 6
    assert full.cost.gflops > center.cost.gflops  # 37 pixels, not 32


def test_weights_of_the_best_epoch_can_be_measured(run, tabletop, tmp_path):
    best = measure(run, data=tabletop, split="test", weights="best.safetensors", out=tmp_path, num_workers=0)
    assert json.loads(best.report.read_text())["weights"] == "best.safetensors"


def test_labels_are_matched_by_name(run, tabletop, tmp_path):
    path = tmp_path / "one.csv"
    video = next((tabletop.parent / "videos").glob("test*"))
    path.write_text(f"path,label\n{video},Uncovering something\n")
    measured = measure(run, data=path, out=tmp_path, num_workers=0)
    row = measured.classes.index("Uncovering something")
    assert int(measured.metrics.confusion[row].sum()) == 1

    path.write_text(f"path,label\n{video},Juggling\n")
    with pytest.raises(ManifestError, match="Juggling"):
        measure(run, data=path, out=tmp_path, num_workers=0)


def test_unreadable_videos_are_an_error_or_counted(run, tabletop, tmp_path):
    path = tmp_path / "two.csv"
    (tmp_path / "broken.mp4").write_text("no")
    video = next((tabletop.parent / "videos").glob("test*"))
    path.write_text(f"path,label\n{video},Uncovering something\nbroken.mp4,Uncovering something\n")
    with pytest.raises(UnreadableVideosError, match="broken.mp4"):
        measure(run, data=path, out=tmp_path, num_workers=0)
    assert measure(run, data=path, out=tmp_path, num_workers=0, skip_bad=True).num_skipped == 1


def test_the_label_column_of_the_run_is_used(tabletop, tmp_path):
    lines = tabletop.read_text().splitlines()
    data = tmp_path / "verbs.csv"
    data.write_text(
        "\n".join([lines[0].replace("label", "verb"), *(f"{tabletop.parent}/{x}" for x in lines[1:])]) + "\n"
    )
    config = dataclasses.replace(TINY, data=dataclasses.replace(TINY.data, label_column="verb"))
    train(config, data=data, val=None, out=tmp_path / "run")
    assert measure(tmp_path / "run", data=data, split="test", num_workers=0).metrics.num_videos == 16
