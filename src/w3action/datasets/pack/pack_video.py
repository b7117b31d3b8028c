"""One labelled video, or one span of it, to the bytes of an MP4 that is fast to pick frames from.

H.264 (x264) in groups of `gop` pictures that need no other: no B-frames, no scene cuts, so that a frame costs at most
`gop` decoded pictures. "fastdecode" does without CABAC and the loop filter: measured here at `gop` 8, 8 to 15 % more
bytes and 1.3 to 2 times the speed of picking 8 frames. "mbtree" is off, for it made frames below 96 pixels differ from
run to run; it was worth 0.1 to 0.3 dB at equal bytes. Frames keep their times, to 1/90000 s. Sound is left out.
Pictures are upright; an odd width or height loses its last column or row (4:2:0 colour wants even ones).

The frames are those that `open_frames` gives, so whatever a manifest can name can be packed. Every result is opened
again and its frames are counted before it is handed out.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from jaxtyping import Float64, UInt8

from w3action.data.frame_folder import NOMINAL_FPS
from w3action.data.open_frames import VideoInfo, open_frames, probe
from w3action.data.source import DecodeError
from w3action.data.video import Video
from w3action.datasets.pack.options import ENCODERS, PackOptions

MAX_CHUNK_BYTES = 96 << 20  # of RGB frames held at once; a longer video is decoded in several goes
CLOCK = 90_000  # ticks per second of the packed videos
_X264_OPTIONS = {"preset": "veryfast", "tune": "fastdecode", "sc_threshold": "0", "bf": "0", "mbtree": "0"}

Chunk = tuple[UInt8[np.ndarray, "n h w 3"], Float64[np.ndarray, " n"]]  # frames and their times in seconds


@dataclass(frozen=True)
class Packed:
    """A video ready for a shard: its bytes (None: those of the source as they are) and what they hold."""

    data: bytes | None
    suffix: str
    num_bytes: int
    info: VideoInfo


@dataclass(frozen=True)
class Failure:
    """Why a video is not packed: "unreadable", "encoder", "frame count" or "crash", and the reason in one line."""

    kind: str
    reason: str


def pack_video(video: Video, options: PackOptions) -> Packed | Failure:
    """Encode or, to copy it, check one video of a manifest; a fault of the video is returned, not raised.

    Args:
        video: what to read.
        options: how to pack it.

    Raises:
        FetchError: a shard that holds the video had to be fetched and could not be.
    """
    try:
        if options.copy:
            size = video.path.stat().st_size if video.path.exists() else 0
            return Packed(None, video.path.suffix.lower(), size, probe(video.path))
        data, num_frames = encode_chunks(read_chunks(video, short_side=options.short_side), options)
        info = probe(io.BytesIO(data))
        with open_frames(io.BytesIO(data)) as frames:
            frames.read([frames.count - 1])  # the last frame is there, not only listed
    except DecodeError as error:
        return Failure("unreadable", str(error))
    except av.error.FFmpegError as error:
        return Failure("encoder", f"{video.path}: cannot be encoded: {error.strerror}")
    if info.num_frames != num_frames:
        return Failure(
            "frame count", f"{video.path}: {num_frames} frames in the source but {info.num_frames} after packing"
        )
    return Packed(data, ".mp4", len(data), info)


def read_chunks(video: Video, *, short_side: int | None) -> Iterator[Chunk]:
    """Give all frames of a video in order, scaled down (never up) to `short_side`, some at a time.

    Raises:
        DecodeError: as for `open_frames`.
    """
    with open_frames(video, short_side=short_side, enlarge=False) as frames:
        height, width = frames.read([0]).frames.shape[2:]
        length = max(1, MAX_CHUNK_BYTES // (3 * height * width))
        for start in range(0, frames.count, length):
            clip = frames.read(np.arange(start, min(start + length, frames.count)))
            yield clip.frames.permute(1, 2, 3, 0).numpy(), clip.pts_seconds.numpy()


def encode_chunks(chunks: Iterator[Chunk], options: PackOptions) -> tuple[bytes, int]:
    """Return (bytes of an MP4, number of frames) of at least one frame; the first one is shown at time 0.

    Raises:
        DecodeError: `chunks` raises it.
        FFmpegError: the encoder does.
    """
    frames, seconds = next(chunks)
    start, num_frames, last_tick = float(seconds[0]), 0, -1
    rate = Fraction(_mean_fps(seconds)).limit_denominator(1001)
    reformatter, file = VideoReformatter(), io.BytesIO()
    x264_options = {**_X264_OPTIONS, "crf": str(options.crf), "g": str(options.gop), "keyint_min": str(options.gop)}
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(ENCODERS[options.codec], rate=rate, options=x264_options)
        assert isinstance(stream, av.VideoStream)
        height, width = (max(2, side - side % 2) for side in frames.shape[1:3])
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1  # videos are encoded side by side, so one thread each is fastest
        stream.time_base = stream.codec_context.time_base = Fraction(1, CLOCK)
        while frames is not None:
            for image, time in zip(frames, seconds, strict=True):
                rgb = av.VideoFrame.from_ndarray(_even(image), format="rgb24")
                frame = reformatter.reformat(rgb, format="yuv420p", interpolation="BILINEAR", threads=1)
                last_tick = max(last_tick + 1, round((float(time) - start) * CLOCK))
                frame.pts, frame.time_base = last_tick, Fraction(1, CLOCK)
                container.mux(stream.encode(frame))
                num_frames += 1
            frames, seconds = next(chunks, (None, seconds))
        container.mux(stream.encode())
    return file.getvalue(), num_frames


def _mean_fps(seconds: Float64[np.ndarray, " n"]) -> float:
    """Return frames per second for the encoder's rate control; the frames' own times are what is stored."""
    span = float(seconds[-1] - seconds[0])
    return float(np.clip((len(seconds) - 1) / span, 1, 1000)) if span > 0 else NOMINAL_FPS


def _even(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "even_h even_w 3"]:
    height, width = image.shape[:2]
    if min(height, width) < 2:  # one pixel becomes two
        image = np.pad(image, ((0, height == 1), (0, width == 1), (0, 0)), mode="edge")
        height, width = image.shape[:2]
    return np.ascontiguousarray(image[: height - height % 2, : width - width % 2])
