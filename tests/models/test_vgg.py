"""A VGG16 with empty slots is torchvision's; its attention stands behind each stage's pooling."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from w3action.layers import W3, Masks
from w3action.models.attention import ATTENTIONS
from w3action.models.cost import count_cost
from w3action.models.slots import Fillers
from w3action.models.vgg import AttendedPool, vgg16
from w3action.models.weights import load_backbone


class Watch(nn.Module):
    """An attention that halves; its mask has the size of what it saw."""

    def forward(self, x: Tensor) -> tuple[Tensor, Masks]:
        return x / 2, Masks(spatial=x[:, 0])


def test_it_is_torchvision_s_and_keeps_frames_apart():
    with torch.device("meta"):
        theirs, ours = torchvision.models.vgg16(), vgg16(Fillers())
    theirs, ours = theirs.features.double().to_empty(device="cpu"), ours.double().to_empty(device="cpu")
    numbers = torch.Generator().manual_seed(0)
    for value in theirs.parameters():
        value.data.normal_(std=0.05, generator=numbers)
    ours.load_state_dict({f"features.{key}": value for key, value in theirs.state_dict().items()})  # strict
    clips = torch.randn(1, 3, 2, 45, 71, generator=numbers, dtype=torch.float64)
    with torch.no_grad():
        maps, masks = ours(clips)
        assert masks == [[]] * 5
        assert maps.shape == (1, 512, 2, 1, 2)
        for t in range(2):
            torch.testing.assert_close(maps[:, :, t], theirs(clips[:, :, t]))
    assert maps.any()


def test_imagenet_weights_load_as_they_are_with_and_without_attention(tmp_path):
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in torchvision.models.vgg16().state_dict().items()}
    kept = {key: shape if key.startswith("features.") else (1,) for key, shape in shapes.items()}
    torch.save({key: torch.ones(1).expand(shape) for key, shape in kept.items()}, tmp_path / "vgg16.pth")
    for fillers in (Fillers(), Fillers(attention=lambda position, channels: W3(channels))):
        with torch.device("meta"):
            backbone = vgg16(fillers)
        backbone.to_empty(device="cpu")
        for value in backbone.parameters():
            value.data.zero_()
        load_backbone(backbone, tmp_path / "vgg16.pth", name="tsn_vgg16")
        assert all(value.all() != (".slots." in name) for name, value in backbone.named_parameters())


@pytest.mark.parametrize("place", ["residual", "output"])
def test_attention_stands_behind_each_stage_s_pooling(place):
    seen = []

    def attend(position, channels):
        seen.append((position.stage, position.block, channels))
        return Watch()

    torch.manual_seed(0)
    plain = vgg16(Fillers())
    attended = vgg16(Fillers(attention=attend, place=place))
    assert seen == [(0, 0, 64), (1, 0, 128), (2, 0, 256), (3, 0, 512), (4, 0, 512)]
    attended.load_state_dict(plain.state_dict())
    clips = torch.randn(1, 3, 2, 64, 32)
    with torch.no_grad():
        maps, masks = attended(clips)
        assert [tuple(mask.spatial.shape) for (mask,) in masks] == [(1, 2, 64 // s, 32 // s) for s in (2, 4, 8, 16, 32)]
        # Biases start at zero, so without them each of the five halvings goes through to the end.
        torch.testing.assert_close(32 * maps, plain(clips)[0])
        torch.testing.assert_close(masks[-1][0].spatial / 2, maps[:, 0])


def test_attentions_are_counted_as_they_stand():
    backbone = vgg16(Fillers())
    assert ATTENTIONS["w3"].count_masks(backbone.num_blocks_by_stage) == [1] * 5
    assert ATTENTIONS["non_local"].count_masks(backbone.num_blocks_by_stage) == [0, 1, 1, 0, 0]


def test_a_layer_in_a_slot_starts_its_own_way_and_the_backbone_as_he():
    def attend(position, channels):
        convolution = nn.Conv2d(channels, 1, 1)
        nn.init.constant_(convolution.weight, 0.25)
        return convolution

    torch.manual_seed(0)
    backbone = vgg16(Fillers(attention=attend))
    filled = [layer.slots.attention for layer in backbone.features if isinstance(layer, AttendedPool)]
    assert [bool((layer.weight == 0.25).all()) for layer in filled] == [True] * 5
    assert abs(backbone.features[28].weight.std() - (2 / (9 * 512)) ** 0.5) < 1e-4
    assert not backbone.features[28].bias.any()


def test_its_cost_is_the_paper_s():
    with torch.device("meta"):
        cost = count_cost(vgg16(Fillers()), num_frames=1, size=224)
    assert cost.params == 14_714_688  # 138 M less the three fully connected layers
    # 15.5 G in the literature, 0.12 of it in the fully connected layers; biases are no multiply-adds.
    assert cost.gflops == pytest.approx(15.35, abs=0.01)


def test_every_parameter_learns():
    torch.manual_seed(0)
    backbone = vgg16(Fillers())
    backbone(torch.randn(1, 3, 1, 64, 64))[0].square().sum().backward()
    assert [name for name, p in backbone.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_temporal_operation_is_refused():
    with torch.device("meta"), pytest.raises(ValueError, match="no residual branch .* given is Identity; take 'none'"):
        vgg16(Fillers(temporal=lambda position, channels: nn.Identity()))


def test_frames_that_pooling_would_consume_are_refused():
    with torch.device("meta"):
        backbone = vgg16(Fillers())
        assert backbone(torch.empty(1, 3, 1, 32, 33))[0].shape == (1, 512, 1, 1, 1)
        with pytest.raises(ValueError, match="frames are 40x31 pixels; VGG16 needs at least 32x32"):
            backbone(torch.empty(1, 3, 1, 31, 40))
