"""An open video file: which stream is read, how much time and memory that may take, and how failures are named.

`Source` opens a path or a seekable binary file object (a member of a shard, bytes in memory), chooses the video
stream and gives its packets. What a file can do to its reader ends here: no video, a pipe that never answers, a
header that promises gigabytes, a stream without end each become one `DecodeError`. Packets are read one after
another, and between two of them the clock is looked at; a call into FFmpeg itself cannot be interrupted.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import av
from av.stream import Discard, Disposition


@runtime_checkable
class BinaryFile(Protocol):
    """What is asked of a file object; where it has an attribute `name`, errors name it."""

    def read(self, size: int, /) -> bytes:
        """Read at most `size` bytes from the current place on, all if it is negative; none at the end."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to an offset from the start, the current place or the end (as `os.SEEK_SET` and so on)."""
        ...

    def tell(self) -> int:
        """Return the current place."""
        ...


VideoFile = str | os.PathLike[str] | BinaryFile

LIMIT_SECONDS = 30.0  # for one clip; a clip of usual length takes some hundredths of a second
MAX_FRAME_PIXELS = 1 << 26  # of a frame: 8192 x 8192. A damaged header may ask for 65536 x 65536, 6 GiB a frame


class DecodeError(ValueError):
    """A video cannot be decoded; its text is one line, "WHERE: REASON; REMEDY".

    Attributes:
        where: the file, folder or member.
        reason: what failed.
        remedy: what to try; may be empty.
    """

    def __init__(self, where: object, reason: str, remedy: str = ""):
        super().__init__(str(where), reason, remedy)
        self.where, self.reason, self.remedy = str(where), reason, remedy

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}" + (f"; {self.remedy}" if self.remedy else "")


class NoVideoError(DecodeError):
    """A file without a video stream; `held` says what else is in it, as in "audio, subtitle"."""

    def __init__(self, where: object, held: str):
        super().__init__(where, f"holds no video, only {held}", "give a video file")
        self.held, self.args = held, (str(where), held)  # the arguments with which it is unpickled


class Source:
    """An open video: its container and its best video stream. To be used as a context manager.

    Inside the `with` block every failure of FFmpeg becomes a `DecodeError` that names the file.

    Args:
        file: a path, or a binary file object that can seek, read from its start; it is not closed.
        num_threads: threads of the decoder.
        limit_seconds: time for opening, and again from each `restart_clock` on; None never gives up.

    Raises:
        DecodeError: nothing there, a folder, a pipe or device, an empty file, no video at all, no video stream,
            frames larger than `MAX_FRAME_PIXELS`, or opening took too long.
    """

    def __init__(self, file: VideoFile, *, num_threads: int = 1, limit_seconds: float | None = LIMIT_SECONDS):
        if limit_seconds is not None and not limit_seconds > 0:
            raise ValueError(f"limit_seconds is {limit_seconds} but must be above 0: give for example 30, or None")
        self.num_threads, self.limit_seconds = num_threads, limit_seconds
        self.restart_clock()
        self.name, self._file, self.num_bytes = _check_file(file)
        self._open()

    def _open(self) -> None:
        self._is_read = False
        try:
            if not isinstance(self._file, str):
                self._file.seek(0)
            self.container = av.open(
                self._file,
                mode="r",
                metadata_errors="ignore",
                options={"max_pixels": str(MAX_FRAME_PIXELS)},  # for the frames that FFmpeg decodes to learn the format
                timeout=self.limit_seconds,
            )
        except (av.error.FFmpegError, OSError) as error:
            self.check_time()
            raise DecodeError(
                self.name,
                f"cannot be opened as a video ({_reason(error)})",
                "it is cut off, damaged or no video: check that a player opens it",
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
            raise NoVideoError(self.name, ", ".join(held) or "nothing")
        best = self.container.streams.best("video")
        stream = streams.get(best.index if best else -1, next(iter(streams.values())))
        for other in self.container.streams:
            if other.index != stream.index:
                other.discard = Discard.all  # sound is not even read
        codec = stream.codec_context
        if codec is None:
            reason = "no decoder for its video is built into FFmpeg here"
            raise DecodeError(self.name, reason, "convert it to H.264")
        if codec.width * codec.height > MAX_FRAME_PIXELS:
            raise DecodeError(
                self.name,
                f"frames of {codec.width}x{codec.height} pixels, at most {MAX_FRAME_PIXELS} pixels are decoded",
                "the header is damaged, or scale the video down",
            )
        codec.options = {"max_pixels": str(MAX_FRAME_PIXELS)}  # the stream may change its size
        codec.thread_count = self.num_threads
        codec.thread_type = "AUTO" if self.num_threads > 1 else "NONE"
        return stream

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, kind, error, trace) -> None:
        self.container.close()
        if isinstance(error, av.error.FFmpegError):
            raise self._unreadable(error) from error

    @property
    def start(self) -> int:
        """Start of the video stream in its time base; times in seconds are counted from here."""
        return self.stream.start_time or 0

    def restart_clock(self) -> None:
        """Give the next piece of work `limit_seconds` from now on."""
        self.deadline = float("inf") if self.limit_seconds is None else time.monotonic() + self.limit_seconds

    def check_time(self) -> None:
        """Raise if the time is up.

        Raises:
            DecodeError: `limit_seconds` have passed since the source was made or the clock restarted.
        """
        if time.monotonic() > self.deadline:
            raise DecodeError(
                self.name,
                f"not decoded within {self.limit_seconds:g} s",
                "the file is damaged, too long or its disk too slow: give a span of it, or raise limit_seconds",
            )

    def reason(self, error: Exception) -> str:
        """Return why FFmpeg failed, in its own words, and what it does not say."""
        codec = self.stream.codec_context
        if codec.width * codec.height:
            return _reason(error)
        return f"{_reason(error)}; the header gives no frame size, or one beyond {MAX_FRAME_PIXELS} pixels"

    def _unreadable(self, error: Exception) -> DecodeError:
        return DecodeError(self.name, f"cannot be read ({_reason(error)})", "the file is damaged, fetch it again")

    def demux(self, seek_to: int | None = None) -> Iterator[av.Packet]:
        """Give the packets of the video stream in decode order, from the start or from a key frame close to `seek_to`.

        A second call opens the file anew, which replaces `stream`: not every container can seek to its start.

        Raises:
            DecodeError: the file cannot be read further, or the time is up.
        """
        if self._is_read:
            self.container.close()
            self._open()
        self._is_read = True
        try:
            if seek_to is not None:
                self.container.seek(seek_to, stream=self.stream, backward=True)
            for packet in self.container.demux(self.stream):
                self.check_time()
                if packet.size:  # the last one is empty: a sign for decoders
                    yield packet
        except (av.error.FFmpegError, OSError) as error:
            self.check_time()
            raise self._unreadable(error) from error


def _check_file(file: VideoFile) -> tuple[str, str | BinaryFile, int]:
    """Return (name for messages, what PyAV opens, size in bytes) of a path or file object."""
    if isinstance(file, str | os.PathLike):
        path = Path(file)
        if not path.exists():
            raise DecodeError(path, "no such file", "check the path and the manifest's folder")
        if path.is_dir():
            raise DecodeError(path, "this is a folder", "give the path of one video file")
        if not path.is_file():  # reading a pipe may wait for ever
            raise DecodeError(path, "this is a pipe or a device", "write the video to a file first")
        # "file:" keeps a colon in the name from being read as a protocol
        name, opened, num_bytes = str(path), f"file:{path}", path.stat().st_size
    else:
        name, opened = str(getattr(file, "name", type(file).__name__)), file
        try:
            num_bytes = file.seek(0, os.SEEK_END)
        except (OSError, ValueError) as error:  # a pipe; a closed file
            raise DecodeError(name, f"cannot seek in it ({_reason(error)})", "give a file on a disk") from error
    if num_bytes == 0:
        raise DecodeError(name, "the file is empty (0 bytes)", "fetch or record it again")
    return name, opened, num_bytes


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
