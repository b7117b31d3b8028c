"""The networks by name, each a sentence: backbone x temporal operation x head. To add one: a line in `NETWORKS`.

A temporal operation is what a backbone does between frames: it maps a residual block's position and its channels to a
layer, or to None where the block has none. To add one: a layer in `layers/`, a line in `TEMPORAL_OPERATIONS`.

Where the paper prints the cost of a system (Tables 1 and 6), it stands beside it, and where ours differs by more than
5 %, `differs` says why.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torchvision.models as zoo
from torch import nn

from w3action.layers import PastShift, TemporalAggregation, TemporalShift
from w3action.models import heads, resnet3d
from w3action.models.backbone import Backbone
from w3action.models.big_little import blresnet50, blvnet50
from w3action.models.bn_inception import bn_inception
from w3action.models.c3d import c3d, c3d_convolutions
from w3action.models.eco import eco_full, eco_lite
from w3action.models.mobilenet_v2 import mobilenet_v2
from w3action.models.resnet import resnet18, resnet34, resnet50, resnet101, small
from w3action.models.resnet3d import from_torchvision_r2plus1d
from w3action.models.slots import Fillers, Position, TemporalBuilder, nothing
from w3action.models.slowfast import slowfast_4x16_resnet50, slowfast_8x8_resnet50
from w3action.models.vgg import vgg16
from w3action.models.weights import Converter

_RESNET50 = zoo.ResNet50_Weights.IMAGENET1K_V1
_SINGLE_SCALE = {"multiscale": False}
_TWO_SLICES = {"slice_frames": 1}  # of what C3D leaves of 16 frames: with one, there is nothing to remember


def shift(position: Position, channels: int) -> nn.Module | None:
    """Shift before every residual branch: TSM.

    In networks with a stage of 23 blocks or more (ResNet-101) every second block shifts, as in the public TSM.
    """
    every = 2 if max(position.num_blocks_by_stage) >= 23 else 1
    return TemporalShift() if position.block % every == 0 else None


TEMPORAL_OPERATIONS: dict[str, TemporalBuilder] = {
    "none": nothing,  # frames never meet before the head: TSN
    "shift": shift,
    "past_shift": lambda position, channels: PastShift(),  # the online TSM, which can run on a stream
    "aggregation": lambda position, channels: TemporalAggregation(channels),  # TAM
    # Without its ReLU, for branches whose inputs are negative too: MobileNetV2's.
    "linear_aggregation": lambda position, channels: TemporalAggregation(channels, relu=False),
}


@dataclass(frozen=True)
class Network:
    """How a network is put together, and the clips it is usually given."""

    backbone: Callable[[Fillers], Backbone]
    temporal: str = "none"  # of `TEMPORAL_OPERATIONS`
    imagenet: zoo.WeightsEnum | None = None
    convert: Converter | None = None  # of torchvision's weights to this backbone's layout
    head: Callable[..., heads.Head] = heads.AverageHead
    head_options: dict[str, Any] = field(default_factory=dict)
    input_size: int = 224  # pixels
    num_frames: int = 8
    paper_gflops: float | None = None  # of one such clip, as the paper prints it
    differs: str = ""


_inflated = partial(Network, convert=resnet3d.inflate_state_dict, num_frames=32)  # I3D, of ImageNet's 2D weights

NETWORKS = {
    "tsn_small": Network(small, input_size=64),
    "tsm_small": Network(small, "shift", input_size=64),
    "tam_small": Network(small, "aggregation", input_size=64),
    "tsn_mobilenetv2": Network(mobilenet_v2, "none", zoo.MobileNet_V2_Weights.IMAGENET1K_V1),
    "tsm_mobilenetv2": Network(mobilenet_v2, "shift", zoo.MobileNet_V2_Weights.IMAGENET1K_V1),
    "tsm_online_mobilenetv2": Network(mobilenet_v2, "past_shift", zoo.MobileNet_V2_Weights.IMAGENET1K_V1),
    "tam_mobilenetv2": Network(mobilenet_v2, "linear_aggregation", zoo.MobileNet_V2_Weights.IMAGENET1K_V1),
    "tsn_resnet18": Network(resnet18, "none", zoo.ResNet18_Weights.IMAGENET1K_V1),
    "tsm_resnet18": Network(resnet18, "shift", zoo.ResNet18_Weights.IMAGENET1K_V1),
    "tsn_resnet34": Network(resnet34, "none", zoo.ResNet34_Weights.IMAGENET1K_V1),
    "tsm_resnet34": Network(resnet34, "shift", zoo.ResNet34_Weights.IMAGENET1K_V1),
    "tsn_resnet50": Network(resnet50, "none", _RESNET50, paper_gflops=33),
    "tsm_resnet50": Network(resnet50, "shift", _RESNET50, paper_gflops=33),
    "tam_resnet50": Network(resnet50, "aggregation", _RESNET50),
    "tsn_resnet101": Network(resnet101, "none", zoo.ResNet101_Weights.IMAGENET1K_V1),
    "tsm_resnet101": Network(resnet101, "shift", zoo.ResNet101_Weights.IMAGENET1K_V1),
    # Frames related by the head.
    "trn_resnet50": Network(resnet50, "none", _RESNET50, head=heads.RelationHead, head_options=_SINGLE_SCALE),
    "trn_multiscale_resnet50": Network(resnet50, "none", _RESNET50, head=heads.RelationHead, paper_gflops=33),
    "tsn_bn_inception": Network(bn_inception, paper_gflops=16),
    "tsm_bn_inception": Network(bn_inception, "shift"),
    "trn_bn_inception": Network(bn_inception, head=heads.RelationHead, head_options=_SINGLE_SCALE),
    "trn_multiscale_bn_inception": Network(bn_inception, head=heads.RelationHead, paper_gflops=16),
    "tsn_vgg16": Network(vgg16, "none", zoo.VGG16_Weights.IMAGENET1K_V1, num_frames=16),
    "lstm_vgg16": Network(vgg16, "none", zoo.VGG16_Weights.IMAGENET1K_V1, head=heads.RecurrentHead, num_frames=16),
    "bank_resnet50": Network(resnet50, "none", _RESNET50, head=heads.FeatureBankHead, head_options={"operator": "max"}),
    # Two branches for the frames of a pair.
    "tsn_blresnet50": Network(blresnet50),
    "blvnet50": Network(blvnet50, num_frames=16),
    "tam_blvnet50": Network(blvnet50, "aggregation", num_frames=16),
    # 3D convolutions.
    "eco_lite": Network(eco_lite, num_frames=16),
    "eco_full": Network(eco_full, paper_gflops=32),
    "i3d_resnet18": _inflated(resnet3d.i3d_resnet18, "none", zoo.ResNet18_Weights.IMAGENET1K_V1),
    "i3d_resnet50": _inflated(resnet3d.i3d_resnet50, "none", _RESNET50, paper_gflops=153),
    "region_graph_i3d_resnet50": _inflated(
        resnet3d.i3d_resnet50, "none", _RESNET50, head=heads.RegionGraphHead, paper_gflops=303
    ),
    "r2plus1d_18": Network(resnet3d.r2plus1d_18, convert=from_torchvision_r2plus1d, input_size=112, num_frames=16),
    "r2plus1d_34": Network(resnet3d.r2plus1d_34, input_size=112, num_frames=32),
    "r2plus1d_50": Network(resnet3d.r2plus1d_50, input_size=112, num_frames=32),
    "slowfast_4x16_resnet50": Network(slowfast_4x16_resnet50, num_frames=32),
    "slowfast_8x8_resnet50": Network(
        slowfast_8x8_resnet50,
        num_frames=32,
        paper_gflops=65,
        differs="the paper's 65 is SlowFast 8x8's published cost at 256 pixels, where it counts 65.7 here",
    ),
    "c3d": Network(c3d, input_size=112, num_frames=16),
    "lstm_c3d": Network(c3d_convolutions, head=heads.RecurrentHead, input_size=112, num_frames=16),
    "rsttm_c3d": Network(
        c3d_convolutions, head=heads.RSTTMHead, head_options=_TWO_SLICES, input_size=112, num_frames=16
    ),
}
