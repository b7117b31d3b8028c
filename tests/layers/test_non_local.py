"""Non-local attention against its paper's equations 1, 4 and 6, place by place."""

import pytest
import torch
from torch import Tensor

from w3action.layers import NonLocal


def pool_by_two(x: Tensor) -> Tensor:
    """Maximum of each whole 2x2 window of (C, T, H, W); a last odd row or column is left out."""
    h, w = x.shape[2] // 2, x.shape[3] // 2
    windows = [x[:, :, i : 2 * h : 2, j : 2 * w : 2] for i in (0, 1) for j in (0, 1)]
    return torch.stack(windows).amax(dim=0)


def non_local_by_the_paper(layer: NonLocal, clip: Tensor, *, pool: bool) -> tuple[Tensor, Tensor]:
    """One clip (C, T, H, W): z of equation 6, and the softmax weights (places, keys) of equation 4."""
    weights = layer.state_dict()

    def embed(name: str, x: Tensor) -> Tensor:  # a 1x1x1 convolution is a matrix
        matrix, bias = weights[f"{name}.weight"][:, :, 0, 0, 0], weights[f"{name}.bias"]
        return torch.einsum("dc,cthw->dthw", matrix, x) + bias[:, None, None, None]

    keys, values = embed("phi", clip), embed("g", clip)
    if pool:
        keys, values = pool_by_two(keys), pool_by_two(values)
    keys, values = keys.flatten(1), values.flatten(1)
    found, attention = [], []
    for query in embed("theta", clip).flatten(1).T:  # place by place
        share = torch.exp(query @ keys)
        share = share / share.sum()
        attention.append(share)
        found.append(values @ share)
    y = torch.stack(found, dim=1).unflatten(1, clip.shape[1:])
    w_z = embed("out", y)
    mean, var = weights["norm.running_mean"], weights["norm.running_var"]
    normed = (w_z - mean[:, None, None, None]) / (var[:, None, None, None] + layer.norm.eps).sqrt()
    scale, shift = weights["norm.weight"], weights["norm.bias"]
    return clip + normed * scale[:, None, None, None] + shift[:, None, None, None], torch.stack(attention)


@pytest.mark.parametrize(
    ("size", "pool", "pooled"),
    [
        ((6, 3, 4, 6), True, True),
        ((6, 2, 5, 3), True, True),  # odd: the last row and column have no key
        ((6, 3, 4, 5), False, False),
        ((6, 3, 1, 5), True, False),  # nothing to pool
        ((1, 1, 2, 2), True, True),
    ],
)
def test_the_output_is_equations_1_4_and_6(randomise, size, pool, pooled):
    layer = randomise(NonLocal(size[0], pool=pool))
    x = torch.randn(2, *size, dtype=torch.float64)
    y = layer(x).features
    for clip, out in zip(x, y, strict=True):
        torch.testing.assert_close(out, non_local_by_the_paper(layer, clip, pool=pooled)[0])


def test_embeddings_have_half_the_channels():
    assert {layer.out_channels for layer in (NonLocal(64).theta, NonLocal(64).phi, NonLocal(64).g)} == {32}


def test_it_starts_as_the_identity():
    x = torch.randn(2, 16, 3, 6, 6)
    assert torch.equal(NonLocal(16)(x).features, x)


def test_every_frame_sees_every_other(randomise):
    layer, x = randomise(NonLocal(8)), torch.randn(1, 8, 5, 4, 4, dtype=torch.float64)
    other = x.clone()
    other[:, :, 4] += 1.0
    was, now = layer(x).features, layer(other).features
    assert all(not torch.equal(was[:, :, t], now[:, :, t]) for t in range(5))


def test_its_mask_is_the_attention_a_place_receives(randomise):
    layer = randomise(NonLocal(6))
    x = torch.randn(1, 6, 2, 4, 6, dtype=torch.float64)
    attention = non_local_by_the_paper(layer, x[0], pool=True)[1]  # (48 places, 12 keys)
    received = attention.sum(dim=0) / (48 / 12)  # an even share of 48 places' attention is 4 per key
    windows = received.view(2, 2, 3).repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    mask = layer(x).masks.spatial
    torch.testing.assert_close(mask[0], windows)
    torch.testing.assert_close(mask.mean(), torch.ones((), dtype=torch.float64))


def test_in_training_it_gives_no_masks():
    assert NonLocal(8).train()(torch.randn(2, 8, 2, 4, 4)).masks == (None, None)
