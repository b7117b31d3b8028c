import os
import shutil
from pathlib import Path

import pytest
from drawn_sets import DRAW, touch_frames
from pyarrow import parquet

from w3action.data import Manifest, ManifestError, Video, read_manifest
from w3action.datasets.sets import SETS, prepare


def rows_of(manifest: Manifest, root: Path) -> list[tuple]:
    return [
        (os.path.relpath(video.path, root), manifest.classes[video.label], video.split, span_of(video))
        for video in manifest.videos
    ]


def span_of(video: Video) -> tuple | None:
    if video.start_seconds is not None:
        return "seconds", video.start_seconds, video.end_seconds
    return None if video.num_frames is None else ("frames", video.first_frame, video.num_frames)


def error_of(*arguments, **options) -> str:
    with pytest.raises(ManifestError) as error:
        prepare(*arguments, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_all_sets_are_drawn():
    assert DRAW.keys() == SETS.keys()


@pytest.mark.parametrize("name", SETS)
class TestEverySet:
    def test_its_manifest_says_what_its_annotations_say(self, name, tmp_path):
        root, options, expected = DRAW[name](tmp_path / "set")
        prepared = prepare(name, root, tmp_path / "out.parquet", **options)
        manifest = read_manifest(tmp_path / "out.parquet")
        assert rows_of(manifest, root) == expected
        assert all(video.path.exists() for video in manifest.videos)
        assert sum(prepared.num_videos.values()) == len(expected)
        assert prepared.num_labelled == len(expected)
        assert prepared.missing == ()
        assert prepared.num_classes == len(manifest.classes)
        assert f"{len(expected)} videos" in str(prepared)

    def test_ids_are_places_in_classes_txt(self, name, tmp_path):
        root, options, _ = DRAW[name](tmp_path / "set")
        prepare(name, root, tmp_path / "out.parquet", **options)
        table = parquet.read_table(tmp_path / "out.parquet")
        classes = (tmp_path / "classes.txt").read_text().splitlines()
        assert [classes[place] for place in table["label_id"].to_pylist()] == table["label"].to_pylist()
        assert [video.label for video in read_manifest(tmp_path / "out.parquet").videos] == table[
            "label_id"
        ].to_pylist()

    def test_the_manifest_moves_with_its_videos(self, name, tmp_path):
        root, options, expected = DRAW[name](tmp_path / "set")
        prepare(name, root, tmp_path / "set/out.parquet", **options)
        shutil.move(tmp_path / "set", tmp_path / "moved")
        moved = tmp_path / "moved" / root.resolve().relative_to((tmp_path / "set").resolve())
        manifest = read_manifest(tmp_path / "moved/out.parquet")
        assert rows_of(manifest, moved) == expected
        assert all(video.path.exists() for video in manifest.videos)

    def test_one_split_alone_has_the_same_classes(self, name, tmp_path):
        root, options, expected = DRAW[name](tmp_path / "set")
        split = expected[-1][2]
        if split is None:
            pytest.skip("the drawn list names no split")
        prepare(name, root, tmp_path / "all/out.parquet", **options)
        prepare(name, root, tmp_path / "one/out.parquet", **options, split=split)
        one = read_manifest(tmp_path / "one/out.parquet")
        assert rows_of(one, root) == [row for row in expected if row[2] == split]
        if name not in ("folder", "csv", "kinetics", "mmaction2"):  # theirs are the labels found
            assert one.classes == read_manifest(tmp_path / "all/out.parquet").classes

    def test_missing_videos_are_counted_and_named(self, name, tmp_path):
        if name == "folder":
            pytest.skip("what is not there is not listed")
        root, options, expected = DRAW[name](tmp_path / "set")
        gone = expected[0][0]
        (shutil.rmtree if (root / gone).is_dir() else os.remove)(root / gone)
        lost = sum(row[0] == gone for row in expected)
        message = error_of(name, root, tmp_path / "out.parquet", **options)
        assert f"{lost} videos are missing: " in message
        assert Path(gone).stem.lower() in message.lower()
        assert not (tmp_path / "out.parquet").exists()

        prepared = prepare(name, root, tmp_path / "out.parquet", **options, allow_missing=True)
        assert len(prepared.missing) == lost
        assert f"{lost} videos are missing: " in str(prepared)
        assert rows_of(read_manifest(tmp_path / "out.parquet"), root) == [row for row in expected if row[0] != gone]

    def test_no_videos_at_all(self, name, tmp_path):
        _, options, _ = DRAW[name](tmp_path / "set")
        (tmp_path / "empty").mkdir()
        if name in ("folder", "csv", "tsm", "mmaction2", "slowfast", "ibm"):
            options = {**options} if name != "folder" else {}
        else:
            options = {**options, "annotations": tmp_path / "set"}
        assert "no" in error_of(name, tmp_path / "empty", tmp_path / "out.parquet", **options, allow_missing=True)
        assert "gone" in error_of(name, tmp_path / "gone", tmp_path / "out.parquet", **options)

    def test_an_unknown_split_and_option(self, name, tmp_path):
        root, options, _ = DRAW[name](tmp_path / "set")
        assert "colour" in error_of(name, root, tmp_path / "out.parquet", **options, colour="red")
        options = {**options, "split": "holiday"}
        if name in ("mmaction2", "slowfast", "ibm"):  # drawn as one list, which may be called anything
            assert prepare(name, root, tmp_path / "out.parquet", **options).num_videos.keys() == {"holiday"}
        else:
            assert "holiday" in error_of(name, root, tmp_path / "out.parquet", **options)


class TestWhatIsRefused:
    def test_an_unknown_set(self, tmp_path):
        message = error_of("hollywood2", tmp_path, tmp_path / "out.parquet")
        assert "no data set 'hollywood2' is known; give one of something_v1, something_v2, jester" in message

    def test_options_of_other_sets(self, tmp_path):
        message = error_of("jester", tmp_path, tmp_path / "out.parquet", fold=2)
        assert message == "jester takes no fold; it takes annotations, split"

    def test_other_classes_beside(self, tmp_path):
        root, options, _ = DRAW["jester"](tmp_path / "jester")
        prepare("jester", root, tmp_path / "out/a.parquet", **options)
        prepare("jester", root, tmp_path / "out/b.parquet", **options, split="val")
        root, options, _ = DRAW["hmdb51"](tmp_path / "hmdb51")
        message = error_of("hmdb51", root, tmp_path / "out/c.parquet", **options)
        assert "out/classes.txt: lists other classes" in message

    def test_other_suffixes(self, tmp_path):
        root, options, _ = DRAW["jester"](tmp_path / "jester")
        assert "give a path that ends in .parquet" in error_of("jester", root, tmp_path / "out.csv", **options)

    def test_folders_without_images_or_with_too_few(self, tmp_path):
        root, options, _ = DRAW["tsm"](tmp_path / "tsm")
        for image in (root / "a b").iterdir():
            image.unlink()
        (root / "long/img_00006.jpg").unlink()
        for number in range(7, 10):
            (root / f"long/img_{number:05d}.jpg").unlink()
        message = error_of("tsm", root, tmp_path / "out.parquet", **options)
        assert (
            "2 videos are missing: a b (a folder without images), long (a folder of 5 images, 6 are listed)" in message
        )

    def test_a_long_list_of_missing_ones_is_cut(self, tmp_path):
        touch_frames(tmp_path / "frames/0", 3)
        (tmp_path / "train.txt").write_text("".join(f"{number} 3 0\n" for number in range(1000)))
        message = error_of("tsm", tmp_path / "frames", tmp_path / "out.parquet", annotations=tmp_path / "train.txt")
        assert "999 videos are missing: 1, 2, 3, ...; fetch them, or allow missing ones" in message
