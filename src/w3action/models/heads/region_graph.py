"""Region graphs: what happens between the things in a video, and in the video as a whole.

    M = W_r * F + b_r                        1x1x1 convolution, C -> D = 512
    x_i = max over RoIAlign(M_t, box i)      7x7 bins; region i of step t
    S_ij = softmax over j of (w x_i)^T (w' x_j)                                  any two regions of the video
    front_ij = IoU(i, j) / sum over j of IoU(i, j)    i of step t, j of step t+1; back: j of step t-1
    similarity branch:  X <- ReLU(LN(S X W + X))                                 three layers
    space-time branch:  X <- ReLU(LN(front X W + back X W' + X))                 three layers
    logits = W_k D([mean of M, mean over regions of both branches' sum]) + b_k   D is dropout

(B, C, T, H, W) and boxes (B, T, N, 4) -> (B, K), for any T and N. Boxes are shares of the frame, as `models/regions.py`
has them; one without an area changes nothing. A region that overlaps with none of the next step gets
nothing from there. Where no boxes are given, the head proposes them on the clips' frames.

With I3D-ResNet-50, 32 frames of 224 pixels: I3D 152.5 G multiply-adds, the proposals on 16 frames 150.6, the graphs
7.0. The first two add up to the published 303; with five non-local layers "I3D + NL + GCN" counts 390.8 here.

What may differ: the paper's full text and its detector were not at hand. From accounts of it and what others rebuilt
come the sizes, the proposals on every second frame, the two branches that are summed at the end, and the mean of M
beside them. That the graph of similarity is made once, of the regions' first features, that the residual joins before
the layer norm, RoIAlign's samples and how weights start are our reading; the detector is torchvision's, on the clips'
own frames unless `frame_size` says otherwise. Those who rebuilt it train I3D first, then all at a tenth of the rate.

Source: "Videos as Space-Time Region Graphs" (Wang and Gupta, ECCV 2018), sections 3 to 5; "I3D + NL + GCN" in the W3
paper's Table 1.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torchvision.ops import roi_align

from w3action.models.heads.head import Head
from w3action.models.regions import RegionProposer, frames_of_steps

BINS = 7  # of RoIAlign, a side
SAMPLES = 2  # a side of each bin
TINY = 1e-9  # of an area, for a division by zero; a pixel of a frame of 4096 is 6e-8


class RegionGraphHead(Head):
    """Score a clip by its regions and as a whole.

    Args:
        in_channels: C of the features.
        num_classes: K.
        width: D.
        num_layers: of each branch.
        num_regions: N of the proposals; None builds no proposer, then boxes must always be given.
        frame_size: pixels, the shorter side of the frames to propose on; None takes the clips' own.
        classifier: dropout and start, as in `Head`.

    Raises:
        ValueError: a size below 1; in a call, neither boxes nor what they could be proposed on, or boxes that do not
            fit.
    """

    sees_clips = True

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        width: int = 512,
        num_layers: int = 3,
        num_regions: int | None = 50,
        frame_size: int | None = None,
        **classifier: Any,
    ):
        super().__init__(**classifier)
        if min(width, num_layers) < 1:
            raise ValueError(f"width is {width} and num_layers {num_layers}; both must be at least 1")
        self.reduce = nn.Conv3d(in_channels, width, 1)
        self.similar = SimilarityBranch(width, num_layers=num_layers)
        self.adjacent = SpaceTimeBranch(width, num_layers=num_layers)
        self.fc = self.scoring_layer(2 * width, num_classes)
        proposes = num_regions is not None
        self.proposer = RegionProposer(num_regions=num_regions, frame_size=frame_size) if proposes else None

    def forward(
        self,
        features: Float[Tensor, "b c t h w"],
        *,
        clips: Float[Tensor, "b c_in frames height width"] | None = None,
        boxes: Float[Tensor, "b t n 4"] | None = None,
    ) -> Float[Tensor, "b k"]:
        """Score the clips; their boxes are given, or proposed on their frames."""
        if boxes is None:
            boxes = self.propose(clips, num_steps=features.shape[2])
        else:
            check_boxes(boxes, features)
        maps = self.reduce(features)  # (B, D, T, H, W)
        regions = pool_regions(maps, boxes)  # (B, T, N, D)
        present = is_present(boxes)
        found = self.similar(regions, present) + self.adjacent(regions, boxes)
        found = (found * present[..., None]).sum(dim=(1, 2)) / present.sum(dim=(1, 2)).clamp(min=1)[:, None]
        return self.fc(self.dropout(torch.cat([maps.mean(dim=(2, 3, 4)), found], dim=1)))

    def propose(
        self, clips: Float[Tensor, "b c_in frames height width"] | None, *, num_steps: int
    ) -> Float[Tensor, "b t n 4"]:
        """Return the boxes of the clips' regions at each step of their features.

        Raises:
            ValueError: no clips, clips other than RGB, or this head has no proposer.
        """
        if self.proposer is None:
            raise ValueError("this head was built without a proposer (num_regions=None); give boxes (B, T, N, 4)")
        if clips is None:
            raise ValueError("the region graph has neither boxes nor clips to propose them on; give one of both")
        if clips.shape[1] != 3:
            raise ValueError(
                f"the clips have {clips.shape[1]} channels; regions are proposed on RGB alone, so give boxes"
            )
        shown = clips[:, :, frames_of_steps(clips.shape[2], num_steps)].transpose(1, 2)  # (B, T, 3, H, W)
        return self.proposer(shown.flatten(0, 1)).unflatten(0, shown.shape[:2])


class GraphLayer(nn.Module):
    """X <- ReLU(LN(X + sum over the graphs of A X W)), given each A X."""

    def __init__(self, width: int, *, num_graphs: int):
        super().__init__()
        self.weights = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(num_graphs))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, *gathered: Tensor) -> Tensor:
        """Return the regions' next features, of x's shape."""
        for weight, neighbours in zip(self.weights, gathered, strict=True):
            x = x + weight(neighbours)
        return self.norm(x).relu()


class SimilarityBranch(nn.Module):
    """Every region hears from all regions of the video, most from those that it is drawn to."""

    def __init__(self, width: int, *, num_layers: int):
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.layers = nn.ModuleList(GraphLayer(width, num_graphs=1) for _ in range(num_layers))

    def graph(self, x: Float[Tensor, "b m d"], present: Bool[Tensor, "b m"]) -> Float[Tensor, "b m m"]:
        """Return S; its rows sum to one over the regions that are present."""
        scores = self.query(x) @ self.key(x).transpose(1, 2)
        absent = ~present[:, None]
        return scores.masked_fill(absent, torch.finfo(scores.dtype).min).softmax(dim=-1).masked_fill(absent, 0.0)

    def forward(self, regions: Float[Tensor, "b t n d"], present: Bool[Tensor, "b t n"]) -> Float[Tensor, "b t n d"]:
        """Return the regions' last features."""
        x = regions.flatten(1, 2)  # (B, TN, D)
        graph = self.graph(x, present.flatten(1)).to(x.dtype)
        for layer in self.layers:
            x = layer(x, graph @ x)
        return x.unflatten(1, regions.shape[1:3])


class SpaceTimeBranch(nn.Module):
    """Every region hears from those that it overlaps with one step later and one step earlier."""

    def __init__(self, width: int, *, num_layers: int):
        super().__init__()
        self.layers = nn.ModuleList(GraphLayer(width, num_graphs=2) for _ in range(num_layers))

    def forward(self, regions: Float[Tensor, "b t n d"], boxes: Float[Tensor, "b t n 4"]) -> Float[Tensor, "b t n d"]:
        """Return the regions' last features."""
        front, back = (graph.to(regions.dtype) for graph in overlap_graphs(boxes))
        x, nothing = regions, torch.zeros_like(regions[:, :1])
        for layer in self.layers:
            later = torch.cat([front @ x[:, 1:], nothing], dim=1)  # (B, T, N, D)
            earlier = torch.cat([nothing, back @ x[:, :-1]], dim=1)
            x = layer(x, later, earlier)
        return x


def overlap_graphs(boxes: Float[Tensor, "b t n 4"]) -> tuple[Float[Tensor, "b s n n"], Float[Tensor, "b s n n"]]:
    """Return both graphs between successive steps, T - 1 pairs of them.

    `front[:, s, i, j]` links region i of step s to j of step s + 1, `back[:, s, i, j]` i of step s + 1 to j of step s.
    A row sums to one, or to zero where the region overlaps with none.
    """
    shared = overlap(boxes[:, :-1], boxes[:, 1:])
    return _normalise(shared), _normalise(shared.transpose(2, 3))


def _normalise(graph: Tensor) -> Tensor:
    return graph / graph.sum(dim=-1, keepdim=True).clamp(min=TINY)


def overlap(a: Float[Tensor, "*s n 4"], b: Float[Tensor, "*s m 4"]) -> Float[Tensor, "*s n m"]:
    """Return intersection over union of every box of a with every box of b; zero where one has no area."""
    left_top = torch.maximum(a[..., :, None, :2], b[..., None, :, :2])
    right_bottom = torch.minimum(a[..., :, None, 2:], b[..., None, :, 2:])
    intersection = (right_bottom - left_top).clamp(min=0).prod(dim=-1)
    union = _area(a)[..., :, None] + _area(b)[..., None, :] - intersection
    return intersection / union.clamp(min=TINY)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)


def is_present(boxes: Float[Tensor, "*s 4"]) -> Bool[Tensor, "*s"]:
    """Tell which boxes are regions: those with an area."""
    return (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)


def pool_regions(maps: Float[Tensor, "b d t h w"], boxes: Float[Tensor, "b t n 4"]) -> Float[Tensor, "b t n d"]:
    """Return each region's features: RoIAlign, then the maximum of its bins."""
    frames = maps.transpose(1, 2).flatten(0, 1)  # (BT, D, H, W)
    precise = torch.promote_types(frames.dtype, torch.float32)
    height, width = frames.shape[2:]
    places = boxes.to(precise) * boxes.new_tensor([width, height, width, height], dtype=precise)
    owners = torch.arange(len(frames), device=maps.device, dtype=precise).repeat_interleave(boxes.shape[2])
    places = torch.cat([owners[:, None], places.flatten(0, 2)], dim=1)  # (BTN, 5)
    bins = roi_align(frames.to(precise), places, (BINS, BINS), sampling_ratio=SAMPLES, aligned=True)
    return bins.amax(dim=(2, 3)).to(maps.dtype).unflatten(0, boxes.shape[:3])


def check_boxes(boxes: Tensor, features: Tensor) -> None:
    """Refuse boxes that are not these features' or not shares of a frame.

    Raises:
        ValueError: another shape, or a number that is not from 0 to 1.
    """
    b, _, t = features.shape[:3]
    if boxes.ndim != 4 or boxes.shape[:2] != (b, t) or boxes.shape[2] < 1 or boxes.shape[3] != 4:
        raise ValueError(
            f"boxes have shape {tuple(boxes.shape)}; these features need ({b}, {t}, N, 4), N regions in each of {t} "
            "steps (frames_of_steps in w3action.models.regions tells whose frames they are)"
        )
    if not boxes.is_meta and not bool(((boxes >= 0) & (boxes <= 1)).all()):
        raise ValueError(
            f"boxes reach from {boxes.min().item():g} to {boxes.max().item():g}; they are left, top, right, bottom as "
            "shares of the frame, from 0 to 1: divide pixels by the frame's width and height, and clamp"
        )
