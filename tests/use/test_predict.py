import pytest
import torch

from w3action.clip_format import ClipFormat
from w3action.data import DecodeError, read_manifest
from w3action.models import WeightsError, create_model
from w3action.runs.checkpoint import load_checkpoint, save_description, save_weights
from w3action.runs.folder import WEIGHTS_FILE
from w3action.use.predict import predict

CLASSES = ("a", "b", "c")


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(0)
    model = create_model("tsm_small", num_classes=3)
    torch.nn.init.normal_(model.head.fc.weight)
    save_description(tmp_path / "run", model, classes=CLASSES, clip_format=ClipFormat(4, 32, 36))
    save_weights(tmp_path / "run" / WEIGHTS_FILE, model)
    return tmp_path / "run"


def test_classes_come_most_probable_first(run, tabletop):
    video = read_manifest(tabletop).videos[0].path
    found = predict(run, video)
    assert sorted(found.classes) == ["a", "b", "c"]
    assert list(found.probabilities) == sorted(found.probabilities, reverse=True)
    assert sum(found.probabilities) == pytest.approx(1, abs=1e-5)
    best = predict(load_checkpoint(run), str(video), top=1)
    assert best.classes == found.classes[:1]
    assert best.path == video


def test_different_videos_give_different_scores(run, tabletop):
    checkpoint = load_checkpoint(run)
    one, other = (predict(checkpoint, v.path).probabilities for v in read_manifest(tabletop).videos[:2])
    assert one != other


def test_wrong_input_is_named(run, tmp_path):
    with pytest.raises(DecodeError, match=r"nothing\.mp4"):
        predict(run, tmp_path / "nothing.mp4")
    with pytest.raises(WeightsError, match="no checkpoint"):
        predict(tmp_path, "x.mp4")
    with pytest.raises(ValueError, match="top is 0"):
        predict(run, "x.mp4", top=0)
