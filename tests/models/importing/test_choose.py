"""Which network a file becomes: told by the tensors, asked for where they are silent, refused where they disagree."""

import pytest

from w3action.models import NETWORKS
from w3action.models.heads import RecurrentHead
from w3action.models.importing import LAYOUTS
from w3action.models.importing.choose import choose_network, looks_back_only
from w3action.models.importing.recognise import Told
from w3action.models.mobilenet_v2 import mobilenet_v2
from w3action.models.resnet import resnet50

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
    from dataclasses import replace

    monkeypatch.setitem(NETWORKS, "tsm_resnet50_other", replace(NETWORKS["tsm_resnet50"], head=RecurrentHead))
    assert choose(SHIFTED, "tsm") == "tsm_resnet50"
    with pytest.raises(ValueError, match="which is not tsm_resnet50_other"):
        choose(SHIFTED, "tsm", "tsm_resnet50_other")


@pytest.mark.parametrize("name", ["tsn_resnet18", "tsm_resnet18"])
def test_neither_no_shift_nor_one_of_both_sides_looks_back_only(name):
    assert not looks_back_only(name)
