"""Which frames a video file holds and when they are shown, learnt from its packets without decoding.

Containers count badly (webm says 0 frames, some avi one too many), but demuxing costs about a hundredth of
decoding. `read_timeline` lists the frames of a span in the order of presentation, each with the packet from
which decoding must start to see it. It returns None where packet times cannot be trusted (an avi with B-frames
stores none): then only decoding tells.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import av
import numpy as np
from jaxtyping import Float64, Int64

from w3action.data.source import DecodeError, Source
from w3action.data.video import Span

MAX_HELD_BYTES = 256 << 20  # packets beyond this are read a second time, not kept

# Here every packet carries its presentation time. Elsewhere it does where the codec does not reorder frames.
_TIMED_CONTAINERS = {"mov", "matroska", "mpegts", "flv", "gif"}

# A frame is shown at most 16 frames earlier than it is decoded (H.264, HEVC: the size of the picture buffer).
_MAX_REORDERED = 16


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
        """Give (position, packet) in decode order, kept or read again from `source`."""
        packets: Iterable[av.Packet] = source.demux(self.seek_to) if self.packets is None else self.packets
        return enumerate(packets, start=-self.num_skipped if self.packets is None else 0)


def read_timeline(source: Source, span: Span | None = None) -> Timeline | None:
    """List the frames of a span, or return None if the packets' times cannot be trusted.

    A span in seconds has only the packets from the key frame before it to its end read; one in frames, those
    from the start of the file to its end.

    Raises:
        DecodeError: the file is cut off.
    """
    span = span or Span()
    time_base = source.stream.time_base
    if time_base is None or not _is_timed(source):
        return None
    target = None if not span.start_seconds else source.start + int(span.start_seconds / time_base)
    stop = None if span.end_seconds is None else source.start + span.end_seconds / time_base
    listed = _list_packets(source, seek_to=target, stop=stop, stop_frame=span.stop_frame)
    if target is not None and (not listed.pts or listed.pts[0] is None or listed.pts[0] > target):
        # The seek went astray: some containers' do.
        listed = _list_packets(source, seek_to=None, stop=stop, stop_frame=span.stop_frame)
    if None in listed.pts or not listed.pts:
        return None

    pts = np.array(listed.pts, np.int64)  # (packets,)
    # Frames shown before the first key frame belong to a group of pictures that was cut away.
    positions = np.flatnonzero(np.array(listed.is_shown) & (pts >= pts[0]))
    positions = positions[np.argsort(pts[positions], kind="stable")]
    if len(np.unique(pts[positions])) < len(positions):
        return None
    seconds = (pts[positions] - source.start) * time_base.numerator / time_base.denominator
    inside = span.inside(seconds)
    positions = positions[inside]
    return Timeline(
        seconds=seconds[inside],
        pts=pts[positions],
        positions=positions,
        key_positions=_key_before(positions, pts=pts, keys=np.flatnonzero(listed.is_key)),
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


def _list_packets(source: Source, *, seek_to: int | None, stop: float | None, stop_frame: int | None) -> _Packets:
    listed = _Packets(pts=[], is_key=[], is_shown=[], packets=[], seek_to=seek_to)
    num_bytes, num_shown = 0, 0
    most_shown = float("inf") if stop_frame is None else stop_frame + _MAX_REORDERED
    is_vp8 = source.stream.codec_context.codec.canonical_name == "vp8"
    for packet in source.demux(seek_to):
        if (stop is not None and packet.dts is not None and packet.dts >= stop) or num_shown >= most_shown:
            return listed  # no frame is shown before it is decoded
        if not listed.pts and not packet.is_keyframe:
            listed.num_skipped += 1
            continue
        # An edit list cuts frames away; VP8's alternate references have their show bit off.
        is_hidden = packet.is_discard or (is_vp8 and not memoryview(packet)[0] & 0x10)
        pts = packet.pts
        listed.pts.append(pts)
        listed.is_key.append(packet.is_keyframe)
        listed.is_shown.append(not is_hidden)
        num_shown += not is_hidden and pts is not None and pts >= (listed.pts[0] or 0)
        num_bytes += packet.size
        if num_bytes > MAX_HELD_BYTES:
            listed.packets = None
        if listed.packets is not None:
            listed.packets.append(packet)
    listed.reaches_end = True
    _check_not_cut_off(source, num_read=len(listed.pts))
    return listed


def _check_not_cut_off(source: Source, *, num_read: int) -> None:
    """Check that the last frame of an mp4 ends, by its index, within the file."""
    entries = source.stream.index_entries
    if "mov" not in source.container.format.name or not len(entries):
        return
    if entries[-1].pos + entries[-1].size > source.num_bytes:
        raise DecodeError(
            source.name,
            f"the file is cut off: its index lists {len(entries)} frames, {num_read} are there",
            "fetch it again or give an end_seconds before the cut",
        )


def _is_timed(source: Source) -> bool:
    formats = set(source.container.format.name.split(","))
    return bool(formats & _TIMED_CONTAINERS) or not source.stream.codec_context.has_b_frames


def _key_before(positions: np.ndarray, *, pts: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Find for each packet the last key packet before it in decode order that is shown no later than it.

    Frames that follow a key frame in decode order but are shown before it (open groups of pictures) also need
    the frames before that key frame, so for them decoding starts one key frame earlier.
    """
    place = np.searchsorted(keys, positions, side="right") - 1
    while (leading := pts[keys[place]] > pts[positions]).any():
        place[leading] -= 1
    return keys[place]
