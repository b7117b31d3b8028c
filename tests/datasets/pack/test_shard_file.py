import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w3action.datasets.pack.shard_file import (
    FailedRow,
    FinishedShard,
    PackedSample,
    ShardWriter,
    hash_file,
    read_record,
    write_record,
)

SAMPLE = PackedSample(3, "00000003", "00000003.mp4", 512, 4, total_frames=8, fps=12.5, width=6, height=4)


@settings(max_examples=20, deadline=None)  # the disk is waited for
@given(members=st.lists(st.binary(max_size=1500), min_size=1, max_size=5))
def test_members_lie_where_it_is_said(tmp_path_factory, members):
    path = tmp_path_factory.mktemp("shard") / "a.tar"
    writer = ShardWriter(path)
    offsets = [writer.add(f"{place:08d}.mp4", data, num_bytes=len(data)) for place, data in enumerate(members)]
    assert not path.exists()
    num_bytes, sha256 = writer.finish()
    whole = path.read_bytes()
    assert (len(whole), hash_file(path)) == (num_bytes, sha256)
    assert [whole[offset : offset + len(data)] for offset, data in zip(offsets, members, strict=True)] == members
    with tarfile.open(path, "r:") as tar:
        assert [member.name for member in tar] == [f"{place:08d}.mp4" for place in range(len(members))]
        assert [member.offset_data for member in tar.getmembers()] == offsets
    assert list(path.parent.iterdir()) == [path]


def test_a_source_that_ends_early_leaves_nothing(tmp_path):
    writer = ShardWriter(tmp_path / "a.tar")
    with pytest.raises(OSError, match="end of data"):
        writer.add("a.mp4", io.BytesIO(b"abc"), num_bytes=4)
    writer.abandon()
    assert not list(tmp_path.iterdir())


def test_a_disk_that_gives_back_other_bytes_is_named(tmp_path):
    writer = ShardWriter(tmp_path / "a.tar")
    offset = writer.add("a.mp4", b"abc", num_bytes=3)
    writer._file.flush()
    with (tmp_path / "a.tar.part").open("r+b") as file:
        file.seek(offset)
        file.write(b"abd")
    with pytest.raises(OSError, match="reads back other bytes"):
        writer.finish()
    assert not (tmp_path / "a.tar").exists()


def test_a_record_is_read_back_if_its_shard_is_there(tmp_path: Path):
    shard = FinishedShard("a.tar", 10, "ab", samples=(SAMPLE,), failed=(FailedRow(4, "unreadable", "why"),))
    record = tmp_path / "a.json"
    assert read_record(record, folder=tmp_path) is None
    write_record(record, shard)
    assert read_record(record, folder=tmp_path) is None
    (tmp_path / "a.tar").write_bytes(bytes(9))
    assert read_record(record, folder=tmp_path) is None
    (tmp_path / "a.tar").write_bytes(bytes(10))
    assert read_record(record, folder=tmp_path) == shard


def test_a_record_without_samples_needs_no_shard(tmp_path):
    shard = FinishedShard("a.tar", 0, "", samples=(), failed=(FailedRow(4, "unreadable", "why"),))
    write_record(tmp_path / "a.json", shard)
    assert read_record(tmp_path / "a.json", folder=tmp_path) == shard
