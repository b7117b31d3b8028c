"""Image networks of timm and torchvision as frame backbones: their own numbers, our slots in the right places."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from w3action.layers import W3, TemporalShift
from w3action.models import count_cost, create_model
from w3action.models.foreign import ForeignBackbone, foreign_network
from w3action.models.slots import fold, unfold

timm = pytest.importorskip("timm", reason="timm is an extra: pip install 'w3action[timm]'")

T = 3


@dataclass(frozen=True)
class Known:
    """What is known of an image network without reading its graph.

    `entry` and `exit` name the modules of a block before which a branch begins and behind which it ends.
    """

    blocks: tuple[int, ...]
    pool: str
    classifier: tuple[str, ...]  # what stands behind the pooling
    is_block: Callable[[str, nn.Module], bool]
    entry: str
    exit: str


def has_skip(name: str, module: nn.Module) -> bool:
    return bool(getattr(module, "has_skip", False)) and hasattr(module, "conv_pwl")


def of_type(name: str) -> Callable[[str, nn.Module], bool]:
    return lambda _, module: type(module).__name__ == name


KNOWN = {
    "timm/resnet10t": Known((1, 1, 1, 1), "global_pool", ("fc.",), of_type("BasicBlock"), "conv1", "bn2"),
    "timm/regnety_002": Known((1, 1, 4, 7), "head", ("head.",), of_type("Bottleneck"), "conv1", "conv3"),
    "timm/efficientnet_lite0": Known((1, 1, 4, 3), "global_pool", ("classifier.",), has_skip, "conv_pw", "bn3"),
    "timm/mobilenetv3_small_050": Known(
        (1, 4, 2), "global_pool", ("conv_head.", "classifier."), has_skip, "conv_pw", "bn3"
    ),
    "timm/convnext_atto": Known((2, 2, 6, 2), "head", ("head.",), of_type("ConvNeXtBlock"), "conv_dw", "drop_path"),
    "torchvision/resnet18": Known((2, 2, 2, 2), "avgpool", ("fc.",), of_type("BasicBlock"), "conv1", "bn2"),
    "torchvision/regnet_y_400mf": Known((1, 3, 6, 6), "avgpool", ("fc.",), of_type("ResBottleneckBlock"), "f", "f"),
    "torchvision/mobilenet_v3_small": Known(
        (1, 3, 2), "avgpool", ("classifier.",), lambda _, m: getattr(m, "use_res_connect", False), "block", "block"
    ),
    "torchvision/convnext_tiny": Known(
        (3, 3, 9, 3), "avgpool", ("classifier.",), of_type("CNBlock"), "block", "stochastic_depth"
    ),
}
WITH_HOOKS = [name for name in KNOWN if name not in ("timm/efficientnet_lite0", "torchvision/convnext_tiny")]
WITH_HOOKS.remove("torchvision/resnet18")  # compared with our own
SMALL = ["timm/regnety_002", "timm/mobilenetv3_small_050", "timm/convnext_atto"]


def random_clips(frames: int = T, height: int = 64, width: int = 32) -> Tensor:
    return torch.randn(2, 3, frames, height, width, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def last_maps(network: nn.Module, known: Known, frames: Tensor) -> Tensor:
    """What a network gives to its pooling, read off by a hook."""
    seen: list[Tensor] = []
    hook = network.get_submodule(known.pool).register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
    network(frames)
    hook.remove()
    return seen[0]


def with_its_weights(name: str, network: nn.Module, **arguments):
    """Our network of that name with another's weights."""
    model = create_model(name, num_classes=5, **arguments)
    missing, unexpected = model.backbone.load_state_dict(network.state_dict(), strict=False)
    assert all(".slots." in key for key in missing)
    known = KNOWN[name.partition(":")[2]]
    assert [key for key in unexpected if not key.startswith(known.classifier)] == []
    return model.eval()


@pytest.mark.parametrize("name", KNOWN)
def test_without_slots_the_maps_are_the_image_network_s(name, image_network):
    network, clips = image_network(name), random_clips()
    model = with_its_weights(f"tsn:{name}", network)
    expected = unfold(last_maps(network, KNOWN[name], fold(clips)), T)
    assert expected.std() > 1e-3, "maps that say nothing"
    with torch.no_grad():
        torch.testing.assert_close(model.forward_features(clips).maps, expected, rtol=1e-5, atol=1e-5)
        pooled = expected.mean(dim=(2, 3, 4))
        torch.testing.assert_close(model(clips), model.head.fc(pooled), rtol=1e-5, atol=1e-5)
    assert model.backbone.num_features == expected.shape[1]
    assert model.backbone.num_blocks_by_stage == KNOWN[name].blocks


def follow_by_hooks(network: nn.Module, known: Known, model: nn.Module, place: str) -> nn.Module:
    """Copy an image network and put a model's slots into it by hooks at modules that are known by name."""
    network = copy.deepcopy(network)
    for path, block in network.named_modules():
        if not known.is_block(path, block):
            continue
        slots = model.backbone.get_submodule(f"{path}.slots")

        def enter(_, given, slots=slots):
            return (slots.before(given[0], T),)

        def leave(_, given, result, slots=slots):
            return slots.attend(result, T, place)[0]

        block.get_submodule(known.entry).register_forward_pre_hook(enter)
        (block.get_submodule(known.exit) if place == "residual" else block).register_forward_hook(leave)
    return network


@pytest.mark.parametrize(
    ("name", "place"),
    [*((name, "residual") for name in WITH_HOOKS), ("timm/resnet10t", "output"), ("timm/convnext_atto", "output")],
)
def test_slots_stand_where_a_branch_begins_and_ends(name, place, image_network, scramble):
    network, clips = image_network(name), random_clips()
    model = with_its_weights(f"tsm:{name}", network, attention="cbam", place=place)
    for module in model.backbone.modules():
        if type(module).__name__ == "CBAM":
            scramble(module)
    hooked = follow_by_hooks(network, KNOWN[name], model, place)
    expected = unfold(last_maps(hooked, KNOWN[name], fold(clips)), T)
    with torch.no_grad():
        maps, masks = model.forward_features(clips)
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(maps, unfold(last_maps(network, KNOWN[name], fold(clips)), T), atol=1e-2)
    assert tuple(len(stage) for stage in masks) == KNOWN[name].blocks
    sizes = [{tuple(mask.spatial.shape[1:]) for mask in stage} for stage in masks]
    assert sizes == [{(T, 64 // stride, 32 // stride)} for stride in (4, 8, 16, 32)[-len(sizes) :]]


def draw(name: str, **arguments) -> nn.Module:
    """Build a network without its own way to draw weights, which takes longer than a step with them."""
    with torch.device("meta"):
        model = create_model(name, **arguments)
    numbers = torch.Generator().manual_seed(1)
    for value in model.to_empty(device="cpu").state_dict().values():
        if value.is_floating_point():
            value.normal_(std=(2 / max(value[0].numel(), 1)) ** 0.5, generator=numbers)
    return model


@pytest.mark.parametrize(("size", "attention"), [(50, "w3"), (18, None), (18, "non_local"), (18, "cbam")])
def test_torchvision_s_resnet_is_our_own(size, attention, scramble):
    """Names, places and numbers."""
    arguments = {"num_classes": 3, "attention": attention}
    ours, theirs = (draw(f"{name}{size}", **arguments) for name in ("tsm_resnet", "tsm:torchvision/resnet"))
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    theirs.load_state_dict(scramble(ours).state_dict())
    clips = random_clips(2, 48, 40)
    with torch.no_grad():
        expected, found = ours(clips), theirs.eval()(clips)
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("attention", [None, "w3"])
def test_torchvision_s_resnet_50_costs_what_ours_does(attention):
    with torch.device("meta"):
        names = ("tsm_resnet50", "tsm:torchvision/resnet50")
        models = [create_model(name, num_classes=174, attention=attention) for name in names]
    costs = [count_cost(model, num_frames=8, size=224) for model in models]
    assert costs[0] == costs[1]
    assert models[0].backbone.num_blocks_by_stage == models[1].backbone.num_blocks_by_stage


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("timm/resnetv2_18", (2, 2, 2, 2)),  # norms before convolutions
        ("timm/resnext50_32x4d", (3, 4, 6, 3)),
        ("timm/regnety_032", (2, 5, 13, 1)),
        ("timm/efficientnet_b1", (2, 2, 6, 5)),  # its first row adds at half the input's resolution
        ("timm/repvgg_a0", (1, 3, 13)),  # three sides to a sum
        ("timm/res2net50_26w_4s", (3, 4, 6, 3)),  # sums within a branch
    ],
)
def test_blocks_are_found_and_counted(name, blocks):
    with torch.device("meta"):
        model = create_model(f"tsm:{name}", num_classes=5)
    assert model.backbone.num_blocks_by_stage == blocks
    assert sum(isinstance(module, TemporalShift) for module in model.modules()) == sum(blocks)


@pytest.mark.parametrize("name", SMALL)
def test_refinement_reads_one_mask_of_each_stage(name):
    with torch.device("meta"):
        model = create_model(f"tsm:{name}", num_classes=5, attention="w3")
    assert model.refine.conv.weight.shape[:2] == (model.backbone.num_features, len(KNOWN[name].blocks))
    assert sum(isinstance(module, W3) for module in model.modules()) == sum(KNOWN[name].blocks)


@pytest.mark.parametrize("name", ["tsm:timm/mobilenetv3_small_050", "tsm:timm/convnext_atto", "tam:timm/regnety_002"])
def test_gradients_reach_every_parameter(name):
    torch.manual_seed(0)
    model = create_model(name, num_classes=3, attention="w3", dropout=0.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(2):  # W3's last convolutions start at 0
        optimizer.zero_grad()
        F.cross_entropy(model(random_clips()), torch.tensor([0, 2])).backward()
        optimizer.step()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    assert [n for n, p in model.named_parameters() if not p.grad.any()] == []


def test_a_branch_starts_open():
    """timm's RegNet starts the last norm of a branch at 0."""
    assert not timm.create_model("regnety_002").s1.b1.conv3.bn.weight.any()
    backbone = create_model("tsm:timm/regnety_002", num_classes=3).backbone
    assert torch.equal(backbone.get_parameter("s1.b1.conv3.bn.weight"), torch.ones(24))


@pytest.mark.parametrize(
    ("name", "frames", "height", "width"),
    [("timm/convnext_atto", 1, 33, 47), ("timm/mobilenetv3_small_050", 5, 64, 31)],
)
def test_any_length_and_any_size(name, frames, height, width):
    model = create_model(f"tsm:{name}", num_classes=2, attention="w3").eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, frames, height, width)).shape == (1, 2)


@pytest.mark.parametrize(("kind", "changed"), [("tsn", [1]), ("tsm", [0, 1, 2, 3]), ("tsm_online", [1, 2, 3])])
def test_frames_meet_as_the_name_says(kind, changed, image_network):
    model = with_its_weights(f"{kind}:timm/regnety_002", image_network("timm/regnety_002"))
    clips = random_clips(4)
    other = clips.clone()
    other[:, :, 1] += 1.0
    with torch.no_grad():
        was, now = model.forward_features(clips).maps, model.forward_features(other).maps
    assert [t for t in range(4) if not torch.allclose(was[:, :, t], now[:, :, t], rtol=1e-4, atol=1e-5)] == changed


@pytest.mark.parametrize(
    ("name", "temporal"),
    [
        ("tam:torchvision/resnet18", "aggregation"),
        ("tam:timm/regnety_002", "aggregation"),
        ("tam:torchvision/mobilenet_v3_small", "linear_aggregation"),
        ("tam:timm/convnext_atto", "linear_aggregation"),
        ("tsn:timm/resnet18", "none"),
    ],
)
def test_a_relu_follows_an_aggregation_only_where_a_block_s_input_is_positive(name, temporal):
    assert foreign_network(name).temporal == temporal


def test_it_is_copied_and_built_again_whole():
    model = create_model("tsm:timm/regnety_002", num_classes=3, attention="w3").eval()
    clips = random_clips(2)
    copied = copy.deepcopy(model)
    assert isinstance(copied.backbone, ForeignBackbone)
    assert copied.backbone.num_blocks_by_stage == model.backbone.num_blocks_by_stage
    again = create_model(**model.arguments).eval()
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        expected = model(clips)
        assert torch.equal(copied(clips), expected)
        assert torch.equal(again(clips), expected)
    for parameter in copied.parameters():
        parameter.data.zero_()
    assert torch.equal(model(clips), expected), "the copy shares parameters"


def test_training_mode_reaches_its_layers():
    model = create_model("tsn:timm/regnety_002", num_classes=3)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(norm.training for norm in norms)
    model.eval()
    assert not any(norm.training for norm in norms)
