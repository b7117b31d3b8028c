"""The region graph: every graph, layer and pooling written out, what boxes may be, and where they come from."""

import math

import jaxtyping
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.ops import box_iou

from w3action.models import create_model
from w3action.models.action_model import ActionModel
from w3action.models.heads.region_graph import (
    GraphLayer,
    RegionGraphHead,
    SimilarityBranch,
    SpaceTimeBranch,
    is_present,
    overlap,
    overlap_graphs,
    pool_regions,
)

B, T, N, D = 2, 3, 4, 6


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def random_boxes(steps: int = T, regions: int = N, *, seed: int = 0, absent: bool = False) -> Tensor:
    """Boxes of all sizes; with `absent`, one of each step has no area and one of clip 0 overlaps with none."""
    numbers = torch.Generator().manual_seed(seed)
    corners = torch.rand(B, steps, regions, 2, 2, dtype=torch.float64, generator=numbers)
    boxes = torch.cat([corners.amin(dim=3), corners.amax(dim=3)], dim=-1)
    if absent:
        boxes[0, :, :, 2:] *= 0.9
        boxes[0, :, :, :2] *= 0.9
        boxes[0, 1, 0] = torch.tensor([0.95, 0.95, 1.0, 1.0])
        boxes[:, :, 2] = 0.0
    return boxes


def build(**options) -> RegionGraphHead:
    torch.manual_seed(0)
    head = RegionGraphHead(5, 3, initial_std=None, width=D, num_regions=None, **options).double().eval()
    for name, parameter in head.named_parameters():
        if "norm" in name:
            nn.init.normal_(parameter)
    return head


def iou(a: Tensor, b: Tensor) -> float:
    width = max(0.0, float(min(a[2], b[2]) - max(a[0], b[0])))
    height = max(0.0, float(min(a[3], b[3]) - max(a[1], b[1])))
    areas = sum(max(0.0, float((c[2] - c[0]) * (c[3] - c[1]))) for c in (a, b))
    return 0.0 if areas == 0 else width * height / (areas - width * height)


def space_time_graph(boxes: Tensor, step: int) -> Tensor:
    """Of one clip (T, N, 4): (T N, T N), from each region to those `step` steps later."""
    t, n = boxes.shape[:2]
    graph = torch.zeros(t * n, t * n, dtype=torch.float64)
    for s in range(t):
        for i in range(n):
            if not 0 <= s + step < t:
                continue
            row = [iou(boxes[s, i], boxes[s + step, j]) for j in range(n)]
            for j in range(n):
                graph[s * n + i, (s + step) * n + j] = row[j] / sum(row) if sum(row) else 0.0
    return graph


def layer_reference(layer: GraphLayer, x: Tensor, graphs: list[Tensor]) -> Tensor:
    """Of one clip: regions (M, D), graphs (M, M)."""
    rows = []
    for i in range(len(x)):
        total = x[i].clone()
        for graph, weight in zip(graphs, layer.weights, strict=True):
            for j in range(len(x)):
                total += graph[i, j] * (weight.weight @ x[j])
        centred = total - total.mean()
        normed = centred / (centred.square().mean() + 1e-5).sqrt() * layer.norm.weight + layer.norm.bias
        rows.append(normed.clamp(min=0))
    return torch.stack(rows)


@torch.no_grad()
def similarity_reference(branch: SimilarityBranch, x: Tensor, present: Tensor) -> Tensor:
    graph = torch.zeros(len(x), len(x), dtype=torch.float64)
    for i in range(len(x)):
        scores = [math.exp((branch.query.weight @ x[i]) @ (branch.key.weight @ x[j])) for j in range(len(x))]
        scores = [score * bool(here) for score, here in zip(scores, present, strict=True)]
        for j in range(len(x)):
            graph[i, j] = scores[j] / sum(scores)
    return graph


def read(image: Tensor, y: float, x: float) -> Tensor:
    """Bilinear interpolation of (D, H, W); a place beyond the border is on it."""
    h, w = image.shape[1:]
    y, x = min(max(y, 0.0), h - 1), min(max(x, 0.0), w - 1)
    top, left = min(int(y), max(h - 2, 0)), min(int(x), max(w - 2, 0))
    down, right = y - top, x - left
    upper = image[:, top, left] * (1 - right) + image[:, top, min(left + 1, w - 1)] * right
    lower = (
        image[:, min(top + 1, h - 1), left] * (1 - right) + image[:, min(top + 1, h - 1), min(left + 1, w - 1)] * right
    )
    return upper * (1 - down) + lower * down


def pool_reference(image: Tensor, box: Tensor) -> Tensor:
    """RoIAlign of 7x7 bins with 2x2 samples each, then the largest bin."""
    h, w = image.shape[1:]
    left, top, right, bottom = (float(share) * size for share, size in zip(box, (w, h, w, h), strict=True))
    bins = []
    for row in range(7):
        for column in range(7):
            samples = [
                read(image, top + (bottom - top) * (row + a) / 7 - 0.5, left + (right - left) * (column + b) / 7 - 0.5)
                for a in (0.25, 0.75)
                for b in (0.25, 0.75)
            ]
            bins.append(sum(samples) / 4)
    return torch.stack(bins).amax(dim=0)


def head_reference(head: RegionGraphHead, features: Tensor, boxes: Tensor) -> Tensor:
    logits = []
    for clip in range(B):
        kernel, bias = head.reduce.weight[:, :, 0, 0, 0], head.reduce.bias
        maps = torch.einsum("dc,cthw->dthw", kernel, features[clip]) + bias[:, None, None, None]
        x = torch.stack([pool_reference(maps[:, t], box) for t in range(T) for box in boxes[clip, t]])
        present = is_present(boxes[clip]).flatten()
        graph, similar, adjacent = similarity_reference(head.similar, x, present), x, x
        front, back = space_time_graph(boxes[clip], 1), space_time_graph(boxes[clip], -1)
        for layer in head.similar.layers:
            similar = layer_reference(layer, similar, [graph])
        for layer in head.adjacent.layers:
            adjacent = layer_reference(layer, adjacent, [front, back])
        found = sum((similar + adjacent)[i] for i in range(len(x)) if present[i]) / sum(present)
        whole = torch.stack([plane.mean() for plane in maps])
        logits.append(head.fc.weight @ torch.cat([whole, found]) + head.fc.bias)
    return torch.stack(logits)


@pytest.mark.parametrize("absent", [False, True])
def test_logits_are_those_of_the_equations(absent):
    head, features, boxes = build(), draw(B, 5, T, 4, 3), random_boxes(absent=absent)
    torch.testing.assert_close(head(features, boxes=boxes), head_reference(head, features, boxes))


def test_overlap_is_intersection_over_union():
    a, b = random_boxes(seed=1, absent=True), random_boxes(regions=5, seed=2)
    found = overlap(a, b)
    assert found.shape == (B, T, N, 5)
    for clip in range(B):
        for t in range(T):
            expected = [[iou(p, q) for q in b[clip, t]] for p in a[clip, t]]
            torch.testing.assert_close(found[clip, t], torch.tensor(expected, dtype=torch.float64))
    torch.testing.assert_close(found[1, 0, :2], box_iou(a[1, 0, :2], b[1, 0]))
    turned = a[..., [2, 3, 0, 1]]  # right of left: no region
    assert not overlap(turned, a).any()


@pytest.mark.parametrize("absent", [False, True])
def test_graphs_link_successive_steps_by_their_overlap(absent):
    boxes = random_boxes(absent=absent)
    front, back = overlap_graphs(boxes)
    for clip in range(B):
        for graph, step in ((front, 1), (back, -1)):
            dense = space_time_graph(boxes[clip], step)
            for s in range(T - 1):
                here, there = (s, s + 1) if step == 1 else (s + 1, s)
                block = dense[here * N : here * N + N, there * N : there * N + N]
                torch.testing.assert_close(graph[clip, s], block)
    rows = torch.cat([front, back]).sum(dim=-1)
    torch.testing.assert_close(rows, (rows > 0.5).double())
    assert (rows == 0).any() or not absent


def test_the_similarity_graph_is_a_softmax_over_the_regions_that_are_there():
    torch.manual_seed(0)
    branch, x = SimilarityBranch(D, num_layers=1).double(), draw(B, 7, D)
    present = torch.tensor([[True] * 7, [True, False, True, True, False, True, True]])
    graph = branch.graph(x, present)
    for clip in range(B):
        torch.testing.assert_close(graph[clip], similarity_reference(branch, x[clip], present[clip]))
    assert not branch.graph(x, torch.zeros_like(present)).any()


def test_a_layer_adds_norms_and_cuts():
    torch.manual_seed(0)
    layer, x = GraphLayer(D, num_graphs=2).double(), draw(1, 5, D)
    nn.init.normal_(layer.norm.weight)
    nn.init.normal_(layer.norm.bias)
    graphs = [draw(5, 5, seed=1), draw(5, 5, seed=2)]
    found = layer(x, *(graph @ x for graph in graphs))
    torch.testing.assert_close(found[0], layer_reference(layer, x[0], graphs))


def test_a_layer_hears_one_step_further():
    torch.manual_seed(0)
    boxes = torch.tensor([0.1, 0.1, 0.6, 0.6], dtype=torch.float64).repeat(1, 6, 2, 1)
    x = draw(1, 6, 2, D)
    other = x.clone()
    other[:, 2, 1] += 1.0
    for layers, expected in ((1, [1, 2, 3]), (2, [0, 1, 2, 3, 4])):
        branch = SpaceTimeBranch(D, num_layers=layers).double()
        changed = (branch(x, boxes) != branch(other, boxes)).any(dim=-1)[0, :, 0]
        expected = [step for step in expected if step != 2 or layers > 1]  # beside it, region 0 hears nothing at once
        assert changed.nonzero().flatten().tolist() == expected


@pytest.mark.parametrize("size", [(4, 3), (1, 1), (14, 14)])
def test_a_region_is_the_maximum_of_its_bins(size):
    maps, boxes = draw(B, D, T, *size), random_boxes()
    pooled = pool_regions(maps, boxes)
    for clip in range(B):
        for t in range(T):
            for i in range(N):
                expected = pool_reference(maps[clip, :, t], boxes[clip, t, i])
                torch.testing.assert_close(pooled[clip, t, i], expected)


def test_the_order_of_a_step_s_boxes_does_not_matter():
    head, features, boxes = build(), draw(B, 5, T, 4, 3), random_boxes(absent=True)
    logits = head(features, boxes=boxes)
    shuffled = boxes.clone()
    shuffled[:, 1] = boxes[:, 1, [3, 0, 2, 1]]
    shuffled[0, 2] = boxes[0, 2, [1, 0, 3, 2]]
    torch.testing.assert_close(head(features, boxes=shuffled), logits)
    assert not torch.allclose(head(features, boxes=boxes.flip(1)), logits)  # that of the steps does


def test_a_box_without_an_area_is_no_region():
    head, features, boxes = build(), draw(B, 5, T, 4, 3), random_boxes()
    logits = head(features, boxes=boxes)
    nothing = torch.tensor([[0.0] * 4, [0.2, 0.3, 0.2, 0.9], [0.5, 0.5, 0.1, 0.9]], dtype=torch.float64)
    padded = torch.cat([boxes, nothing.expand(B, T, 3, 4)], dim=2)
    torch.testing.assert_close(head(features, boxes=padded), logits)
    empty = torch.zeros(B, T, 1, 4, dtype=torch.float64)
    whole = torch.cat([head.reduce(features).mean(dim=(2, 3, 4)), torch.zeros(B, D, dtype=torch.float64)], dim=1)
    torch.testing.assert_close(head(features, boxes=empty), head.fc(whole))


@pytest.mark.parametrize(("steps", "regions"), [(1, 1), (5, 9)])
def test_any_length_and_any_number_of_regions(steps, regions):
    assert build()(draw(B, 5, steps, 4, 3), boxes=random_boxes(steps, regions)).shape == (B, 3)


def test_every_trainable_parameter_learns():
    head = build().train()
    F.cross_entropy(head(draw(B, 5, T, 4, 3), boxes=random_boxes()), torch.tensor([0, 2])).backward()
    assert [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_half_precision_is_near():
    head, features, boxes = build().float(), draw(B, 5, T, 4, 3).float(), random_boxes(absent=True).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        near = head(features, boxes=boxes)
    torch.testing.assert_close(near.float(), head(features, boxes=boxes), atol=0.05, rtol=0.05)
    assert head.bfloat16()(features.bfloat16(), boxes=boxes).isfinite().all()


def test_dropout_stands_before_the_classifier():
    head = build(dropout=1.0).train()
    torch.testing.assert_close(head(draw(B, 5, T, 4, 3), boxes=random_boxes()), head.fc.bias.expand(B, 3))


def test_the_classifier_starts_as_the_public_tsm_s():
    torch.manual_seed(0)
    head = RegionGraphHead(64, 174, num_regions=None)
    assert abs(head.fc.weight.std() - 0.001) < 1e-5
    assert not head.fc.bias.any()
    assert head.fc.in_features == 2 * 512
    assert [len(branch.layers) for branch in (head.similar, head.adjacent)] == [3, 3]


class Told(nn.Module):
    """A proposer that keeps what it is shown."""

    def forward(self, frames: Tensor) -> Tensor:
        self.frames = frames
        return random_boxes(2)[0, 0].float().expand(len(frames), N, 4)


def small_model() -> ActionModel:
    torch.manual_seed(0)
    model = create_model("tsm_small", num_classes=3)
    model.head = RegionGraphHead(128, 3, initial_std=None, width=D, num_regions=None)
    return model.eval()


def test_boxes_are_proposed_on_the_frames_of_the_steps():
    model = small_model()
    model.head.proposer = Told()
    clips = torch.arange(2 * 6.0).view(2, 1, 6, 1, 1).expand(2, 3, 6, 48, 40)
    features = model.forward_features(clips).maps[:, :, ::2]  # 3 steps of 6 frames
    logits = model.forward_head(features, clips=clips)
    assert model.head.proposer.frames[:, 0, 0, 0].tolist() == [0, 2, 4, 6, 8, 10]
    boxes = random_boxes(2)[0, 0].float().expand(2, 3, N, 4)
    assert torch.equal(logits, model.forward_head(features, boxes=boxes))


@pytest.mark.filterwarnings("ignore:regions are proposed by an untrained network")
def test_a_network_works_from_clips_alone_and_its_proposer_never_learns():
    model = small_model()
    model.head = RegionGraphHead(128, 3, initial_std=None, width=D, num_regions=N, dropout=0.0)
    clips = draw(2, 3, 2, 48, 40).float()
    before = {key: value.clone() for key, value in model.head.proposer.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    F.cross_entropy(model.train()(clips), torch.tensor([0, 2])).backward()
    optimizer.step()
    assert all(torch.equal(value, before[key]) for key, value in model.head.proposer.state_dict().items())
    for name, parameter in model.named_parameters():
        frozen = name.startswith("head.proposer.")
        assert (parameter.grad is None) == frozen, name
        assert parameter.requires_grad != frozen, name
    assert [module.training for module in (model, model.head.similar, model.head.proposer)] == [True, True, False]
    model.eval()
    boxes = model.head.propose(clips, num_steps=2)
    assert boxes.shape == (2, 2, N, 4)
    torch.testing.assert_close(model(clips), model(clips, boxes=boxes))


def test_its_cost_is_that_of_the_published_parts():
    """The published 303 GFLOPs are 152.5 of I3D and 150.6 of the proposals; the graphs add 7.0."""
    with torch.device("meta"):
        head = RegionGraphHead(2048, 174).eval()
        clips, boxes = torch.empty(1, 3, 32, 224, 224), torch.empty(1, 16, 50, 4)
        with FlopCounterMode(display=False) as proposals:
            head.propose(clips, num_steps=16)
        with FlopCounterMode(display=False) as graphs:
            head(torch.empty(1, 2048, 16, 14, 14), boxes=boxes)
    assert round(proposals.get_total_flops() / 2e9, 1) == 150.6
    assert round(graphs.get_total_flops() / 2e9, 1) == 7.0


@pytest.mark.parametrize("shape", [(B, T + 1, N, 4), (B, T, 0, 4), (1, T, N, 4), (B, T, N, 5), (B, T, 4)])
def test_boxes_of_another_shape_are_refused(shape, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for users
    with pytest.raises(ValueError, match=rf"boxes have shape \({shape[0]}, .*; these features need \(2, 3, N, 4\)"):
        build()(draw(B, 5, T, 4, 3), boxes=torch.full(shape, 0.5, dtype=torch.float64))


@pytest.mark.parametrize("number", [112.0, -0.1, math.nan])
def test_boxes_that_are_no_shares_are_refused(number):
    boxes = random_boxes()
    boxes[1, 2, 3, 2] = number
    with pytest.raises(ValueError, match="boxes reach from .* shares of the frame, from 0 to 1: divide pixels"):
        build()(draw(B, 5, T, 4, 3), boxes=boxes)


def test_boxes_must_come_from_somewhere():
    model, clips = small_model(), draw(1, 3, 2, 48, 40).float()
    with pytest.raises(ValueError, match=r"built without a proposer \(num_regions=None\); give boxes"):
        model(clips)
    model.head.proposer = Told()
    with pytest.raises(ValueError, match="neither boxes nor clips to propose them on"):
        model.forward_head(model.forward_features(clips).maps)
    with pytest.raises(ValueError, match="the clips have 2 channels; regions are proposed on RGB alone"):
        model.head.propose(clips[:, :2], num_steps=2)


def test_a_head_that_reads_no_boxes_refuses_them():
    model = create_model("tsm_small", num_classes=3)
    with pytest.raises(ValueError, match="boxes are given, but the head AverageHead reads none"):
        model(draw(1, 3, 2, 48, 40).float(), boxes=torch.rand(1, 2, 1, 4))


@pytest.mark.parametrize(("options", "text"), [({"width": 0}, "width is 0"), ({"num_layers": 0}, "num_layers 0")])
def test_wrong_options_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        RegionGraphHead(5, 3, **options)
