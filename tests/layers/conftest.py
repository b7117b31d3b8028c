"""What the layer tests share: weights that are no longer at their start, in float64."""

from collections.abc import Callable

import pytest
import torch
from torch import nn


@pytest.fixture(scope="session")
def randomise() -> Callable[..., nn.Module]:
    """A function that draws a module's weights and statistics anew, in float64 and evaluation mode."""

    def draw(module: nn.Module, *, seed: int = 0) -> nn.Module:
        numbers = torch.Generator().manual_seed(seed)
        module.double().eval()
        for parameter in module.parameters():
            parameter.data.normal_(std=0.5, generator=numbers)
        for name, statistic in module.named_buffers():
            if name.endswith("running_mean"):
                statistic.normal_(std=0.5, generator=numbers)
            elif name.endswith("running_var"):
                statistic.uniform_(0.5, 2.0, generator=numbers)
        return module

    return draw
