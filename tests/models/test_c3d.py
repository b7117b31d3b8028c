"""C3D: the published layers as convolutions, at the published size and at others."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from w3action.layers import W3, Masks, TemporalShift
from w3action.models import count_cost
from w3action.models.c3d import C3D, ConvReLU, c3d
from w3action.models.slots import Fillers, Slots

NAMES = ("conv1a", "conv2a", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b")
CHANNELS = (64, 128, 256, 256, 512, 512, 512, 512)


class Halve(nn.Module):
    """An attention that takes half and a bit; its masks have the size of what it saw."""

    def forward(self, x: Tensor) -> tuple[Tensor, Masks]:
        return x / 2 + 1, Masks(channel=x.mean(dim=(3, 4)), spatial=x[:, 0])


HALVE = Fillers(attention=lambda position, channels: Halve())


def on_meta(fillers: Fillers | None = None) -> C3D:
    with torch.device("meta"):
        return c3d(fillers or Fillers())


@pytest.fixture(scope="module")
def backbone() -> C3D:
    """Small numbers of its own in every layer, drawn once: two matrices of 4096 units take their time."""
    net = on_meta().to_empty(device="cpu").eval()
    numbers = torch.Generator().manual_seed(0)
    for name, value in net.named_parameters():
        gain = (2 / value[0].numel()) ** 0.5 if name.endswith("weight") else 0.1
        value.data.uniform_(-gain * 3**0.5, gain * 3**0.5, generator=numbers)
    return net


def test_counts_are_the_published_ones():
    cost = count_cost(on_meta(), num_frames=16, size=112)
    assert round(cost.gflops, 1) == 38.5
    assert round(cost.params / 1e6, 1) == 78.0  # 78.4 M with a classifier of 101 classes


def test_layers_are_those_of_figure_3():
    state = on_meta().state_dict()
    assert [tuple(state[f"{name}.conv.weight"].shape) for name in NAMES] == [
        (c, n, 3, 3, 3) for n, c in zip((3, *CHANNELS), CHANNELS, strict=False)
    ]
    assert state["fc6.weight"].shape == (4096, 512, 1, 4, 4)  # 8192 units in
    assert state["fc7.weight"].shape == (4096, 4096, 1, 1, 1)
    assert len(state) == 2 * 10  # a weight and a bias each, no batch norm


def test_it_is_the_published_network_with_flat_layers(backbone):
    clips = torch.randn(1, 3, 4, 100, 112, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps, masks = backbone(clips)
        x = clips
        for name, pool in zip(NAMES, ((1, 2, 2), 2, None, 2, None, 2, None, 2), strict=True):
            conv = backbone.get_submodule(name).conv
            x = F.conv3d(x, conv.weight, conv.bias, padding=1).relu()
            if pool is not None:
                beyond = [size % 2 for size in x.shape[:1:-1]]  # the last window of an odd size is half empty
                x = F.pad(x, (0, beyond[0], 0, beyond[1], 0, 0 if pool == (1, 2, 2) else beyond[2]), value=-1.0)
                x = F.max_pool3d(x, pool)
        assert x.shape == (1, 512, 1, 4, 4)
        x = F.linear(x.flatten(1), backbone.fc6.weight.flatten(1), backbone.fc6.bias).relu()
        x = F.linear(x, backbone.fc7.weight.flatten(1), backbone.fc7.bias).relu()
    assert masks == [[], [], [], [], []]
    torch.testing.assert_close(maps[:, :, 0, 0, 0], x, rtol=1e-4, atol=1e-4)
    assert x.std() > 0.01


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((16, 112, 112), (1, 1, 1)),
        ((8, 112, 112), (1, 1, 1)),  # a short clip keeps a frame
        ((1, 97, 97), (1, 1, 1)),  # the smallest frames that fill fc6
        ((17, 45, 71), (2, 1, 1)),
        ((32, 112, 171), (2, 1, 3)),
        ((16, 224, 256), (1, 4, 5)),
    ],
)
def test_maps_and_masks_have_the_promised_sizes(size, expected):
    maps, masks = on_meta(HALVE)(torch.empty(2, 3, *size, device="meta"))
    assert maps.shape == (2, 4096, *expected)
    assert [len(stage) for stage in masks] == list(C3D.num_blocks_by_stage) == [1, 1, 2, 2, 2]
    for stage, stage_masks in enumerate(masks):
        t = -(-size[0] // 2 ** max(stage - 1, 0))
        h, w = (-(-side // 2**stage) for side in size[1:])
        assert {m.spatial.shape for m in stage_masks} == {(2, t, h, w)}


def test_small_frames_are_padded_with_zeros(backbone):
    clips = torch.randn(1, 3, 2, 48, 40, generator=torch.Generator().manual_seed(2))
    seen = []
    hook = backbone.fc6.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    with torch.no_grad():
        maps, _ = backbone(clips)
    hook.remove()
    assert maps.shape == (1, 4096, 1, 1, 1)
    assert seen[0].shape == (1, 512, 1, 4, 4)
    assert seen[0][..., :2, :2].any()
    assert not seen[0][..., 2:, :].any()
    assert not seen[0][..., 2:].any()


@pytest.mark.parametrize("place", ["residual", "output"])
def test_attention_stands_in_front_of_the_relu_or_behind_it(place):
    torch.manual_seed(0)
    layer = ConvReLU(3, 5, slots=Slots(None, Halve(), place))
    x = torch.randn(2, 3, 4, 6, 5)
    y, masks = layer(x)
    conv = layer.conv(x)
    expected = {"residual": (conv / 2 + 1).relu(), "output": conv.relu() / 2 + 1}
    torch.testing.assert_close(y, expected[place])
    torch.testing.assert_close(masks.spatial, (conv if place == "residual" else conv.relu())[:, 0])


def test_dropout_stands_between_the_two_layers(backbone):
    clips = torch.randn(1, 3, 1, 97, 97, generator=torch.Generator().manual_seed(3))
    seen = []
    hook = backbone.fc7.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    with torch.no_grad():
        still = backbone(clips)[0]
        dropped = backbone.train()(clips)[0]
    backbone.eval()
    hook.remove()
    kept = seen[1] != 0
    torch.testing.assert_close(seen[1][kept], 2 * seen[0][kept])
    assert 0.4 < (kept.sum() / (seen[0] != 0).sum()).item() < 0.6
    assert (dropped != 0).float().mean().item() == pytest.approx((still != 0).float().mean().item(), abs=0.1)


def test_gradients_reach_every_parameter(backbone):
    fillers = Fillers(attention=lambda position, channels: W3(channels))
    net = on_meta(fillers).to_empty(device="cpu").eval()
    net.load_state_dict(backbone.state_dict(), strict=False)
    for name, module in net.named_modules():
        if name.endswith(".slots.attention"):
            module.load_state_dict(W3(module.what.frame.expand.out_features).state_dict())
    net(torch.randn(1, 3, 2, 48, 40))[0].square().mean().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    assert [n for n, p in net.named_parameters() if ".slots." not in n and not p.grad.any()] == []


def test_features_start_at_the_size_of_the_input():
    torch.manual_seed(0)
    net = c3d(Fillers()).eval()
    with torch.no_grad():
        maps, _ = net(torch.randn(1, 3, 2, 97, 97))
    assert 0.03 < maps.square().mean().sqrt() < 3  # 1e-4 from N(0, 0.01); the zeros beyond two frames take the rest
    assert not net.conv3b.conv.bias.any()


def test_a_temporal_operation_is_refused():
    with pytest.raises(ValueError, match="TemporalShift is given to a network of 3D convolutions"):
        on_meta(Fillers(temporal=lambda position, channels: TemporalShift()))
