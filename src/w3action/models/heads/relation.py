"""TRN: relations over ordered tuples of frames, at one scale or at every scale from 2 frames to all T.

    f_t   = W mean over H, W of x_t                              256 numbers a frame
    g_d   = MLP_d([f_i1, ..., f_id]), i1 < ... < id              ReLU, Linear, ReLU, Linear to the classes
    MT_T  = sum over d = 2..T of sum over tuples of d frames of g_d      equations 1 to 3

(B, C, T, H, W) -> (B, K). T is fixed when the head is built, for each scale's MLP reads tuples of its own length.
At most `num_relations` tuples are read at a scale. In training they are drawn anew for every batch; in evaluation they
are fixed: equally spaced in the list of all combinations, so that a video always gets the same scores.

What differs. From the paper: a tuple's scores are summed behind its last layer, as in the public TRN, so that layer's
bias counts once for every tuple. From the public TRN: it draws random tuples in evaluation too; its scales stand from
T down to 2, ours from 2 up.

Source: "Temporal Relational Reasoning in Videos" (Zhou et al., ECCV 2018), sections 3.1 to 3.3; the bottleneck, the
widths and the three tuples a scale as in its public code.
"""

import math
import random
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from w3action.models.heads.head import Head

BOTTLENECK = 256  # numbers that are left of a frame
MULTISCALE_WIDTH = 256  # hidden width of the MLP of every scale
SINGLE_WIDTH = 512  # and of the only one of a single scale


class RelationHead(Head):
    """Score a video by the order of its frames.

    Args:
        in_channels: C of the features.
        num_classes: K.
        num_frames: T of the features; any other T is an error.
        multiscale: relations of 2, 3, ..., T frames; False keeps the one of all T frames (TRN).
        num_relations: tuples of frames read at a scale, at most.
        bottleneck: dropout before it and its start, as in `Head` those of a classifier.

    Raises:
        ValueError: fewer than 2 frames or fewer than 1 relation; in a call, features of another T.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        num_frames: int = 8,
        multiscale: bool = True,
        num_relations: int = 3,
        **bottleneck: Any,
    ):
        super().__init__(**bottleneck)
        if num_frames < 2:
            raise ValueError(f"num_frames is {num_frames}; a relation needs at least 2 frames")
        if num_relations < 1:
            raise ValueError(f"num_relations is {num_relations}; each scale needs at least 1 (3 in the public TRN)")
        self.num_frames = num_frames
        self.num_relations = num_relations
        self.bottleneck = self.scoring_layer(in_channels, BOTTLENECK)
        self.scales = tuple(range(2, num_frames + 1)) if multiscale else (num_frames,)
        width = MULTISCALE_WIDTH if multiscale else SINGLE_WIDTH
        self.relations = nn.ModuleList(
            nn.Sequential(nn.ReLU(), nn.Linear(scale * BOTTLENECK, width), nn.ReLU(), nn.Linear(width, num_classes))
            for scale in self.scales
        )

    @property
    def classifier(self) -> nn.Module:
        """The relations, which give the scores."""
        return self.relations

    def forward(self, features: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        """Score the video: the sum of its relations."""
        t = features.shape[2]
        if t != self.num_frames:
            raise ValueError(
                f"the features have {t} frames and this relation head was built for {self.num_frames}: give it clips "
                f"of that many, or build it with head_options={{'num_frames': {t}}}"
            )
        pooled = features.mean(dim=(3, 4)).transpose(1, 2)  # (B, T, C)
        frames = self.bottleneck(self.dropout(pooled))  # (B, T, 256)
        select = random_tuples if self.training else spaced_tuples
        by_scale = []
        for scale, relation in zip(self.scales, self.relations, strict=True):
            tuples = torch.tensor(select(t, scale, self.num_relations), device=frames.device)  # (R, scale)
            by_scale.append(relation(frames[:, tuples].flatten(2)).sum(dim=1))  # (B, R, scale * 256) -> (B, K)
        return torch.stack(by_scale).sum(dim=0)


def spaced_tuples(num_frames: int, scale: int, most: int) -> list[list[int]]:
    """Pick at most `most` tuples of `scale` ordered frames: the middles of equal parts of the list of all tuples.

    The ends of that list are neighbouring frames; its middles are near and far ones.
    """
    num_tuples = math.comb(num_frames, scale)
    count = min(most, num_tuples)
    return [nth_tuple(num_frames, scale, (2 * i + 1) * num_tuples // (2 * count)) for i in range(count)]


def random_tuples(num_frames: int, scale: int, most: int) -> list[list[int]]:
    """Draw at most `most` different tuples of `scale` ordered frames, by PyTorch's generator, as dropout draws."""
    num_tuples = math.comb(num_frames, scale)
    numbers = random.Random(int(torch.randint(2**62, (), device="cpu")))
    return [nth_tuple(num_frames, scale, n) for n in numbers.sample(range(num_tuples), min(most, num_tuples))]


def nth_tuple(num_frames: int, scale: int, index: int) -> list[int]:
    """Return the tuple at `index` of all ordered tuples in the order of a dictionary, without listing them."""
    chosen: list[int] = []
    for frame in range(num_frames):
        if len(chosen) == scale:
            break
        beginning_here = math.comb(num_frames - frame - 1, scale - len(chosen) - 1)
        if index < beginning_here:
            chosen.append(frame)
        else:
            index -= beginning_here
    return chosen
