"""Decoded videos kept in memory, so that a small data set is decoded once and not in every epoch.

Meant for `num_workers=0`: every worker process of a data loader would fill a cache of its own.
"""

from collections.abc import Sequence

import numpy as np

from w3action.data.clip import Clip, Frames
from w3action.data.sampling import check_indices
from w3action.data.video import Video


class CachedVideo:
    """All frames of a video's span in memory: the `Frames` of a clip."""

    def __init__(self, clip: Clip):
        self.clip = clip

    @property
    def count(self) -> int:
        """Number of frames."""
        return self.clip.num_frames

    def read(self, indices: Sequence[int] | np.ndarray) -> Clip:
        """Copy frames; see `Frames.read`."""
        flat = check_indices(indices, count=self.count)
        # Indexed as the frames lie in memory, (t, h, w, c), so that what comes out lies the same way.
        return Clip(
            frames=self.clip.frames.permute(1, 2, 3, 0)[flat].permute(3, 0, 1, 2),
            pts_seconds=self.clip.pts_seconds[flat],
        )


class FrameCache:
    """Keeps whole spans of videos as uint8 frames, at the size they were opened with, until `max_bytes` are used up.

    From the first one on that does not fit, nothing more is kept.
    """

    def __init__(self, max_bytes: int):
        if max_bytes < 0:
            raise ValueError(f"max_bytes is {max_bytes} but must be at least 0: give for example 4 << 30 for 4 GiB")
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self.is_full = False
        self._clips: dict[tuple, Clip] = {}

    def __len__(self) -> int:
        """Return the number of videos kept."""
        return len(self._clips)

    def find(self, video: Video, *size: int | bool | None) -> CachedVideo | None:
        """Return the frames of a video's span as they were kept at this size, or None."""
        clip = self._clips.get((*video.place, *size))
        return None if clip is None else CachedVideo(clip)

    def keep(self, frames: Frames, video: Video, *size: int | bool | None) -> CachedVideo:
        """Read all frames of a video opened at this size, and keep them if they fit.

        Raises:
            DecodeError: the video is damaged.
        """
        clip = frames.read(np.arange(frames.count))
        if self.num_bytes + clip.frames.nbytes <= self.max_bytes and not self.is_full:
            self.num_bytes += clip.frames.nbytes
            self._clips[(*video.place, *size)] = clip
        else:
            self.is_full = True
        return CachedVideo(clip)
