"""Networks whose clips have another number of channels than RGB's three: five flows, say, have ten.

Every convolution that sees the clip itself gets weights for `in_channels`. New ones are normal, of the deviation that
lets maps start as large as those of RGB. Weights of RGB become weights of other channels by their mean over the three,
repeated: "cross modality pre-training".

Source: "Temporal Segment Networks" (Wang et al., ECCV 2016), section 3.2.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

RGB_CHANNELS = 3


def widen_inputs_(backbone: nn.Module, in_channels: int, *, name: str) -> list[str]:
    """Make a backbone of RGB one of `in_channels`, in place, with new weights; three leave it as it is.

    Args:
        backbone: a network whose first convolutions, one or several, are those of three input channels.
        in_channels: of the clips.
        name: the model's name, for messages.

    Returns:
        The names of the weights that see the clip.

    Raises:
        ValueError: in_channels is below 1; no convolution of the network sees RGB.
    """
    if in_channels < 1:
        raise ValueError(f"in_channels is {in_channels}; it must be at least 1 (3 for RGB, 10 for flow)")
    if in_channels == RGB_CHANNELS:
        return []
    names = []
    for path, module in backbone.named_modules():
        if not isinstance(module, nn.Conv2d | nn.Conv3d) or "slots" in path.split("."):
            continue
        is_squeezed = max(module.kernel_size) == 1  # of a squeeze to three channels, which 1x1 opens again
        if module.in_channels == RGB_CHANNELS and module.groups == 1 and not is_squeezed:
            old = module.weight.detach()
            new = torch.randn(old.shape[0], in_channels, *old.shape[2:], dtype=old.dtype, device=old.device)
            module.weight = nn.Parameter(new * old.std() * (RGB_CHANNELS / in_channels) ** 0.5)
            module.in_channels = in_channels
            names.append(f"{path}.weight")
    if not names:
        raise ValueError(
            f"{name} takes no in_channels={in_channels}: no convolution in it sees RGB; choose a network that begins "
            "with one, such as tsm_resnet50"
        )
    return names


def as_of_rgb(expected: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Return the state dict that a widened backbone would have for RGB; the weights in `names` hold no numbers."""
    return {
        key: value.new_empty(value.shape[0], RGB_CHANNELS, *value.shape[2:]) if key in names else value
        for key, value in expected.items()
    }


def widen_weights(
    given: Mapping[str, Tensor], expected: Mapping[str, Tensor], names: Sequence[str]
) -> dict[str, Tensor]:
    """Repeat the mean over RGB of the weights in `names` for all of `expected`'s channels; all else stays.

    Weights that are not of three input channels stay too, so that those of the same channels load as they are.
    """
    widened = dict(given)
    for name in names:
        weight = given.get(name)
        if weight is not None and weight.ndim > 2 and weight.shape[1] == RGB_CHANNELS:
            num_channels = expected[name].shape[1]
            widened[name] = weight.mean(dim=1, keepdim=True).repeat_interleave(num_channels, dim=1)
    return widened
