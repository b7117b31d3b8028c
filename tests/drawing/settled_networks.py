"""Networks whose weights and statistics are no longer at their start, for tests that a start would hide things from."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

BATCH_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


@pytest.fixture(scope="session")
def scramble() -> Callable[[nn.Module], nn.Module]:
    """A function that gives every vector, statistic and slot of a network values of its own, in evaluation mode.

    The backbone's kernels keep their random start, so that features keep their size.
    """

    def draw(model: nn.Module) -> nn.Module:
        numbers = torch.Generator().manual_seed(7)
        for name, value in model.state_dict().items():
            if name.endswith(("running_var", "weight")) and value.ndim == 1:
                value.uniform_(0.5, 1.5, generator=numbers)
            elif name.endswith(("running_mean", "bias")):
                value.normal_(std=0.1, generator=numbers)
            elif ".slots." in name and value.is_floating_point():
                value.normal_(std=0.3, generator=numbers)
        return model.eval()

    return draw


@pytest.fixture(scope="session")
def settle() -> Callable[[nn.Module, torch.Tensor], nn.Module]:
    """A function that takes clips' statistics as a network's own, as if trained on them, in evaluation mode.

    Without them an untrained MobileNetV2 gives features of 1e-10 in evaluation mode.
    """

    def run(model: nn.Module, clips: torch.Tensor) -> nn.Module:
        for module in model.modules():
            if isinstance(module, BATCH_NORMS):
                module.momentum = 1.0
        with torch.no_grad():
            model.train()(clips)
        return model.eval()

    return run
