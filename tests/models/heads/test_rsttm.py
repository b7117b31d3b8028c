"""RSTTM: what a matrix does to maps, how matrices come about, and that the head starts as the LSTM head."""

import itertools

import jaxtyping
import pytest
import torch
from torch.nn import functional as F

from w3action.models.heads.rsttm import RecurrentTransformer, RSTTMHead, resample


def random_maps(frames: int = 5, *, channels: int = 4) -> torch.Tensor:
    numbers = torch.Generator().manual_seed(frames)
    return torch.randn(2, channels, frames, 3, 5, dtype=torch.float64, generator=numbers)


def build(**options) -> RSTTMHead:
    torch.manual_seed(0)
    return RSTTMHead(4, 3, initial_std=None, hidden=5, width=6, memory=7, **options).double().eval()


def disturb(head: RSTTMHead) -> RSTTMHead:
    torch.nn.init.normal_(head.transformer.predict.weight, std=0.05)
    torch.nn.init.normal_(head.transformer.predict.bias, std=0.1)
    return head


def read(volume: torch.Tensor, t: float, y: float, x: float) -> torch.Tensor:
    """Trilinear interpolation of (C, T, H, W) at an index that may lie between, zero outside."""
    value = torch.zeros(volume.shape[0], dtype=volume.dtype)
    lows = [int(torch.tensor(place).floor()) for place in (t, y, x)]
    for corner in itertools.product((0, 1), repeat=3):
        index = [low + step for low, step in zip(lows, corner, strict=True)]
        if all(0 <= i < size for i, size in zip(index, volume.shape[1:], strict=True)):
            share = 1.0
            for place, i in zip((t, y, x), index, strict=True):
                share *= 1 - abs(place - i)
            value += share * volume[:, index[0], index[1], index[2]]
    return value


def test_every_point_is_read_where_the_matrix_sends_it():
    maps = random_maps(4)
    matrix = torch.eye(4, dtype=torch.float64) + 0.2 * torch.randn(
        2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    matrix[:, 3, 0] = 4.0  # the left points would lie behind the camera, and be read from the right
    resampled = resample(maps, matrix)
    sizes = (5, 3, 4)  # W, H, T
    for clip, t, y, x in itertools.product(range(2), range(4), range(3), range(5)):
        point = [(2 * i + 1) / n - 1 for i, n in zip((x, y, t), sizes, strict=True)]
        sent = matrix[clip] @ torch.tensor([*point, 1.0], dtype=torch.float64)
        there = [(float(sent[i] / sent[3].clamp(min=0.1)) + 1) * n / 2 - 0.5 for i, n in enumerate(sizes)]
        torch.testing.assert_close(resampled[clip, :, t, y, x], read(maps[clip], there[2], there[1], there[0]))


@pytest.mark.parametrize(("row", "size", "axis"), [(0, 5, 4), (1, 3, 3), (2, 4, 2)])
def test_a_translation_moves_along_its_axis(row, size, axis):
    maps = random_maps(4)
    matrix = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    matrix[:, row, 3] = 2 / size  # one step of the grid
    moved = resample(maps, matrix)
    torch.testing.assert_close(moved.narrow(axis, 0, size - 1), maps.narrow(axis, 1, size - 1))
    assert moved.narrow(axis, size - 1, 1).abs().max() < 1e-12


def test_places_keep_their_precision_in_mixed_precision():
    maps = torch.randn(1, 2, 1, 40, 40)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        kept = resample(maps, torch.eye(4)[None])
    torch.testing.assert_close(kept, maps, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("transform", ["homography", "affine"])
def test_matrices_come_from_a_localisation_with_a_memory(transform):
    transformer = disturb(build(transform=transform)).transformer
    slices = list(random_maps(6).split(2, dim=2))
    matrices = transformer.matrices(slices)
    state = torch.zeros(2, 7, dtype=torch.float64)
    for maps, matrix in zip(slices, matrices, strict=True):
        seen = transformer.observe(transformer.localise(maps))
        state = torch.tanh(seen + state @ transformer.remember.weight.T)
        change = state @ transformer.predict.weight.T + transformer.predict.bias
        expected = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
        for k in range(15 if transform == "homography" else 12):
            expected[:, k // 4, k % 4] += change[:, k]
        torch.testing.assert_close(matrix, expected)


def test_a_slice_is_seen_by_itself_and_by_those_behind():
    transformer, maps = disturb(build()).transformer, random_maps(6)
    other = maps.clone()
    other[:, :, 2] += 1.0  # of the second slice
    was, now = transformer(maps), transformer(other)
    changed = [not torch.equal(was[:, :, t], now[:, :, t]) for t in range(6)]
    assert changed == [False, False, True, True, True, True]


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("transform", ["homography", "affine"])
def test_it_starts_as_the_lstm_head(frames, transform):
    head, maps = build(transform=transform), random_maps(frames)
    torch.testing.assert_close(head.transformer(maps), maps)
    torch.testing.assert_close(head(maps), head.recurrent(maps))
    torch.testing.assert_close(head.frame_logits(maps), head.recurrent.frame_logits(maps))


@pytest.mark.parametrize("frames", [1, 5])
def test_any_length_and_the_last_slice_has_what_is_left(frames):
    head = disturb(build())
    maps = random_maps(frames)
    resampled = head.transformer(maps)
    assert resampled.shape == maps.shape
    assert not torch.allclose(resampled, maps)
    torch.testing.assert_close(head(maps), head.frame_logits(maps).mean(dim=1))
    torch.testing.assert_close(head(maps), head.recurrent(resampled))
    (last,) = resample(maps[:, :, -1:], head.transformer.matrices(list(maps.split(2, dim=2)))[-1]).unbind(2)
    torch.testing.assert_close(resampled[:, :, -1], last)


@pytest.mark.parametrize("frames", [2, 4])
@pytest.mark.parametrize("transform", ["homography", "affine"])
def test_every_parameter_learns_after_one_step(frames, transform):
    head, maps = build(transform=transform).train(), random_maps(frames)
    head.recurrent.dropout.p = 0.0
    optimizer = torch.optim.SGD(head.parameters(), lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(head(maps), torch.tensor([0, 2])).backward()
        assert head.transformer.predict.bias.grad.all()  # each of the matrix's numbers, from the first step on
        optimizer.step()
    idle = [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == ([] if frames > 2 else ["transformer.remember.weight"])  # a single slice has nothing to remember


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"slice_frames": 0}, "slice_frames is 0"),
        ({"width": 0}, "width 0"),
        ({"memory": 0}, "memory 0"),
        ({"num_layers": 0}, "num_layers 0"),
    ],
)
def test_wrong_options_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        RSTTMHead(4, 3, **options)


def test_an_unknown_transform_is_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for users
    with pytest.raises(ValueError, match="transform is 'rigid'; choose one of homography, affine"):
        RecurrentTransformer(4, transform="rigid")
