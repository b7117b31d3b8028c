"""Makes the fixture of drawn videos known to the tests of this folder."""

from drawn_videos import draw_video

__all__ = ["draw_video"]
