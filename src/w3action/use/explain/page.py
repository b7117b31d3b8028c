"""One page that shows an explanation: the prediction, the three pictures and the film, and how to read each.

The pictures are inside the page, the film lies beside it (browsers seek in a file, not in a page).
"""

import base64
from pathlib import Path
from typing import NamedTuple

from w3action.files import render_page
from w3action.use.explain.explanation import Explanation
from w3action.use.explain.masks import range_of

NUM_CLASSES_LISTED = 5
FILM = (
    "Left the video, right its mask, interpolated between the frames that the network saw; the curve is the mask's "
    "mean over the frame."
)
WHEN = "How wide the masks are open at each frame that the network saw, and what each frame by itself would predict."


class Section(NamedTuple):
    """A part of the page: a heading, a sentence on how to read what follows, and a file (or None: words alone)."""

    heading: str
    sentence: str
    file: Path | None


def write_page(found: Explanation) -> None:
    """Write `index.html` beside the pictures, which must be there."""
    checkpoint = found.checkpoint
    wanted, arguments = checkpoint.clip_format, checkpoint.model.arguments
    sections = [
        Section("Where", _where(found), found.files["strip.png"]),
        Section("When", WHEN, found.files["when.png"]),
        Section("What", _what(found), found.files.get("what.png")),
    ]
    if "overlay.mp4" in found.files:
        sections.insert(1, Section("The whole video", FILM, found.files["overlay.mp4"]))
    render_page(
        found.files["index.html"],
        "explanation",
        video=found.video.name,
        prediction=found.prediction[:NUM_CLASSES_LISTED],
        sections=[(section, _embed(section.file)) for section in sections],
        facts=(
            ("network", f"{arguments['name']}, attention {arguments['attention']}"),
            ("weights", f"{checkpoint.path}, sha256 {checkpoint.sha256[:12]}"),
            ("clip", f"{wanted.num_frames} frames, centre {wanted.size} of {wanted.resize} pixels"),
        ),
    )


def _where(found: Explanation) -> str:
    if found.spatial_mask is None:
        return "The frames that the network saw; it has no spatial mask, so nothing is laid over them."
    if range_of(found.spatial_mask).is_flat:
        return (
            "The spatial mask is the same at every place and time, as in a network whose attention has not learnt "
            "anything yet: there is nothing to see below the frames."
        )
    share = "how much attention a place receives, 1 being an even share"
    scale = share if found.is_share else "how far the mask is open"
    return (
        f"Below each frame the same frame under its spatial mask: the brighter, the more the place counts ({scale}). "
        "The colours span the mask's range over the whole clip, so a frame that stays dark is one that the network "
        "turns down against the others."
    )


def _what(found: Explanation) -> str:
    if found.channel_mask is None:
        return "This network has no channel mask."
    if range_of(found.channel_mask).is_flat:
        return "The channel mask is the same for every channel at every time: which channels are listed means nothing."
    return (
        "Left the channels whose gates are on average most open and most closed, right when each of them is more "
        "open (red) or more closed (blue) than its own mean."
    )


def _embed(file: Path | None) -> str | None:
    if file is None or file.suffix != ".png":
        return None
    return f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"
