"""Any network takes any attention; what `create_model` says is what it builds, and what it refuses."""

from dataclasses import dataclass

import jaxtyping
import pytest
import torch
from torch.nn import functional as F

from w3action.layers import CBAM, W3, NonLocal, SqueezeExcite
from w3action.models import ATTENTIONS, NETWORKS, ActionModel, create_model, list_models
from w3action.models.attention import every_block, five_blocks
from w3action.models.heads import RelationHead, RSTTMHead

OF_STRIDE_32 = ((12, 10), (6, 5), (3, 3), (2, 2))
T = 3  # frames of the clips here


@dataclass(frozen=True)
class Shape:
    """What a backbone makes of 3 frames of 48x40: channels, and stage by stage blocks with slots and non-local layers,
    the masks' sizes and frames; `maps` where the last features have another (T, H, W) than the last masks."""

    channels: int
    blocks: tuple[int, ...]
    non_local: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...] = OF_STRIDE_32
    frames: tuple[int, ...] = (T, T, T, T, T, T)
    maps: tuple[int, int, int] | None = None


C3D_SIZES = ((48, 40), (24, 20), (12, 10), (6, 5), (3, 3))
SLOWFAST = Shape(2304, (3, 4, 6, 3), (0, 2, 3, 0), frames=(1, 1, 1, 1))
R2PLUS1D_SIZES = ((24, 20), (12, 10), (6, 5), (3, 3))
BIG_LITTLE_SIZES = ((6, 5), (3, 3), (3, 3), (2, 2))
INCEPTION_SIZES = ((6, 5), (3, 3), (2, 2))
BACKBONES = {
    "small": Shape(128, (1, 1, 1), (0, 1, 1), ((12, 10), (6, 5), (3, 3))),
    "mobilenet_v2": Shape(1280, (1, 2, 5, 2), (0, 1, 3, 0)),
    "resnet18": Shape(512, (2, 2, 2, 2), (0, 1, 1, 0)),
    "resnet34": Shape(512, (3, 4, 6, 3), (0, 2, 3, 0)),
    "resnet50": Shape(2048, (3, 4, 6, 3), (0, 2, 3, 0)),
    "resnet101": Shape(2048, (3, 4, 23, 3), (0, 2, 3, 0)),
    "bn_inception": Shape(1024, (2, 5, 3), (0, 2, 2), INCEPTION_SIZES),
    "vgg16": Shape(512, (1,) * 5, (0, 1, 1, 0, 0), ((24, 20), (12, 10), (6, 5), (3, 2), (1, 1))),
    "blresnet50": Shape(2048, (1, 1, 1, 3), (0, 1, 1, 0), BIG_LITTLE_SIZES),
    "blvnet50": Shape(2048, (1, 1, 1, 3), (0, 1, 1, 0), BIG_LITTLE_SIZES, frames=(2, 2, 2, 2)),
    "eco_lite": Shape(512, (2, 1, 2, 2), (0, 1, 1, 0), ((6, 5), (6, 5), (3, 3), (2, 2)), frames=(3, 3, 2, 1)),
    "eco_full": Shape(
        1536,
        (2, 5, 3, 1, 2, 2),
        (0, 2, 2, 0, 0, 0),
        ((6, 5), (3, 3), (2, 2), (6, 5), (3, 3), (2, 2)),
        frames=(3, 3, 3, 3, 2, 1),
    ),
    "i3d_resnet18": Shape(512, (2, 2, 2, 2), (0, 1, 1, 0), frames=(3, 2, 2, 2)),
    "i3d_resnet50": Shape(2048, (3, 4, 6, 3), (0, 2, 3, 0), ((12, 10), (6, 5), (3, 3), (3, 3)), frames=(3, 2, 2, 2)),
    "r2plus1d_18": Shape(512, (2, 2, 2, 2), (0, 1, 1, 0), R2PLUS1D_SIZES, frames=(3, 2, 1, 1)),
    "r2plus1d_34": Shape(512, (3, 4, 6, 3), (0, 2, 3, 0), R2PLUS1D_SIZES, frames=(3, 2, 1, 1)),
    "r2plus1d_50": Shape(2048, (3, 4, 6, 3), (0, 2, 3, 0), R2PLUS1D_SIZES, frames=(3, 2, 1, 1)),
    "slowfast_4x16_resnet50": SLOWFAST,
    "slowfast_8x8_resnet50": SLOWFAST,
    "c3d": Shape(4096, (1, 1, 2, 2, 2), (0, 1, 1, 0, 0), C3D_SIZES, frames=(3, 3, 2, 1, 1), maps=(1, 1, 1)),
    "c3d_convolutions": Shape(512, (1, 1, 2, 2, 2), (0, 1, 1, 0, 0), C3D_SIZES, frames=(3, 3, 2, 1, 1)),
}


# A network of every backbone and every head: the others differ in what has no parameters.
ONE_OF_EACH = {(n.backbone, n.head, n.temporal == "aggregation"): name for name, n in NETWORKS.items()}.values()


def shape_of(name: str) -> Shape:
    return BACKBONES[NETWORKS[name].backbone.__name__]


def for_short_clips(name: str) -> dict:
    """A relation head is built for its number of frames."""
    return {"head_options": {"num_frames": T}} if NETWORKS[name].head is RelationHead else {}


# Of our attentions: the layer, and whether it has a channel and a spatial mask in training.
LAYERS = {
    "w3": (W3, True, True),
    "cbam": (CBAM, True, True),
    "se": (SqueezeExcite, True, False),
    "non_local": (NonLocal, False, False),
}


def random_clips(frames: int = 3, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 3, frames, 48, 40, generator=torch.Generator().manual_seed(seed))


def build_with_constant_weights(name: str, **arguments) -> ActionModel:
    """Drawing a ResNet-101's random weights takes longer than a step with them."""
    with torch.device("meta"):
        model = create_model(name, **arguments)
    model.to_empty(device="cpu")
    for value in model.state_dict().values():
        value.fill_(0.01)
    return model


def test_the_tables_here_are_complete():
    assert {network.backbone.__name__ for network in NETWORKS.values()} == BACKBONES.keys()
    assert ATTENTIONS.keys() >= LAYERS.keys()
    assert list_models() == list(NETWORKS)


@pytest.mark.parametrize("attention", [None, *ATTENTIONS])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_every_attention(name, attention):
    """Shapes, for every pair, where they cost nothing."""
    shape = shape_of(name)
    with torch.device("meta"):
        model = create_model(name, num_classes=5, attention=attention, **for_short_clips(name))
        clips = torch.empty(1, 3, T, 48, 40)
        maps, masks = model.forward_features(clips)
        assert model.forward_head(maps, clips=clips).shape == (1, 5)
    last = (shape.frames[len(shape.sizes) - 1], *shape.sizes[-1])
    assert maps.shape == (1, shape.channels, *(shape.maps or last))

    expected = (0,) * len(shape.blocks)
    if attention is not None:
        expected = {every_block: shape.blocks, five_blocks: shape.non_local}[ATTENTIONS[attention].stands_at]
    assert tuple(len(stage) for stage in masks) == expected
    if attention is not None:
        assert tuple(ATTENTIONS[attention].count_masks(model.backbone.num_blocks_by_stage)) == expected
        layer, *has_masks = LAYERS.get(attention, (ATTENTIONS[attention].layer,))
        assert sum(type(m) is layer for m in model.modules()) == sum(expected)
        for stage, size, frames in zip(masks, shape.sizes, shape.frames, strict=False):
            for mask in stage:
                assert [mask.channel is not None, mask.spatial is not None] == has_masks or attention not in LAYERS
                assert mask.channel is None or mask.channel.shape[::2] == (1, frames)
                assert mask.spatial is None or mask.spatial.shape == (1, frames, *size)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_every_parameter_of_every_network_gets_a_gradient(name):
    model = build_with_constant_weights(name, num_classes=5, attention="w3", **for_short_clips(name))
    frames = 16 if NETWORKS[name].head is RSTTMHead else T  # two of C3D's, for a memory of what came before
    F.cross_entropy(model(random_clips(frames)[:1]), torch.tensor([4])).backward()
    # A parameter without a gradient would be one that no output depends on.
    assert [
        n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.isfinite().all())
    ] == []


@pytest.mark.parametrize("name", ["tsm_small", "tsm_mobilenetv2"])
def test_non_local_masks_have_their_stage_s_size_in_evaluation(name):
    shape = shape_of(name)
    model = create_model(name, num_classes=5, attention="non_local").eval()
    masks = model.forward_features(random_clips()).masks
    found = [[tuple(mask.spatial.shape) for mask in stage] for stage in masks]
    assert found == [[(2, 3, *size)] * count for size, count in zip(shape.sizes, shape.non_local, strict=True)]


@pytest.mark.parametrize("name", ["tsm_small", "tsm_mobilenetv2"])
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize(("frames", "height", "width"), [(1, 33, 47), (5, 64, 31)])
def test_any_length_and_any_size(name, attention, frames, height, width):
    model = create_model(name, num_classes=2, attention=attention).eval()
    assert model(torch.randn(1, 3, frames, height, width)).shape == (1, 2)


@pytest.mark.parametrize("attention", [None, "w3"])
@pytest.mark.parametrize("name", ["tsm_small", "tsm_mobilenetv2"])
def test_after_one_step_every_parameter_learns(name, attention):
    torch.manual_seed(0)
    model = create_model(name, num_classes=3, attention=attention, dropout=0.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(model(random_clips()), torch.tensor([0, 2])).backward()
        optimizer.step()
    assert [n for n, p in model.named_parameters() if not p.grad.any()] == []


@pytest.mark.parametrize("name", ["small", "mobilenetv2"])
@pytest.mark.parametrize(
    ("attention", "options"), [(None, {}), ("se", {}), ("cbam", {}), ("w3", {"temporal": False, "initial_mask": 0.5})]
)
def test_tsn_mixes_no_frames_before_the_head_and_tsm_does(name, attention, options, scramble, settle):
    clips = random_clips(4)
    other = clips.clone()
    other[:, :, 1] += 1.0
    for kind, mixes in (("tsn", False), ("tsm", True)):
        torch.manual_seed(0)
        model = create_model(f"{kind}_{name}", num_classes=3, attention=attention, attention_options=options)
        settle(scramble(model), clips)
        was, now = model.forward_features(clips).maps, model.forward_features(other).maps
        changed = [not torch.allclose(was[:, :, t], now[:, :, t], rtol=1e-3, atol=1e-5) for t in range(4)]
        assert changed == ([True] * 4 if mixes else [False, True, False, False])


def test_w3_mixes_frames_without_any_shift(scramble):
    model = scramble(create_model("tsn_small", num_classes=3, attention="w3"))
    other = random_clips(4)
    other[:, :, 1] += 1.0
    was, now = model.forward_features(random_clips(4)).maps, model.forward_features(other).maps
    assert all(not torch.allclose(was[:, :, t], now[:, :, t]) for t in range(4))


@pytest.mark.parametrize("name", ["tsm_small", "tsm_mobilenetv2", "tsm_resnet50"])
def test_masks_near_one_keep_a_network_s_features(name, settle):
    torch.manual_seed(0)
    plain = settle(create_model(name, num_classes=5), random_clips())

    def difference(initial_mask: float) -> float:
        options = {"initial_mask": initial_mask}
        attended = create_model(name, num_classes=5, attention="w3", attention_options=options).eval()
        missing, unexpected = attended.load_state_dict(plain.state_dict(), strict=False)
        assert not unexpected
        assert all(".slots." in key or key.startswith("refine.") for key in missing)
        attended.refine.conv.weight.data.mul_(1e-3)
        with torch.no_grad():
            expected = plain(random_clips())
            return ((attended(random_clips()) - expected).norm() / expected.norm()).item()

    assert difference(0.9999) < 0.05
    assert difference(0.5) > 0.2


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_both_places_build_and_differ(attention, scramble):
    outputs = []
    for place in ("residual", "output"):
        torch.manual_seed(0)
        model = scramble(create_model("tsm_small", num_classes=3, attention=attention, place=place))
        outputs.append(model(random_clips()))
    assert not torch.allclose(*outputs)


@pytest.mark.parametrize(("attention", "place"), [("w3", "residual"), ("cbam", "residual"), ("non_local", "output")])
def test_every_attention_has_its_own_place(attention, place, scramble):
    outputs = []
    for given in (None, place):
        torch.manual_seed(0)
        model = scramble(create_model("tsm_small", num_classes=3, attention=attention, place=given))
        outputs.append(model(random_clips()))
    assert torch.equal(*outputs)


@pytest.mark.parametrize(
    ("name", "arguments", "num_masks"),
    [
        ("tsm_small", {"attention": None}, None),
        ("tsm_small", {"attention": "w3"}, 3),
        ("tsm_small", {"attention": "w3", "refine": False}, None),
        ("tsm_small", {"attention": "w3", "attention_options": {"channel": False}}, 3),
        ("tsm_small", {"attention": "w3", "attention_options": {"spatial": False}}, None),
        ("tsm_small", {"attention": "cbam"}, None),
        ("tsm_small", {"attention": "cbam", "refine": True}, 3),
        ("tsm_small", {"attention": "se"}, None),
        ("tsm_small", {"attention": "non_local"}, None),
        ("tsm_mobilenetv2", {"attention": "w3"}, 4),
        ("tsm_mobilenetv2", {"attention": "w3", "refine_from": "every"}, 10),
        ("tsm_resnet18", {"attention": "w3", "refine_from": "every"}, 8),
    ],
)
def test_refinement_is_where_the_attention_asks_for_it(name, arguments, num_masks):
    with torch.device("meta"):
        model = create_model(name, num_classes=3, **arguments)
        model(torch.empty(1, 3, 2, 48, 40))
    assert (None if model.refine is None else model.refine.conv.in_channels) == num_masks


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "tsn_small", "num_classes": 3},
        {
            "name": "tsm_resnet18",
            "num_classes": 4,
            "attention": "w3",
            "attention_options": {"temporal": False, "reduction": 4},
            "place": "output",
            "refine_from": "every",
            "dropout": 0.1,
        },
        {"name": "tsm_mobilenetv2", "num_classes": 2, "attention": "cbam", "refine": True},
    ],
)
def test_its_arguments_build_it_again(arguments):
    model = create_model(**arguments)
    again = create_model(**model.arguments)
    assert repr(again) == repr(model)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.eval()(random_clips()), model.eval()(random_clips()))


def test_options_reach_every_layer():
    options = {"temporal": False, "channel": False}
    model = create_model("tsm_small", num_classes=3, attention="w3", attention_options=options)
    layers = [m for m in model.modules() if isinstance(m, W3)]
    assert len(layers) == 3
    assert all(layer.what is None and layer.where.video is None for layer in layers)


def test_dropout_stands_before_the_classifier():
    assert create_model("tsm_small", num_classes=3, dropout=0.25).head.dropout.p == 0.25


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"name": "tsm_resnet5"}, r"unknown model 'tsm_resnet5'; choose one of .*tsm_resnet50"),
        ({"attention": "W3"}, r"unknown attention 'W3'; choose one of w3, cbam, se"),
        ({"num_classes": 0}, r"num_classes is 0"),
        ({"attention_options": {"temporal": False}}, r"attention is None; name one of w3"),
        ({"attention": "cbam", "attention_options": {"temporal": True}}, r"'cbam' does not take .*'temporal'"),
        ({"attention": "w3", "attention_options": {"channels": 3}}, r"'w3' does not take .*'channels'"),
        ({"attention": "w3", "attention_options": {"initial_mask": 3.0}}, r"initial_mask is 3\.0"),
        ({"attention": "w3", "attention_options": {"temporal_conv": "dense"}}, r"temporal_conv is 'dense'"),
        ({"attention": "w3", "attention_options": {"channel": False, "spatial": False}}, r"attends to nothing"),
        ({"refine": True}, r"refine=True needs an attention with spatial masks; given are None"),
        ({"attention": "se", "refine": True}, r"refine=True needs .* 'se'"),
        ({"attention": "non_local", "refine": True}, r"refine=True needs .* 'non_local'"),
        ({"attention": "w3", "attention_options": {"spatial": False}, "refine": True}, r"refine=True needs"),
        ({"dropout": 2.0}, r"dropout probability has to be between 0 and 1"),
        ({"pretrained": "imagenet"}, r"tsm_small has no ImageNet weights; leave pretrained out or give a file"),
        (
            {"attention": "w3", "place": "outptu", "refine": False},
            r"unknown place 'outptu'; choose one of residual, output",
        ),
        (
            {"attention": "w3", "refine_from": "evry"},
            r"unknown refine_from 'evry'; choose one of last, every",
        ),
        (
            {"attention": "w3", "attention_options": {"reduction": 0}},
            r"reduction is 0",
        ),
    ],
)
def test_wrong_arguments_are_refused(arguments, text, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for users
    with pytest.raises(ValueError, match=text):
        create_model(**{"name": "tsm_small", "num_classes": 3, **arguments})


def test_options_that_a_head_does_not_take_are_named():
    with pytest.raises(ValueError, match=r"the head of tsm_small does not take the options .*depth"):
        create_model("tsm_small", num_classes=3, head_options={"depth": 3})
