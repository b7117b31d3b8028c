"""Where, when and what a network looked at in one video: Figure 3 of the paper for any video.

A checkpoint and a file -> a folder with a strip of frames under their spatial masks, curves over time, the channels
that open and close, the whole video as a film with its masks, and a page that shows them all. `explanation` runs the
network, `masks` chooses what is shown of its masks, `heat` lays them over frames; `pictures` and `film` draw. The words
of the page are in `templates/explanation.html.j2`.

The pictures show the region that the network saw, the centre crop: its very pixels where its clips are about 150
pixels or more, the same crop of larger frames (to within one of its pixels) where they are smaller.

Source: "Knowing What, Where and When to Look" (2020), Figure 3 and "Attention visualization and interpretation".
"""

import base64
from pathlib import Path

from w3action.files import render_page
from w3action.runs.checkpoint import Checkpoint
from w3action.use.explain.explanation import FILES, Explanation, look
from w3action.use.explain.masks import range_of

__all__ = ["FILES", "Explanation", "explain"]

NUM_CLASSES_LISTED = 5


def explain(
    checkpoint: Checkpoint, video: str | Path, *, out: str | Path, stage: int | None = None, num_channels: int = 8
) -> Explanation:
    """Explain the prediction of one centre crop of one clip of a video.

    Args:
        checkpoint: a network with an attention.
        video: a video file.
        out: folder for the files, which is made; files of an earlier explanation in it are replaced.
        stage: 1 to the number of stages: show this stage's last masks. None: of M^s the mean over the stages (what
            AFR reads), of M^c the last stage's.
        num_channels: how many channels what.png shows, the most open and the most closed.

    Raises:
        DecodeError: the video cannot be read.
        ValueError: the network has no attention, none at `stage`, num_channels is below 1, or `out` is a file.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; give a folder for the pictures")
    from w3action.use.explain import film, heat, pictures  # late: matplotlib is loaded where something is drawn

    found = look(checkpoint, Path(video), out=out, stage=stage, num_channels=num_channels)
    shown = heat.take_frames(found.video, found.numbers, checkpoint.clip_format)
    out.mkdir(parents=True, exist_ok=True)
    for name in FILES:  # none of another network's stays behind
        (out / name).unlink(missing_ok=True)
    pictures.draw_strip(found, shown)
    pictures.draw_when(found, shown)
    if "what.png" in found.files:
        pictures.draw_what(found)
    if "overlay.mp4" in found.files:
        film.write_film(found, shown)
    _write_page(found)
    return found


def _write_page(found: Explanation) -> None:
    """Write a page with the pictures inside; the film lies beside it: browsers seek in a file, not in a page."""
    pictures = {
        name: f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"
        for name, file in found.files.items()
        if file.suffix == ".png"
    }
    render_page(
        found.files["index.html"],
        "explanation",
        found=found,
        video=found.video.name,
        prediction=found.prediction[:NUM_CLASSES_LISTED],
        pictures=pictures,
        where=None if found.spatial_mask is None else range_of(found.spatial_mask),
        what=None if found.channel_mask is None else range_of(found.channel_mask),
        network=found.checkpoint.model.arguments,
        clip=found.checkpoint.clip_format,
    )
