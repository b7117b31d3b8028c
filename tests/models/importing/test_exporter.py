"""What has no counterpart in a layout is not exported; round trips are in test_layouts.py."""

import pytest
import torch

from w3action.models import create_model
from w3action.models.importing.exporter import export_state_dict


@pytest.mark.parametrize(
    ("name", "options", "layout", "message"),
    [
        ("tsm_resnet18", {"attention": "w3"}, "tsm", "no names for the attention 'w3' of this tsm_resnet18"),
        ("tsm_resnet18", {"attention": "se"}, "tsm", "attention 'se'"),
        ("tsm_resnet50", {"attention": "non_local"}, "mmaction2", "attention 'non_local'"),
        ("tsm_mobilenetv2", {"attention": "non_local"}, "tsm", "attention 'non_local'"),
        ("tsm_resnet50", {"attention": "non_local", "place": "residual"}, "tsm", "attention 'non_local'"),
        ("tam_resnet50", {}, "tsm", "no names for the temporal operation 'aggregation' of tam_resnet50"),
        ("tam_resnet50", {}, "torchvision", "no names for the temporal operation 'aggregation'"),
        ("trn_resnet50", {}, "tsm", "trn_resnet50 has no counterpart in tsm"),
        ("tsm_small", {}, "tsm", "tsm_small has no counterpart in tsm"),
        ("tsm_resnet18", {}, "epic55", "two classifiers"),
        ("tsm_resnet18", {}, "tsm-online", "no names for resnet; it has for mobilenetv2"),
        ("tsm_mobilenetv2", {}, "tsm-online", "from the past alone, and tsm_mobilenetv2 does not"),
        ("tsm_mobilenetv2", {}, "epic55", "no names for mobilenetv2"),
        ("tsm_resnet18", {}, "caffe", "unknown layout 'caffe'"),
    ],
)
def test_what_a_layout_cannot_hold_is_refused(name, options, layout, message):
    with torch.device("meta"):
        model = create_model(name, num_classes=3, **options)
    with pytest.raises(ValueError, match=message):
        export_state_dict(model, layout)


def test_the_way_back_holds_every_tensor_once():
    with torch.device("meta"):
        model = create_model("tsm_resnet18", num_classes=3)
    for layout in ("tsm", "mmaction2", "torchvision", "timm"):
        exported = export_state_dict(model, layout)
        assert len(exported) == len(model.state_dict())
        assert all(key.startswith("module.") for key in exported) == (layout == "tsm")
