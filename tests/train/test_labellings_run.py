"""A verb and a noun: one run from a list with two label columns to both accuracies, predictions and an explanation."""

import csv
import json

import pytest

from w3action.config import DataConfig, ModelConfig, OptimConfig, RunConfig
from w3action.runs.checkpoint import load_checkpoint
from w3action.runs.measure import measure
from w3action.train import train
from w3action.use.explain import explain
from w3action.use.predict import predict

CONFIG = RunConfig(
    model=ModelConfig(name="tsm_small", attention="w3", dropout=0.0),
    data=DataConfig(num_frames=3, size=32, num_workers=0, label_column="verb,noun", flip="off"),
    optim=OptimConfig(lr=0.01),
    batch_size=8,
    epochs=1,
)


@pytest.fixture(scope="module")
def listed(tabletop, tmp_path_factory):
    """The drawn set with the first and the last word of its labels as verb and noun."""
    with tabletop.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] in ("train", "val")]
    path = tmp_path_factory.mktemp("listed") / "verbs.csv"
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["path", "verb", "noun", "split"])
        table.writeheader()
        for row in rows:
            words = row["label"].split()
            where = tabletop.parent / row["path"]
            table.writerow({"path": where, "verb": words[0], "noun": words[-1], "split": row["split"]})
    return path


@pytest.fixture(scope="module")
def run(listed, tmp_path_factory):
    out = tmp_path_factory.mktemp("labellings") / "run"
    train(CONFIG, data=listed, val=None, out=out)
    return out


def test_the_network_has_the_logits_of_both_and_knows_which_are_whose(run):
    checkpoint = load_checkpoint(run)
    assert list(checkpoint.labellings) == ["verb", "noun"]
    assert sum(checkpoint.sizes) == len(checkpoint.classes) == checkpoint.model.arguments["num_classes"]
    header = (run / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"val_top1", "val_verb_top1", "val_noun_top1"} <= set(header)


def test_verb_noun_and_action_are_measured(run, listed):
    measured = measure(run, data=listed, split="val", num_workers=0)
    report = json.loads(measured.report.read_text())
    assert report["tasks"].keys() == {"verb", "noun"}
    assert report["top1"] == pytest.approx(100 * measured.correct.mean())
    assert report["top1"] <= min(report["tasks"][name]["top1"] for name in ("verb", "noun"))
    assert all(not name.startswith("verb") for name in report["tasks"]["verb"]["per_class"])
    assert [path.name for path in measured.pictures] == ["confusion_center_verb.png", "confusion_center_noun.png"]
    assert all(path.is_file() for path in measured.pictures)


def test_a_prediction_is_a_verb_and_a_noun(run, listed, tmp_path):
    with listed.open(newline="") as file:
        video = next(csv.DictReader(file))["path"]
    found = predict(run, video, top=1000)
    assert found.classes[0].startswith("verb: ")
    assert ", noun: " in found.classes[0]
    assert sum(found.probabilities) == pytest.approx(1, abs=1e-4)
    explained = explain(load_checkpoint(run), video, out=tmp_path / "pictures")
    assert explained.prediction[0][0] == found.classes[0]
    assert (tmp_path / "pictures" / "index.html").is_file()
