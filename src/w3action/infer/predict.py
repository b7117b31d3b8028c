"""What is done in a video: a checkpoint and a file -> classes with their probabilities."""

from dataclasses import dataclass
from pathlib import Path

import torch

from w3action.data import TestTransform, decode, test_segments
from w3action.models import Checkpoint, load_checkpoint


@dataclass(frozen=True)
class Prediction:
    """The classes of one video, most probable first."""

    path: Path
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]


@torch.no_grad()
def predict(checkpoint: Checkpoint | str | Path, video: str | Path, *, top: int = 5) -> Prediction:
    """Predict one video from one centre crop of one clip.

    Args:
        checkpoint: a loaded checkpoint, or the folder of a run (loading it once serves many videos).
        video: a video file.
        top: how many classes to return; all of them if there are fewer.

    Raises:
        DecodeError: the video cannot be read.
        WeightsError: the folder holds no checkpoint.
        ValueError: top is less than 1.
    """
    if top < 1:
        raise ValueError(f"top is {top}; ask for at least 1 class")
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = load_checkpoint(checkpoint)
    wanted = checkpoint.clip_format
    clip = decode(video, lambda n: test_segments(n, num_segments=wanted.num_frames), short_side=wanted.resize)
    views, _ = TestTransform(size=wanted.size, resize=wanted.resize, crops="center")(clip)
    device = next(checkpoint.model.parameters()).device
    probabilities = checkpoint.model(views.to(device)).softmax(dim=-1)[0]
    values, indices = probabilities.topk(min(top, len(checkpoint.classes)))
    return Prediction(Path(video), tuple(checkpoint.classes[i] for i in indices.tolist()), tuple(values.tolist()))
