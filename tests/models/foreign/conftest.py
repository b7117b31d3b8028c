"""What the tests of image networks share."""

from collections.abc import Callable

import pytest
import torch
from torch import nn


@pytest.fixture(scope="session")
def image_network(scramble) -> Callable[[str], nn.Module]:
    """A function that builds a library's network, once, with numbers of its own, in evaluation mode."""
    timm = pytest.importorskip("timm", reason="timm is an extra: pip install 'w3action[timm]'")
    import torchvision

    built: dict[str, nn.Module] = {}

    def build(name: str) -> nn.Module:
        if name not in built:
            torch.manual_seed(0)
            library, _, network = name.partition("/")
            builders = {"timm": timm.create_model, "torchvision": torchvision.models.get_model}
            built[name] = scramble(builders[library](network))
            for key, value in built[name].named_parameters():
                if key.endswith(("gamma", "layer_scale")):  # ConvNeXt's start at 1e-6, where a branch says nothing
                    nn.init.uniform_(value, 0.5, 1.5)
        return built[name]

    return build
