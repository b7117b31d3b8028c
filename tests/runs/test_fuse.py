import json
import math

import pytest
import torch

from w3action.runs.fuse import _check, fuse
from w3action.runs.score_file import ScoreFileError, VideoScores, read_scores, to_bytes

CLASSES = ("left", "right", "still")
RGB = {
    "a/1": ([2.0, 1.0, 0.0], 0),
    "a/2": ([0.0, 3.0, 1.0], 1),
    "b/1": ([1.0, 1.5, 0.5], 0),
    "b/2": ([0.0, 0.0, 0.9], 2),
}
FLOW = {
    "b/2": ([0.0, 0.5, 0.0], 2),
    "b/1": ([3.0, 0.0, 0.0], 0),
    "a/2": ([1.0, 0.9, 0.0], 1),
    "a/1": ([0.0, 0.2, 0.0], 0),
}


def write(path, rows, *, classes=CLASSES, domain="logits", about=None):
    """A report and its scores, in the folder `path`."""
    path.mkdir(parents=True, exist_ok=True)
    scored = VideoScores(
        torch.tensor([row for row, _ in rows.values()]),
        torch.tensor([label for _, label in rows.values()]),
        tuple(rows),
        tuple(classes),
        domain,
        about or {},
    )
    (path / "scores_center.safetensors").write_bytes(to_bytes(scored))
    (path / "eval_center.json").write_text(json.dumps({"scores": "scores_center.safetensors"}))
    return path


@pytest.fixture
def runs(tmp_path):
    return write(tmp_path / "rgb", RGB, about={"gflops": 33.0, "params": 10, "run": "rgb"}), write(
        tmp_path / "flow", FLOW, about={"gflops": 16.0, "params": 7, "run": "flow"}
    )


def softmax(row):
    total = sum(math.exp(value) for value in row)
    return [math.exp(value) / total for value in row]


@pytest.mark.parametrize(("weights", "shares"), [(None, (0.5, 0.5)), ((1, 1.5), (0.4, 0.6)), ((0, 2), (0.0, 1.0))])
def test_probabilities_are_averaged_by_hand(runs, tmp_path, weights, shares):
    fused = fuse(runs, out=tmp_path / "out", weights=weights)
    assert fused.weights == pytest.approx(shares)
    assert fused.scored.videos == tuple(RGB)
    right = 0
    for place, (video, (row, label)) in enumerate(RGB.items()):
        by_hand = [shares[0] * a + shares[1] * b for a, b in zip(softmax(row), softmax(FLOW[video][0]), strict=True)]
        assert fused.scored.scores[place].tolist() == pytest.approx(by_hand, abs=1e-6)
        right += by_hand.index(max(by_hand)) == label
    assert fused.metrics.top1 == pytest.approx(100 * right / 4)


def test_logits_are_averaged_by_hand_and_may_decide_otherwise(runs, tmp_path):
    fused = fuse(runs, out=tmp_path / "out", weights=(3, 1), domain="logits")
    assert fused.scored.domain == "logits"
    assert fused.scored.scores[0].tolist() == pytest.approx([1.5, 0.8, 0.0])
    assert fused.scored.scores[1].tolist() == pytest.approx([0.25, 2.475, 0.75])


def test_two_networks_are_better_than_each_and_the_report_says_all(runs, tmp_path):
    fused = fuse([runs[0] / "eval_center.json", runs[1] / "scores_center.safetensors"], out=tmp_path / "out")
    assert [alone.top1 for alone in fused.single] == [75.0, 25.0]
    assert fused.metrics.top1 == 100.0
    report = json.loads(fused.report.read_text())
    assert report["top1"] == fused.metrics.top1
    assert (report["gflops"], report["params"], report["num_videos"]) == (49.0, 17, 4)
    assert [part["run"] for part in report["fused"]] == ["rgb", "flow"]
    assert [part["top1"] for part in report["fused"]] == [75.0, 25.0]
    assert report["per_class"]["left"] == 100.0
    assert sum(map(sum, report["confusion"])) == 4
    assert fused.picture.is_file()


def test_what_was_fused_can_be_fused_again(runs, tmp_path):
    fused = fuse(runs, out=tmp_path / "out")
    again = fuse([tmp_path / "out", tmp_path / "out" / "fused.json"], out=tmp_path / "again")
    assert torch.allclose(again.scored.scores, fused.scored.scores)
    assert read_scores(tmp_path / "again" / "scores_fused.safetensors").domain == "probabilities"
    with pytest.raises(ScoreFileError, match="holds probabilities, not logits; fuse probabilities"):
        fuse([runs[0], tmp_path / "out"], out=tmp_path / "more", domain="logits")


def test_classes_in_another_order_are_put_in_place(runs, tmp_path):
    order = (2, 0, 1)
    turned = {video: ([row[k] for k in order], order.index(label)) for video, (row, label) in FLOW.items()}
    other = write(tmp_path / "turned", turned, classes=[CLASSES[k] for k in order])
    assert torch.allclose(
        fuse([runs[0], other], out=tmp_path / "one").scored.scores, fuse(runs, out=tmp_path / "two").scored.scores
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.pop("a/2"), r"the video a/2 is in \S*rgb\S* but not in \S*spoilt\S* \(1 such of 4\)"),
        (lambda rows: rows.update({"c/9": rows["a/1"]}), r"the video c/9 is in \S*spoilt\S* but not in \S*rgb\S*"),
        (lambda rows: rows.update({"a/2": (rows["a/2"][0], 2)}), "the video a/2 is of 'right' in .* but of 'still' in"),
    ],
)
def test_reports_that_do_not_match_are_refused_by_name(runs, tmp_path, change, message):
    rows = dict(FLOW)
    change(rows)
    spoilt = write(tmp_path / "spoilt", rows)
    with pytest.raises(ScoreFileError, match=message):
        fuse([runs[0], spoilt], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_classes_are_refused_by_name(runs, tmp_path):
    other = write(tmp_path / "other", FLOW, classes=("left", "right", "up"))
    with pytest.raises(ScoreFileError, match=r"the class still is in \S* but not in \S*other"):
        fuse([runs[0], other], out=tmp_path / "out")


def test_streams_in_other_folders_match_by_name_where_that_is_asked_for(runs, tmp_path):
    plain = {"v1": ([1.0, 0.0, 0.0], 0), "x/v2": ([0.0, 1.0, 0.0], 1)}
    moved = {f"deep/{video.rpartition('/')[2]}": row for video, row in plain.items()}
    one, two = write(tmp_path / "one", plain), write(tmp_path / "two", moved)
    with pytest.raises(ScoreFileError, match='their names agree, so match="name" takes them for the same'):
        fuse([one, two], out=tmp_path / "out")
    assert fuse([one, two], out=tmp_path / "out", match="name").metrics.top1 == 100
    with pytest.raises(ScoreFileError, match='the video 1 is listed twice; list each once, or use match="path"'):
        fuse(runs, out=tmp_path / "out", match="name")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": (1, 2, 3)}, "3 weights are given for 2 evaluations; give one for each"),
        ({"weights": (1, -1)}, "give numbers of at least 0, not all 0"),
        ({"weights": (0, 0)}, "give numbers of at least 0, not all 0"),
        ({"weights": (1, math.nan)}, "give numbers of at least 0, not all 0"),
    ],
)
def test_wrong_arguments_are_named(runs, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        fuse(runs, out=tmp_path / "out", **options)


def test_wrong_words_are_named():
    with pytest.raises(ValueError, match="domain is 'votes'; choose one of logits, probabilities"):
        _check("domain", "votes", ("logits", "probabilities"))


def test_reports_that_hold_no_single_scores_are_named(runs, tmp_path):
    with pytest.raises(ValueError, match="1 evaluation is given; fusion takes at least 2"):
        fuse(runs[:1], out=tmp_path / "out")
    with pytest.raises(ScoreFileError, match="holds no scores; make them with w3 eval"):
        fuse([tmp_path, runs[0]], out=tmp_path / "out")
    labelled = tmp_path / "verbs"
    labelled.mkdir()
    (labelled / "eval_center.json").write_text('{"scores": null}')
    for report in (labelled, labelled / "eval_center.json"):
        with pytest.raises(ScoreFileError, match=r"eval_center\.json: is of a network with several labellings"):
            fuse([report, runs[0]], out=tmp_path / "out")
    (runs[0] / "scores_full.safetensors").write_bytes((runs[0] / "scores_center.safetensors").read_bytes())
    with pytest.raises(ScoreFileError, match=r"holds scores_center\.safetensors, scores_full\.safetensors; give one"):
        fuse(runs, out=tmp_path / "out")
    (tmp_path / "old.json").write_text("{}")
    with pytest.raises(ScoreFileError, match=r"old\.json: no report that names its scores; make it again with w3 eval"):
        fuse([tmp_path / "old.json", runs[1]], out=tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file; give a folder for the report"):
        fuse([runs[1], runs[1]], out=tmp_path / "file")


def test_scores_that_are_to_be_fused_are_not_written_over(runs, tmp_path):
    fuse(runs, out=tmp_path / "out")
    with pytest.raises(ValueError, match="holds scores that are to be fused; give another folder with --out"):
        fuse([tmp_path / "out", runs[1]], out=tmp_path / "out")
