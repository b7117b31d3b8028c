"""Warnings for what breaks reproductions most, said before the first step."""

from collections.abc import Sequence

from w3action.config import RunConfig
from w3action.data import FlipMap


def warnings(config: RunConfig, *, classes: Sequence[str], flips: FlipMap, num_videos: int) -> list[str]:
    """Return what a practitioner should know about this run, most dangerous first."""
    found = []
    optim = config.optim
    if not optim.scale_lr and config.batch_size != optim.lr_batch_size:
        fitting = optim.lr * config.batch_size / optim.lr_batch_size
        found.append(
            f"the learning rate {optim.lr:g} belongs to a batch of {optim.lr_batch_size}, not {config.batch_size}; "
            f"{fitting:g} would fit (optim.scale_lr=true does this)"
        )
    sided = [*(classes[place] for pair in flips.pairs for place in pair), *flips.unpaired]
    if config.data.flip == "plain" and sided:
        found.append(
            f"flips keep their labels although {len(sided)} classes speak of a side (such as {sorted(sided)[0]!r}); "
            "data.flip=auto swaps them"
        )
    if config.data.flip == "auto" and flips.unpaired:
        found.append(
            f"flips are off: {flips.unpaired[0]!r} speaks of a side but its mirror image is no class "
            "(data.flip=plain flips all the same)"
        )
    if optim.freeze_batch_norm:
        found.append(
            "all batch norms but the first are frozen; the paper's figures need them trained "
            "(optim.freeze_batch_norm=false)"
        )
    if config.batch_size > num_videos:
        found.append(
            f"a batch of {config.batch_size} is more than the {num_videos} videos there are; it is cut to them"
        )
    return found
