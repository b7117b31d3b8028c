"""Which masks are shown, and where in the picture their cells lie."""

import pytest
import torch
import torch.nn.functional as F

from w3action.layers import Masks
from w3action.use.explain.masks import (
    choose_masks,
    mean_of_stages,
    range_of,
    rank_channels,
    resample,
    stretch,
    stride_of,
)


def masks_of(*, sizes: tuple[int, ...], channels: int = 6, t: int = 2) -> list[list[Masks]]:
    """One attention a stage; stage i's masks hold the number i."""
    return [
        [Masks(torch.full((1, channels, t), float(i)), torch.full((1, t, n, n), float(i)))]
        for i, n in enumerate(sizes, 1)
    ]


@pytest.mark.parametrize(("size", "blob"), [(64, (20, 41)), (112, (70, 33)), (224, (150, 100))])
def test_a_cell_lies_where_strided_layers_look(size, blob):
    """A chain of stride-2 layers with odd kernels, as in a backbone: the heat's centre is the blob's."""
    picture = torch.zeros(1, 1, size, size)
    row, column = blob
    picture[..., row - 2 : row + 3, column - 2 : column + 3] = 1
    kernel = torch.tensor([1.0, 2.0, 1.0])[:, None] * torch.tensor([1.0, 2.0, 1.0])  # leaves centres of mass in place
    maps = picture
    for _ in range({64: 3, 112: 4, 224: 4}[size]):
        maps = F.conv2d(maps, kernel[None, None] / 16, stride=2, padding=1)
    at = torch.arange(size).float()
    heat = resample(maps[0], rows=at, columns=at, size=size)[0]
    heat = heat / heat.sum()
    centre = (float((heat.sum(1) * at).sum()), float((heat.sum(0) * at).sum()))
    assert centre == pytest.approx(blob, abs=0.1)  # tiles (align_corners=False) would be off by half a stride
    tiles = F.interpolate(maps, size=(size, size), mode="bilinear")[0, 0]
    tiles = tiles / tiles.sum()
    assert abs(float((tiles.sum(1) * at).sum()) - row) > 3


def test_strides_are_powers_of_two_also_where_sizes_were_rounded_up():
    assert [stride_of(n, size=112) for n in (28, 14, 7, 4)] == [4, 8, 16, 32]
    assert [stride_of(n, size=64) for n in (16, 8, 4, 1)] == [4, 8, 16, 64]


def test_resampling_at_the_cells_gives_the_cells_back_and_keeps_the_outer_values_beyond():
    mask = torch.rand(3, 4, 4)
    at = 16.0 * torch.arange(4)
    torch.testing.assert_close(resample(mask, rows=at, columns=at, size=64), mask)
    beyond = resample(mask, rows=torch.tensor([-5.0]), columns=torch.tensor([63.0]), size=64)
    torch.testing.assert_close(beyond[:, 0, 0], mask[:, 0, 3])


def test_the_mean_of_stages_weighs_them_equally_at_the_finest_size():
    fine, coarse = torch.zeros(1, 8, 8), torch.zeros(1, 4, 4)
    fine[0, 2, 6] = 1.0
    coarse[0, 1, 3] = 1.0  # the same pixel, (16, 48) of 64
    mean = mean_of_stages([fine, coarse], size=64)
    assert mean.shape == (1, 8, 8)
    assert mean[0, 2, 6] == 1.0
    assert mean[0, 2, 5] == pytest.approx(0.25)  # half way to the coarse mask's next cell, half the weight


def test_the_default_is_the_mean_of_where_and_the_last_of_what():
    chosen = choose_masks(masks_of(sizes=(16, 8, 4, 4)), size=64, num_frames=2, stage=None, name="a run")
    assert chosen.spatial.shape == (2, 16, 16)
    torch.testing.assert_close(chosen.spatial, torch.full((2, 16, 16), 2.5))
    assert chosen.channel.unique().tolist() == [4.0]
    assert chosen.spatial_source == "mean of stages 1, 2, 3 and 4"
    assert chosen.channel_source == "stage 4"


def test_of_a_stage_the_last_attention_counts():
    stage = [Masks(spatial=torch.zeros(1, 2, 4, 4)), Masks(spatial=torch.ones(1, 2, 4, 4))]
    assert choose_masks([stage], size=64, num_frames=2, stage=None, name="a run").spatial.unique().tolist() == [1.0]


def test_one_stage_can_be_chosen():
    chosen = choose_masks(masks_of(sizes=(16, 8, 4, 4)), size=64, num_frames=2, stage=2, name="a run")
    assert chosen.spatial.shape == (2, 8, 8)
    assert chosen.spatial.unique().tolist() == chosen.channel.unique().tolist() == [2.0]
    assert chosen.spatial_source == chosen.channel_source == "stage 2"


@pytest.mark.parametrize("stage", [0, 1, 5, -1])
def test_a_stage_without_attention_is_named_with_those_that_have_some(stage):
    masks = masks_of(sizes=(16, 8, 4, 4))
    masks[0] = []
    with pytest.raises(ValueError, match=rf"stage is {stage} but a run has attention at stages 2, 3, 4: give one"):
        choose_masks(masks, size=64, num_frames=2, stage=stage, name="a run")


def test_a_network_without_attention_is_told_what_has_some():
    with pytest.raises(ValueError, match="a run has no attention to show; choose a run with attention w3, cbam, se or"):
        choose_masks([[], [], [], []], size=64, num_frames=2, stage=None, name="a run")


def test_missing_facets_stay_missing():
    only_what = choose_masks([[Masks(channel=torch.rand(1, 3, 2))]], size=64, num_frames=2, stage=None, name="a run")
    assert only_what.spatial is None
    only_where = choose_masks(
        [[Masks(spatial=torch.rand(1, 2, 4, 4))]], size=64, num_frames=2, stage=None, name="a run"
    )
    assert only_where.channel is None


def test_masks_of_fewer_frames_are_stretched_to_the_clips():
    """A network that halves the frames: its mask t stands between the frames 2 t and 2 t + 1."""
    values = torch.tensor([0.0, 1.0, 2.0])
    expected = torch.tensor([0.0, 0.25, 0.75, 1.25, 1.75, 2.0])
    torch.testing.assert_close(stretch(values[:, None, None].expand(3, 2, 2), 6)[:, 0, 1], expected)
    masks = [Masks(channel=values.expand(1, 5, 3), spatial=values[None, :, None, None].expand(1, 3, 4, 4))]
    chosen = choose_masks([masks], size=64, num_frames=6, stage=None, name="a run")
    torch.testing.assert_close(chosen.channel[2], expected)
    torch.testing.assert_close(chosen.spatial[:, 1, 2], expected)
    assert stretch(values, 3) is values


def test_channels_are_ranked_by_their_mean_over_time():
    channel = torch.full((6, 4), 0.5)
    channel[4] = 0.9
    channel[1] = torch.tensor([0.1, 1.0, 1.0, 1.0])  # once closed, on average the second most open
    channel[2], channel[5] = 0.2, 0.1
    ranked = rank_channels(channel, num_channels=4)
    assert ranked.opened == (4, 1)
    assert ranked.closed == (5, 2)
    assert float(ranked.openness.mean()) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("asked", "opened", "closed"), [(1, 1, 0), (3, 2, 1), (100, 3, 3)])
def test_the_number_of_channels_is_split_and_bounded(asked, opened, closed):
    ranked = rank_channels(torch.rand(6, 4), num_channels=asked)
    assert (len(ranked.opened), len(ranked.closed)) == (opened, closed)
    assert not set(ranked.opened) & set(ranked.closed)


def test_no_channels_cannot_be_ranked():
    with pytest.raises(ValueError, match="num_channels is 0 but must be at least 1"):
        rank_channels(torch.rand(6, 4), num_channels=0)


def test_the_range_is_said_as_it_is():
    assert str(range_of(torch.tensor([[[0.8957, 0.9123]]]))) == "0.8957 to 0.9123"
