"""What is done to any backbone: other input channels than RGB's, and the order of its numbers in memory."""

import pytest
import torch
from torch import nn

from w3action.clip_format import ClipFormat
from w3action.models import NETWORKS, WeightsError, create_model
from w3action.models.backbone import put_channels_last_, widen_inputs_
from w3action.models.weights import as_of_rgb, widen_weights
from w3action.runs.checkpoint import load_checkpoint, save_description, save_weights
from w3action.runs.folder import WEIGHTS_FILE

FIRST = {  # the weights that see the clip
    "small": ["conv1.weight"],
    "resnet": ["conv1.weight"],
    "mobilenet": ["features.0.0.weight"],
    "bn_inception": ["stem.0.0.weight"],
    "eco": ["stem.0.0.weight"],
    "vgg16": ["features.0.weight"],
    "slowfast": ["slow.conv1.weight", "fast.conv1.weight"],
    "blvnet50": ["conv1.weight"],
    "r2plus1d": ["conv1.0.weight"],
    "c3d": ["conv1a.conv.weight"],
}


def first_weights(name):
    """By the longest key that the name holds: "tsn_blresnet50" has its own conv1, "r2plus1d_18" begins with two."""
    return FIRST[max((key for key in FIRST if key in name), key=lambda key: (name.startswith(key), len(key)))]


@pytest.mark.parametrize("name", {network.backbone: name for name, network in reversed(NETWORKS.items())}.values())
def test_every_backbone_takes_ten_channels_and_changes_nothing_else(name):
    with torch.device("meta"):
        rgb, flow = (create_model(name, num_classes=5, in_channels=count).state_dict() for count in (3, 10))
    differing = [key for key in rgb if rgb[key].shape != flow[key].shape]
    assert rgb.keys() == flow.keys()
    assert differing == ["backbone." + key for key in first_weights(name)]
    assert {flow[key].shape[1] for key in differing} == {10}


@pytest.mark.parametrize("name", ["tsm_small", "tsm_resnet18", "tsm_mobilenetv2", "tsn_bn_inception"])
def test_scores_come_from_ten_channels_and_every_one_of_them_counts(name):
    torch.manual_seed(0)
    model = create_model(name, num_classes=3, in_channels=10)
    clips = torch.randn(2, 10, 2, 64, 64, requires_grad=True)
    scores = model(clips)
    assert scores.shape == (2, 3)
    scores.square().sum().backward()
    assert bool((clips.grad.abs().sum(dim=(0, 2, 3, 4)) > 0).all())
    assert bool((next(model.backbone.parameters()).grad.abs().sum(dim=(0, 2, 3)) > 0).all())


@pytest.mark.parametrize("name", ["tsn_resnet18", "tsn_mobilenetv2", "i3d_resnet18"])
def test_weights_of_rgb_give_each_channel_their_mean(name, tmp_path):
    torch.manual_seed(0)
    flat = create_model(name.replace("i3d", "tsn"), num_classes=3)
    state = {f"module.{key}": value for key, value in flat.backbone.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "rgb.pth")
    model = create_model(name, num_classes=3, in_channels=10, pretrained=tmp_path / "rgb.pth")
    (key,) = first_weights(name)
    given, loaded = flat.backbone.state_dict()[key], model.backbone.state_dict()[key]
    if loaded.ndim == 5:
        loaded = loaded.sum(dim=2)  # inflation parts a kernel among its frames
    assert loaded.shape[1] == 10
    for channel in range(10):
        expected = (given[:, 0] + given[:, 1] + given[:, 2]) / 3
        torch.testing.assert_close(loaded[:, channel], expected)
    second = "layer1.0.conv1.weight" if "resnet" in name else "features.2.conv.0.0.weight"
    other = model.backbone.state_dict()[second]
    torch.testing.assert_close(other.sum(dim=2) if other.ndim == 5 else other, flat.backbone.state_dict()[second])


def test_a_gray_clip_gives_what_the_rgb_network_gives_to_three_tenths_of_it(tmp_path):
    """The reference: a kernel's mean over RGB, on ten equal channels, is the RGB kernel on three equal ones x 10/3."""
    torch.manual_seed(0)
    rgb = create_model("tsn_resnet18", num_classes=3)
    torch.save(rgb.backbone.state_dict(), tmp_path / "rgb.pth")
    flow = create_model("tsn_resnet18", num_classes=3, in_channels=10, pretrained=tmp_path / "rgb.pth")
    gray = torch.randn(2, 1, 16, 16)
    ours = flow.backbone.conv1(gray.expand(-1, 10, -1, -1) * 0.3)
    torch.testing.assert_close(ours, rgb.backbone.conv1(gray.expand(-1, 3, -1, -1)), atol=1e-5, rtol=1e-4)


def test_new_weights_let_maps_start_as_large_as_those_of_rgb():
    torch.manual_seed(0)
    sizes = {}
    for count in (3, 10):
        convolution = create_model("tsm_resnet18", num_classes=3, in_channels=count).backbone.conv1
        sizes[count] = convolution(torch.randn(4, count, 64, 64)).std().item()
        assert convolution.weight.std(dim=1).min() > 0
    assert sizes[10] == pytest.approx(sizes[3], rel=0.1)


def test_three_channels_are_the_network_as_it_was():
    torch.manual_seed(3)
    plain = create_model("tsm_small", num_classes=3)
    torch.manual_seed(3)
    same = create_model("tsm_small", num_classes=3, in_channels=3)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), same.parameters(), strict=True))


def test_a_checkpoint_remembers_its_channels_and_starts_others(tmp_path):
    torch.manual_seed(0)
    model = create_model("tsm_small", num_classes=2, in_channels=10)
    save_description(tmp_path, model, classes=("a", "b"), clip_format=ClipFormat(4, 32, 36))
    save_weights(tmp_path / WEIGHTS_FILE, model)
    loaded = load_checkpoint(tmp_path, device="cpu").model
    assert loaded.arguments["in_channels"] == 10
    assert torch.equal(loaded.backbone.conv1.weight, model.backbone.conv1.weight)
    started = create_model("tsm_small", num_classes=7, in_channels=10, pretrained=tmp_path / WEIGHTS_FILE)
    assert torch.equal(started.backbone.conv1.weight, model.backbone.conv1.weight)
    with pytest.raises(WeightsError, match=r"mis-shaped: conv1\.weight \(24, 10, 5, 5\) instead of \(24, 3, 5, 5\)"):
        create_model("tsm_small", num_classes=7, pretrained=tmp_path / WEIGHTS_FILE)


def test_convolutions_in_slots_and_of_groups_are_left_alone():
    class Backbone(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3)
            self.slots = nn.ModuleDict({"attention": nn.Conv2d(3, 3, 1)})
            self.grouped = nn.Conv2d(3, 3, 1, groups=3)

    backbone = Backbone()
    assert widen_inputs_(backbone, 5, name="x") == ["stem.weight"]
    assert backbone.stem(torch.zeros(1, 5, 8, 8)).shape == (1, 4, 6, 6)
    assert backbone.stem.bias is not None


def test_weights_of_the_same_channels_load_as_they_are():
    given = {"a.weight": torch.randn(2, 10, 3, 3), "b.weight": torch.randn(2, 3, 3, 3)}
    expected = {"a.weight": torch.zeros(2, 10, 3, 3), "b.weight": torch.zeros(2, 3, 3, 3)}
    widened = widen_weights(given, expected, ["a.weight"])
    assert widened["a.weight"] is given["a.weight"]
    assert widened["b.weight"] is given["b.weight"]
    assert as_of_rgb(expected, ["a.weight"])["a.weight"].shape == (2, 3, 3, 3)


def test_wrong_numbers_and_networks_that_see_no_rgb_are_named():
    with pytest.raises(ValueError, match=r"in_channels is 0; it must be at least 1 \(3 for RGB, 10 for flow\)"):
        create_model("tsm_small", num_classes=3, in_channels=0)
    with pytest.raises(ValueError, match=r"mlp takes no in_channels=10: no convolution in it sees RGB; choose"):
        widen_inputs_(nn.Sequential(nn.Linear(3, 4)), 10, name="mlp")


def test_a_squeeze_to_three_channels_is_no_first_convolution():
    squeeze = nn.Sequential(nn.Conv2d(12, 3, 1), nn.ReLU(), nn.Conv2d(3, 12, 1))
    backbone = nn.Sequential(nn.Conv2d(3, 12, 3), squeeze)
    assert widen_inputs_(backbone, 10, name="x") == ["0.weight"]
    assert squeeze[2].weight.shape[1] == 3


@pytest.mark.parametrize(
    ("name", "order"), [("tsm_small", torch.channels_last), ("i3d_resnet18", torch.channels_last_3d)]
)
def test_features_follow_their_convolutions_and_logits_stay(name, order):
    torch.manual_seed(0)
    model = create_model(name, num_classes=3, attention="w3").eval()
    clips = torch.randn(1, 3, 8, 48, 48)
    before = model(clips)
    put_channels_last_(model)
    seen = []
    convolution = next(part for part in model.modules() if isinstance(part, torch.nn.Conv2d | torch.nn.Conv3d))
    convolution.register_forward_hook(lambda _, __, maps: seen.append(maps))
    torch.testing.assert_close(model(clips), before, rtol=1e-4, atol=1e-5)
    assert seen[0].is_contiguous(memory_format=order)
