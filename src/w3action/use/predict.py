"""What is done in a video: a checkpoint and a file -> classes with their probabilities."""

from dataclasses import dataclass
from pathlib import Path

import torch

from w3action.evaluate.protocols import center_clip
from w3action.runs.checkpoint import Checkpoint, load_checkpoint


@dataclass(frozen=True)
class Prediction:
    """The classes of one video, most probable first; with several labellings, one of each: "verb: open, noun: door"."""

    path: Path
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]


@torch.no_grad()
def predict(checkpoint: Checkpoint | str | Path, video: str | Path, *, top: int = 5) -> Prediction:
    """Predict one video from one centre crop of one clip, of frames or of flow, as the network has input channels.

    Args:
        checkpoint: a loaded checkpoint, or the folder of a run (loading it once serves many videos).
        video: a video file, or a folder of images.
        top: how many classes to return; all of them if there are fewer.

    Raises:
        DecodeError: the video cannot be read.
        WeightsError: the folder holds no checkpoint.
        ValueError: top is less than 1; the network sees neither RGB nor flow.
    """
    if top < 1:
        raise ValueError(f"top is {top}; ask for at least 1 class")
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = load_checkpoint(checkpoint)
    view = center_clip(Path(video), checkpoint.clip_format).view
    device = next(checkpoint.fast.parameters()).device
    probabilities = checkpoint.probabilities(checkpoint.fast(view.to(device)))[0]
    values, places = probabilities.topk(min(top, len(probabilities)))
    return Prediction(Path(video), tuple(checkpoint.name_of(i) for i in places.tolist()), tuple(values.tolist()))
