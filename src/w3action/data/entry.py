"""From an entry of a manifest to its frames, whatever it is: a video file, one inside a tar, or a folder of images."""

from collections.abc import Callable
from typing import Any

import numpy as np

from w3action.data.clip import Clip
from w3action.data.decode import decode
from w3action.data.frame_folder import NOMINAL_FPS, decode_folder
from w3action.data.shards import open_member
from w3action.data.video import Video


def decode_video(video: Video, pick: Callable[[int], np.ndarray], *, short_side: int | None) -> Clip:
    """Decode the frames of an entry that `pick` wants; see `decode`.

    Raises:
        DecodeError: as for `decode`, `decode_folder` and `open_member`.
    """
    span: dict[str, Any] = {
        "start_seconds": video.start_seconds,
        "end_seconds": video.end_seconds,
        "first_frame": video.first_frame,
        "num_frames": video.num_frames,
        "short_side": short_side,
    }
    if video.byte_offset is not None and video.num_bytes is not None:
        with open_member(video.path, offset=video.byte_offset, size=video.num_bytes) as member:
            return decode(member, pick, **span)
    if video.path.is_dir():
        return decode_folder(video.path, pick, fps=video.fps or NOMINAL_FPS, **span)
    return decode(video.path, pick, **span)
