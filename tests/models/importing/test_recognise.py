"""Tensors tell which network they are of; what they do not tell is asked for, and what disagrees is refused."""

from dataclasses import replace

import pytest
import torch

from w3action.models import NETWORKS, WeightsError, create_model
from w3action.models.heads import RecurrentHead
from w3action.models.importing import LAYOUTS
from w3action.models.importing.exporter import export_state_dict
from w3action.models.importing.recognise import FAMILIES, Told, choose_network, looks_back_only, recognise
from w3action.models.mobilenet_v2 import mobilenet_v2
from w3action.models.resnet import resnet50

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


SHIFTED = Told(resnet50, "resnet", "shift", has_non_local=False)
UNSHIFTED = Told(resnet50, "resnet", "none", has_non_local=False)
SILENT = Told(resnet50, "resnet", None, has_non_local=False)
ONLINE = Told(mobilenet_v2, "mobilenetv2", None, has_non_local=False)


def choose(told: Told, layout: str, network: str | None = None, temporal: str | None = None) -> str:
    return choose_network(told, LAYOUTS[layout], network=network, temporal=temporal, origin="w.pth")


@pytest.mark.parametrize(
    ("told", "layout", "network", "temporal", "expected"),
    [
        (SHIFTED, "tsm", None, None, "tsm_resnet50"),
        (UNSHIFTED, "mmaction2", None, None, "tsn_resnet50"),
        (SHIFTED, "tsm", "tsm_resnet50", "shift", "tsm_resnet50"),
        (SILENT, "torchvision", None, "none", "tsn_resnet50"),
        (SILENT, "torchvision", None, "shift", "tsm_resnet50"),
        (SILENT, "timm", "tsm_resnet50", None, "tsm_resnet50"),
    ],
)
def test_it_is_told_or_asked_for(told, layout, network, temporal, expected):
    assert choose(told, layout, network, temporal) == expected


@pytest.mark.parametrize(
    ("told", "layout", "network", "temporal", "message"),
    [
        (SILENT, "torchvision", None, None, "could be any of tsn_resnet50, tsm_resnet50.*--network or --temporal"),
        (SHIFTED, "tsm", "tsm_resnet18", None, "holds a resnet50 whose blocks shift, which is not tsm_resnet18"),
        (SHIFTED, "tsm", "tsn_resnet50", None, "whose blocks shift, which is not tsn_resnet50; give --network tsm_res"),
        (UNSHIFTED, "tsm", "tsm_resnet50", None, "whose blocks do not shift, which is not tsm_resnet50"),
        (SHIFTED, "tsm", None, "none", "no network with that backbone and temporal='none'"),
        (SILENT, "timm", "tsm_resnet50", "none", "tsm_resnet50 has the temporal operation shift, not none"),
        (SILENT, "timm", "tsm_resnet5", None, "unknown model 'tsm_resnet5'"),
        (SILENT, "timm", None, "swap", "unknown temporal 'swap'; choose one of none, shift"),
        (
            ONLINE,
            "tsm-online",
            None,
            "shift",
            "trained to take channels from the past alone, and tsm_mobilenetv2 does not",
        ),
        (ONLINE, "tsm-online", "tsn_mobilenetv2", None, "from the past alone, and tsn_mobilenetv2 does not"),
    ],
)
def test_what_does_not_agree_is_refused(told, layout, network, temporal, message):
    with pytest.raises(ValueError, match=message):
        choose(told, layout, network, temporal)


def test_a_network_with_another_head_is_no_choice(monkeypatch):
    monkeypatch.setitem(NETWORKS, "tsm_resnet50_other", replace(NETWORKS["tsm_resnet50"], head=RecurrentHead))
    assert choose(SHIFTED, "tsm") == "tsm_resnet50"
    with pytest.raises(ValueError, match="which is not tsm_resnet50_other"):
        choose(SHIFTED, "tsm", "tsm_resnet50_other")


@pytest.mark.parametrize("name", ["tsn_resnet18", "tsm_resnet18"])
def test_neither_no_shift_nor_one_of_both_sides_looks_back_only(name):
    assert not looks_back_only(name)
