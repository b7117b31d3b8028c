"""A whole data set checked: what is in two splits, twice, outside, or never comes back."""

import faulthandler
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from drawn_videos import X264_GOP

from w3action.data import Manifest, ManifestError
from w3action.data.video import Video
from w3action.datasets.doctor import KINDS, Finding, Report, check_videos
from w3action.datasets.doctor import check as check_module

NAMES = ("cut", "pour")


def check(*videos: Video, **settings) -> Report:
    return check_videos(Manifest(videos, NAMES, Path("set.csv")), num_workers=1, **settings)


def of_files(report: Report) -> list[Finding]:
    """Findings that concern rows."""
    return [finding for finding in report.findings if finding.rows]


def found(report: Report) -> list[tuple[str, tuple[int, ...]]]:
    return [(finding.kind, finding.rows) for finding in of_files(report)]


@pytest.fixture
def path(draw_video) -> Path:
    return draw_video("x264.mp4", options=X264_GOP)


class TestTwice:
    def test_one_file_in_two_splits(self, path):
        report = check(Video(path, 0, split="train"), Video(path, 0, split="val"))
        assert found(report) == [("same_clip_in_two_splits", (0, 1))]
        assert of_files(report)[0].message == f"train: {path} is val: {path}"

    @pytest.mark.parametrize(
        ("first", "second", "kind"),
        [
            ((0.0, 1.0), (0.9, 2.0), "same_clip_in_two_splits"),
            ((0.0, 2.0), (0.9, 1.5), "same_clip_in_two_splits"),
            ((0.0, 1.0), (1.0, 2.0), "same_recording_in_two_splits"),
            ((1.2, None), (0.0, 1.2), "same_recording_in_two_splits"),
            ((None, None), (1.0, 2.0), "same_clip_in_two_splits"),
        ],
    )
    def test_spans_of_one_file_in_two_splits(self, path, first, second, kind):
        videos = [
            Video(path, 0, start_seconds=start, end_seconds=end, split=split)
            for split, (start, end) in (("train", first), ("val", second))
        ]
        assert found(check(*videos)) == [(kind, (0, 1))]

    def test_spans_in_seconds_and_in_frames_are_compared(self, path):
        seconds = Video(path, 0, start_seconds=1.0, end_seconds=2.0, split="train")
        inside, behind = (Video(path, 0, first_frame=first, num_frames=10, split="val") for first in (45, 50))
        assert found(check(seconds, inside)) == [("same_clip_in_two_splits", (0, 1))]
        assert found(check(seconds, behind)) == [("same_recording_in_two_splits", (0, 1))]

    def test_every_overlapping_span_is_named(self, path):
        spans = [(0.0, 2.0, "train"), (0.1, 0.5, "val"), (0.6, 1.0, "val"), (1.5, 2.2, "val"), (2.0, 2.4, "val")]
        videos = [Video(path, 0, start_seconds=start, end_seconds=end, split=split) for start, end, split in spans]
        assert found(check(*videos)) == [("same_clip_in_two_splits", (0, place)) for place in (1, 2, 3)]

    def test_copies_under_other_names(self, path, tmp_path):
        for name in ("copy.mp4", "relabelled.mp4", "held_out.mp4"):
            shutil.copy(path, tmp_path / name)
        report = check(
            Video(path, 0, split="train"),
            Video(tmp_path / "held_out.mp4", 0, split="val"),
            Video(tmp_path / "copy.mp4", 0, split="train"),
        )
        assert ("same_content_in_two_splits", (0, 1)) in found(report)
        assert ("same_content_twice", (0, 2)) in found(report)
        report = check(Video(path, 0), Video(tmp_path / "relabelled.mp4", 1))
        assert found(report) == [("same_content_two_labels", (0, 1))]

    def test_links_are_seen_without_reading(self, path, tmp_path):
        (tmp_path / "link.mp4").symlink_to(path)
        report = check(Video(path, 0, split="train"), Video(tmp_path / "link.mp4", 0, split="val"))
        assert found(report) == [("same_content_in_two_splits", (0, 1))]
        assert all(known.digest is None for known in report.facts)

    def test_files_of_equal_size_and_other_content(self, path, tmp_path):
        other = bytearray(path.read_bytes())
        other[-1] ^= 1
        (tmp_path / "other.mp4").write_bytes(other)
        report = check(Video(path, 0, split="train"), Video(tmp_path / "other.mp4", 0, split="val"))
        assert all(known.digest is not None for known in report.facts)
        assert found(report) == []

    def test_clips_encoded_anew_are_found_by_decoding(self, path, draw_video):
        again = draw_video("again.mp4", codec="mpeg4", fps=25, max_b_frames=0)
        videos = (Video(path, 0, split="train"), Video(again, 0, split="val"))
        assert found(check(*videos)) == []
        report = check(*videos, deep=True)
        assert found(report) == [("near_duplicate_in_two_splits", (1, 0))]
        assert found(check(*(Video(video.path, 0) for video in videos), deep=True)) == []  # one split

    def test_same_span_in_two_rows(self, path):
        span = {"start_seconds": 0.5, "end_seconds": 2.0}
        assert found(check(Video(path, 0, **span), Video(path, 0, **span), Video(path, 0))) == [
            ("same_row_twice", (0, 1))
        ]
        assert found(check(Video(path, 0, **span), Video(path, 1, **span))) == [("two_labels", (0, 1))]


class TestSpans:
    @pytest.mark.parametrize(
        ("place", "kind"),
        [
            ({"start_seconds": 2.4}, "span_outside"),
            ({"start_seconds": 1.0, "end_seconds": 1.0}, "empty_span"),
            ({"start_seconds": 1.0, "end_seconds": 2.45}, None),  # less than two frames: rounding
            ({"start_seconds": 1.0, "end_seconds": 2.5}, "span_beyond_end"),
            ({"first_frame": 60, "num_frames": 9}, "span_outside"),
            ({"first_frame": 40, "num_frames": 20}, None),
            ({"first_frame": 40, "num_frames": 21}, "span_beyond_end"),
            ({"first_frame": 0, "num_frames": 7}, "very_short"),
            ({"first_frame": 0, "num_frames": 8}, None),
            ({"start_seconds": 0.0, "end_seconds": 0.2}, "very_short"),
        ],
    )
    def test_spans(self, path, place, kind):
        assert found(check(Video(path, 0, **place))) == ([] if kind is None else [(kind, (0,))])

    def test_short_in_time(self, draw_video):
        path = draw_video("fast.mp4", options=X264_GOP, fps=100, num_frames=29)
        (finding,) = of_files(check(Video(path, 0)))
        assert (finding.kind, finding.message) == ("very_short", f"{path}: 29 frames, 0.29 s")


class TestReport:
    def test_findings_of_files_are_sorted_and_explained(self, path, tmp_path, draw_video):
        tiny = draw_video("tiny.mp4", options=X264_GOP, size=(48, 24))
        report = check(Video(tiny, 0), Video(tmp_path / "gone.mp4", 0), Video(path, 1), Video(tmp_path / "gone.mp4", 1))
        assert found(report) == [("missing", (1, 3)), ("two_labels", (1, 3)), ("tiny_picture", (0,))]
        assert report.exit_code == 1
        for finding in report.findings:
            assert (finding.severity, finding.remedy) == KINDS[finding.kind]
            assert "\n" not in finding.message
        content = json.loads(json.dumps(report.as_dict()))
        assert content["counts"]["error"] == 2
        assert content["findings"][0]["rows"] == [1, 3]
        assert content["histograms"]["codec"] == {"h264": 2}
        text = "\n".join(report.lines())
        assert "error: missing (1): check the paths" in text
        assert f"{tiny}: 48x24 pixels" in text

    def test_warnings_alone_do_not_fail(self, path):
        report = check(*(Video(path, label, start_seconds=0.5) for label in (0, 0)))
        assert {finding.severity for finding in report.findings if finding.rows} == {"warning"}
        assert check(Video(path, 0), Video(path, 1, start_seconds=1.0)).exit_code == 0

    def test_a_table_is_read_with_its_split(self, path, tmp_path):
        table = tmp_path / "set.csv"
        table.write_text(f"path,label,split\n{path},cut,train\ngone.mp4,pour,val\n")
        assert check_videos(table, split="train", num_workers=1).files[0].path == path
        report = check_videos(table, num_workers=1)
        assert report.findings[0].kind == "missing"
        with pytest.raises(ManifestError, match="no such file"):
            check_videos(tmp_path / "none.csv")
        (tmp_path / "classes.txt").write_text("cut\nstir\n")
        assert "labels_not_listed" in {finding.kind for finding in check_videos(table, num_workers=1).findings}

    def test_progress_counts_files(self, path, tmp_path):
        calls = []
        videos = (Video(path, 0), Video(path, 0, start_seconds=1.0), Video(tmp_path / "gone.mp4", 0))
        check(*videos, on_file=lambda *counts: calls.append(counts))
        assert calls == [(1, 2), (2, 2)]

    def test_a_file_that_hangs_or_crashes_is_a_finding(self, path, tmp_path, monkeypatch):
        read = check_module.read_file

        def reading(file, *, deep):
            faulthandler.disable()  # pytest's: it would print the trace of what is meant to crash
            if file.path.name == "hangs.mp4":
                time.sleep(60)
            if file.path.name == "crashes.mp4":
                os.kill(os.getpid(), signal.SIGSEGV)
            return read(file, deep=deep)

        monkeypatch.setattr(check_module, "read_file", reading)
        videos = (Video(tmp_path / "hangs.mp4", 0), Video(tmp_path / "crashes.mp4", 0), Video(path, 0))
        report = check(*videos, limit_seconds=1.5)
        assert found(report) == [("hangs", (0,)), ("crashes", (1,))]
        assert "took over 1.5 s" in of_files(report)[0].message

    def test_a_reader_that_raises_is_a_finding(self, path, monkeypatch):
        def broken(*_args, **_settings):
            raise RuntimeError("something of its own")

        monkeypatch.setattr("w3action.datasets.doctor.read_file.read_video", broken)
        (finding,) = of_files(check(Video(path, 0)))
        assert finding.kind == "unreadable"
        assert "RuntimeError: something of its own" in finding.message


def test_real_clips_have_no_false_alarm(shared_dir):
    folder = shared_dir / "data/hand_motion"
    if not (folder / "all_train_val.csv").is_file():
        pytest.skip("no hand_motion clips beside this checkout")
    manifest = check_module.read_manifest(folder / "all_train_val.csv")
    some = Manifest(manifest.videos[::12], manifest.classes, manifest.source)
    report = check_videos(some, deep=True, num_workers=1)
    assert len(some.splits) == 2
    assert of_files(report) == []


def test_each_labelling_is_checked_by_itself(path, tmp_path):
    rows = [f"{path},{verb},{noun},{split}" for verb, noun, split in
            (("open", "door", "train"), ("shut", "book", "train"), ("open", "book", "val"))]  # fmt: skip
    (tmp_path / "list.csv").write_text("\n".join(["path,verb,noun,split", *rows]))
    (tmp_path / "classes_noun.txt").write_text("door\nbook\ncup\n")
    (tmp_path / "classes.txt").write_text("of another column\n")
    report = check_videos(tmp_path / "list.csv", label_column="verb,noun", num_workers=1)
    said = [(finding.kind, finding.message) for finding in report.findings if not finding.rows]
    assert ("class_without_clips", "noun: 1 of 3 classes have no clip at all: cup") in said
    assert ("class_not_tested", "verb: val: 1 of 2 classes have no clip: shut") in said
    assert not any(kind == "labels_not_listed" for kind, _ in said)
    assert {message.split(":")[0] for _, message in said} == {"verb", "noun"}


def test_shards_of_a_remote_set_are_fetched_before_the_clock_runs(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(check_module, "fetch_missing", lambda path: asked.append(path.name) or False)
    places = (("a.tar", 512), ("a.tar", 1536), ("b.tar", 512))
    videos = [Video(tmp_path / name, 0, byte_offset=offset, num_bytes=9) for name, offset in places]
    assert [kind for kind, _ in found(check(*videos))] == ["missing"] * 3
    assert asked == ["a.tar", "b.tar"]
