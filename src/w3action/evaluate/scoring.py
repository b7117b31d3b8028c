"""Videos -> one row of scores each: a protocol makes views, the network scores them, the views are fused."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from w3action.data import BadVideo, ClipBatch
from w3action.evaluate.protocols import Fusion
from w3action.labellings import split_logits

Model = Callable[[Float[Tensor, "n c_in t h w"]], Float[Tensor, "n k"]]
MOST_VIEWS_AT_ONCE = 16  # views are the larger axis: ten crops of two clips make 20 of one video


@dataclass(frozen=True)
class Scores:
    """Fused scores of videos, with the labels they are judged by."""

    scores: Float[Tensor, "n k"]  # logits or probabilities, as the protocol fuses
    labels: Int[Tensor, "n *labellings"]
    indices: Int[Tensor, "n"]  # into the list of videos
    bad: tuple[BadVideo, ...] = field(default=())


@torch.no_grad()
def score_videos(
    model: Model,
    batches: Iterable[ClipBatch],
    *,
    num_classes: int,
    sizes: Sequence[int] = (),
    flipped: Sequence[bool],
    flip_permutation: Sequence[int],
    fusion: Fusion,
    device: torch.device,
    on_videos: Callable[[int], None] = lambda count: None,
) -> Scores:
    """Score every video of the batches.

    Args:
        model: maps `(n, 3, T, H, W)` to logits; in evaluation mode.
        batches: views `(B, V, 3, T, H, W)` of videos.
        num_classes: K.
        sizes: how many classes each labelling has, where there are several.
        flipped: for each view of a clip whether it is mirrored; repeated over the clips of a video.
        flip_permutation: class -> its mirror image ("left" -> "right"); scores of mirrored views are put back.
        fusion: average logits, or probabilities.
        device: where the model is.
        on_videos: called with the number of videos of each batch.
    """
    rows, labels, indices, bad = [], [], [], []
    permutation = torch.tensor(list(flip_permutation), device=device)
    for batch in batches:
        bad.extend(batch.bad)
        if len(batch.labels) > 0:
            b, v = batch.clips.shape[:2]
            views = batch.clips.flatten(0, 1).to(device)
            logits = torch.cat([model(part).float() for part in views.split(MOST_VIEWS_AT_ONCE)]).view(b, v, -1)
            mirrored = torch.tensor([flipped[i % len(flipped)] for i in range(v)], device=device)
            logits = torch.where(mirrored[None, :, None], logits[:, :, permutation], logits)
            if fusion == "probabilities":
                logits = torch.cat([part.softmax(dim=-1) for part in split_logits(logits, sizes)], dim=-1)
            rows.append(logits.mean(dim=1).cpu())
            labels.append(batch.labels.cpu())
            indices.append(batch.indices.cpu())
        on_videos(len(batch.labels) + len(batch.bad))
    if not rows:
        no_labels = torch.empty((0, len(sizes)) if sizes else 0, dtype=torch.long)
        return Scores(torch.empty(0, num_classes), no_labels, torch.empty(0).long(), tuple(bad))
    return Scores(torch.cat(rows), torch.cat(labels), torch.cat(indices), tuple(bad))
