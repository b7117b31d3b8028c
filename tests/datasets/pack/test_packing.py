import csv
import json
import multiprocessing
import os
import shutil
import signal
import tarfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_videos import X264_GOP, draw_frame, read_numbers
from PIL import Image
from pyarrow import parquet
from reading import decode, read

from w3action.data import EpochBatchSampler, VideoDataset, read_manifest, train_segments
from w3action.datasets.pack import PackOptions, pack_manifest
from w3action.datasets.pack import packing as run_module
from w3action.datasets.pack.shard_file import hash_file

ROWS = 12
SMALL = PackOptions(shard_mb=0.03)  # a few drawn videos


@pytest.fixture(scope="module")
def manifest(tmp_path_factory, draw_video) -> Path:
    """Twelve rows: files of two lengths and two splits, spans of them, a folder of images."""
    folder = tmp_path_factory.mktemp("set")
    files = [
        draw_video("pack_20.mp4", options=X264_GOP, num_frames=20, size=(64, 48)),
        draw_video("pack_33.mp4", options=X264_GOP, num_frames=33, size=(64, 48)),
    ]
    for file in files:
        shutil.copy(file, folder)
    (folder / "images").mkdir()
    for number in range(9):
        Image.fromarray(draw_frame(number, 64, 48)).save(folder / "images" / f"{number:05d}.jpg")
    rows = [(files[row % 2].name, "ab"[row % 3 % 2], None, None, None, row) for row in range(ROWS - 3)]
    rows += [("pack_33.mp4", "a", 5, 15, None, 9), ("images", "b", None, None, 12, 10), ("images", "a", 2, 6, 12, 11)]
    with (folder / "list.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "start_frame", "end_frame", "fps", "noun", "split"])
        table.writerows([*row, "val" if row[-1] % 4 == 3 else "train"] for row in rows)
    (folder / "classes.txt").write_text("b\nunseen\na\n")
    return folder / "list.csv"


@pytest.fixture(scope="module")
def packed(manifest, tmp_path_factory):
    return pack_manifest(manifest, tmp_path_factory.mktemp("packed"), options=SMALL, num_workers=1)


def hashes(folder: Path) -> dict[str, str]:
    return {file.name: hash_file(file) for file in sorted(folder.iterdir()) if file.is_file()}


def test_the_index_is_a_manifest_of_the_same_videos(manifest, packed):
    before, after = read_manifest(manifest), read_manifest(packed.index)
    assert after.classes == before.classes == ("b", "unseen", "a")
    assert [(v.label, v.split) for v in after.videos] == [(v.label, v.split) for v in before.videos]
    for one, other in zip(before.videos, after.videos, strict=True):
        source = read(one, np.arange, short_side=None)
        clip = read(other, np.arange, short_side=None)
        assert read_numbers(clip.frames) == read_numbers(source.frames)
        assert (clip.frames.float() - source.frames.float()).abs().mean() < 8


def test_the_report_and_the_index_count_right(packed):
    table = parquet.read_table(packed.index)
    folder = packed.index.parent
    tars = list(folder.glob("*.tar"))
    assert (packed.num_packed, packed.num_failed, packed.num_shards) == (ROWS, 0, len(tars))
    assert packed.num_bytes == sum(tar.stat().st_size for tar in tars)
    assert len(tars) > 2
    assert table["total_frames"].to_pylist() == [*[20, 33] * 4, 20, 10, 9, 4]
    assert table["fps"].to_pylist() == pytest.approx([25] * 10 + [12] * 2, abs=0.01)
    assert table["noun"].to_pylist() == list(range(ROWS))  # carried over
    assert "start_frame" not in table.column_names
    for row in table.to_pylist():
        assert row["shard_sha256"] == hash_file(folder / row["path"])
        assert row["shard_bytes"] == (folder / row["path"]).stat().st_size


def test_shards_are_webdataset(packed):
    seen = {}
    for shard in packed.index.parent.glob("*.tar"):
        with tarfile.open(shard, "r:") as tar:
            members = tar.getmembers()
            for video, told in zip(members[::2], members[1::2], strict=True):
                key = video.name.partition(".")[0]
                assert (video.name, told.name) == (f"{key}.mp4", f"{key}.json")
                seen[int(key)] = json.load(tar.extractfile(told))
                assert seen[int(key)]["split"] == shard.name.partition("-")[0]
    assert sorted(seen) == list(range(ROWS))
    assert seen[9] == {
        "label": "a",
        "label_id": 2,
        "split": "train",
        "source": "pack_33.mp4",
        "start_frame": 5,
        "end_frame": 15,
        "total_frames": 10,
        "fps": pytest.approx(25, abs=0.01),
    }


class TestTraining:
    """From shards as from files."""

    @pytest.mark.parametrize("world_size", [1, 2, 3])
    def test_an_epoch_has_every_clip_once_and_the_same_frames(self, manifest, packed, world_size):
        from_files, from_shards = (self.read(source, world_size) for source in (manifest, packed.index))
        assert sorted(from_shards) == list(range(ROWS))
        assert list(from_shards) == list(from_files)  # in the same order
        for index, (numbers, frames) in from_files.items():
            assert from_shards[index][0] == numbers
            assert (from_shards[index][1].float() - frames.float()).abs().mean() < 8

    def read(self, source: Path, world_size: int) -> dict[int, tuple[list[int], torch.Tensor]]:
        manifest, got = read_manifest(source), {}
        sample, frames = partial(train_segments, num_segments=4), {}

        def keep(clip, rng):
            frames["last"] = clip.frames
            return torch.zeros(1, 3, 4, 1, 1), False

        dataset = VideoDataset(manifest.videos, sample=sample, transform=keep, seed=7)
        for rank in range(world_size):
            options = {"seed": 7, "epoch": 1, "rank": rank, "world_size": world_size, "drop_last": False}
            for batch in EpochBatchSampler(len(manifest), batch_size=2, **options):
                for key in batch:
                    sampled = dataset[key]
                    assert sampled.index not in got
                    got[sampled.index] = (read_numbers(frames["last"]), frames["last"])
        return got


def test_workers_change_nothing(manifest, packed, tmp_path):
    other = pack_manifest(manifest, tmp_path / "out", options=SMALL, num_workers=2)
    assert hashes(other.index.parent) == hashes(packed.index.parent)


def pack_and_die(manifest, out, after) -> None:
    left = [after]

    def count():
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    pack_manifest(manifest, out, options=SMALL, num_workers=2, on_video=count)


@pytest.mark.parametrize("after", [5, 11])
def test_a_killed_packing_goes_on(manifest, packed, tmp_path, after):
    out = tmp_path / "out"
    process = multiprocessing.get_context("fork").Process(target=pack_and_die, args=(manifest, out, after))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (out / "index.parquet").exists()
    done = {file: file.stat().st_mtime_ns for file in out.glob("*.tar")}
    recorded = {file.stem for file in (out / "parts").glob("*.json")}
    videos = []
    report = pack_manifest(manifest, out, options=SMALL, num_workers=1, on_video=lambda: videos.append(1))
    assert hashes(out) == hashes(packed.index.parent)
    assert (report.num_packed, len(videos)) == (ROWS, ROWS)
    assert all(file.stat().st_mtime_ns == time for file, time in done.items() if file.stem in recorded)
    assert recorded if after == 11 else len(recorded) < after


def test_a_finished_packing_is_not_done_again(manifest, packed, monkeypatch):
    def fail(*_):
        raise AssertionError("packs again")

    monkeypatch.setattr(run_module, "pack_video", fail)
    assert pack_manifest(manifest, packed.index.parent, options=SMALL, num_workers=1) == packed


def test_a_damaged_shard_is_done_again(manifest, packed, tmp_path):
    out = shutil.copytree(packed.index.parent, tmp_path / "out")
    shard = next(out.glob("train-*.tar"))
    os.truncate(shard, 100)
    pack_manifest(manifest, out, options=SMALL, num_workers=1)
    assert hashes(out) == hashes(packed.index.parent)


def test_other_options_and_other_folders_are_refused(manifest, packed, tmp_path):
    out = packed.index.parent
    with pytest.raises(ValueError, match="begun with gop=8, given now gop=4"):
        pack_manifest(manifest, out, options=PackOptions(gop=4, shard_mb=0.03), num_workers=1)
    (tmp_path / "a.tar").touch()
    with pytest.raises(ValueError, match="shards that are not of this packing"):
        pack_manifest(manifest, tmp_path, num_workers=1)
    with pytest.raises(ValueError, match="num_workers is 0"):
        pack_manifest(manifest, tmp_path, num_workers=0)


def try_to_pack(manifest, out, queue) -> None:
    try:
        pack_manifest(manifest, out, options=SMALL, num_workers=1)
    except BlockingIOError as error:
        queue.put(str(error))


def test_two_packers_of_one_folder_are_kept_apart(manifest, packed):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with run_module._held(packed.index.parent):
        other = context.Process(target=try_to_pack, args=(manifest, packed.index.parent, queue))
        other.start()
        assert "another process is packing" in queue.get(timeout=30)
        other.join()


class TestFaults:
    @pytest.fixture
    def faulty(self, manifest, tmp_path) -> Path:
        good = manifest.parent / "pack_20.mp4"
        (tmp_path / "cut.mp4").write_bytes(good.read_bytes()[:900])
        shutil.copy(good, tmp_path / "good.mp4")
        (tmp_path / "list.csv").write_text("path,label\ncut.mp4,a\ngood.mp4,b\nmissing.mp4,c\n")
        return tmp_path / "list.csv"

    def test_what_cannot_be_packed_is_listed_and_packing_goes_on(self, faulty, tmp_path):
        report = pack_manifest(faulty, tmp_path / "out", num_workers=2)
        assert (report.num_packed, report.num_failed) == (1, 2)
        with (tmp_path / "out" / "failed.csv").open() as file:
            failed = list(csv.DictReader(file))
        assert [(row["row"], row["label"], row["kind"]) for row in failed] == [
            ("1", "a", "unreadable"),
            ("3", "c", "unreadable"),
        ]
        assert "no such file" in failed[1]["reason"]
        packed = read_manifest(report.index)
        assert packed.classes == ("a", "b", "c")
        assert [packed.classes[video.label] for video in packed.videos] == ["b"]

    def test_nothing_packed_is_an_error(self, faulty, tmp_path):
        faulty.write_text("path,label\ncut.mp4,a\nmissing.mp4,c\n")
        for _ in range(2):
            with pytest.raises(ValueError, match=r"not one of 2 videos could be packed; first: .*\.mp4"):
                pack_manifest(faulty, tmp_path / "out", num_workers=1)


class TestCopying:
    def test_files_are_packed_as_they_are(self, manifest, tmp_path):
        folder = manifest.parent
        shutil.copy(folder / "pack_20.mp4", tmp_path)
        (tmp_path / "list.csv").write_text("path,label\npack_20.mp4,a\n")
        report = pack_manifest(tmp_path / "list.csv", tmp_path / "out", options=PackOptions(copy=True), num_workers=2)
        (video,) = read_manifest(report.index).videos
        data = video.path.read_bytes()[video.byte_offset : video.byte_offset + video.num_bytes]
        assert data == (folder / "pack_20.mp4").read_bytes()
        clip = read(video, np.arange, short_side=None)
        assert torch.equal(clip.frames, decode(folder / "pack_20.mp4", np.arange).frames)

    @pytest.mark.parametrize(
        ("row", "what"), [("pack_20.mp4,a,1,5", "a part of a file"), ("images,a,,", "a folder of images")]
    )
    def test_parts_and_folders_are_refused(self, manifest, tmp_path, row, what):
        table = manifest.parent / "copied.csv"
        table.write_text(f"path,label,start_frame,end_frame\n{row}\n")
        with pytest.raises(ValueError, match=rf"row 1 \(.*\) is {what}"):
            pack_manifest(table, tmp_path / "out", options=PackOptions(copy=True), num_workers=1)

    def test_a_packed_set_is_not_copied(self, packed, tmp_path):
        with pytest.raises(ValueError, match="is a part of a file"):
            pack_manifest(packed.index, tmp_path / "out", options=PackOptions(copy=True), num_workers=1)


def test_a_packed_set_can_be_packed_again(packed, tmp_path):
    again = pack_manifest(packed.index, tmp_path / "out", options=PackOptions(gop=1), num_workers=1)
    before, after = (read_manifest(report.index) for report in (packed, again))
    for one, other in zip(before.videos, after.videos, strict=True):
        clips = [read(video, np.arange, short_side=None) for video in (one, other)]
        assert read_numbers(clips[0].frames) == read_numbers(clips[1].frames)


def test_other_label_columns_are_carried_over(manifest, tmp_path):
    report = pack_manifest(manifest, tmp_path / "out", options=SMALL, label_column="noun", num_workers=2)
    nouns = read_manifest(report.index, label_column="noun")
    assert [nouns.classes[video.label] for video in nouns.videos] == [str(row) for row in range(ROWS)]


def test_several_labellings_are_packed_with_their_classes(manifest, tmp_path):
    folder = shutil.copytree(manifest.parent, tmp_path / "set")
    (folder / "list.csv").write_text(
        "path,verb,noun,split,label\npack_20.mp4,open,door,train,x\npack_33.mp4,close,book,val,y\n"
    )
    (folder / "classes_noun.txt").write_text("window\ndoor\nbook\n")
    (folder / "classes.txt").write_text("y\nx\n")
    report = pack_manifest(folder / "list.csv", tmp_path / "out", label_column="verb,noun", num_workers=1)
    for column in ("verb,noun", "verb", "noun", "label"):
        before = read_manifest(folder / "list.csv", label_column=column)
        after = read_manifest(report.index, label_column=column)
        assert after.classes == before.classes
        assert [(v.label, v.others) for v in after.videos] == [(v.label, v.others) for v in before.videos]
    with tarfile.open(tmp_path / "out" / "train-00000.tar") as tar:
        told = json.load(tar.extractfile("00000000.json"))
    assert (told["verb"], told["noun"]) == ("open", "door")
    (folder / "list.csv").write_text((folder / "list.csv").read_text().replace("door", "window"))
    with pytest.raises(ValueError, match="begun with a manifest of other rows"):
        pack_manifest(folder / "list.csv", tmp_path / "out", label_column="verb,noun", num_workers=1)


def test_a_list_of_other_classes_goes_along_with_its_column(manifest, tmp_path):
    folder = shutil.copytree(manifest.parent, tmp_path / "set")
    (folder / "list.csv").write_text("path,label,noun\npack_20.mp4,a,door\npack_33.mp4,b,book\n")
    (folder / "classes_noun.txt").write_text("window\ndoor\nbook\n")
    report = pack_manifest(folder / "list.csv", tmp_path / "out", num_workers=1)
    assert read_manifest(report.index, label_column="noun").classes == ("window", "door", "book")
