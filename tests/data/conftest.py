"""What the tests of this folder share: the fixture of drawn videos, and time enough where the machine is busy."""

import hypothesis
from drawn_videos import draw_video

__all__ = ["draw_video"]

hypothesis.settings.register_profile("data", deadline=None)
hypothesis.settings.load_profile("data")
