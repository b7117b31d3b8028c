"""Temporal aggregation against its definition, frame by frame and channel by channel."""

import pytest
import torch

from w3action.layers import temporal_shift
from w3action.layers.temporal_aggregation import TemporalAggregation


def by_definition(x: torch.Tensor, weight: torch.Tensor, *, relu: bool) -> torch.Tensor:
    y = torch.zeros_like(x)
    num_frames = x.shape[2]
    for channel in range(x.shape[1]):
        for frame in range(num_frames):
            for row, source in enumerate((frame - 1, frame, frame + 1)):
                if 0 <= source < num_frames:
                    y[:, channel, frame] += weight[row, channel] * x[:, channel, source]
    return y.clamp(min=0) if relu else y


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("size", [(2, 3, 5, 3, 7), (1, 1, 2, 1, 1), (2, 4, 1, 3, 3)])
def test_every_frame_is_the_sum_the_definition_says(size, relu, randomise):
    layer = randomise(TemporalAggregation(size[1], relu=relu))
    x = torch.randn(size, dtype=torch.float64)
    torch.testing.assert_close(layer(x), by_definition(x, layer.weight.detach(), relu=relu))


def test_it_starts_as_the_identity_on_what_a_relu_left():
    x = torch.randn(2, 5, 4, 3, 3)
    assert torch.equal(TemporalAggregation(5)(x.relu()), x.relu())
    assert torch.equal(TemporalAggregation(5, relu=False)(x), x)
    assert torch.equal(TemporalAggregation(5)(x), x.relu())


def test_a_temporal_shift_is_one_of_its_settings():
    layer = TemporalAggregation(16, relu=False)
    with torch.no_grad():
        layer.weight[:, :2] = torch.tensor([[0.0], [0.0], [1.0]])  # from the next frame
        layer.weight[:, 2:4] = torch.tensor([[1.0], [0.0], [0.0]])  # from the one before
    x = torch.randn(1, 16, 4, 2, 2)
    torch.testing.assert_close(layer(x), temporal_shift(x))


def test_a_channel_has_three_weights_and_every_one_learns():
    layer = TemporalAggregation(6)
    layer(torch.rand(1, 6, 3, 2, 2)).square().sum().backward()
    assert sum(p.numel() for p in layer.parameters()) == 18
    assert (layer.weight.grad > 0).all()


def test_it_leaves_its_input_alone_and_keeps_its_dtype():
    x = torch.randn(1, 8, 3, 2, 2, dtype=torch.bfloat16)
    before = x.clone()
    assert TemporalAggregation(8)(x).dtype == torch.bfloat16
    assert torch.equal(x, before)
