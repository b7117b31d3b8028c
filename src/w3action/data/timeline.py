"""Which frames a video file holds and when they are shown, learnt from its packets without decoding.

Containers count badly (webm says 0 frames, some avi one too many), but demuxing costs about a hundredth of
decoding. `Source` opens a file and names its failures; `read_timeline` lists the frames of a span in the
order of presentation, each with the packet from which decoding must start to see it. It returns None where
packet times cannot be trusted (an avi with B-frames stores none): then only decoding tells.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.stream import Discard, Disposition
from jaxtyping import Float64, Int64

MAX_HELD_BYTES = 256 << 20  # packets beyond this are read a second time, not kept

# Here every packet carries its presentation time. Elsewhere it does where the codec does not reorder frames.
_TIMED_CONTAINERS = {"mov", "matroska", "mpegts", "flv", "gif"}


class DecodeError(ValueError):
    """A video cannot be decoded: one line that names the file, what failed and what to try."""


class Source:
    """An open video file: its container and its best video stream. To be used as a context manager.

    Inside the `with` block every failure of FFmpeg becomes a `DecodeError` that names the file.

    Raises:
        DecodeError: nothing there, a folder, an empty file, no video at all, no video stream.
    """

    def __init__(self, path: str | os.PathLike[str], *, num_threads: int = 1):
        self.path, self.num_threads = Path(path), num_threads
        if not self.path.exists():
            raise DecodeError(f"{path}: no such file; check the path and the manifest's folder")
        if self.path.is_dir():
            raise DecodeError(f"{path}: this is a folder; give the path of one video file")
        if self.path.stat().st_size == 0:
            raise DecodeError(f"{path}: the file is empty (0 bytes); fetch or record it again")
        self._open()

    def _open(self) -> None:
        self._is_read = False
        try:  # "file:" keeps a colon in the name from being read as a protocol
            self.container = av.open(f"file:{self.path}", metadata_errors="ignore")
        except av.error.FFmpegError as error:
            raise DecodeError(
                f"{self.path}: cannot be opened as a video ({error.strerror}); it is cut off, damaged or no "
                "video: check that a player opens it"
            ) from error
        try:
            self.stream = self._choose_stream()
        except BaseException:
            self.container.close()
            raise

    def _choose_stream(self) -> av.VideoStream:
        streams = {
            stream.index: stream
            for stream in self.container.streams.video
            if not stream.disposition & Disposition.attached_pic  # the cover of a piece of music
        }
        if not streams:
            kinds = {"video": "a still picture"}  # of a piece of music
            held = sorted({kinds.get(stream.type, stream.type) for stream in self.container.streams})
            raise DecodeError(f"{self.path}: holds no video, only {', '.join(held) or 'nothing'}; give a video file")
        best = self.container.streams.best("video")
        stream = streams.get(best.index if best else -1, next(iter(streams.values())))
        for other in self.container.streams:
            if other.index != stream.index:
                other.discard = Discard.all  # sound is not even read
        stream.codec_context.thread_count = self.num_threads
        stream.codec_context.thread_type = "AUTO" if self.num_threads > 1 else "NONE"
        return stream

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, kind, error, trace) -> None:
        self.container.close()
        if isinstance(error, av.error.FFmpegError):
            raise DecodeError(
                f"{self.path}: cannot be read ({error.strerror}); the file is damaged, fetch it again"
            ) from error

    @property
    def start(self) -> int:
        """Start of the video stream in its time base; times in seconds are counted from here."""
        return self.stream.start_time or 0

    def demux(self, seek_to: int | None = None) -> Iterator[av.Packet]:
        """Packets of the video stream in decode order, from the start or from a key frame close to `seek_to`.

        A second call opens the file anew, which replaces `stream`: not every container can seek to its start.
        """
        if self._is_read:
            self.container.close()
            self._open()
        self._is_read = True
        if seek_to is not None:
            self.container.seek(seek_to, stream=self.stream, backward=True)
        for packet in self.container.demux(self.stream):
            if packet.size:  # the last one is empty: a sign for decoders
                yield packet


@dataclass(frozen=True)
class Timeline:
    """The frames of a span in the order of presentation.

    Attributes:
        seconds: presentation time of each frame, counted from the start of the video stream.
        pts: the same in the stream's time base.
        positions: place of the frame's packet in decode order.
        key_positions: place of the packet from which decoding must start to see the frame.
        packets: the packets in decode order; None if they were too many bytes to keep.
        seek_to: what the packets were demuxed with.
        num_skipped: number of packets before the first key frame, which nobody can decode.
        reaches_end: whether the last frame listed is the last of the file.
    """

    seconds: Float64[np.ndarray, " n"]
    pts: Int64[np.ndarray, " n"]
    positions: Int64[np.ndarray, " n"]
    key_positions: Int64[np.ndarray, " n"]
    packets: Sequence[av.Packet] | None
    seek_to: int | None
    num_skipped: int
    reaches_end: bool

    def replay(self, source: Source) -> Iterator[tuple[int, av.Packet]]:
        """(position, packet) in decode order, kept or read again from `source`."""
        packets: Iterable[av.Packet] = source.demux(self.seek_to) if self.packets is None else self.packets
        return enumerate(packets, start=-self.num_skipped if self.packets is None else 0)


def read_timeline(
    source: Source, *, start_seconds: float | None = None, end_seconds: float | None = None
) -> Timeline | None:
    """List the frames of the span [start, end), or return None if the packets' times cannot be trusted.

    Without a span all packets are read; with one, those from the key frame before it to its end.

    Raises:
        DecodeError: the file is cut off.
    """
    time_base = source.stream.time_base
    if time_base is None or not _is_timed(source):
        return None
    target = None if not start_seconds else source.start + int(start_seconds / time_base)
    stop = None if end_seconds is None else source.start + end_seconds / time_base
    listed = _list_packets(source, seek_to=target, stop=stop)
    if target is not None and (not listed.pts or listed.pts[0] is None or listed.pts[0] > target):
        listed = _list_packets(source, seek_to=None, stop=stop)  # the seek went astray: some containers' do
    if None in listed.pts or not listed.pts:
        return None

    pts = np.array(listed.pts, np.int64)  # (packets,)
    is_key = np.array(listed.is_key)
    # Frames shown before the first key frame belong to a group of pictures that was cut away.
    is_shown = np.array(listed.is_shown) & (pts >= pts[0])
    seconds = (pts - source.start) * time_base.numerator / time_base.denominator
    if start_seconds is not None:
        is_shown &= seconds >= start_seconds
    if end_seconds is not None:
        is_shown &= seconds < end_seconds
    positions = np.flatnonzero(is_shown)
    positions = positions[np.argsort(pts[positions], kind="stable")]
    if len(np.unique(pts[positions])) < len(positions):
        return None
    return Timeline(
        seconds=seconds[positions],
        pts=pts[positions],
        positions=positions,
        key_positions=_key_before(positions, pts=pts, keys=np.flatnonzero(is_key)),
        packets=listed.packets,
        seek_to=listed.seek_to,
        num_skipped=listed.num_skipped,
        reaches_end=listed.reaches_end,
    )


@dataclass
class _Packets:
    """Columns of the packets from the first key frame on, in decode order."""

    pts: list[int | None]
    is_key: list[bool]
    is_shown: list[bool]
    packets: list[av.Packet] | None
    seek_to: int | None
    num_skipped: int = 0
    reaches_end: bool = False


def _list_packets(source: Source, *, seek_to: int | None, stop: float | None) -> _Packets:
    listed = _Packets(pts=[], is_key=[], is_shown=[], packets=[], seek_to=seek_to)
    num_bytes = 0
    is_vp8 = source.stream.codec_context.codec.canonical_name == "vp8"
    for packet in source.demux(seek_to):
        if stop is not None and packet.dts is not None and packet.dts >= stop:
            return listed  # no frame is shown before it is decoded
        if not listed.pts and not packet.is_keyframe:
            listed.num_skipped += 1
            continue
        # An edit list cuts frames away; VP8's alternate references have their show bit off.
        is_hidden = packet.is_discard or (is_vp8 and not memoryview(packet)[0] & 0x10)
        listed.pts.append(packet.pts)
        listed.is_key.append(packet.is_keyframe)
        listed.is_shown.append(not is_hidden)
        num_bytes += packet.size
        if num_bytes > MAX_HELD_BYTES:
            listed.packets = None
        if listed.packets is not None:
            listed.packets.append(packet)
    listed.reaches_end = True
    _check_not_cut_off(source, num_read=len(listed.pts))
    return listed


def _check_not_cut_off(source: Source, *, num_read: int) -> None:
    """An mp4's index says where its last frame ends: not beyond the end of the file."""
    entries = source.stream.index_entries
    if "mov" not in source.container.format.name or not len(entries):
        return
    if entries[-1].pos + entries[-1].size > source.path.stat().st_size:
        raise DecodeError(
            f"{source.path}: the file is cut off: its index lists {len(entries)} frames, {num_read} are "
            "there; fetch it again or give an end_seconds before the cut"
        )


def _is_timed(source: Source) -> bool:
    formats = set(source.container.format.name.split(","))
    return bool(formats & _TIMED_CONTAINERS) or not source.stream.codec_context.has_b_frames


def _key_before(positions: np.ndarray, *, pts: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """For each packet the last key packet before it in decode order that is shown no later than it.

    Frames that follow a key frame in decode order but are shown before it (open groups of pictures) also need
    the frames before that key frame, so for them decoding starts one key frame earlier.
    """
    place = np.searchsorted(keys, positions, side="right") - 1
    while (leading := pts[keys[place]] > pts[positions]).any():
        place[leading] -= 1
    return keys[place]
