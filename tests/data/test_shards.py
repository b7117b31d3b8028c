import io
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from drawn_videos import X264_GOP
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import decode, read

from w3action.data import DecodeError, Video
from w3action.data import shards as shards_module
from w3action.data.shards import open_member

DATA = bytes(range(200))
STEPS = st.one_of(
    st.tuples(st.just("read"), st.integers(-1, 60)),
    st.tuples(st.just("set"), st.integers(0, 90)),
    st.tuples(st.just("end"), st.integers(-50, 10)),
    st.tuples(st.just("current"), st.integers(0, 20)),
)


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    path = tmp_path_factory.mktemp("shards") / "a.tar"
    path.write_bytes(DATA)
    return path


@settings(deadline=None)
@given(offset=st.integers(0, 150), size=st.integers(1, 50), steps=st.lists(STEPS, max_size=12))
def test_behaves_as_a_file_of_these_bytes(shard, offset, size, steps):
    member, plain = open_member(shard, offset=offset, size=size), io.BytesIO(DATA[offset : offset + size])
    for step, value in steps:
        if step == "read":
            assert member.read(value) == plain.read(value)
            continue
        whence = {"set": os.SEEK_SET, "current": os.SEEK_CUR, "end": os.SEEK_END}[step]
        if step == "end" and size + value < 0:
            with pytest.raises(ValueError, match="cannot seek to -"):
                member.seek(value, whence)
            continue
        assert member.seek(value, whence) == plain.seek(value, whence)
        assert member.tell() == plain.tell()


def test_reads_into_buffers_and_tells_its_name(shard):
    member, buffer = open_member(shard, offset=10, size=5), bytearray(8)
    assert member.readinto(buffer) == 5
    assert bytes(buffer) == DATA[10:15] + bytes(3)
    assert member.name == f"{shard}@10"


@pytest.mark.parametrize(
    ("offset", "size", "message"),
    [
        (190, 11, "lies beyond the shard's end, 200"),
        (-1, 5, "are no member"),
        (0, 0, "are no member"),
    ],
)
def test_a_range_outside_is_named(shard, offset, size, message):
    with pytest.raises(DecodeError, match=message):
        open_member(shard, offset=offset, size=size)


def test_what_is_no_shard_is_named(shard):
    with pytest.raises(DecodeError, match=r"b\.tar: no such shard"):
        open_member(shard.with_name("b.tar"), offset=0, size=1)
    with pytest.raises(DecodeError, match="no file but a folder"):
        open_member(shard.parent, offset=0, size=1)


def test_descriptors_are_few_and_members_outlive_the_table(tmp_path):
    shards_module._open_shard.cache_clear()
    num_shards = shards_module.MAX_OPEN_SHARDS + 8
    before = len(os.listdir("/dev/fd"))
    members = []
    for number in range(num_shards):
        path = tmp_path / f"{number}.tar"
        path.write_bytes(bytes([number]) * 10)
        members += [open_member(path, offset=0, size=10) for _ in range(2)]
    assert len(os.listdir("/dev/fd")) <= before + num_shards  # one a shard, not one a member
    assert [member.read(1)[0] for member in members] == [number for number in range(num_shards) for _ in range(2)]
    del members
    assert len(os.listdir("/dev/fd")) <= before + shards_module.MAX_OPEN_SHARDS


def test_a_shard_written_anew_is_read_anew(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(b"old!")
    assert open_member(path, offset=0, size=4).read() == b"old!"
    path.with_suffix(".part").write_bytes(b"new!")
    os.replace(path.with_suffix(".part"), path)
    assert open_member(path, offset=0, size=4).read() == b"new!"


def open_and_read(path, offset, queue):
    member = open_member(path, offset=offset, size=20)
    queue.put((offset, b"".join(member.read(1) for _ in range(20))))


def test_forked_processes_do_not_disturb_each_other(shard):
    open_member(shard, offset=0, size=1)  # they inherit its descriptor
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=open_and_read, args=(shard, offset, queue)) for offset in (0, 30, 60)]
    for worker in workers:
        worker.start()
    got = dict(queue.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    assert got == {offset: DATA[offset : offset + 20] for offset in (0, 30, 60)}


def test_threads_do_not_disturb_each_other_where_reads_need_a_position(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "pread")  # as on Windows
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(range(250)) * 4)

    def read_often(offset: int) -> bool:
        members = (open_member(path, offset=offset, size=50) for _ in range(400))
        return all(member.read(50) == bytes(range(offset, offset + 50)) for member in members)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read_often, (0, 50, 100, 150)))


def test_decoding_a_member_equals_decoding_the_file(draw_video, tmp_path):
    file, shard = draw_video("x264.mp4", options=X264_GOP), tmp_path / "a.tar"
    data = file.read_bytes()
    shard.write_bytes(bytes(512) + data + bytes(512))
    asked = np.array([59, 3, 3, 20])
    video = Video(path=shard, label=0, byte_offset=512, num_bytes=len(data))
    inside = read(video, lambda _: asked, short_side=None)
    alone = decode(file, lambda _: asked)
    assert torch.equal(inside.frames, alone.frames)
    assert torch.equal(inside.pts_seconds, alone.pts_seconds)


def test_a_member_cut_in_two_is_named(draw_video, tmp_path):
    data, shard = draw_video("x264.mp4", options=X264_GOP).read_bytes(), tmp_path / "a.tar"
    shard.write_bytes(data)
    video = Video(path=shard, label=0, byte_offset=len(data) // 2, num_bytes=len(data) // 4)
    with pytest.raises(DecodeError, match=r"a\.tar@\d+: .*damaged"):
        read(video, np.arange, short_side=None)
