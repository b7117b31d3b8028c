"""The drawn data set on disk."""

import csv
import json

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from w3action.tabletop import CLASSES, FPS, SIZE, render_video, split_sizes, write_tabletop


def rows_of(manifest):
    with manifest.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A set of 10 videos drawn by two processes, and how often its callback was called."""
    calls = []
    manifest = write_tabletop(
        tmp_path_factory.mktemp("set") / "tabletop",
        num_videos=10,
        seed=9,
        num_workers=2,
        on_video=lambda: calls.append(1),
    )
    return manifest, len(calls)


def test_manifest_lists_every_video_of_every_split(written):
    manifest, calls = written
    rows = rows_of(manifest)
    assert list(rows[0]) == ["path", "label", "split", "num_frames", "fps"]
    assert len(rows) == len({row["path"] for row in rows}) == calls == 10
    assert [sum(row["split"] == split for row in rows) for split in ("train", "val", "test")] == [7, 1, 2]
    assert {row["label"] for row in rows} <= set(CLASSES)
    assert {row["fps"] for row in rows} == {"12"}
    assert sorted(p.name for p in (manifest.parent / "videos").iterdir()) == sorted(r["path"][7:] for r in rows)
    assert rows[0]["path"] == "videos/train_00000.mp4"
    assert (manifest.parent / "classes.txt").read_text().splitlines() == list(CLASSES)


def test_videos_are_h264_and_show_what_was_drawn(written):
    manifest, _ = written
    for row in rows_of(manifest)[::4]:
        with av.open(str(manifest.parent / row["path"])) as container:
            assert len(container.streams) == 1
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert (stream.width, stream.height, stream.pix_fmt) == (SIZE, SIZE, "yuv420p")
            assert stream.average_rate == FPS
            frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
        index = int(row["path"][-9:-4])
        video = render_video(9, row["split"], index)
        assert row["label"] == video.label
        assert len(frames) == int(row["num_frames"]) == len(video.frames)
        difference = np.abs(frames.astype(int) - video.frames.astype(int)).mean(axis=(1, 2, 3))
        assert difference.max() < 9, difference  # crf 23; a frame out of order differs by more
        assert difference.mean() < 6


def test_tracks_hold_one_row_per_frame(written):
    manifest, _ = written
    rows = rows_of(manifest)
    table = pq.read_table(manifest.parent / "tracks.parquet")
    assert table.column_names == ["path", "frame", "x0", "y0", "x1", "y1", "acting"]
    assert table.num_rows == sum(int(row["num_frames"]) for row in rows)
    video = render_video(9, "val", 0)
    mine = np.array(table["path"].to_pylist()) == "videos/val_00000.mp4"
    boxes = np.stack([table[name].to_numpy() for name in ("x0", "y0", "x1", "y1")], axis=1)[mine]
    np.testing.assert_array_equal(boxes, video.hand_boxes)
    assert table["frame"].to_numpy()[mine].tolist() == list(range(len(video.frames)))
    acting = np.flatnonzero(table["acting"].to_numpy(zero_copy_only=False)[mine])
    assert (acting[0], acting[-1]) == video.active_frames
    assert len(acting) == acting[-1] - acting[0] + 1


def test_videos_depend_neither_on_their_number_nor_on_the_workers(written, tmp_path):
    manifest, _ = written
    smaller = write_tabletop(tmp_path, num_videos=3, seed=9, num_workers=1)
    for row in rows_of(smaller):
        assert (tmp_path / row["path"]).read_bytes() == (manifest.parent / row["path"]).read_bytes()


def test_a_complete_set_is_reused(written):
    manifest, _ = written
    before = {path: path.stat().st_mtime_ns for path in manifest.parent.rglob("*")}
    again = write_tabletop(manifest.parent, num_videos=10, seed=9, on_video=lambda: pytest.fail("drawn again"))
    assert again == manifest
    assert before == {path: path.stat().st_mtime_ns for path in manifest.parent.rglob("*")}


@pytest.mark.parametrize("wanted", [{"num_videos": 21, "seed": 9}, {"num_videos": 10, "seed": 8}])
def test_another_set_in_the_folder_is_an_error_and_stays(written, wanted):
    manifest, _ = written
    text = manifest.read_text()
    with pytest.raises(ValueError, match=r"already holds .*'num_videos': 10, 'seed': 9.*another folder"):
        write_tabletop(manifest.parent, **wanted)
    assert manifest.read_text() == text


def test_a_foreign_data_set_is_not_overwritten(tmp_path):
    (tmp_path / "manifest.csv").write_text("path,label\n")
    with pytest.raises(ValueError, match="not ours .*another folder"):
        write_tabletop(tmp_path, num_videos=1, seed=0)
    assert (tmp_path / "manifest.csv").read_text() == "path,label\n"


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_killed_run_leaves_no_manifest_and_can_be_done_again(tmp_path, num_workers):
    calls = []

    def stop_at_second():
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tabletop(tmp_path, num_videos=4, seed=1, num_workers=num_workers, on_video=stop_at_second)
    assert (tmp_path / "videos").exists()
    assert not (tmp_path / "manifest.csv").exists()
    (tmp_path / "videos" / ".train_00001.mp4.123").touch()  # a killed process leaves such a half-written file
    assert len(rows_of(write_tabletop(tmp_path, num_videos=4, seed=1, num_workers=1))) == 4
    assert len(list((tmp_path / "videos").iterdir())) == 4


def test_a_lost_video_is_drawn_again(tmp_path):
    manifest = write_tabletop(tmp_path, num_videos=2, seed=1, num_workers=1)
    lost = tmp_path / rows_of(manifest)[0]["path"]
    content = lost.read_bytes()
    lost.unlink()
    write_tabletop(tmp_path, num_videos=2, seed=1, num_workers=1)
    assert lost.read_bytes() == content
    assert json.loads((tmp_path / "tabletop.json").read_text())["num_videos"] == 2


@pytest.mark.parametrize(("num_videos", "sizes"), [(1, (1, 0, 0)), (10, (7, 1, 2)), (1600, (1120, 160, 320))])
def test_splits_are_70_10_and_20_percent_rounded(num_videos, sizes):
    assert tuple(split_sizes(num_videos).values()) == sizes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_videos": 0, "seed": 0}, r"num_videos must be 1 or more, got 0"),
        ({"num_videos": -3, "seed": 0}, r"num_videos must be 1 or more, got -3"),
        ({"num_videos": 1, "seed": 0, "num_workers": 0}, r"num_workers must be 1 or more, got 0"),
        ({"num_videos": 1, "seed": -1}, r"seed must be an integer from 0"),
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_written(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_tabletop(tmp_path / "set", **arguments)
    assert not (tmp_path / "set").exists()
