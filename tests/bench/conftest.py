"""What the tests of benchmarks share."""

from collections.abc import Callable

import pytest
import torch
from torch import nn


@pytest.fixture(scope="session")
def settle() -> Callable[[nn.Module, torch.Tensor], nn.Module]:
    """A function that takes clips' statistics as a network's own, in evaluation mode."""

    def run(model: nn.Module, clips: torch.Tensor) -> nn.Module:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        with torch.no_grad():
            model.train()(clips)
        return model.eval()

    return run
