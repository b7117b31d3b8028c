"""The feature bank: each operator written out, where a bank comes from, and what is refused."""

import math

import jaxtyping
import pytest
import torch
from torch.nn import functional as F

from w3action.models.heads.feature_bank import FeatureBankHead, bank_window, pool_clip

OPERATORS = ["average", "max", "non_local"]


def random_maps(frames: int = 3) -> torch.Tensor:
    return torch.randn(2, 6, frames, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(frames))


def random_bank(entries: int = 4, channels: int = 6) -> torch.Tensor:
    numbers = torch.Generator().manual_seed(entries)
    return torch.randn(2, entries, channels, dtype=torch.float64, generator=numbers)


def build(operator: str, **options) -> FeatureBankHead:
    torch.manual_seed(0)
    head = FeatureBankHead(6, 3, operator=operator, initial_std=None, width=8, **options).double().eval()
    for name, parameter in head.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter)
    return head


def linear(layer: torch.nn.Linear, x: torch.Tensor) -> torch.Tensor:
    return layer.weight @ x + layer.bias


def read(head: FeatureBankHead, clip: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    """The operator for one clip (C,) and its bank (N, C), entry by entry."""
    if head.operator == "average":
        return sum(bank) / len(bank)
    if head.operator == "max":
        return torch.stack([max(column) for column in bank.T])
    x = linear(head.reader.reduce_clip, clip)
    entries = [linear(head.reader.reduce_bank, entry) for entry in bank]
    for layer in head.reader.layers:
        scores = torch.stack([linear(layer.theta, x) @ linear(layer.phi, e) / math.sqrt(8) for e in entries])
        weights = scores.exp() / scores.exp().sum()
        found = sum(w * linear(layer.g, e) for w, e in zip(weights, entries, strict=True))
        centred = found - found.mean()
        normed = centred / (centred.square().mean() + 1e-5).sqrt() * layer.norm.weight + layer.norm.bias
        x = x + linear(layer.out, normed.clamp(min=0))
    return x


@pytest.mark.parametrize("entries", [1, 4])
@pytest.mark.parametrize("operator", OPERATORS)
def test_the_clip_stands_beside_what_it_reads(operator, entries):
    head, maps, bank = build(operator), random_maps(), random_bank(entries)
    logits = head(maps, bank)
    for i in range(2):
        clip = maps[i].sum(dim=(1, 2, 3)) / 45
        torch.testing.assert_close(logits[i], linear(head.fc, torch.cat([clip, read(head, clip, bank[i])])))


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("frames", [1, 5])
def test_without_a_bank_the_clip_s_frames_are_it(operator, frames):
    head, maps = build(operator), random_maps(frames)
    torch.testing.assert_close(head(maps), head(maps, (maps.sum(dim=(3, 4)) / 15).transpose(1, 2)))


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_bank_may_have_channels_of_its_own(operator):
    head, bank = build(operator, bank_channels=5), random_bank(7, 5)
    assert head(random_maps(), bank).shape == (2, 3)
    assert not torch.allclose(head(random_maps(), bank), head(random_maps(), bank + 1))
    with pytest.raises(ValueError, match="they have 6 channels and this head reads 5; give a bank"):
        head(random_maps())


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_order_of_the_bank_does_not_matter(operator):
    head, bank = build(operator), random_bank()
    torch.testing.assert_close(head(random_maps(), bank), head(random_maps(), bank.flip(1)))


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_parameter_learns(operator):
    head = build(operator).train()
    F.cross_entropy(head(random_maps(), random_bank()), torch.tensor([0, 2])).backward()
    assert [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_dropout_acts_in_training_alone_and_where_it_is_told():
    before_classifier = build("average", dropout=1.0)
    torch.testing.assert_close(before_classifier.train()(random_maps()), before_classifier.fc.bias.expand(2, 3))
    within = build("non_local", dropout=0.0, bank_dropout=1.0).train()
    clip = random_maps().mean(dim=(2, 3, 4))
    expected = F.linear(torch.cat([clip, torch.zeros(2, 8)], dim=1), within.fc.weight, within.fc.bias)
    torch.testing.assert_close(within(random_maps()), expected)
    within.eval()
    assert torch.equal(within(random_maps()), within(random_maps()))
    assert not torch.allclose(within(random_maps()), expected)


def test_the_classifier_starts_as_the_public_tsm_s():
    torch.manual_seed(0)
    head = FeatureBankHead(64, 174)
    assert abs(head.fc.weight.std() - 0.001) < 1e-5
    assert not head.fc.bias.any()
    assert head.fc.in_features == 64 + 512
    assert len(head.reader.layers) == 2


def test_a_bank_is_made_of_pooled_clips():
    maps = random_maps(4)
    expected = [[sum(maps[b, c].flatten()) / 60 for c in range(6)] for b in range(2)]
    torch.testing.assert_close(pool_clip(maps), torch.tensor(expected))


def test_a_window_repeats_the_ends_of_the_video():
    stored = torch.arange(5.0)[:, None]
    windows = {index: bank_window(stored, index, radius=2).flatten().tolist() for index in (0, 2, 4)}
    assert windows == {0: [0, 0, 0, 1, 2], 2: [0, 1, 2, 3, 4], 4: [2, 3, 4, 4, 4]}
    assert bank_window(stored, 3, radius=0).flatten().tolist() == [3]
    for index, radius in ((5, 1), (-1, 1), (0, -1)):
        with pytest.raises(ValueError, match=rf"index is {index} and radius {radius}; this video has clips 0 to 4"):
            bank_window(stored, index, radius=radius)


@pytest.mark.parametrize("bank", [random_bank(4, 5), random_bank(4)[:, :0]])
def test_a_bank_that_does_not_fit_is_refused(bank):
    text = rf"has {bank.shape[1]} entries of {bank.shape[2]} channels; this head reads at least 1 of 6"
    with pytest.raises(ValueError, match=text):
        build("max")(random_maps(), bank)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"operator": "median"}, "operator is 'median'; choose one of average, max, non_local"),
        ({"bank_channels": 0}, "bank_channels is 0"),
        ({"width": 0}, "width 0"),
        ({"num_layers": 0}, "num_layers 0"),
    ],
)
def test_wrong_options_are_refused(options, text, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for users
    with pytest.raises(ValueError, match=text):
        FeatureBankHead(6, 3, **options)
