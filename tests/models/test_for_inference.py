"""A network made for inference gives the same logits, and folds exactly the norms that may be folded."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from w3action.models import create_model
from w3action.models.backbone import Backbone
from w3action.models.for_inference import CONVOLUTIONS, NORMS, fold_norms_, for_inference, norms_behind_convolutions
from w3action.models.networks import NETWORKS
from w3action.models.slots import Fillers

CASES = [
    ("tsm_small", "w3"),
    ("tsm_resnet18", "cbam"),
    ("tsm_resnet18", "non_local"),
    ("tsm_resnet50", "w3"),
    ("tsm_mobilenetv2", "w3"),
    ("tsm_bn_inception", "cbam"),
    ("i3d_resnet18", "w3"),
]
KINDS = [  # one of each kind of backbone
    "tsm_small",
    "tsn_mobilenetv2",
    "tsm_resnet50",
    "tsn_bn_inception",
    "tsn_vgg16",
    "tam_blvnet50",
    "eco_lite",
    "eco_full",
    "i3d_resnet50",
    "r2plus1d_18",
    "slowfast_4x16_resnet50",
    "c3d",
]


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_logits_and_masks_are_the_same(name, attention, settle):
    torch.manual_seed(0)
    model = create_model(name, num_classes=5, attention=attention)
    for norm in model.modules():
        if isinstance(norm, NORMS):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.1)
    clips = torch.randn(1, 3, 4, 48, 41)
    settle(model, clips)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    made = for_inference(model)
    with torch.inference_mode():
        expected, found = model(clips), made(clips)
        wanted, masks = model.forward_features(clips).masks, made.forward_features(clips).masks
    assert not any(isinstance(module, NORMS) for module in made.modules())
    assert not any(parameter.requires_grad for parameter in made.parameters())
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
    torch.testing.assert_close(masks, wanted, rtol=1e-3, atol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert any(isinstance(module, NORMS) for module in model.modules())


@pytest.mark.parametrize("name", KINDS)
def test_every_norm_of_every_network_that_may_be_folded_is(name):
    network = NETWORKS[name]
    with torch.device("meta"):
        backbone = network.backbone(Fillers()).eval()
        clips = torch.empty(1, 3, network.num_frames, network.input_size, network.input_size)
    norms = {key for key, module in backbone.named_modules() if isinstance(module, NORMS)}
    # ECO's 3D blocks add before they normalise: their norms stand behind additions.
    left = {key for key in norms if key.startswith("network3d") and key.endswith((".bn1", ".last_norm"))}
    assert norms - norms_behind_convolutions(backbone, clips).keys() == left


class Traps(Backbone):
    """Norms that look as if they stood behind a convolution."""

    def __init__(self):
        super().__init__()
        for index in range(6):
            self.add_module(f"conv{index}", nn.Conv2d(3, 3, 1))
            self.add_module(f"norm{index}", nn.BatchNorm2d(3))
        self.norm6 = nn.BatchNorm2d(3)

    def forward(self, x):
        a = self.conv0(x)
        a = self.norm0(a) + a  # read twice
        b = self.norm1(self.conv1(x).relu_())  # a ReLU between, of the same name
        c = self.norm2(self.conv2(x)) + self.norm2(x)  # one norm, two inputs
        d = self.norm3(self.conv3(x)) + self.conv3(x + 1)  # one convolution, a norm behind one of its outputs
        y = self.conv4(x)
        e = self.norm4(y) + self.norm6(y)  # two norms behind one
        return a + b + c + d + e + self.norm5(self.conv5(x)), []


def test_a_norm_is_folded_only_into_the_convolution_directly_before_it_and_read_by_it_alone():
    torch.manual_seed(0)
    network = Traps().eval()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2.0)
    x = torch.randn(2, 3, 4, 4)
    expected, folded = network(x)[0], copy.deepcopy(network)
    assert list(fold_norms_(folded, x.to("meta"))) == ["norm5"]
    torch.testing.assert_close(folded(x)[0], expected)


def test_in_float64_hardly_a_rounding_is_left(settle):
    model = create_model("tsm_small", num_classes=5, attention="cbam").double()
    clips = torch.randn(1, 3, 4, 64, 64, dtype=torch.float64)
    settle(model, clips)
    torch.testing.assert_close(for_inference(model)(clips), model(clips), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize(
    ("name", "attention"),
    [("tsm_small", "cbam"), ("tsm_mobilenetv2", "w3"), ("tam_small", "w3"), ("i3d_resnet18", "w3")],
)
def test_weights_of_autocasts_type_change_no_logits(name, attention, gradients):
    torch.manual_seed(0)
    model = create_model(name, num_classes=5, attention=attention)
    cast, plain = for_inference(model, autocast=torch.bfloat16), for_inference(model)
    assert {weight.dtype for weight in plain.parameters()} == {torch.float32}
    folded = {
        key for key, module in cast.named_modules() if isinstance(module, CONVOLUTIONS) and module.bias is not None
    }
    types = {key: weight.dtype for key, weight in cast.named_parameters()}
    assert {types[f"{key}.weight"] for key in folded if ".slots." not in key and "refine" not in key} == {
        torch.bfloat16
    }
    assert {dtype for key, dtype in types.items() if ".slots." in key or "backbone" not in key} == {torch.float32}
    clips = torch.randn(1, 3, 4, 64, 64)
    with torch.set_grad_enabled(gradients), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(cast(clips), plain(clips))


def test_convolutions_lie_channels_last_and_features_follow():
    model = for_inference(create_model("tsm_resnet18", num_classes=2, attention="w3"))
    maps, _ = model.forward_features(torch.randn(1, 3, 2, 64, 64))
    assert maps.transpose(1, 2).flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


def test_cuda_graphs_need_a_compiled_network_on_a_gpu():
    model = create_model("tsm_small", num_classes=2)
    with pytest.raises(ValueError, match="cuda_graphs=True is given with compiled=False"):
        for_inference(model, cuda_graphs=True)
    with pytest.raises(ValueError, match="the network is on cpu; move it to a GPU"):
        for_inference(model, compiled=True, cuda_graphs=True)


COMPILE = """
import torch
from w3action.models import create_model
from w3action.models.for_inference import for_inference

torch.manual_seed(0)
model = create_model("tsm_small", num_classes=3, attention="w3").eval()
clips = torch.randn(1, 3, 4, 64, 64)
made = for_inference(model)
made.compile(backend="eager", fullgraph=True)
with torch.no_grad():
    torch.testing.assert_close(made(clips), model(clips), rtol=1e-4, atol=1e-5)
"""


def test_shift_attention_and_refinement_compile_as_one_graph():  # a process of its own: jaxtyping checks calls here
    subprocess.run([sys.executable, "-c", COMPILE], check=True, timeout=300)
