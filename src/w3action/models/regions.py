"""Regions of interest of a frame: the boxes that a detector's proposal network thinks hold an object of any class.

Frames `(F, 3, H, W)`, normalised as ImageNet is -> boxes `(F, N, 4)`: left, top, right, bottom, each as a share of the
frame's width or height, from 0 to 1. A box without an area (such as four zeros) stands for no region, so that frames
with fewer than N regions fit in; their order means nothing. A frame in which nothing is found is one region itself.

The network is the first half of torchvision's Faster R-CNN: ResNet-50 with a feature pyramid, region proposal network,
non-maximum suppression level by level, the N boxes of the highest objectness. It is frozen: no gradient, always in
evaluation mode. It starts untrained, and says so when it is used; `load_proposer` gives it COCO's weights. A
checkpoint of ours holds it whole.

Source: "Faster R-CNN" (Ren et al., NeurIPS 2015), section 3.1; "Feature Pyramid Networks for Object Detection" (Lin et
al., CVPR 2017), section 4.1.
"""

import re
import warnings
from collections import OrderedDict
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection import FasterRCNN, FasterRCNN_ResNet50_FPN_Weights
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import FrozenBatchNorm2d

from w3action.models.weights import check_fit, download, read_state_dict

ANCHOR_SIZES = ((32,), (64,), (128,), (256,), (512,))  # pixels, one for each level of the pyramid
ASPECT_RATIOS = (0.5, 1.0, 2.0)
WHOLE_FRAME = (0.0, 0.0, 1.0, 1.0)
SECOND_HALF = "roi_heads."  # of a Faster R-CNN: it classifies the regions, which nothing here needs


class RegionProposer(nn.Module):
    """Propose regions.

    Args:
        num_regions: N, of a frame.
        frame_size: pixels, the shorter side to which frames are resized first; None takes them as they are. COCO's
            detectors were trained at 800: larger frames find smaller things, at the cost of their area.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(self, *, num_regions: int = 50, frame_size: int | None = None):
        super().__init__()
        if num_regions < 1 or (frame_size is not None and frame_size < 1):
            raise ValueError(f"num_regions is {num_regions} and frame_size {frame_size}; both must be at least 1")
        self.num_regions = num_regions
        self.frame_size = frame_size
        # The published COCO weights are those of batch norms without an epsilon.
        norm = partial(FrozenBatchNorm2d, eps=0.0)
        self.backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, norm_layer=norm)
        with torch.device("cpu"):  # anchors are no part of the state, so a network built on meta must have them too
            anchors = AnchorGenerator(ANCHOR_SIZES, (ASPECT_RATIOS,) * len(ANCHOR_SIZES))
        counts = {"rpn_pre_nms_top_n_test": 1000, "rpn_post_nms_top_n_test": num_regions}
        no_second_half = {"box_head": nn.Identity(), "box_predictor": nn.Identity()}
        detector = FasterRCNN(self.backbone, rpn_anchor_generator=anchors, **counts, **no_second_half)
        assert isinstance(detector.rpn, RegionProposalNetwork)
        self.rpn = detector.rpn
        self.register_buffer("has_weights", torch.tensor(False))
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "RegionProposer":
        """Stay in evaluation mode, whatever the network around does."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, frames: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f n 4"]:
        """Return the boxes of each frame, best first."""
        if self.frame_size is not None:
            scale = self.frame_size / min(frames.shape[2:])
            frames = F.interpolate(frames, scale_factor=scale, mode="bilinear", align_corners=False)
        levels: OrderedDict[str, Tensor] = self.backbone(frames)
        if frames.is_meta:  # which boxes survive depends on numbers; what they cost does not
            self.rpn.head(list(levels.values()))
            return frames.new_empty(len(frames), self.num_regions, 4)
        if not self.has_weights:
            warnings.warn(
                "regions are proposed by an untrained network, so they mean nothing; give it weights with "
                'load_proposer(model.head.proposer, "coco"), or give boxes',
                stacklevel=2,
            )
        height, width = frames.shape[2:]
        with torch.autocast(frames.device.type, enabled=False):  # half precision cannot tell pixels apart
            dtype = next(self.rpn.head.parameters()).dtype
            levels = OrderedDict((name, level.to(dtype)) for name, level in levels.items())
            found, _ = self.rpn(ImageList(frames.to(dtype), [(height, width)] * len(frames)), levels)
        boxes = nn.utils.rnn.pad_sequence([*found, found[0].new_zeros(self.num_regions, 4)], batch_first=True)[:-1]
        boxes = boxes / boxes.new_tensor([width, height, width, height])  # (F, N, 4)
        nothing = torch.tensor([len(each) == 0 for each in found], device=boxes.device)
        boxes[nothing, 0] = boxes.new_tensor(WHOLE_FRAME)
        return boxes


def frames_of_steps(num_frames: int, num_steps: int) -> list[int]:
    """Return the frame of a clip that each step of its features is about: every second one where steps are half.

    A step of strided convolutions and pools that pad both ends lies over its first frame.

    Raises:
        ValueError: a number below 1, or more steps than frames.
    """
    if not 1 <= num_steps <= num_frames:
        raise ValueError(
            f"a clip of {num_frames} frames has features of {num_steps} steps; there must be at least 1 step, and a "
            "frame for each"
        )
    return [-(-step * num_frames // num_steps) for step in range(num_steps)]


def load_proposer(proposer: RegionProposer, source: str | Path) -> None:
    """Load a proposer's weights, in place.

    Args:
        proposer: of a network's head.
        source: "coco" (torchvision's Faster R-CNN, which is downloaded and checked by its hash), or a local file of
            such a network's weights; what classifies its regions is left aside.

    Raises:
        WeightsError: the file cannot be fetched or read, or does not fit; then the message lists the keys.
    """
    if str(source) == "coco":
        weights = FasterRCNN_ResNet50_FPN_Weights.COCO_V1
        advice = "give a local file of them, or give boxes"
        state, origin = download(weights, what="the detector's weights", advice=advice), str(weights)
    else:
        state, origin = read_state_dict(Path(source)), str(source)
    state = {
        named_as_today(key): value
        for key, value in state.items()
        if not key.startswith(SECOND_HALF) and not key.endswith("num_batches_tracked")
    }
    expected = {key: value for key, value in proposer.state_dict().items() if key != "has_weights"}
    check_fit(state, expected, origin=origin, target="the region proposer, a Faster R-CNN of ResNet-50 and FPN")
    proposer.load_state_dict({**state, "has_weights": torch.tensor(True)})


def named_as_today(key: str) -> str:
    """Return today's name for a key of torchvision's first detectors, whose published files still have those.

    `rpn.head.conv.weight` -> `rpn.head.conv.0.0.weight`, `fpn.inner_blocks.N.weight` -> `fpn.inner_blocks.N.0.weight`.
    """
    key = re.sub(r"^(rpn\.head\.conv)\.(weight|bias)$", r"\1.0.0.\2", key)
    return re.sub(r"(\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$", r"\1.0.\2", key)
