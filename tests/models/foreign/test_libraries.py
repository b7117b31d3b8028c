"""The libraries' names and weights, and what is said where a network of theirs cannot be a frame backbone."""

import sys

import pytest
import torch
import torchvision

from w3action.models import WeightsError, create_model
from w3action.models.foreign import LIBRARIES, foreign_network
from w3action.models.slots import unfold

timm = pytest.importorskip("timm", reason="timm is an extra: pip install 'w3action[timm]'")


def test_a_file_of_the_library_loads_by_name(image_network, tmp_path):
    name, network = "timm/regnety_002", image_network("timm/regnety_002")
    torch.save(network.state_dict(), tmp_path / "w.pth")
    model = create_model(f"tsm:{name}", num_classes=3, attention="w3", pretrained=tmp_path / "w.pth")
    state = network.state_dict()
    loaded = {key: value for key, value in model.backbone.state_dict().items() if ".slots." not in key}
    assert all(torch.equal(value, state[key]) for key, value in loaded.items())
    assert len(loaded) > 100


def test_a_file_that_does_not_fit_is_refused_key_by_key(image_network, tmp_path):
    state = dict(image_network("timm/regnety_002").state_dict())
    state["s1.b1.extra.weight"] = state.pop("s1.b1.conv1.conv.weight")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"1 missing: s1.b1.conv1.conv.weight; 1 unexpected: s1.b1.extra.weight"):
        create_model("tsm:timm/regnety_002", num_classes=3, pretrained=tmp_path / "w.pth")


def test_imagenet_takes_each_library_s_own_weights(image_network, monkeypatch):
    network, build = image_network("timm/regnety_002"), timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda name, pretrained: network if pretrained else build(name, pretrained=False)
    )
    model = create_model("tsm:timm/regnety_002", num_classes=3, pretrained="imagenet")
    assert torch.equal(model.backbone.get_parameter("s1.b1.conv1.conv.weight"), network.s1.b1.conv1.conv.weight)
    assert model.head.fc.weight.std() < 0.002, "the classifier of a pretrained backbone starts small"
    weights = torchvision.models.RegNet_Y_400MF_Weights
    assert foreign_network("tsn:torchvision/regnet_y_400mf").imagenet is weights.DEFAULT


def test_weights_that_cannot_be_fetched_are_told(monkeypatch):
    build = timm.create_model

    def offline(name, pretrained):
        if pretrained:
            raise LookupError("no way out\nmore of it")
        return build(name, pretrained=False)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        WeightsError, match=r"weights timm\.regnety_002 cannot be downloaded \(no way out\); give a file"
    ):
        create_model("tsm:timm/regnety_002", num_classes=3, pretrained="imagenet")


def test_a_name_without_weights_has_none():
    assert foreign_network("tsn:timm/resnet10t.c3_in1k").imagenet is not None
    assert foreign_network("tsn:timm/regnety_040_sgn").imagenet is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "tsm:timm",
            r"unknown model 'tsm:timm'; write KIND:LIBRARY/NAME, such as .* tsn, tsm, tsm_online, tam and .*tim",
        ),
        ("i3d:timm/resnet18", r"with KIND one of tsn, tsm"),
        ("tsm:mmcls/resnet18", r"unknown library 'mmcls' of image networks; choose one of timm, torchvision"),
        ("tsm:timm/regnety_33", r"timm has no network 'regnety_33'; near are .*regnety_032"),
        ("tsm:timm/regnety_032.nonsense", r"timm has no network 'regnety_032.nonsense'; near are .*regnety_032\."),
        ("tsm:torchvision/resnet51", r"torchvision has no network 'resnet51'; near are .*resnet50"),
        ("tsm:torchvision/deeplabv3_resnet50", r"torchvision has no network 'deeplabv3_resnet50'"),
        ("tsm:torchvision/zzz", r"torchvision has no network 'zzz'; it has alexnet, "),
        ("tsn:torchvision/vgg11", r"torchvision/vgg11 has no residual block, .*; choose .* resnet50 .*tsn_vgg16"),
        ("tsm:torchvision/vit_b_16", r"has no residual block"),
        ("tsm:torchvision/swin_t", r"takes another way through its layers in training than in evaluation"),
        ("tsm:timm/vit_tiny_patch16_224", r"has no maps \(B, C, H, W\); choose a network of convolutions"),
        ("tsm:timm/vgg11", r"timm/vgg11 cannot be read by torch.fx \(.*\); choose a network of convolutions"),
    ],
)
def test_what_is_no_frame_backbone_is_told(name, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message) as caught:
        create_model(name, num_classes=3)
    assert "\n" not in str(caught.value)


def test_without_timm_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        ValueError, match=r"timm/resnet18 needs timm, which is not installed; pip install 'w3action\[ti"
    ):
        create_model("tsm:timm/resnet18", num_classes=3)
    assert create_model("tsm:torchvision/resnet18", num_classes=3) is not None


def test_names_are_those_of_the_libraries():
    assert {"resnet50", "regnet_y_400mf"} <= set(LIBRARIES["torchvision"]().names)
    assert {"regnety_032", "regnety_032.ra_in1k"} <= set(LIBRARIES["timm"]().names)


def test_real_weights_of_another_port_load_once_renamed(shared_dir, tmp_path):
    """The published EfficientNet-Lite0: its blocks are numbered through, and named by what their convolutions do."""
    file = shared_dir / "weights" / "efficientnet-lite0-57934424.pth"
    theirs = torch.load(file, weights_only=True)
    network = timm.create_model("efficientnet_lite0")
    blocks = [name for name, _ in network.named_modules() if name.startswith("blocks.") and name.count(".") == 2]
    ends = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    inner = ["_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2"]
    names = dict(zip(inner, ["conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"], strict=True))
    first = dict(zip(inner[2:], ["conv_dw", "bn1", "conv_pw", "bn2"], strict=True))

    def rename(key: str) -> str:
        start, *rest = key.split(".")
        if start in ends:
            return ".".join([ends[start], *rest])
        layers = first if rest[0] == "0" else names
        return ".".join([blocks[int(rest[0])], layers[rest[1]], *rest[2:]])

    renamed = {rename(key): value for key, value in theirs.items()}
    torch.save(renamed, tmp_path / "w.pth")
    model = create_model("tsn:timm/efficientnet_lite0", num_classes=1000, pretrained=tmp_path / "w.pth").eval()
    model.head.fc.load_state_dict({"weight": theirs["_fc.weight"], "bias": theirs["_fc.bias"]})
    network.load_state_dict(renamed)
    frames = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = network.eval()(frames), model(unfold(frames, 1))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert expected.std() > 0.1
