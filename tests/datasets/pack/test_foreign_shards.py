import csv
import gzip
import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_videos import VP9_FAST, X264_GOP
from reading import decode, read

from w3action.data import ManifestError, read_manifest
from w3action.datasets.pack import PackOptions, index_shards, pack_manifest

Members = list[tuple[str, bytes]]


def write_tar(path: Path, members: Members, *, format: int = tarfile.PAX_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=format) as tar:
        for name, data in members:
            header = tarfile.TarInfo(name)
            header.size = len(data)
            tar.addfile(header, io.BytesIO(data))
    return path


@pytest.fixture(scope="module")
def videos(draw_video) -> list[Path]:
    return [
        draw_video("foreign.mp4", options=X264_GOP, num_frames=20, size=(64, 48)),
        draw_video("foreign.webm", codec="libvpx-vp9", options=VP9_FAST, num_frames=15, size=(64, 48)),
    ]


@pytest.fixture
def mp4(videos) -> bytes:
    return videos[0].read_bytes()


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_videos_lie_where_the_index_says(tmp_path, videos, format):
    long = "a" * 120 if format != tarfile.USTAR_FORMAT else "a" * 60
    for place, split in enumerate(("train", "val")):
        members = []
        for video in videos:
            key = f"{long}/{video.suffix[1:]}{place}"
            members += [(f"{key}.json", json.dumps({"label": f"class {place}"}).encode()), (f"{key}.txt", b"words")]
            members.append((f"{key}{video.suffix}", video.read_bytes()))
        write_tar(tmp_path / f"{split}-{place:04d}.tar", members, format=format)
    manifest = read_manifest(index_shards(tmp_path, num_workers=1))
    assert manifest.classes == ("class 0", "class 1")
    assert [(v.label, v.split) for v in manifest.videos] == [(0, "train")] * 2 + [(1, "val")] * 2
    for video, file in zip(manifest.videos, videos * 2, strict=True):
        clips = [read(video, np.arange, short_side=None), decode(file, np.arange)]
        assert torch.equal(clips[0].frames, clips[1].frames)


def test_shards_of_our_own_are_indexed_alike(tmp_path, videos):
    for number, video in enumerate(videos):
        shutil.copy(video, tmp_path / f"{number}{video.suffix}")
    (tmp_path / "list.csv").write_text("path,label,split\n0.mp4,b,train\n1.webm,a,test\n")
    packed = pack_manifest(tmp_path / "list.csv", tmp_path / "out", options=PackOptions(copy=True), num_workers=1)
    moved = tmp_path / "moved"
    moved.mkdir()
    for shard in packed.index.parent.glob("*.tar"):
        shutil.copy(shard, moved)
    ours, found = read_manifest(packed.index), read_manifest(index_shards(moved, num_workers=1))
    assert {(v.path.name, v.byte_offset, v.num_bytes, found.classes[v.label], v.split) for v in found.videos} == {
        (v.path.name, v.byte_offset, v.num_bytes, ours.classes[v.label], v.split) for v in ours.videos
    }
    with pytest.raises(ManifestError, match="was written by w3 data pack"):
        index_shards(packed.index.parent)


@pytest.mark.parametrize(
    ("labels", "listed", "names", "ids"),
    [
        ([b"3\n", b"0"], None, ("0", "1", "2", "3"), [3, 0]),
        ([b"zeta", b"alpha"], None, ("alpha", "zeta"), [1, 0]),
        ([b"1", b"0"], ["run", "walk"], ("run", "walk"), [1, 0]),
        ([b"walk", b"run"], ["run", "walk", "sit"], ("run", "walk", "sit"), [1, 0]),
    ],
)
@pytest.mark.parametrize("given_by", ["argument", "file"])
def test_labels_are_ids_or_names(tmp_path, mp4, labels, listed, names, ids, given_by):
    members = [(f"{place}.{kind}", data) for place, label in enumerate(labels) for kind, data in
               (("mp4", mp4), ("cls", label))]  # fmt: skip
    write_tar(tmp_path / "a.tar", members)
    if listed and given_by == "file":
        (tmp_path / "classes.txt").write_text("\n".join(listed))
    index = index_shards(tmp_path, classes=listed if given_by == "argument" else None, num_workers=1)
    manifest = read_manifest(index)
    assert manifest.classes == names
    assert [video.label for video in manifest.videos] == ids


def test_what_cannot_be_used_is_listed(tmp_path, mp4):
    members = [("0.mp4", mp4), ("0.cls", b"1"), ("1.mp4", b"no video"), ("1.cls", b"0"), ("2.mp4", mp4)]
    write_tar(tmp_path / "a.tar", members)
    manifest = read_manifest(index_shards(tmp_path, num_workers=2))
    assert [video.label for video in manifest.videos] == [1]
    with (tmp_path / "failed.csv").open() as file:
        failed = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert list(failed) == ["a.tar:1", "a.tar:2"]
    assert "cannot be opened as a video" in failed["a.tar:1"]
    assert failed["a.tar:2"] == "no label in .cls or .json"


def test_an_empty_video_is_listed_and_not_passed_over(tmp_path, mp4):
    write_tar(tmp_path / "a.tar", [("0.mp4", mp4), ("0.cls", b"0"), ("1.mp4", b""), ("1.cls", b"0")])
    assert len(read_manifest(index_shards(tmp_path, num_workers=1))) == 1
    with (tmp_path / "failed.csv").open() as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["a.tar:1"]


@pytest.mark.parametrize("label", [-1, 2])
def test_an_id_that_no_class_has_is_named(tmp_path, mp4, label):
    write_tar(tmp_path / "a.tar", [("0.mp4", mp4), ("0.json", json.dumps({"label": label}).encode())])
    with pytest.raises(ManifestError, match=f"the label '{label}' is not among the 2 classes"):
        index_shards(tmp_path, classes=["a", "b"], num_workers=1)


@pytest.mark.parametrize("name", ["../evil.mp4", "a/../../evil.mp4", "/etc/evil.mp4", "..\\evil.mp4"])
def test_a_name_that_leads_out_is_refused(tmp_path, mp4, name):
    write_tar(tmp_path / "in" / "a.tar", [(name, mp4), ("0.cls", b"1")])
    with pytest.raises(ManifestError, match=r"a\.tar: the member '.*evil\.mp4' leads out of the archive"):
        index_shards(tmp_path / "in", num_workers=1)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.tar"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_what_is_no_file_is_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        header = tarfile.TarInfo("0.mp4")
        header.type, header.linkname = kind, "/etc/hostname"
        tar.addfile(header)
    with pytest.raises(ManifestError, match=r"the member '0\.mp4' is a link, a device or a sparse file"):
        index_shards(tmp_path, num_workers=1)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("0.txt", b"words")], "no video in 1 shards"),
        ([("0.json", b"{"), ("0.mp4", b"x")], "'0.json' is no JSON"),
        ([("0.mp4", b"x"), ("0.avi", b"y")], "two videos of the key '0'"),
        ([("0.mp4", b"x"), ("0.cls", b"")], "the label '' is no class name"),
        ([("0.mp4", b"x"), ("0.json", b'{"label": [1]}')], "is no class name or id"),
        ([("0.mp4", b"x"), ("0.cls", b"9")], "the label '9' is not among the 2 classes"),
        ([("0.mp4", b"x"), ("0.cls", bytes(2 << 20))], "too large for a label"),
        ([("0.mp4", b"x"), ("0.cls", b"1")], "not one of 1 videos can be used"),
    ],
)
def test_faults_are_named(tmp_path, members, message):
    write_tar(tmp_path / "a.tar", members)
    with pytest.raises(ManifestError, match=message):
        index_shards(tmp_path, classes=["a", "b"], num_workers=1)


def test_compressed_broken_and_missing_shards_are_named(tmp_path):
    with pytest.raises(ManifestError, match=r"holds no \.tar file"):
        index_shards(tmp_path)
    whole = write_tar(tmp_path / "a.tar", [("0.mp4", bytes(3000))]).read_bytes()
    for data in (gzip.compress(whole), whole[:100], b"text " * 300):
        (tmp_path / "a.tar").write_bytes(data)
        with pytest.raises(ManifestError, match=r"a\.tar: cannot be read as an uncompressed tar"):
            index_shards(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ManifestError, match="no such folder; give the folder of the shards"):
        index_shards(tmp_path / "nowhere")
