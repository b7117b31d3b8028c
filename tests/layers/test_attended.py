"""What every attention promises: (B, C, T, H, W) in and out, at any size, and masks of the right shape."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from w3action.layers import W3, NonLocal
from w3action.models import ATTENTIONS

VARIANTS = {
    "w3 from PyTorch's start": partial(W3, initial_mask=0.5),
    "w3 what": partial(W3, spatial=False),
    "w3 where": partial(W3, channel=False),
    "w3 frame-wise": partial(W3, temporal=False),
    "w3 bottleneck": partial(W3, temporal_conv="bottleneck"),
    "w3 full": partial(W3, temporal_conv="full"),
    "w3 with norm": partial(W3, spatial_norm=True),
    "non_local unpooled": partial(NonLocal, pool=False),
}
LAYERS = {**{name: attention.layer for name, attention in ATTENTIONS.items()}, **VARIANTS}
OURS = {"w3", "cbam", "se", "non_local", *VARIANTS}  # of others it is not known here which masks they have
HAS_CHANNEL_MASK = OURS - {"w3 where", "non_local", "non_local unpooled"}
HAS_SPATIAL_MASK = OURS - {"w3 what", "se"}
# A constant added to every key shifts all scores of a query alike, and a softmax does not see it.
NEVER_LEARNS = {"phi.bias"}

sizes = st.tuples(
    st.integers(1, 2),  # B
    st.sampled_from([1, 2, 3, 24]),  # C
    st.integers(1, 9),  # T
    st.integers(1, 15),  # H
    st.integers(1, 15),  # W
)


def dead_parameters(layer: nn.Module, x: Tensor) -> set[str]:
    """Names of the parameters that a random linear loss of the output does not move."""
    layer.zero_grad()
    y = layer(x).features
    (y * torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(1))).sum().backward()
    largest = max(p.grad.abs().max() for p in layer.parameters())
    return {name for name, p in layer.named_parameters() if p.grad.abs().max() <= 1e-9 * largest}


@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=20, deadline=None)
@given(size=sizes, seed=st.integers(0, 2**32))
def test_any_size_in_is_the_same_size_out(name, size, seed):
    torch.manual_seed(seed)
    b, c, t, h, w = size
    layer = LAYERS[name](c).eval()
    x = torch.randn(size, requires_grad=True)
    y, masks = layer(x)
    y.sum().backward()
    assert y.shape == x.shape == x.grad.shape
    assert y.isfinite().all()
    assert x.grad.isfinite().all()
    assert masks.channel is None or masks.channel.shape == (b, c, t)
    assert masks.spatial is None or masks.spatial.shape == (b, t, h, w)
    if name in OURS:
        assert (masks.channel is not None) == (name in HAS_CHANNEL_MASK)
        assert (masks.spatial is not None) == (name in HAS_SPATIAL_MASK)


@pytest.mark.parametrize("name", [name for name in LAYERS if name in OURS and not name.startswith("non_local")])
def test_gates_lie_between_0_and_1_and_make_the_output(name, randomise):
    layer = randomise(LAYERS[name](24))
    x = torch.randn(2, 24, 5, 7, 6, dtype=torch.float64)
    y, masks = layer(x)
    product = torch.ones_like(x)
    if masks.channel is not None:
        assert ((masks.channel > 0) & (masks.channel < 1)).all()
        product = product * masks.channel[:, :, :, None, None]
    if masks.spatial is not None:
        assert ((masks.spatial > 0) & (masks.spatial < 1)).all()
        product = product * masks.spatial[:, None]
    torch.testing.assert_close(y, x * product)  # equation 1 with M = M^c M^s of equation 2


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_reach_every_parameter(name, randomise):
    layer = LAYERS[name](24)
    # Weights drawn for the layers whose start is a constant; those that start alive are tested as they start.
    layer = layer.double().eval() if name == "w3 from PyTorch's start" else randomise(layer, seed=2)
    x = torch.randn(2, 24, 5, 7, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert dead_parameters(layer, x) == {name for name, _ in layer.named_parameters()} & NEVER_LEARNS


@pytest.mark.parametrize(
    "name", ["w3", "w3 what", "w3 where", "w3 frame-wise", "w3 full", "w3 bottleneck", "non_local"]
)
def test_after_one_step_from_a_constant_start_every_parameter_learns(name):
    torch.manual_seed(0)
    layer = LAYERS[name](64).double()
    x = torch.randn(2, 64, 5, 7, 6, dtype=torch.float64)
    first_step = dead_parameters(layer, x)
    assert first_step, "this start was to hold back the earlier layers"
    torch.optim.SGD(layer.parameters(), lr=0.1).step()
    later = dead_parameters(layer, x)
    # In training a batch norm takes any constant away again, so biases before it do not count.
    assert later <= {"phi.bias", "g.bias", "out.bias"}


@pytest.mark.parametrize("name", LAYERS)
def test_two_calls_never_see_each_other(name, randomise):
    layer = randomise(LAYERS[name](8))
    first, second = torch.randn(2, 1, 8, 4, 6, 5, dtype=torch.float64)
    alone = layer(first)
    layer(second[:, :, :3])  # another length in between
    again = layer(first)
    torch.testing.assert_close(again, alone, rtol=0, atol=0)


@pytest.mark.parametrize("name", LAYERS)
def test_clips_of_a_batch_never_meet_in_evaluation(name, randomise):
    layer = randomise(LAYERS[name](8))
    clips = torch.randn(3, 8, 4, 6, 5, dtype=torch.float64)
    together = layer(clips).features
    for clip, expected in zip(clips, together, strict=True):
        torch.testing.assert_close(layer(clip[None]).features[0], expected)
