"""Decoding by torchcodec, here on a CPU: the same frames as ours, and ours where it cannot.

Where torchcodec is not installed a stand-in with the same interface decodes, so that all around it is tested.
"""

import io
import sys
import types
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn_videos import VP9_FAST, X264_GOP, read_numbers
from reading import decode, read

from w3action.config import ConfigError, DataConfig
from w3action.data import DecodeError, Video, find_flip_pairs, gpu_decode
from w3action.data.manifest import Manifest
from w3action.train.clips import training_loader


class StandIn:
    """What is used of torchcodec's VideoDecoder, upon our own decoder."""

    made: list[str] = []  # noqa: RUF012 (of the class)
    metadata = types.SimpleNamespace(rotation=None)

    def __init__(self, source, *, stream_index, device):
        self.made.append(device)
        assert stream_index == 0
        try:
            self.clip = decode(io.BytesIO(source) if isinstance(source, bytes) else source, range)
        except DecodeError as error:
            raise RuntimeError("could not open") from error

    def __len__(self):
        return self.clip.num_frames

    def get_frames_at(self, indices):
        return types.SimpleNamespace(data=self.clip.frames[:, indices].transpose(0, 1))


@pytest.fixture
def stand_in(monkeypatch) -> None:
    module = types.ModuleType("torchcodec.decoders")
    module.VideoDecoder = StandIn
    monkeypatch.setitem(sys.modules, "torchcodec", types.ModuleType("torchcodec"))
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", module)
    monkeypatch.setattr(StandIn, "made", [])


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch) -> None:
    monkeypatch.setattr(gpu_decode, "DEVICE", "cpu")


@pytest.fixture(params=["torchcodec", "stand-in"])
def decoder(request) -> str:
    if request.param == "stand-in":
        request.getfixturevalue("stand_in")
    elif fault := gpu_decode.fault():
        pytest.skip(fault)
    return request.param


@pytest.fixture
def video(draw_video) -> Video:
    return Video(path=draw_video("x264.mp4", options=X264_GOP), label=0)


def some(count: int) -> np.ndarray:
    return np.array([[count - 1, 0, count // 2, 0]])


@pytest.mark.parametrize(
    "span",
    [{}, {"start_seconds": 0.5, "end_seconds": 1.3}, {"first_frame": 7, "num_frames": 20}],
    ids=["whole", "seconds", "frames"],
)
@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
def test_frames_are_those_of_our_decoder(decoder, draw_video, codec, span):
    name, options = ("x264.mp4", X264_GOP) if codec == "libx264" else ("vp9.webm", VP9_FAST)
    video = Video(path=draw_video(name, codec=codec, options=options), label=0, **span)
    found = read(video, some, short_side=None, decode_on="cuda")
    ours = read(video, some, short_side=None)
    assert read_numbers(found.frames) == read_numbers(ours.frames)
    assert torch.equal(found.pts_seconds, ours.pts_seconds)
    assert found.frames.shape == ours.frames.shape
    assert found.frames.stride() == ours.frames.stride()
    if decoder == "stand-in":
        assert StandIn.made == ["cpu"]


@pytest.mark.parametrize(("short_side", "enlarge"), [(48, True), (120, True), (120, False)])
def test_frames_are_scaled_to_the_same_size(decoder, video, short_side, enlarge):
    found = read(video, some, short_side=short_side, enlarge=enlarge, decode_on="cuda")
    ours = read(video, some, short_side=short_side, enlarge=enlarge)
    assert found.frames.shape == ours.frames.shape
    assert (found.frames.float() - ours.frames.float()).abs().mean() < 3


def test_a_member_of_a_shard_is_decoded(decoder, video, tmp_path):
    data, shard = video.path.read_bytes(), tmp_path / "shard.tar"
    shard.write_bytes(b"\0" * 512 + data)
    member = replace(video, path=shard, byte_offset=512, num_bytes=len(data))
    found = read(member, some, short_side=None, decode_on="cuda")
    assert read_numbers(found.frames) == read_numbers(read(video, some, short_side=None).frames)


@pytest.mark.parametrize("fault", ["turned", "other_count", "unknown_codec"])
@pytest.mark.usefixtures("stand_in")
def test_what_it_cannot_do_a_cpu_does_with_the_same_frames(monkeypatch, video, fault):
    if fault == "turned":
        monkeypatch.setattr(StandIn, "metadata", types.SimpleNamespace(rotation=90))
    elif fault == "other_count":
        monkeypatch.setattr(StandIn, "__len__", lambda self: 59)
    else:
        monkeypatch.setattr(StandIn, "get_frames_at", unknown_codec)
    monkeypatch.setattr(gpu_decode, "_has_warned", False)
    with pytest.warns(UserWarning, match=r"decoded on the CPU, not on the GPU, .*x264\.mp4"):
        found = read(video, some, decode_on="cuda")
    read(video, some, decode_on="cuda")  # warns no second time: that would be an error
    assert torch.equal(found.frames, read(video, some).frames)


def unknown_codec(self, indices):
    raise RuntimeError("this codec is not known here")


def test_a_damaged_file_is_named_as_always(decoder, tmp_path):
    path = tmp_path / "cut.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(DecodeError, match=r"cut\.mp4"):
        read(Video(path=path, label=0), some, short_side=None, decode_on="cuda")


def test_a_folder_of_images_needs_no_gpu(tmp_path):
    from PIL import Image

    for number in range(3):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number + 1:05d}.png")
    clip = read(Video(path=tmp_path, label=0), some, decode_on="cuda")
    assert clip.frames[0, :, 0, 0].tolist() == [2, 0, 1, 0]


def test_training_says_at_once_that_there_is_no_gpu(monkeypatch, video):
    monkeypatch.setattr(gpu_decode, "DEVICE", "cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    videos = Manifest(videos=(video,), classes=("a",), source=video.path)
    with pytest.raises(ConfigError, match=r"data\.decode_on is cuda, but .*leave it at cpu"):
        training_loader(
            DataConfig(decode_on="cuda"), videos, find_flip_pairs(("a",)),
            batch_size=1, seed=0, rank=0, world_size=1, pin_memory=False, cache=None,
        )  # fmt: skip


@pytest.mark.usefixtures("stand_in")
def test_a_size_that_is_none_is_an_error_and_no_reason_to_take_the_cpu(monkeypatch, video):
    monkeypatch.setattr(gpu_decode, "_has_warned", False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="short_side is 0 pixels but must be at least 1"):
            read(video, some, short_side=0, decode_on="cuda")
