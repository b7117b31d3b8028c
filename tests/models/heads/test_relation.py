"""TRN: which tuples of frames are read, in which order, and what is summed."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from w3action.models.heads.relation import RelationHead, nth_tuple, random_tuples, spaced_tuples


def random_maps(frames: int = 4, *, channels: int = 6) -> torch.Tensor:
    numbers = torch.Generator().manual_seed(frames)
    return torch.randn(2, channels, frames, 3, 5, dtype=torch.float64, generator=numbers)


def build(**options) -> RelationHead:
    torch.manual_seed(0)
    return RelationHead(6, 3, initial_std=None, **options).double().eval()


def relate(head: RelationHead, scale_index: int, frames: torch.Tensor, chosen: tuple[int, ...]) -> torch.Tensor:
    """The MLP of one tuple of one video's frames, from its weights."""
    _, first, _, second = head.relations[scale_index]
    joined = torch.cat([frames[t] for t in chosen]).clamp(min=0)
    return second.weight @ (first.weight @ joined + first.bias).clamp(min=0) + second.bias


def bottleneck(head: RelationHead, maps: torch.Tensor) -> torch.Tensor:
    pooled = maps.sum(dim=(2, 3)).T / 15  # (T, C)
    return pooled @ head.bottleneck.weight.T + head.bottleneck.bias


def test_multiscale_sums_every_scale_over_its_tuples():
    head, maps = build(num_frames=4), random_maps()
    with torch.no_grad():
        logits = head(maps)
    read = {4: [(0, 1, 2, 3)]}
    for scale in (2, 3):  # the middles of three equal parts of the list
        combinations = list(itertools.combinations(range(4), scale))
        read[scale] = [combinations[int(len(combinations) * share)] for share in (1 / 6, 3 / 6, 5 / 6)]
    for clip in range(2):
        frames = bottleneck(head, maps[clip])
        expected = sum(relate(head, i, frames, chosen) for i, scale in enumerate((2, 3, 4)) for chosen in read[scale])
        torch.testing.assert_close(logits[clip], expected)


def test_a_single_scale_is_one_relation_of_all_frames():
    head, maps = build(num_frames=4, multiscale=False), random_maps()
    assert len(head.relations) == 1
    assert head.relations[0][1].weight.shape == (512, 4 * 256)
    for clip in range(2):
        expected = relate(head, 0, bottleneck(head, maps[clip]), (0, 1, 2, 3))
        torch.testing.assert_close(head(maps)[clip], expected)


def test_tuples_are_numbered_in_the_order_of_a_dictionary():
    for num_frames, scale in ((2, 2), (5, 1), (7, 3), (8, 4), (8, 8)):
        every = [list(chosen) for chosen in itertools.combinations(range(num_frames), scale)]
        assert [nth_tuple(num_frames, scale, i) for i in range(math.comb(num_frames, scale))] == every


@pytest.mark.parametrize("select", [spaced_tuples, random_tuples])
def test_tuples_are_ordered_different_and_all_where_there_are_few(select):
    torch.manual_seed(0)
    for num_frames, scale, most in ((8, 2, 3), (8, 7, 3), (8, 8, 3), (3, 2, 3), (32, 16, 5), (4, 2, 100)):
        chosen = select(num_frames, scale, most)
        assert len({tuple(one) for one in chosen}) == len(chosen) == min(most, math.comb(num_frames, scale))
        for one in chosen:
            assert one == sorted(set(one))
            assert len(one) == scale
            assert one[0] >= 0
            assert one[-1] < num_frames


def test_random_tuples_reach_every_combination_and_follow_the_seed():
    torch.manual_seed(0)
    drawn = {tuple(one) for _ in range(60) for one in random_tuples(5, 2, 3)}
    assert drawn == set(itertools.combinations(range(5), 2))
    again = []
    for _ in range(2):
        torch.manual_seed(3)
        again.append(random_tuples(20, 9, 3))
    assert again[0] == again[1]


def test_evaluation_is_fixed_and_draws_nothing():
    head, maps = build(num_frames=6), random_maps(6)
    before = torch.get_rng_state()
    with torch.no_grad():
        assert torch.equal(head(maps), head(maps))
        assert torch.equal(torch.get_rng_state(), before)
        head.dropout.p = 0.0
        head.train()
        assert len({tuple(head(maps)[0].tolist()) for _ in range(5)}) > 1


def test_the_order_of_frames_matters():
    head, maps = build(num_frames=4), random_maps()
    assert not torch.allclose(head(maps), head(maps.flip(2)))


def test_every_parameter_learns():
    head = build(num_frames=5).train()
    F.cross_entropy(head(random_maps(5)), torch.tensor([0, 2])).backward()
    assert [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_dropout_stands_before_the_bottleneck():
    head = build(num_frames=3, dropout=1.0).train()
    head(random_maps(3)).sum().backward()
    assert not head.bottleneck.weight.grad.any()
    assert head.bottleneck.bias.grad.any()


def test_the_bottleneck_starts_as_the_public_one_s():
    torch.manual_seed(0)
    head = RelationHead(2048, 10)
    assert abs(head.bottleneck.weight.std() - 0.001) < 1e-5
    assert not head.bottleneck.bias.any()
    assert abs(head.relations[0][1].weight.std() - (1 / 512 / 3) ** 0.5) < 1e-3  # PyTorch's own start


def test_its_size_is_that_of_the_widths():
    with torch.device("meta"):
        head = RelationHead(2048, 174)
    scales = sum(d * 256 * 256 + 256 + 256 * 174 + 174 for d in range(2, 9))
    assert sum(p.numel() for p in head.parameters()) == 2048 * 256 + 256 + scales
    assert head.frame_logits(torch.zeros(1, 2048, 8, 1, 1)) is None


@pytest.mark.parametrize("frames", [1, 3, 5])
def test_clips_of_another_length_are_refused(frames):
    with pytest.raises(ValueError, match=rf"have {frames} frames .* built for 4: .*'num_frames': {frames}"):
        build(num_frames=4)(random_maps(frames))


@pytest.mark.parametrize("options", [{"num_frames": 1}, {"num_relations": 0}])
def test_wrong_options_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} is"):
        build(**options)
