import math
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from w3action.data import Manifest, ManifestError, Video, hold_out, keep_fraction, read_manifest, write_manifest


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def error_of(source: Path, **options) -> str:
    with pytest.raises(ManifestError) as error:
        read_manifest(source, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


class TestFolder:
    def test_class_folders(self, tmp_path):
        touch(tmp_path, "walk/b.mp4", "walk/a.MKV", "run/c.avi", "run/notes.txt", ".hidden/d.mp4", "readme.md")
        manifest = read_manifest(tmp_path)
        assert manifest.classes == ("run", "walk")
        assert [(v.path.name, v.label) for v in manifest.videos] == [("c.avi", 0), ("a.MKV", 1), ("b.mp4", 1)]
        assert manifest.splits == ()

    def test_folders_of_images_are_videos(self, tmp_path):
        touch(tmp_path, "walk/a/00001.jpg", "walk/b/1.PNG", "walk/notes/readme.txt", "run/c.mp4")
        assert [v.path.name for v in read_manifest(tmp_path).videos] == ["c.mp4", "a", "b"]

    def test_split_folders(self, tmp_path):
        touch(tmp_path, "train/a/1.mp4", "train/b/2.mp4", "validation/a/3.mp4")
        manifest = read_manifest(tmp_path)
        assert manifest.splits == ("train", "validation")
        assert manifest.classes == ("a", "b")
        for name in ("val", "valid", "validation"):
            assert [v.path.name for v in read_manifest(tmp_path, split=name).videos] == ["3.mp4"]
        assert manifest.split("val").classes == ("a", "b")

    def test_a_class_named_test_among_others_is_a_class(self, tmp_path):
        touch(tmp_path, "test/1.mp4", "play/2.mp4")
        assert read_manifest(tmp_path).classes == ("play", "test")

    def test_order_of_classes_txt(self, tmp_path):
        touch(tmp_path, "walk/b.mp4", "run/c.avi")
        write(tmp_path / "classes.txt", "walk", "run", "sit")
        assert read_manifest(tmp_path).classes == ("walk", "run", "sit")

    def test_numbers_are_sorted_as_numbers(self, tmp_path):
        touch(tmp_path, "10/b.mp4", "9/c.avi")
        assert read_manifest(tmp_path).classes == ("9", "10")

    def test_errors(self, tmp_path):
        assert "no such file or folder" in error_of(tmp_path / "gone")
        assert "no video found; expected class/video.mp4" in error_of(touch(tmp_path / "empty", "a.mp4"))
        touch(tmp_path / "plain", "a/1.mp4")
        assert "no video of the split 'val'; splits found: none" in error_of(tmp_path / "plain", split="val")
        write(tmp_path / "plain/train.csv", "path,label", "a/1.mp4,a")
        assert "holds the manifests train.csv; give the path of one" in error_of(tmp_path / "plain")


class TestTable:
    def test_csv(self, tmp_path):
        source = write(
            tmp_path / "list.csv",
            "label,other,path,split,start_seconds,end_seconds",
            "walk,x,clips/a.mp4,train,,",
            "run,y,/absolute/b.mp4,valid,0.5,2",
        )
        manifest = read_manifest(source)
        assert manifest == Manifest(
            videos=(
                Video(path=tmp_path / "clips/a.mp4", label=1, split="train"),
                Video(path=Path("/absolute/b.mp4"), label=0, start_seconds=0.5, end_seconds=2.0, split="valid"),
            ),
            classes=("run", "walk"),
            source=source,
        )
        assert read_manifest(source, split="val").videos == manifest.videos[1:]
        assert read_manifest(source, split="val").classes == ("run", "walk")

    def test_parquet(self, tmp_path):
        source = tmp_path / "list.parquet"
        table = pa.table({"path": ["a.mp4", "b.mp4"], "label": [3, 11], "start_s": [0, 1], "end_s": [1.5, math.nan]})
        parquet.write_table(table, source)
        manifest = read_manifest(str(source))
        assert manifest.classes == ("3", "11")
        assert manifest.videos == (
            Video(path=tmp_path / "a.mp4", label=0, start_seconds=0.0, end_seconds=1.5),
            Video(path=tmp_path / "b.mp4", label=1, start_seconds=1.0),
        )

    def test_spans_of_frames_and_places_in_a_tar(self, tmp_path):
        source = tmp_path / "index.parquet"
        columns = {
            "path": ["frames/a", "frames/a", "frames/a", "shard.tar"],
            "label": ["walk", "run", "run", "sit"],
            "start_frame": [None, 0, 10, None],
            "end_frame": [4.0, 10, math.nan, None],  # whole numbers as floats, as pandas writes them
            "byte_offset": [None, None, None, 1 << 33],
            "num_bytes": [None, None, None, 99],
            "fps": [12.0, 12, math.nan, 30],
        }
        parquet.write_table(pa.table(columns), source)
        run, sit, walk = range(3)
        videos = (
            Video(path=tmp_path / "frames/a", label=walk, num_frames=4, fps=12),
            Video(path=tmp_path / "frames/a", label=run, first_frame=0, num_frames=10, fps=12),
            Video(path=tmp_path / "frames/a", label=run, first_frame=10),
            Video(path=tmp_path / "shard.tar", label=sit, byte_offset=1 << 33, num_bytes=99, fps=30),
        )
        assert read_manifest(source).videos == videos
        assert len({video.place for video in videos}) == 4
        assert len({video.file for video in videos}) == 2

        write_manifest(read_manifest(source), tmp_path / "again.csv")
        written = read_manifest(tmp_path / "again.csv").videos
        spans = [(v.label, v.first_frame or 0, v.num_frames, v.byte_offset, v.num_bytes) for v in written]
        assert spans == [(v.label, v.first_frame or 0, v.num_frames, v.byte_offset, v.num_bytes) for v in videos]

    def test_where_a_clip_was_cut_from_is_no_span(self, tmp_path):
        source = write(tmp_path / "list.csv", "path,label,first_frame,num_frames", "a.mp4,walk,12,48")
        assert read_manifest(source).videos == (Video(path=tmp_path / "a.mp4", label=0),)

    @pytest.mark.parametrize(
        ("columns", "values", "fault"),
        [
            ("start_frame,end_frame", "5,5", "the span holds 0 frames but must hold at least 1"),
            ("start_frame,end_frame", "-1,5", "the span starts at frame -1 but frames count from 0"),
            ("start_frame,start_seconds", "1,0.5", "given both in seconds and in frames; give one of them"),
            ("byte_offset", "512", "of byte_offset and num_bytes one is missing"),
            ("byte_offset,num_bytes", "512,0", "byte_offset 512 and num_bytes 0 are no place in a file"),
            ("start_frame", "1.5", "cannot be read as csv"),
        ],
    )
    def test_spans_that_are_none(self, tmp_path, columns, values, fault):
        source = write(tmp_path / "list.csv", f"path,label,{columns}", f"a.mp4,walk,{values}")
        assert fault in error_of(source)

    def test_every_label_column_may_have_its_classes(self, tmp_path):
        source = write(tmp_path / "list.csv", "path,label,verb", "a.mp4,take cup,take", "b.mp4,put cup,1")
        write(tmp_path / "classes_verb.txt", "put", "take", "wash")
        write(tmp_path / "classes.txt", "take cup", "put cup")
        assert read_manifest(source).classes == ("take cup", "put cup")
        write(source, "path,label,verb", "a.mp4,take cup,take", "b.mp4,put cup,put")
        verbs = read_manifest(source, label_column="verb")
        assert verbs.classes == ("put", "take", "wash")
        assert [video.label for video in verbs.videos] == [1, 0]

    def test_given_classes(self, tmp_path):
        source = write(tmp_path / "list.csv", "path,label", "a.mp4,walk", "b.mp4,run")
        assert [v.label for v in read_manifest(source, classes=["walk", "sit", "run"]).videos] == [0, 2]
        message = error_of(source, classes=["walk", "sit"])
        assert "the label 'run' is not among the 2 classes (1 such rows)" in message
        assert "'walk' is listed twice" in error_of(source, classes=["walk", "run", "walk"])

    def test_ids_index_named_classes(self, tmp_path):
        source = write(tmp_path / "list.csv", "path,label", "a.mp4,2", "b.mp4,0")
        assert [v.label for v in read_manifest(source, classes=["walk", "sit", "run"]).videos] == [2, 0]
        assert "the label '2' is not among the 2 classes" in error_of(source, classes=["walk", "sit"])
        write(tmp_path / "classes.txt", "walk", "sit", "run")
        manifest = read_manifest(source)
        assert manifest.classes == ("walk", "sit", "run")
        assert [v.label for v in manifest.videos] == [2, 0]

    def test_classes_txt_is_passed_over_if_it_lacks_a_label(self, tmp_path):
        source = write(tmp_path / "list.csv", "path,label,noun", "a.mp4,walk,1", "b.mp4,run,0")
        write(tmp_path / "classes.txt", "walk", "sit")
        assert read_manifest(source).classes == ("run", "walk")
        assert read_manifest(source, label_column="noun").classes == ("0", "1")

    def test_words_that_mean_nothing_elsewhere_are_labels_here(self, tmp_path):
        source = write(tmp_path / "list.csv", "path,label", "a.mp4,NA", "b.mp4,null", 'c.mp4,"turn, left"')
        assert read_manifest(source).classes == ("NA", "null", "turn, left")

    def test_errors(self, tmp_path):
        message = error_of(write(tmp_path / "a.csv", "file,class", "a.mp4,walk"))
        assert "no column 'path'; columns found: file, class; wanted: path, label[, split, start_seconds" in message
        good = write(tmp_path / "b.csv", "path,label,split", "a.mp4,walk,train", ",run,train")
        assert "no column 'verb'; columns found: path, label, split" in error_of(good, label_column="verb")
        assert "row 2 has no path or no label" in error_of(good)
        assert "holds no rows" in error_of(write(tmp_path / "c.csv", "path,label"))
        assert "cannot be read as csv" in error_of(write(tmp_path / "d.csv", "path,label", "a,b", "a,b,c,d"))
        (tmp_path / "e.csv").touch()
        assert "cannot be read as csv" in error_of(tmp_path / "e.csv")
        (tmp_path / "f.csv").write_bytes(b"path,label\n\xff\xfe\xfa,walk\n")
        assert "cannot be read as csv" in error_of(tmp_path / "f.csv")
        text = write(tmp_path / "g.csv", "path,label,start_s", "a.mp4,walk,soon")
        assert "cannot be read as csv" in error_of(text)
        (tmp_path / "h.parquet").write_text("no parquet")
        assert "cannot be read as parquet" in error_of(tmp_path / "h.parquet")
        assert "no manifest; give a folder" in error_of(write(tmp_path / "i.txt", "a"))
        one = write(tmp_path / "j.csv", "path,label,split", "a.mp4,walk,train")
        assert "no video of the split 'test'; splits found: train" in error_of(one, split="test")


class TestRealSets:
    def test_hand_motion(self, shared_dir):
        folder = shared_dir / "data/hand_motion"
        classes = ("down", "left", "left_right", "right", "right_left", "still", "up")
        for name, count in {"train": 342, "val": 217, "xsubject_train": 297, "xsubject_val": 262}.items():
            manifest = read_manifest(folder / f"{name}.csv")
            assert len(manifest) == count
            assert manifest.classes == classes
            assert all(video.path.is_file() for video in manifest.videos)
        assert "holds the manifests" in error_of(folder)

    def test_verbs_and_nouns(self, shared_dir):
        source = shared_dir / "data/hand_motion/verb_noun_train.csv"
        verbs, nouns = (read_manifest(source, label_column=column) for column in ("verb", "noun"))
        assert verbs.classes == ("down", "left", "left_right", "right", "right_left", "still", "up")
        assert len(nouns.classes) == 20
        assert [v.path for v in verbs.videos] == [v.path for v in nouns.videos]

    def test_hand_in_clutter(self, shared_dir):
        train, val = (read_manifest(shared_dir / f"data/hand_in_clutter/{name}.csv") for name in ("train", "val"))
        assert train.classes == val.classes
        assert all(video.path.is_file() for video in train.videos + val.videos)

    def test_ucf101_folder(self, shared_dir):
        manifest = read_manifest(shared_dir / "data/ucf101_3class/clips")
        assert manifest.classes == ("BabyCrawling", "Punch", "PushUps")
        assert len(manifest) == 394

    def test_segments(self, shared_dir):
        manifest = read_manifest(shared_dir / "data/gmdcsa24_part/segments.csv")
        assert len(manifest) == 46
        assert len({video.path for video in manifest.videos}) == 23
        assert manifest.videos[0].start_seconds == 0
        assert manifest.videos[0].end_seconds == 2.5


def test_several_columns_are_labellings_side_by_side(tmp_path):
    table = tmp_path / "list.csv"
    table.write_text("path,verb,noun,split\na.mp4,open,door,train\nb.mp4,close,book,train\nc.mp4,open,book,val\n")
    manifest = read_manifest(table, label_column="verb,noun")
    assert manifest.labellings == {"verb": 2, "noun": 2}
    assert manifest.classes == ("verb: close", "verb: open", "noun: book", "noun: door")
    assert [(v.label, *v.others) for v in manifest.videos] == [(1, 3), (0, 2), (1, 2)]
    assert manifest.split("val").labellings == manifest.labellings
    other = tmp_path / "other.csv"
    other.write_text("path,verb,noun\nd.mp4,open,book\n")
    again = read_manifest(other, classes=manifest.classes, label_column="verb,noun")
    assert [(v.label, *v.others) for v in again.videos] == [(1, 2)]
    assert again.classes == manifest.classes
    write_manifest(manifest, tmp_path / "written.csv")
    written = read_manifest(tmp_path / "written.csv", label_column="verb,noun")
    assert [(v.label, *v.others) for v in written.videos] == [(1, 3), (0, 2), (1, 2)]


def test_each_labelling_is_a_manifest_of_its_own(tmp_path):
    (tmp_path / "list.csv").write_text("path,verb,noun\na.mp4,open,door\nb.mp4,close,book\nc.mp4,open,book\n")
    (tmp_path / "classes_noun.txt").write_text("window\ndoor\nbook\n")
    both = read_manifest(tmp_path / "list.csv", label_column="verb,noun")
    for column, part in both.by_labelling().items():
        alone = read_manifest(tmp_path / "list.csv", label_column=column)
        assert (part.classes, part.videos, part.labellings) == (alone.classes, alone.videos, {})
    assert both.label_names() == {"verb": ["open", "close", "open"], "noun": ["door", "book", "book"]}
    assert alone.by_labelling() == {"": alone}
    assert alone.label_names() == {"label": ["door", "book", "book"]}


def test_a_label_of_one_labelling_that_training_does_not_have_is_named(tmp_path):
    table = tmp_path / "list.csv"
    table.write_text("path,verb,noun\na.mp4,open,window\n")
    with pytest.raises(ManifestError, match="'window' is not among the 1 classes"):
        read_manifest(table, classes=("verb: open", "noun: door"), label_column="verb,noun")


def test_a_list_of_classes_may_begin_with_a_mark_and_must_be_text(tmp_path):
    (tmp_path / "list.csv").write_text("path,label\na.mp4,walk\n")
    (tmp_path / "classes.txt").write_bytes(b"\xef\xbb\xbfwalk\nrun\n")
    assert read_manifest(tmp_path / "list.csv").classes == ("walk", "run")
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfew\0a\0")
    with pytest.raises(ManifestError, match="classes.txt: is no text in UTF-8"):
        read_manifest(tmp_path / "list.csv")


class TestHoldOut:
    MANIFEST = Manifest(
        videos=tuple(
            Video(path=Path(f"{label}_{number}.mp4"), label=label)
            for label, count in enumerate((50, 10, 3, 1))
            for number in range(count)
        ),
        classes=("a", "b", "c", "d"),
        source=Path("x"),
    )

    def test_share_of_every_class(self):
        train, val = hold_out(self.MANIFEST, fraction=0.2, seed=0)
        assert [sum(v.label == label for v in val.videos) for label in range(4)] == [10, 2, 1, 0]
        assert sorted(train.videos + val.videos, key=str) == sorted(self.MANIFEST.videos, key=str)
        assert train.classes == val.classes == self.MANIFEST.classes
        assert [v for v in self.MANIFEST.videos if v in train.videos] == list(train.videos)

    def test_depends_on_the_seed_alone(self):
        assert hold_out(self.MANIFEST, seed=3) == hold_out(self.MANIFEST, seed=3)
        assert hold_out(self.MANIFEST, seed=3) != hold_out(self.MANIFEST, seed=4)
        backwards = Manifest(self.MANIFEST.videos[::-1], self.MANIFEST.classes, Path("x"))
        assert set(hold_out(backwards)[1].videos) == set(hold_out(self.MANIFEST)[1].videos)

    def test_spans_of_a_file_stay_together(self):
        videos = tuple(
            Video(path=Path(f"{number}.mp4"), label=number % 2, start_seconds=float(start))
            for number in range(20)
            for start in range(3)
        )
        train, val = hold_out(Manifest(videos, ("a", "b"), Path("x")), fraction=0.3)
        assert not {v.path for v in train.videos} & {v.path for v in val.videos}
        assert len(val.videos) == 18

    def test_videos_of_one_tar_are_parted(self):
        videos = tuple(
            Video(path=Path("shard.tar"), label=number % 2, byte_offset=512 * number, num_bytes=9)
            for number in range(20)
        )
        train, val = hold_out(Manifest(videos, ("a", "b"), Path("x")), fraction=0.3)
        assert (len(train), len(val)) == (14, 6)

    @pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5])
    def test_fraction_must_be_a_share(self, fraction):
        with pytest.raises(ManifestError, match="must lie between 0 and 1"):
            hold_out(self.MANIFEST, fraction=fraction)


class TestKeepFraction:
    VIDEOS = tuple(Video(path=Path(f"{n}.mp4"), label=int(n >= 40)) for n in range(43))  # 40 of one class, 3 of another
    MANIFEST = Manifest(VIDEOS, ("often", "seldom", "never"), Path("list.csv"))

    def kept(self, fraction: float, seed: int = 0) -> list[Video]:
        return list(keep_fraction(self.MANIFEST, fraction=fraction, seed=seed).videos)

    @pytest.mark.parametrize(("fraction", "counts"), [(1.0, [40, 3]), (0.5, [20, 2]), (0.25, [10, 1]), (0.01, [1, 1])])
    def test_each_class_keeps_its_share_and_at_least_one(self, fraction, counts):
        kept = self.kept(fraction)
        assert [sum(video.label == label for video in kept) for label in (0, 1)] == counts
        assert kept == [video for video in self.VIDEOS if video in kept]  # in their order

    def test_a_smaller_part_lies_in_a_larger_one_and_seeds_differ(self):
        parts = [set(self.kept(fraction)) for fraction in (0.1, 0.3, 0.8)]
        assert parts[0] < parts[1] < parts[2]
        assert self.kept(0.5) == self.kept(0.5) != self.kept(0.5, seed=1)

    @pytest.mark.parametrize("fraction", [0.0, 1.1])
    def test_fraction_must_be_a_share(self, fraction):
        with pytest.raises(ManifestError, match=r"must lie in \(0, 1\]"):
            keep_fraction(self.MANIFEST, fraction=fraction)
