"""Networks written here as other projects write them: imported, they give the same scores; exported, the same file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from w3action.models import create_model
from w3action.models.importing import LAYOUTS
from w3action.models.importing.exporter import export_state_dict
from w3action.models.importing.layout import blocks_of, tensor_names
from w3action.runs.checkpoint import Checkpoint, load_checkpoint
from w3action.runs.imported import import_checkpoint

CLASSES = ("left", "right", "up", "down", "still")


def draw_frames(num_frames: int) -> Tensor:
    """Frames of one clip, (T, 3, H, W), as the other projects take them."""
    return torch.randn(num_frames, 3, 64, 48, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Case:
    """What a network of another project is here."""

    layout: str
    network: str
    arguments: dict[str, Any] = field(default_factory=dict)
    prefix: str = ""  # of the names in the file, which the network does not have,
    drop: str = ""  # and the other way round
    exports: bool = True


FREE_TSN = {"arguments": {"temporal": "none"}, "drop": "net."}
CASES = {
    "tsm": Case("tsm", "tsm_resnet18", prefix="module."),
    "tsm non-local": Case("tsm", "tsm_resnet50", {"attention": "non_local"}, prefix="module."),
    "tsm mobilenet": Case("tsm", "tsm_mobilenetv2", prefix="module."),
    "mmaction2": Case("mmaction2", "tsm_resnet18"),
    "mmaction2 mobilenet": Case("mmaction2", "tsm_mobilenetv2"),
    "torchvision": Case("torchvision", "tsn_resnet18", **FREE_TSN),
    "torchvision mobilenet": Case("torchvision", "tsn_mobilenetv2", **FREE_TSN),
    "timm mobilenet": Case("timm", "tsn_mobilenetv2", **FREE_TSN),
    "epic55": Case("epic55", "tsm_resnet18", {"head": "verb"}, exports=False),
    "tsm-online": Case("tsm-online", "tsm_online_mobilenetv2", {"network": "tsm_online_mobilenetv2"}),
}


@dataclass(frozen=True)
class Imported:
    case: Case
    theirs: nn.Module
    file: dict[str, Tensor]
    ours: Checkpoint


@pytest.fixture(scope="module", params=CASES)
def imported(request, tmp_path_factory, scramble, settle, other_projects) -> Imported:
    folder: Path = tmp_path_factory.mktemp("imported")
    case = CASES[request.param]
    torch.manual_seed(0)
    theirs = settle(scramble(other_projects[request.param]()), draw_frames(4))
    file = {case.prefix + key.removeprefix(case.drop): value for key, value in theirs.state_dict().items()}
    torch.save({"state_dict": file, "epoch": 3, "arch": "a net"}, folder / "w.pth.tar")
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    run = import_checkpoint(
        folder / "w.pth.tar",
        layout=case.layout,
        classes=folder / "classes.txt",
        out=folder / "run",
        num_frames=8,
        **case.arguments,
    )
    return Imported(case, theirs, file, load_checkpoint(run, device="cpu"))


@pytest.mark.parametrize("num_frames", [1, 3])
@torch.no_grad()
def test_scores_are_the_other_network_s(imported, num_frames):
    frames = draw_frames(num_frames)
    expected = imported.theirs(frames)
    assert expected.std() > 0.01, "scores that say nothing"
    torch.testing.assert_close(imported.ours.model(frames.transpose(0, 1)[None])[0], expected, rtol=1e-4, atol=1e-4)


def test_the_network_is_told_by_the_tensors(imported):
    assert imported.ours.model.arguments["name"] == imported.case.network
    assert imported.ours.classes == CLASSES


def test_a_round_trip_is_exact(imported):
    if not imported.case.exports:
        with pytest.raises(ValueError, match="epic55 has two classifiers"):
            export_state_dict(imported.ours.model, imported.case.layout)
        return
    exported = export_state_dict(imported.ours.model, imported.case.layout)
    assert set(exported) == set(imported.file)
    assert all(torch.equal(exported[key], imported.file[key]) for key in exported)


def test_every_layout_is_tested():
    assert {case.layout for case in CASES.values()} | {"slowfast"} == set(LAYOUTS)  # that one in test_slowfast.py


def test_the_names_are_those_of_public_files():
    """Names as they stand in published files, so that this file's networks and the layouts cannot err together."""
    with torch.device("meta"):
        resnet = create_model("tsm_resnet101", num_classes=174)
        mobilenet = create_model("tsm_mobilenetv2", num_classes=27)
        non_local = create_model("tsm_resnet50", num_classes=174, attention="non_local")
    tsm, mmaction2 = (set(export_state_dict(resnet, layout)) for layout in ("tsm", "mmaction2"))
    # In a ResNet-101 every second block shifts.
    assert {"module.base_model.layer3.0.conv1.net.weight", "module.base_model.layer3.1.conv1.weight"} <= tsm
    assert {"module.base_model.layer1.0.downsample.0.weight", "module.new_fc.bias"} <= tsm
    assert {"backbone.layer1.0.conv1.conv.net.weight", "backbone.layer1.1.conv1.conv.weight"} <= mmaction2
    assert {"backbone.conv1.bn.running_mean", "backbone.layer1.0.downsample.bn.bias"} <= mmaction2
    assert {"backbone.layer1.0.downsample.conv.weight", "cls_head.fc_cls.weight"} <= mmaction2
    assert {"backbone.layer4.2.conv3.conv.weight", "backbone.layer4.2.conv3.bn.weight"} <= mmaction2
    tsm, mmaction2 = (set(export_state_dict(mobilenet, layout)) for layout in ("tsm", "mmaction2"))
    assert {"module.base_model.features.3.conv.0.net.weight", "module.base_model.features.1.conv.4.bias"} <= tsm
    assert {"backbone.layer2.1.conv.0.net.conv.weight", "backbone.layer7.0.conv.2.bn.weight"} <= mmaction2
    assert {"backbone.conv2.conv.weight", "backbone.layer1.0.conv.1.conv.weight"} <= mmaction2
    tsm = set(export_state_dict(non_local, "tsm"))
    nl = "module.base_model.layer2.0.nl."
    assert {nl + "g.0.weight", nl + "phi.0.bias", nl + "theta.weight", nl + "W.0.bias", nl + "W.1.running_var"} <= tsm
    assert {"module.base_model.layer3.4.block.conv1.net.weight", "module.base_model.layer3.5.conv1.net.weight"} <= tsm


def test_blocks_that_shift_are_the_public_tsm_s():
    with torch.device("meta"):
        blocks = blocks_of(create_model("tsm_mobilenetv2", num_classes=2))
    assert blocks.shifted == {f"features.{n}" for n in (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)}
    assert not blocks.non_local


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["tsm_resnet18", "tsm_resnet101", "tsn_resnet34", "tsm_mobilenetv2"])
def test_every_tensor_has_a_name_of_its_own(layout, name):
    family = "mobilenetv2" if "mobilenet" in name else "resnet"
    if family not in LAYOUTS[layout].classifiers:
        return
    with torch.device("meta"):
        model = create_model(name, num_classes=2)
    names = tensor_names(model, LAYOUTS[layout], classifier="classifier", with_attention=False)
    assert set(names) == set(model.state_dict())
    assert len(set(names.values())) == len(names)
