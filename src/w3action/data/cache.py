"""Decoded clips kept in memory, so that a small data set is decoded once and not in every epoch.

Meant for `num_workers=0`: every worker process of a data loader would fill a cache of its own.
"""

from collections.abc import Callable

import numpy as np

from w3action.data.clip import Clip
from w3action.data.entry import decode_video
from w3action.data.video import Video


class FrameCache:
    """Keeps all frames of a video's span, uint8 at `short_side`, until `max_bytes` are used up.

    From the first clip on that does not fit, further videos are decoded as if there were no cache.
    """

    def __init__(self, max_bytes: int):
        if max_bytes < 0:
            raise ValueError(f"max_bytes is {max_bytes} but must be at least 0: give for example 4 << 30 for 4 GiB")
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._is_full = False
        self._clips: dict[tuple, Clip] = {}

    def __len__(self) -> int:
        """Number of clips kept."""
        return len(self._clips)

    def get(self, video: Video, short_side: int | None) -> Clip:
        """All frames of the video's span, kept if they fit.

        Raises:
            DecodeError: as for `decode`.
        """
        key = (*video.place, short_side)
        if key in self._clips:
            return self._clips[key]
        clip = decode_video(video, np.arange, short_side=short_side)
        if self.num_bytes + clip.frames.nbytes <= self.max_bytes and not self._is_full:
            self.num_bytes += clip.frames.nbytes
            self._clips[key] = clip
        else:
            self._is_full = True
        return clip

    def pick(self, video: Video, pick: Callable[[int], np.ndarray], *, short_side: int | None) -> Clip:
        """The frames that `pick` wants, as `decode` gives them.

        Raises:
            DecodeError: as for `decode`.
        """
        key = (*video.place, short_side)
        if self._is_full and key not in self._clips:
            return decode_video(video, pick, short_side=short_side)
        clip = self.get(video, short_side)
        indices = np.asarray(pick(clip.num_frames)).ravel()
        return Clip(
            # Indexed as the frames lie in memory, (t, h, w, c), so that what comes out lies the same way.
            frames=clip.frames.permute(1, 2, 3, 0)[indices].permute(3, 0, 1, 2),
            pts_seconds=clip.pts_seconds[indices],
        )
