"""Big-little networks: modules against their definition, which frame goes where, costs, what stands in the slots."""

import pytest
import torch
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models import count_cost
from w3action.models.attention import ATTENTIONS
from w3action.models.big_little import BigLittleModule, PooledBottleneck, blresnet50, blvnet50
from w3action.models.slots import Fillers, Slots

EMPTY = Slots(None, None, "residual")


class Halve(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Masks]:
        return x / 2, Masks(spatial=x[:, 0])


class Watch(nn.Module):
    """A temporal operation that changes nothing and remembers what it saw."""

    def __init__(self):
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return x


def test_costs_are_the_papers():
    with torch.device("meta"):
        images, videos = blresnet50(Fillers()), blvnet50(Fillers())
    assert round(count_cost(videos, num_frames=16, size=224).gflops, 1) == 23.8  # bLVNet-TAM, 8x2 frames
    assert round(count_cost(images, num_frames=1, size=224).gflops, 2) == 2.85
    assert round(sum(p.numel() for p in images.parameters()) / 1e6, 1) == 24.6


def test_parameters_are_named_and_shaped_as_the_published_ones():
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in blresnet50(Fillers()).state_dict().items()}
        assert {key: tuple(value.shape) for key, value in blvnet50(Fillers()).state_dict().items()} == shapes
    published = {
        "conv1.weight": (64, 3, 7, 7),
        "b_conv0.weight": (64, 64, 3, 3),
        "bn_b0.weight": (64,),
        "l_conv0.weight": (32, 64, 3, 3),
        "l_conv1.weight": (32, 32, 3, 3),
        "bn_l1.weight": (32,),
        "l_conv2.weight": (64, 32, 1, 1),
        "bl_init.weight": (64, 64, 1, 1),
        "bn_bl_init.weight": (64,),
        "layer1.big.0.downsample.1.weight": (256, 64, 1, 1),  # behind the pooling
        "layer1.little.0.downsample.0.weight": (128, 64, 1, 1),
        "layer2.big.2.conv2.weight": (128, 128, 3, 3),
        "layer2.little.0.conv2.weight": (64, 64, 3, 3),
        "layer2.little_e.0.weight": (512, 256, 1, 1),
        "layer2.little_e.1.weight": (512,),
        "layer2.fusion.0.conv1.weight": (128, 512, 1, 1),
        "layer3.big.4.conv3.weight": (1024, 256, 1, 1),
        "layer4.0.downsample.1.weight": (2048, 1024, 1, 1),
        "layer4.2.bn3.weight": (2048,),
    }
    assert {key: shapes.get(key) for key in published} == published
    for absent in ("layer1.big.2", "layer2.big.3", "layer3.big.5", "layer1.little.1", "layer3.little.1", "layer4.3"):
        assert not any(key.startswith(absent + ".") for key in shapes)


@pytest.mark.parametrize("last_relu", [True, False])
@pytest.mark.parametrize("place", ["residual", "output"])
@pytest.mark.parametrize(("in_channels", "stride"), [(16, 1), (16, 2), (8, 1), (8, 2)])
def test_a_block_s_strided_shortcut_averages(in_channels, stride, place, last_relu, scramble):
    slots = Slots(None, Halve(), place)
    block = scramble(PooledBottleneck(in_channels, 4, stride=stride, slots=slots, last_relu=last_relu))
    x = torch.randn(4, in_channels, 7, 9)
    y, _ = block(x, 2)
    branch, identity = block.branch(x, 2), x
    if stride == 2:  # zeros beyond the edge count
        identity = nn.functional.pad(x, (1, 1, 1, 1)).unfold(2, 3, 2).unfold(3, 3, 2).mean(dim=(4, 5))
    if in_channels != 16:
        conv, norm = list(block.downsample)[-2:]
        identity = norm(conv(identity))
    y_before = branch / 2 + identity if place == "residual" else branch + identity
    expected = y_before.relu() if last_relu else y_before
    torch.testing.assert_close(y, expected if place == "residual" else expected / 2)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_module_merges_a_deep_and_a_thin_branch(stride, scramble):
    module = scramble(BigLittleModule(8, 8, num_blocks=4, stride=stride, slots=EMPTY))
    big_in, little_in = torch.randn(2, 8, 7, 5), torch.randn(2, 8, 7, 5)
    big, little = big_in, little_in
    for block in module.big:
        big, _ = block(big, 1)
    for block in module.little:
        little, _ = block(little, 1)
    assert big.shape == (2, 32, 4, 3)
    assert little.shape == (2, 16, 7, 5)
    assert big.min() < 0  # the sum is activated once, behind the merger
    rows, columns = torch.tensor([0, 0, 1, 1, 2, 2, 3]), torch.tensor([0, 0, 1, 1, 2])
    merged = (big[:, :, rows][:, :, :, columns] + module.little_e(little)).relu()
    torch.testing.assert_close(module(big_in, little_in, 1)[0], module.fusion[0](merged, 1)[0])


def test_a_pair_s_first_frame_is_the_little_branch_s(scramble):
    torch.manual_seed(0)
    net = scramble(blvnet50(Fillers())).double()
    clips = torch.randn(2, 3, 4, 40, 33, dtype=torch.float64)
    maps, masks = net(clips)
    assert maps.shape == (2, 2048, 2, 2, 2)
    assert masks == [[], [], [], []]
    for pair in range(2):
        first, second = (net.bn1(net.conv1(clips[:, :, 2 * pair + i])).relu() for i in range(2))
        little = net.bn_l1(net.l_conv1(net.bn_l0(net.l_conv0(first)).relu())).relu()
        x = (net.bn_b0(net.b_conv0(second)) + net.bn_l2(net.l_conv2(little))).relu()
        x = net.bn_bl_init(net.bl_init(x)).relu()
        for module in (net.layer1, net.layer2, net.layer3):
            x, _ = module(x, x, 1)
        for block in net.layer4:
            x, _ = block(x, 1)
        torch.testing.assert_close(maps[:, :, pair], x)


def test_a_still_video_is_its_picture(scramble):
    torch.manual_seed(0)
    images, videos = scramble(blresnet50(Fillers())).double(), blvnet50(Fillers()).double().eval()
    videos.load_state_dict(images.state_dict())
    clips = torch.randn(2, 3, 1, 45, 71, dtype=torch.float64)
    expected = images(clips)[0]
    assert expected.shape == (2, 2048, 1, 2, 3)
    for num_frames in (1, 2, 3):  # an odd one's last frame is its own pair
        maps = videos(clips.expand(-1, -1, num_frames, -1, -1))[0]
        assert maps.shape[2] == (num_frames + 1) // 2
        torch.testing.assert_close(maps, expected.expand_as(maps))


def test_blresnet_maps_every_frame_by_itself(scramble):
    torch.manual_seed(0)
    backbone = scramble(blresnet50(Fillers())).double()
    clips = torch.randn(1, 3, 3, 40, 33, dtype=torch.float64)
    maps, _ = backbone(clips)
    for t in range(3):
        torch.testing.assert_close(maps[:, :, t : t + 1], backbone(clips[:, :, t : t + 1])[0])


@pytest.mark.parametrize("build", [blresnet50, blvnet50])
def test_frames_meet_before_the_stem_each_module_and_each_last_block(build):
    operations = []

    def temporal(*_):
        operations.append(Watch())
        return operations[-1]

    backbone = build(Fillers(temporal))
    backbone(torch.randn(1, 3, 4, 64, 64))
    seen = [tuple(watch.seen[0].shape[1:4]) for watch in operations]
    merged = 2 if build is blvnet50 else 4
    expected = [(64, 4, 32), (64, 4, 16), (256, 4, 8), (512, 4, 4)]  # C, T, H
    assert seen == [*expected, (1024, merged, 4), (2048, merged, 2), (2048, merged, 2)]
    assert all(len(watch.seen) == 1 for watch in operations)
    x = operations[1].seen[0]  # behind the stem a pair's features stand for both of its frames
    assert torch.equal(x[:, :, 0], x[:, :, 1]) == (build is blvnet50)
    assert not torch.equal(x[:, :, 1], x[:, :, 2])


def test_both_branches_see_what_the_temporal_operation_makes(scramble):
    class Reverse(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flip(2)

    torch.manual_seed(0)
    net = scramble(blvnet50(Fillers())).double()
    clips = torch.randn(1, 3, 4, 33, 33, dtype=torch.float64)
    net.layer0["slots"].temporal = Reverse()
    at_stem = net(clips)[0]
    net.layer0["slots"].temporal = None
    torch.testing.assert_close(at_stem, net(clips.flip(2))[0])
    plain = net(clips)[0]
    net.layer2.slots.temporal = Reverse()  # pairs swap, both branches alike
    torch.testing.assert_close(net(clips)[0], plain.flip(2))


@pytest.mark.parametrize("build", [blresnet50, blvnet50])
@pytest.mark.parametrize("name", ATTENTIONS)
def test_it_takes_any_attention(name, build):
    attention = ATTENTIONS[name]
    backbone = build(Fillers(attention=attention.builder({}), place=attention.place)).eval()
    maps, masks = backbone(torch.randn(1, 3, 3, 45, 71))
    assert maps.shape[1:3] == (2048, 2 if build is blvnet50 else 3)
    assert [len(stage) for stage in masks] == attention.count_masks(backbone.num_blocks_by_stage)


def test_attention_stands_where_a_module_merges():
    backbone = blvnet50(Fillers(attention=lambda position, channels: Halve()))
    _, masks = backbone(torch.randn(1, 3, 4, 64, 64))
    sizes = [[tuple(mask.spatial.shape[1:]) for mask in stage] for stage in masks]
    assert sizes == [[(2, 8, 8)], [(2, 4, 4)], [(2, 4, 4)], [(2, 2, 2)] * 3]


def test_every_parameter_learns():
    torch.manual_seed(0)
    backbone = blvnet50(Fillers())
    backbone(torch.randn(2, 3, 2, 64, 64))[0].square().mean().backward()
    assert [name for name, p in backbone.named_parameters() if p.grad is None or not p.grad.any()] == []
