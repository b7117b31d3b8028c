"""A ResNet with empty slots is torchvision's; with filled slots, each acts where the block says."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models.resnet import BasicBlock, Bottleneck, resnet18, resnet34, resnet50, resnet101, small
from w3action.models.slots import Fillers, Slots

BUILDERS = {"resnet18": resnet18, "resnet34": resnet34, "resnet50": resnet50, "resnet101": resnet101}


class Scale(nn.Module):
    """A stand-in that multiplies by a number; as an attention it also gives masks."""

    def __init__(self, factor: float, *, masks: bool):
        super().__init__()
        self.factor, self.masks = factor, masks

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Masks]:
        return (self.factor * x, Masks()) if self.masks else self.factor * x


@pytest.mark.parametrize("name", BUILDERS)
def test_parameters_are_named_and_shaped_as_torchvision_s(name):
    with torch.device("meta"):
        ours, theirs = BUILDERS[name](Fillers()), torchvision.models.get_model(name)
    expected = {key: value.shape for key, value in theirs.state_dict().items() if not key.startswith("fc.")}
    assert {key: value.shape for key, value in ours.state_dict().items()} == expected


@pytest.mark.parametrize(("name", "size"), [("resnet18", (45, 71)), ("resnet50", (64, 64))])
def test_every_frame_has_torchvision_s_features(name, size, scramble):
    torch.manual_seed(0)
    theirs = scramble(torchvision.models.get_model(name)).double()
    ours = BUILDERS[name](Fillers()).double().eval()
    ours.load_state_dict({key: value for key, value in theirs.state_dict().items() if not key.startswith("fc.")})
    clips = torch.randn(1, 3, 2, *size, dtype=torch.float64)
    maps, masks = ours(clips)
    assert masks == [[], [], [], []]
    until_pool = nn.Sequential(*list(theirs.children())[:-2])
    for t in range(2):
        torch.testing.assert_close(maps[:, :, t], until_pool(clips[:, :, t]))


@pytest.mark.parametrize("block_type", [BasicBlock, Bottleneck])
@pytest.mark.parametrize("place", ["residual", "output"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_is_temporal_then_branch_then_attention(block_type, place, stride, scramble):
    slots = Slots(Scale(3.0, masks=False), Scale(0.5, masks=True), place)
    block = scramble(block_type(4 * block_type.expansion, 4, stride=stride, slots=slots))
    x = torch.randn(6, 4 * block_type.expansion, 9, 7)
    y, masks = block(x, 3)
    block.slots = Slots(None, None, place)
    branch = block.branch(3.0 * x, 3)
    identity = x if stride == 1 else block.downsample(x)  # the shortcut sees no temporal operation
    expected = {"residual": (0.5 * branch + identity).relu(), "output": 0.5 * (branch + identity).relu()}
    torch.testing.assert_close(y, expected[place])
    assert masks == Masks()


def test_a_small_network_s_blocks_let_frames_meet_twice(scramble):
    once, twice = (
        scramble(BasicBlock(4, 4, stride=1, slots=Slots(Scale(3.0, masks=False), None, "residual", between=between)))
        for between in (None, Scale(3.0, masks=False))
    )
    twice.load_state_dict(once.state_dict())
    x = torch.randn(6, 4, 9, 7)
    middle = once.bn1(once.conv1(3.0 * x)).relu()
    torch.testing.assert_close(once.branch(x, 3), once.bn2(once.conv2(middle)))
    torch.testing.assert_close(twice.branch(x, 3), once.bn2(once.conv2(3.0 * middle)))
    fillers = Fillers(lambda position, channels: Scale(float(channels), masks=False))
    assert [small(fillers).layer2[0].slots.between.factor, small(fillers).layer2[0].slots.temporal.factor] == [64, 32]
    assert resnet18(fillers).layer1[0].slots.between is None


def test_a_block_leaves_its_input_alone(scramble):
    block = scramble(BasicBlock(4, 4, stride=1, slots=Slots(None, None, "residual")))
    x = torch.randn(2, 4, 5, 5)
    before = x.clone()
    block(x, 2)
    assert torch.equal(x, before)


def test_the_small_one_keeps_a_map_of_4_by_4_from_64_pixels():
    backbone = small(Fillers())
    assert backbone(torch.randn(1, 3, 2, 64, 64))[0].shape == (1, 128, 2, 4, 4)
    assert backbone.num_features == 128
    assert sum(p.numel() for p in backbone.parameters()) < 1_000_000


def test_attention_keeps_its_own_start():
    # The backbone's Kaiming initialisation must not reach into the slots.
    def attention(position, channels):
        layer = nn.Conv2d(channels, channels, 1)
        nn.init.constant_(layer.weight, 0.25)
        return layer

    backbone = small(Fillers(attention=attention))
    for block in (backbone.layer1[0], backbone.layer3[0]):
        assert (block.slots.attention.weight == 0.25).all()
