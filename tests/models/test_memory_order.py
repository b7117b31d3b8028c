"""Numbers stay the same in another order; features follow the weights."""

import pytest
import torch

from w3action import create_model
from w3action.models.memory_order import put_channels_last_


@pytest.mark.parametrize(
    ("name", "order"), [("tsm_small", torch.channels_last), ("i3d_resnet18", torch.channels_last_3d)]
)
def test_features_follow_their_convolutions_and_logits_stay(name, order):
    torch.manual_seed(0)
    model = create_model(name, num_classes=3, attention="w3").eval()
    clips = torch.randn(1, 3, 8, 48, 48)
    before = model(clips)
    put_channels_last_(model)
    seen = []
    convolution = next(part for part in model.modules() if isinstance(part, torch.nn.Conv2d | torch.nn.Conv3d))
    convolution.register_forward_hook(lambda _, __, maps: seen.append(maps))
    torch.testing.assert_close(model(clips), before, rtol=1e-4, atol=1e-5)
    assert seen[0].is_contiguous(memory_format=order)
