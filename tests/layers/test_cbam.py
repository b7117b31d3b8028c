"""CBAM against its paper's equations 1 to 3, frame by frame, with its public code's batch norm."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from w3action.layers import CBAM


def cbam_by_the_paper(layer: CBAM, frame: Tensor, *, training: bool) -> Tensor:
    """Attend to one frame (B, C, H, W); in training the batch norm's statistics are those of this batch."""
    weights = layer.state_dict()

    def mlp(descriptor: Tensor) -> Tensor:
        hidden = F.linear(descriptor, weights["what.frame.reduce.weight"], weights["what.frame.reduce.bias"]).relu()
        return F.linear(hidden, weights["what.frame.expand.weight"], weights["what.frame.expand.bias"])

    channel = (mlp(frame.mean(dim=(2, 3))) + mlp(frame.amax(dim=(2, 3)))).sigmoid()
    frame = frame * channel[:, :, None, None]
    maps = torch.cat([frame.mean(dim=1, keepdim=True), frame.amax(dim=1, keepdim=True)], dim=1)
    where = F.conv2d(maps, weights["where.frame.conv.weight"], padding=3)
    spatial = F.batch_norm(
        where,
        weights["where.frame.norm.running_mean"].clone(),
        weights["where.frame.norm.running_var"].clone(),
        weights["where.frame.norm.weight"],
        weights["where.frame.norm.bias"],
        training=training,
    ).sigmoid()
    return frame * spatial


@pytest.mark.parametrize("seed", range(3))
def test_every_frame_is_the_paper_s_image_attention(randomise, seed):
    layer = randomise(CBAM(24), seed=seed)
    x = torch.randn(2, 24, 4, 7, 5, dtype=torch.float64)
    y = layer(x).features
    for t in range(4):
        torch.testing.assert_close(y[:, :, t], cbam_by_the_paper(layer, x[:, :, t], training=False))


def test_in_training_a_batch_of_clips_is_a_batch_of_its_frames(randomise):
    layer = randomise(CBAM(24)).train()
    x = torch.randn(2, 24, 3, 7, 5, dtype=torch.float64)
    images = x.transpose(1, 2).flatten(0, 1)  # (B*T, C, H, W)
    expected = cbam_by_the_paper(layer, images, training=True).unflatten(0, (2, 3)).transpose(1, 2)
    torch.testing.assert_close(layer(x).features, expected)


def test_no_frame_sees_another(randomise):
    layer, x = randomise(CBAM(24)), torch.randn(2, 24, 5, 7, 5, dtype=torch.float64)
    other = x.clone()
    other[:, :, 1] += 1.0
    was, now = layer(x).features, layer(other).features
    for t in range(5):
        assert torch.equal(was[:, :, t], now[:, :, t]) == (t != 1)


def test_its_weights_start_as_pytorch_makes_them():
    torch.manual_seed(0)
    layer = CBAM(64)
    channel, spatial = layer.eval()(torch.randn(2, 64, 3, 7, 7)).masks
    assert abs(channel.mean() - 0.5) < 0.1
    assert abs(spatial.mean() - 0.5) < 0.1
    assert channel.std() > 0  # no constant
    assert spatial.std() > 0
