"""What a video of a manifest is called, wherever the data set lies and whichever stream of it is read.

Its path below the folder of its manifest, without the suffix of a video file, and the span or the place in a tar
where it is but a part: "cooking/0012", "P01_01 [1.5, 3)", "p01/v7 frames [30, 62)", "train-03.tar at byte 512". So the
streams of RGB (`rgb/val/0012.mp4`) and of flow (`flow/val/0012/`) agree on it, and so do copies of a data set.
"""

from pathlib import Path

from w3action.data.video import VIDEO_SUFFIXES, Video


def identity(video: Video, *, source: Path) -> str:
    """Name a video of the manifest that was read from `source`; one that lies elsewhere by its whole path."""
    path = video.path.with_suffix("") if video.path.suffix.lower() in VIDEO_SUFFIXES else video.path
    name = relative_name(path, source=source)
    if video.start_seconds is not None or video.end_seconds is not None:
        end = "end" if video.end_seconds is None else f"{video.end_seconds:.6g}"
        name += f" [{video.start_seconds or 0:.6g}, {end})"
    if video.first_frame is not None or video.num_frames is not None:
        first = video.first_frame or 0
        name += f" frames [{first}, {'end' if video.num_frames is None else first + video.num_frames})"
    if video.byte_offset is not None:
        name += f" at byte {video.byte_offset}"
    return name


def relative_name(path: Path, *, source: Path) -> str:
    """A path below the folder of the manifest `source`, or the whole of one that lies elsewhere."""
    path, folder = path.absolute(), (source if source.is_dir() else source.parent).absolute()
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()
