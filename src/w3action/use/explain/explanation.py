"""What a network looked at in one video, as numbers: its masks, and what it predicts from the clip and each frame."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from w3action.evaluate.protocols import center_clip
from w3action.runs.checkpoint import Checkpoint
from w3action.use.explain.masks import ChosenMasks, RankedChannels, choose_masks, rank_channels, stretch

FILES = ("strip.png", "when.png", "what.png", "overlay.mp4", "index.html")


@dataclass(frozen=True)
class Explanation:
    """What a network looked at. T frames, K classes.

    Attributes:
        checkpoint: the network.
        video: the file.
        out: folder of the files that show it.
        prediction: every class and its probability, most probable first.
        order: their numbers.
        numbers: which frames of the video the network saw.
        times_seconds: their times.
        frame_probabilities: of each class, in the checkpoint's order, by each frame alone; None if the head scores
            frames together.
        masks: those that are shown.
        channels: those of `channel_mask` that open and close most.
    """

    checkpoint: Checkpoint
    video: Path
    out: Path
    prediction: tuple[tuple[str, float], ...]
    order: tuple[int, ...]
    numbers: Int64[np.ndarray, " t"]
    times_seconds: Float[Tensor, " t"]
    frame_probabilities: Float[Tensor, "t k"] | None
    masks: ChosenMasks
    channels: RankedChannels | None

    @property
    def spatial_mask(self) -> Float[Tensor, "t h w"] | None:
        """The M^s that is shown, or None if the network has none."""
        return self.masks.spatial

    @property
    def channel_mask(self) -> Float[Tensor, "c t"] | None:
        """The M^c that is shown, or None if the network has none."""
        return self.masks.channel

    @property
    def mask_energy(self) -> Float[Tensor, " t"] | None:
        """Mean of the spatial mask over each frame."""
        return None if self.spatial_mask is None else self.spatial_mask.mean(dim=(1, 2))

    @property
    def channel_energy(self) -> Float[Tensor, " t"] | None:
        """Mean of the channel mask over the channels at each frame."""
        return None if self.channel_mask is None else self.channel_mask.mean(dim=0)

    @property
    def is_share(self) -> bool:
        """Whether the spatial mask is the attention that places receive, 1 being an even share, and not a gate."""
        return self.checkpoint.model.arguments["attention"] == "non_local"

    @property
    def files(self) -> dict[str, Path]:
        """The files that show it, by name ("strip.png"); without M^s no overlay.mp4, without M^c no what.png."""
        absent = {"overlay.mp4": self.spatial_mask is None, "what.png": self.channel_mask is None}
        return {name: self.out / name for name in FILES if not absent.get(name)}


@torch.no_grad()
def look(checkpoint: Checkpoint, video: Path, *, out: Path, stage: int | None, num_channels: int) -> Explanation:
    """Run the network on the centre clip; see `explain`."""
    model, size, path = checkpoint.model, checkpoint.clip_format.size, str(checkpoint.path)
    if model.arguments["in_channels"] != 3:
        raise ValueError(f"{path}: the network sees optical flow; explain shows those of RGB, give one of them")
    seen = center_clip(video, checkpoint.clip_format)
    num_frames = len(seen.numbers)
    view = seen.view.to(next(model.parameters()))
    features = model.forward_features(view)
    masks = choose_masks(features.masks, size=size, num_frames=num_frames, stage=stage, name=path)
    by_video = checkpoint.probabilities(model.forward_head(features.maps, clips=view))[0].cpu()
    order = tuple(by_video.argsort(descending=True, stable=True).tolist())
    by_frame = model.head.frame_logits(features.maps)
    if by_frame is not None:
        by_frame = stretch(checkpoint.probabilities(by_frame)[0].cpu(), num_frames)
    return Explanation(
        checkpoint,
        video,
        out,
        prediction=tuple((checkpoint.name_of(k), float(by_video[k])) for k in order),
        order=order,
        numbers=seen.numbers,
        times_seconds=seen.clip.pts_seconds,
        frame_probabilities=by_frame,
        masks=masks,
        channels=None if masks.channel is None else rank_channels(masks.channel, num_channels=num_channels),
    )
