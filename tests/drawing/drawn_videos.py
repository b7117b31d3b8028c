"""Drawn videos whose frame number can be read back from the pixels of any frame."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from torch import Tensor

NUM_BITS = 8
X264_GOP = {"x264-params": "bframes=3:b-pyramid=2:scenecut=0:keyint=12:min-keyint=12"}
X264_OPEN_GOP = {"x264-params": "open-gop=1:bframes=3:b-adapt=0:b-pyramid=2:scenecut=0:keyint=12"}
VP9_FAST = {"deadline": "realtime", "cpu-used": "8"}


def draw_frame(number: int, width: int, height: int) -> np.ndarray:
    """Top half: the number in eight black or white bars; below: moving noise, red at the left edge."""
    image = np.random.default_rng(0).integers(0, 256, (height, 4 * width, 3), dtype=np.uint8) // 2
    image = np.roll(image, -2 * number, axis=1)[:, :width].copy()
    for bit in range(NUM_BITS):
        bar = slice(bit * width // NUM_BITS, (bit + 1) * width // NUM_BITS)
        image[: height // 2, bar] = 255 if number >> (NUM_BITS - 1 - bit) & 1 else 0
    image[height // 2 :, : width // 8] = (255, 0, 0)
    return image


def read_numbers(frames: Tensor) -> list[int]:
    """Numbers of drawn frames (c, t, h, w), whatever they were scaled to."""
    _, _, height, width = frames.shape
    centres = [(2 * bit + 1) * width // (2 * NUM_BITS) for bit in range(NUM_BITS)]
    bars = frames.float().mean(0)[:, height // 4][:, centres] > 127  # (t, bits)
    return [sum(int(bit) << (NUM_BITS - 1 - place) for place, bit in enumerate(row)) for row in bars]


@pytest.fixture(scope="session")
def draw_video(tmp_path_factory) -> Callable[..., Path]:
    """A function that encodes a drawn video once per session and set of arguments, and gives its path."""
    folder, known = tmp_path_factory.mktemp("drawn"), {}

    def draw(
        name: str,
        *,
        codec: str = "libx264",
        num_frames: int = 60,
        size: tuple[int, int] = (128, 96),
        fps: int = 25,
        gop: int = 12,
        options: dict[str, str] | None = None,
        max_b_frames: int | None = None,
        container_options: dict[str, str] | None = None,
        orient: Callable[[av.VideoStream], None] | None = None,
    ) -> Path:
        asked = repr((name, codec, num_frames, size, fps, gop, options, max_b_frames, container_options, orient))
        if asked in known:
            return known[asked]
        path = folder / str(len(known)) / name
        path.parent.mkdir()
        with av.open(str(path), "w", options=container_options or {}) as container:
            stream = container.add_stream(codec, rate=fps, options=options or {})
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.codec_context.gop_size = gop
            stream.codec_context.thread_count = 1
            if max_b_frames is not None:
                stream.codec_context.max_b_frames = max_b_frames
            if orient is not None:
                orient(stream)
            for number in range(num_frames):
                frame = av.VideoFrame.from_ndarray(draw_frame(number, *size), format="rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        known[asked] = path
        return path

    return draw


def remux(
    source: Path,
    target: Path,
    *,
    keep: Callable[[int], bool] = lambda position: True,
    shift: int = 0,
    change: Callable[[int, bytes], bytes] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Copy packets without decoding: those that `keep` keeps, `shift` ticks earlier, with changed bytes."""
    with av.open(str(source)) as old, av.open(str(target), "w", options=options or {}) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = (packet for packet in old.demux(video=0) if packet.size)
        for position, packet in enumerate(packets):
            if not keep(position):
                continue
            copied = packet
            if change is not None:
                copied = av.Packet(change(position, bytes(packet)))
                copied.time_base, copied.is_keyframe = packet.time_base, packet.is_keyframe
                copied.pts, copied.dts = packet.pts, packet.dts
            copied.pts, copied.dts = copied.pts - shift, copied.dts - shift
            copied.stream = stream
            new.mux(copied)
    return target
