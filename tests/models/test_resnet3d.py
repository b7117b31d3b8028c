"""3D ResNets: published counts, torchvision's R(2+1)D number by number, and a 2D ResNet inflated."""

import re

import pytest
import torch
import torchvision
from torch import Tensor, nn

from w3action.layers import W3, Masks, TemporalShift
from w3action.models import WeightsError, count_cost
from w3action.models.resnet3d import (
    BasicBlock,
    Bottleneck,
    ResNet3d,
    from_torchvision_r2plus1d,
    i3d_resnet18,
    i3d_resnet50,
    inflate_state_dict,
    middle_channels,
    r2plus1d_18,
    r2plus1d_34,
    r2plus1d_50,
)
from w3action.models.slots import Fillers, Slots

BUILDERS = (i3d_resnet50, i3d_resnet18, r2plus1d_18, r2plus1d_34, r2plus1d_50)
ONE_OF_EACH = (i3d_resnet50, i3d_resnet18, r2plus1d_18)
I3D = {"resnet18": i3d_resnet18, "resnet50": i3d_resnet50}


class Halve(nn.Module):
    """An attention that halves; its masks have the size of what it saw."""

    def forward(self, x: Tensor) -> tuple[Tensor, Masks]:
        return x / 2, Masks(channel=x.mean(dim=(3, 4)), spatial=x[:, 0])


def on_meta(builder, fillers=None):
    with torch.device("meta"):
        return builder(fillers or Fillers())


def without_classifier(model: nn.Module) -> dict[str, Tensor]:
    return {key: value for key, value in model.state_dict().items() if not key.startswith("fc.")}


# --- counts and shapes


@pytest.mark.parametrize(
    ("builder", "num_frames", "size", "gflops", "params"),
    [
        (i3d_resnet50, 32, 224, 152.5, 27.2),  # the paper prints 153; public I3D networks have 28.0 M with a classifier
        (i3d_resnet18, 32, 224, 121.8, 33.2),
        (r2plus1d_18, 16, 112, 40.5, 31.3),  # torchvision's 40.52 and 31.51 M with a classifier
        (r2plus1d_34, 32, 112, 150.4, 61.6),  # published with the M of each convolution: 152
        (r2plus1d_50, 32, 112, 115.3, 46.2),
    ],
)
def test_counts(builder, num_frames, size, gflops, params):
    cost = count_cost(on_meta(builder), num_frames=num_frames, size=size)
    assert (round(cost.gflops, 1), round(cost.params / 1e6, 1)) == (gflops, params)


def test_other_readings_of_i3d_are_farther_from_153_gflops():
    some = ((3, 3, 3), (3, 1, 3, 1), (3, 1, 3, 1, 3, 1), (1, 3, 1))
    every = ((3,) * 3, (3,) * 4, (3,) * 6, (3,) * 3)
    for kernels, last_stride, gflops in ((some, (1, 2, 2), 113.6), (every, (1, 1, 1), 170.6)):

        def build(fillers, kernels=kernels, last_stride=last_stride):
            strides = ((1, 1, 1), (1, 2, 2), (1, 2, 2), last_stride)
            return ResNet3d(Bottleneck, kernels=kernels, strides=strides, stem=5, pool=True, fillers=fillers)

        assert round(count_cost(on_meta(build), num_frames=32, size=224).gflops, 1) == gflops


@pytest.mark.parametrize(
    ("builder", "t", "h", "w"),
    [
        *((builder, 32, 224, 224) for builder in BUILDERS),
        *((builder, t, 45, 71) for builder in ONE_OF_EACH for t in (1, 9)),
    ],
)
def test_maps_and_masks_have_the_promised_sizes(builder, t, h, w):
    backbone = on_meta(builder, Fillers(attention=lambda position, channels: Halve()))
    maps, masks = backbone(torch.empty(2, 3, t, h, w, device="meta"))

    def halved(size: int, times: int) -> int:
        return size if times == 0 else halved(-(-size // 2), times - 1)

    if builder in I3D.values():
        times = [0, 1, 1, 1]
        spaces = [2, 3, 4, 4] if builder is i3d_resnet50 else [2, 3, 4, 5]
    else:
        times, spaces = [0, 1, 2, 3], [1, 2, 3, 4]
    sizes = [
        (2, halved(t, time), halved(h, space), halved(w, space)) for time, space in zip(times, spaces, strict=True)
    ]
    for stage, size in enumerate(sizes):
        assert [m.spatial.shape for m in masks[stage]] == [size] * backbone.num_blocks_by_stage[stage]
    assert maps.shape == (2, backbone.num_features, *sizes[-1][1:])
    expected = (2, 2, 2, 2) if builder in (i3d_resnet18, r2plus1d_18) else (3, 4, 6, 3)
    assert backbone.num_blocks_by_stage == expected
    assert backbone.num_features == (2048 if builder in (i3d_resnet50, r2plus1d_50) else 512)


def test_i3d_looks_at_time_where_its_docstring_says():
    state = on_meta(i3d_resnet50).state_dict()
    depths = [[state[f"layer{s}.{i}.conv1.weight"].shape[2] for i in range(n)] for s, n in ((1, 3), (2, 4), (4, 3))]
    assert depths == [[3, 3, 3], [3, 1, 3, 1], [1, 3, 1]]
    assert [state[f"layer3.{i}.conv1.weight"].shape[2] for i in range(6)] == [3, 1, 3, 1, 3, 1]
    assert state["conv1.weight"].shape == (64, 3, 5, 7, 7)
    shapes = {value.shape[2:] for key, value in on_meta(i3d_resnet18).state_dict().items() if ".conv" in key}
    assert shapes == {(3, 3, 3)}


# --- R(2+1)D


def test_middle_channels_spare_no_more_than_a_channel():
    for n_in, n_out in ((64, 64), (64, 128), (512, 512), (3, 64)):
        full = 27 * n_in * n_out
        factorised = [m * (9 * n_in + 3 * n_out) for m in (0, 1)]
        m = middle_channels(n_in, n_out)
        assert m * factorised[1] <= full < (m + 1) * factorised[1]
    assert middle_channels(64, 64) == 144
    assert middle_channels(3, 64, t=3, d=7) == 83


def test_r2plus1d_18_is_torchvision_s(scramble):
    torch.manual_seed(0)
    theirs = scramble(torchvision.models.video.r2plus1d_18()).double()
    ours = r2plus1d_18(Fillers()).double().eval()
    state = without_classifier(theirs)
    renamed = from_torchvision_r2plus1d(state, ours.state_dict())
    assert len(renamed) == len(state)
    ours.load_state_dict(renamed)
    clips = torch.randn(1, 3, 5, 23, 38, dtype=torch.float64)
    with torch.no_grad():
        maps, masks = ours(clips)
        until_pool = nn.Sequential(*list(theirs.children())[:-2])
        torch.testing.assert_close(maps, until_pool(clips))
    assert masks == [[], [], [], []]


def test_weights_of_ours_are_not_renamed():
    ours = on_meta(r2plus1d_18).state_dict()
    assert list(from_torchvision_r2plus1d(ours, ours)) == list(ours)


def test_weights_of_another_network_are_refused():
    with torch.device("meta"):
        other = without_classifier(torchvision.models.video.r3d_18())
    with pytest.raises(WeightsError, match="missing.*unexpected"):
        from_torchvision_r2plus1d(other, on_meta(r2plus1d_18).state_dict())


# --- inflation


def inflated_pair(name: str, scramble) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    flat = scramble(torchvision.models.get_model(name)).double()
    deep = on_meta(I3D[name]).to_empty(device="cpu").double().eval()
    deep.load_state_dict(inflate_state_dict(without_classifier(flat), deep.state_dict()))
    if name == "resnet50":  # res5 keeps its resolution: the kernels know nothing of strides
        flat.layer4[0].conv2.stride = flat.layer4[0].downsample[0].stride = (1, 1)
    return flat, deep


# Frames from the ends that see the zeros beyond them, at half rate: 3 before the pool; then one for each kernel.
@pytest.mark.parametrize(("name", "blind"), [("resnet50", 3 + 6), ("resnet18", 4 + 12)])
def test_equal_frames_give_the_2d_features_away_from_the_ends(name, blind, scramble):
    flat, deep = inflated_pair(name, scramble)
    num_frames = 2 * (2 * blind + 2)
    image = torch.randn(1, 3, 32, 24, dtype=torch.float64)
    with torch.no_grad():
        maps, _ = deep(image[:, :, None].expand(-1, -1, num_frames, -1, -1))
        expected = nn.Sequential(*list(flat.children())[:-2])(image)
    for t in range(blind, maps.shape[2] - blind):
        torch.testing.assert_close(maps[:, :, t], expected)
    assert not torch.allclose(maps[:, :, 0], expected)  # at the ends it is another network's


def test_an_inflated_kernel_adds_up_to_the_2d_one():
    flat = {"conv.weight": torch.randn(4, 3, 7, 7), "bn.running_var": torch.rand(4)}
    expected = {"conv.weight": torch.empty(4, 3, 5, 7, 7), "bn.running_var": torch.empty(4)}
    before = {key: value.clone() for key, value in flat.items()}
    deep = inflate_state_dict(flat, expected)
    assert deep.keys() == flat.keys()
    for t in range(5):
        torch.testing.assert_close(deep["conv.weight"][:, :, t], flat["conv.weight"] / 5)
    assert torch.equal(deep["bn.running_var"], flat["bn.running_var"])
    assert all(torch.equal(flat[key], before[key]) for key in flat)
    assert torch.equal(inflate_state_dict(deep, expected)["conv.weight"], deep["conv.weight"])  # 3D already


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("layer3.2.bn1.running_mean"), "1 missing: layer3.2.bn1.running_mean"),
        (lambda state: state.update({"fc.weight": torch.empty(9)}), "1 unexpected: fc.weight"),
        (lambda state: state.update({"bn1.weight": torch.empty(9)}), r"mis-shaped: bn1.weight \(9,\) instead of"),
        (lambda state: state.update({"conv1.weight": torch.empty(64, 3, 3, 3)}), r"conv1.weight \(64, 3, 5, 3, 3\)"),
    ],
)
def test_every_key_is_accounted_for(change, message):
    with torch.device("meta"):
        state = without_classifier(torchvision.models.resnet50())
    change(state)
    with pytest.raises(WeightsError, match=message):
        inflate_state_dict(state, on_meta(i3d_resnet50).state_dict())


# --- blocks and slots


@pytest.mark.parametrize("block_type", [BasicBlock, Bottleneck])
@pytest.mark.parametrize("place", ["residual", "output"])
@pytest.mark.parametrize("stride", [(1, 1, 1), (2, 2, 2)])
@pytest.mark.parametrize("factorised", [False, True])
def test_a_block_is_branch_then_attention(block_type, place, stride, factorised, scramble):
    channels = 4 * block_type.expansion
    slots = Slots(None, Halve(), place)
    block = scramble(block_type(channels, 4, stride=stride, slots=slots, factorised=factorised))
    x = torch.randn(2, channels, 3, 9, 7)
    before = x.clone()
    y, masks = block(x)
    assert torch.equal(x, before)
    branch = block.branch(x)
    identity = x if stride == (1, 1, 1) else block.downsample(x)
    seen = branch if place == "residual" else (branch + identity).relu()
    expected = {"residual": (branch / 2 + identity).relu(), "output": (branch + identity).relu() / 2}
    torch.testing.assert_close(y, expected[place])
    torch.testing.assert_close(masks.spatial, seen[:, 0])


def test_a_bottleneck_s_branch_is_three_convolutions(scramble):
    block = scramble(Bottleneck(16, 4, stride=(1, 2, 2), slots=Slots(None, None, "residual"), temporal=3))
    x = torch.randn(2, 16, 5, 9, 7)
    y = block.bn1(nn.functional.conv3d(x, block.conv1.weight, padding=(1, 0, 0))).relu()
    y = block.bn2(nn.functional.conv3d(y, block.conv2.weight, stride=(1, 2, 2), padding=(0, 1, 1))).relu()
    y = block.bn3(nn.functional.conv3d(y, block.conv3.weight))
    torch.testing.assert_close(block.branch(x), y)
    assert [tuple(conv.weight.shape[2:]) for conv in (block.conv1, block.conv2, block.conv3)] == [
        (3, 1, 1),
        (1, 3, 3),
        (1, 1, 1),
    ]


@pytest.mark.parametrize("block_type", [BasicBlock, Bottleneck])
@pytest.mark.parametrize("factorised", [False, True])
def test_gradients_reach_every_parameter(block_type, factorised):
    torch.manual_seed(0)
    backbone = ResNet3d(
        block_type,
        kernels=((3, 3), (3,)),
        strides=((1, 1, 1), (2, 2, 2)),
        stem=3,
        pool=not factorised,
        factorised=factorised,
        fillers=Fillers(attention=lambda position, channels: W3(channels)),
    )
    maps, masks = backbone(torch.randn(2, 3, 3, 33, 40))
    maps.square().mean().backward()
    assert [n for n, p in backbone.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    kernels = [n for n, p in backbone.named_parameters() if p.ndim == 5 and ".slots." not in n and not p.grad.any()]
    assert kernels == []
    assert [len(stage) for stage in masks] == list(backbone.num_blocks_by_stage)


def test_attention_keeps_its_own_start():
    def attention(position, channels):
        layer = nn.Conv3d(channels, channels, 1)
        nn.init.constant_(layer.weight, 0.25)
        return layer

    backbone = ResNet3d(
        BasicBlock, kernels=((3,),), strides=((1, 1, 1),), stem=3, pool=False, fillers=Fillers(attention=attention)
    )
    assert (backbone.layer1[0].slots.attention.weight == 0.25).all()
    he = (2 / (64 * 27)) ** 0.5  # fan out
    assert backbone.layer1[0].conv1.weight.std().item() == pytest.approx(he, rel=0.05)


def test_a_temporal_operation_is_refused():
    message = re.escape('TemporalShift is given to a network of 3D convolutions, which takes none; use "none"')
    with pytest.raises(ValueError, match=message):
        on_meta(r2plus1d_18, Fillers(temporal=lambda position, channels: TemporalShift()))
