"""Tensors tell which backbone they are of; a file of another layout or network is told so."""

import pytest
import torch

from w3action.models import WeightsError, create_model
from w3action.models.importing import LAYOUTS, export_state_dict
from w3action.models.importing.recognise import FAMILIES, recognise

NAMES = {builder.__name__: builder for builder in FAMILIES}
MODELS = ["tsm_resnet18", "tsm_resnet34", "tsm_resnet50", "tsm_resnet101", "tsm_mobilenetv2", "tsn_resnet50"]


def state_of(name: str, layout: str, attention: str | None = None) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        state = export_state_dict(create_model(name, num_classes=3, attention=attention), layout)
    return {key.removeprefix("module."): value for key, value in state.items()}


@pytest.mark.parametrize("layout", ["tsm", "mmaction2", "timm", "torchvision"])
@pytest.mark.parametrize("name", MODELS)
def test_backbone_and_shift_are_told(name, layout):
    told = recognise(state_of(name, layout), LAYOUTS[layout], origin="w.pth")
    temporal, backbone = name.split("_")
    assert told.backbone is NAMES[backbone.replace("netv2", "net_v2")]
    assert told.family == ("mobilenetv2" if "mobile" in name else "resnet")
    if LAYOUTS[layout].shifts == "named":
        assert told.temporal == {"tsm": "shift", "tsn": "none"}[temporal]
    else:
        assert told.temporal is None
    assert not told.has_non_local


def test_a_file_with_a_missing_tensor_is_still_recognised():
    state = state_of("tsm_resnet34", "tsm")
    del state["base_model.layer3.5.conv2.weight"]
    assert recognise(state, LAYOUTS["tsm"], origin="w.pth").backbone is NAMES["resnet34"]


def test_non_local_blocks_are_told():
    told = recognise(state_of("tsm_resnet50", "tsm", "non_local"), LAYOUTS["tsm"], origin="w.pth")
    assert told.has_non_local
    assert told.backbone is NAMES["resnet50"]


def test_non_local_blocks_of_mmaction2_are_refused():
    state = state_of("tsm_resnet50", "mmaction2")
    state["backbone.layer2.0.non_local_block.g.0.conv.weight"] = torch.zeros(1)
    with pytest.raises(WeightsError, match="w.pth: holds non-local blocks, which are not read from mmaction2"):
        recognise(state, LAYOUTS["mmaction2"], origin="w.pth")


@pytest.mark.parametrize(
    ("name", "layout", "tried", "advised"),
    [
        ("tsm_resnet18", "mmaction2", "tsm", "--from mmaction2"),
        ("tsm_resnet18", "tsm", "torchvision", "--from tsm or epic55"),
        ("tsm_mobilenetv2", "timm", "torchvision", "--from timm"),
        ("tsm_mobilenetv2", "tsm", "tsm-online", "--from tsm"),
        ("tsm_resnet18", "torchvision", "mmaction2", "--from torchvision or timm"),
    ],
)
def test_the_right_layout_is_advised(name, layout, tried, advised):
    with pytest.raises(WeightsError, match=f"{advised}$"):
        recognise(state_of(name, layout), LAYOUTS[tried], origin="w.pth")


def test_an_unknown_network_is_refused():
    state = {f"blocks.{i}.attn.qkv.weight": torch.zeros(1) for i in range(200)}
    with pytest.raises(
        WeightsError,
        match=r"none of mobilenet_v2 by the names of --from tsm-online; .*blocks\.0\.attn\.qkv\.weight, ",
    ):
        recognise(state, LAYOUTS["tsm-online"], origin="w.pth")


def test_an_empty_file_is_refused():
    with pytest.raises(WeightsError):
        recognise({}, LAYOUTS["tsm"], origin="w.pth")
