import json

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from w3action.runs.score_file import ScoreFileError, VideoScores, read_scores, to_bytes


def scored(**changes):
    fields = {
        "scores": torch.tensor([[1.0, -2.0], [0.5, 0.25]]),
        "labels": torch.tensor([0, 1]),
        "videos": ("a/1", "ä/2 [0, end)"),
        "classes": ("links", "rechts, ganz"),
        "domain": "logits",
        "about": {"run": "runs/x", "gflops": 1.5},
    }
    return VideoScores(**{**fields, **changes})


@settings(max_examples=40)
@given(
    names=st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=5, unique=True),
    classes=st.lists(st.text(max_size=9), min_size=1, max_size=4, unique=True),
    data=st.data(),
)
def test_what_is_written_is_read(tmp_path_factory, names, classes, data):
    numbers = st.floats(-1e6, 1e6, width=32)
    rows = [[data.draw(numbers) for _ in classes] for _ in names]
    labels = torch.tensor([data.draw(st.integers(0, len(classes) - 1)) for _ in names])
    given = scored(scores=torch.tensor(rows), labels=labels, videos=tuple(names), classes=tuple(classes))
    path = tmp_path_factory.mktemp("scores") / "scores.safetensors"
    path.write_bytes(to_bytes(given))
    found = read_scores(path)
    assert torch.equal(found.scores, given.scores)
    assert torch.equal(found.labels, given.labels)
    assert (found.videos, found.classes, found.domain, found.about) == (
        given.videos,
        given.classes,
        given.domain,
        given.about,
    )


def with_metadata(path, changes, *, tensors=None):
    given = scored()
    metadata = {"format": "1", "videos": '["a", "b"]', "classes": '["x", "y"]', "domain": "logits", "about": "{}"}
    metadata = {key: value for key, value in {**metadata, **changes}.items() if value is not None}
    tensors = {"scores": given.scores, "labels": given.labels} if tensors is None else tensors
    path.write_bytes(safetensors.torch.save(tensors, metadata))


@pytest.mark.parametrize(
    ("changes", "tensors", "message"),
    [
        ({"domain": None}, None, "no file of scores"),
        ({"videos": "no json"}, None, "no file of scores"),
        ({"format": "9"}, None, "format 9 was written by another version"),
        ({"videos": json.dumps(["a"])}, None, r"\(2, 2\) logits and 2 labels for 1 videos and 2 classes do not fit"),
        ({"classes": json.dumps(["a"])}, None, "do not fit together"),
        ({"domain": "wishes"}, None, "wishes"),
        ({}, {"labels": torch.tensor([0, 1])}, "no file of scores"),
        ({}, {"scores": torch.zeros(2, 2), "labels": torch.tensor([0, 2])}, "do not fit together"),
        ({}, {"scores": torch.full((2, 2), torch.nan), "labels": torch.tensor([0, 1])}, "some are no numbers"),
    ],
)
def test_what_is_no_file_of_scores_is_named(tmp_path, changes, tensors, message):
    path = tmp_path / "scores_center.safetensors"
    with_metadata(path, changes, tensors=tensors)
    with pytest.raises(ScoreFileError, match=rf"(?s)scores_center\.safetensors.*{message}"):
        read_scores(path)


def test_other_bytes_and_no_file_are_named(tmp_path):
    with pytest.raises(ScoreFileError, match=r"gone\.safetensors: no such file of scores; make it with w3 eval"):
        read_scores(tmp_path / "gone.safetensors")
    for content in (b"", b"\x00" * 40, b"PK\x03\x04"):
        (tmp_path / "x.safetensors").write_bytes(content)
        with pytest.raises(ScoreFileError, match="no file of scores"):
            read_scores(tmp_path / "x.safetensors")
