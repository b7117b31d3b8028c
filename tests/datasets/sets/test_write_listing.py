from pathlib import Path

import pytest
from pyarrow import parquet

from w3action.data import ManifestError, Video, read_manifest
from w3action.data.video import Span
from w3action.datasets.sets import ListedVideo, Listing, write_listing


def video(path: Path, **more) -> ListedVideo:
    return ListedVideo(path=path, label="walk", split="train", **more)


def test_columns_that_nothing_fills_are_left_out(tmp_path):
    out = tmp_path / "out/list.parquet"
    listing = Listing(
        videos=(video(tmp_path / "out/a.mp4"), video(tmp_path / "b.mp4", fps=12.0)), classes=("run", "walk")
    )
    write_listing(listing, out)
    table = parquet.read_table(out)
    assert table.column_names == ["path", "label", "label_id", "split", "fps"]
    assert table["path"].to_pylist() == ["a.mp4", str(tmp_path / "b.mp4")]  # relative below the manifest's folder
    assert table["label_id"].to_pylist() == [1, 1]
    assert [file.name for file in sorted(out.parent.iterdir())] == ["classes.txt", "list.parquet"]


def test_spans_come_back(tmp_path):
    rows = [
        {"start_seconds": 0.1, "end_seconds": 2.7},
        {"first_frame": 0, "num_frames": 7},
        {"first_frame": 30, "num_frames": 5},
        {"first_frame": 30},
        {},
    ]
    listing = Listing(videos=tuple(video(tmp_path / "a", span=Span(**row)) for row in rows), classes=("walk",))
    write_listing(listing, tmp_path / "list.parquet")
    assert read_manifest(tmp_path / "list.parquet").videos == tuple(
        Video(path=tmp_path / "a", label=0, split="train", **row) for row in rows
    )


def test_nothing_to_write(tmp_path):
    with pytest.raises(ManifestError, match="there is not one video to list"):
        write_listing(Listing(videos=(), classes=("walk",)), tmp_path / "list.parquet")
    with pytest.raises(ManifestError, match=r"give a path that ends in .parquet"):
        write_listing(Listing(videos=(video(tmp_path),), classes=("walk",)), tmp_path / "list.csv")
