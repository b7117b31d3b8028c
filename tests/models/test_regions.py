"""Proposals are those of torchvision's Faster R-CNN, as shares of the frame, by a network that never learns."""

import re
from urllib.error import URLError

import jaxtyping
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from w3action.models.regions import RegionProposer, frames_of_steps, load_proposer, named_as_today
from w3action.models.weights import WeightsError

FRAMES = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def detector() -> FasterRCNN:
    """torchvision's own network, untrained, on frames as they are."""
    torch.manual_seed(0)
    body = resnet_fpn_backbone(backbone_name="resnet50", weights=None)
    sizes = {"min_size": 64, "max_size": 96, "image_mean": [0.0] * 3, "image_std": [1.0] * 3}
    model = FasterRCNN(body, 91, rpn_post_nms_top_n_test=9, **sizes).eval()
    for module in model.modules():
        if hasattr(module, "running_var"):
            module.eps = 0.0
            module.weight.fill_(0.5)  # so that numbers do not grow from block to block
    return model


@pytest.fixture(scope="module")
def published(detector, tmp_path_factory):
    """A file of its weights with the names of the published one."""
    state = {}
    for key, value in detector.state_dict().items():
        key = key.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        state[re.sub(r"(_blocks\.\d)\.0\.", r"\1.", key)] = value
    path = tmp_path_factory.mktemp("weights") / "detector.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def loaded(published) -> RegionProposer:
    proposer = RegionProposer(num_regions=9)
    load_proposer(proposer, published)
    return proposer


def test_regions_are_the_proposals_of_a_faster_r_cnn(detector, loaded):
    kept = []
    hook = detector.rpn.register_forward_hook(lambda module, given, out: kept.extend(out[0]))
    with torch.no_grad():
        detector(list(FRAMES))
    hook.remove()
    boxes = loaded(FRAMES)
    assert boxes.shape == (2, 9, 4)
    for found, expected in zip(boxes, kept, strict=True):
        assert len(expected) > 1
        torch.testing.assert_close(found[: len(expected)] * torch.tensor([96, 64, 96, 64]), expected)
        assert not found[len(expected) :].any()


@pytest.mark.parametrize("counts", [(2, 0), (0, 0), (9, 1)])
def test_missing_regions_are_zeros_and_an_empty_frame_is_one_region(loaded, counts, monkeypatch):
    found = [torch.tensor([[24.0, 0.0, 48.0, 32.0]]).repeat(count, 1) for count in counts]
    monkeypatch.setattr(loaded.rpn, "forward", lambda images, levels: (found, {}))
    for boxes, count in zip(loaded(FRAMES), counts, strict=True):
        expected = [[0.25, 0.0, 0.5, 0.5]] * count or [[0.0, 0.0, 1.0, 1.0]]
        assert boxes.tolist() == expected + [[0.0] * 4] * (9 - len(expected))


def test_frames_are_resized_first_and_boxes_stay_shares(loaded):
    smaller = F.interpolate(FRAMES, size=(32, 48), mode="bilinear")
    expected = loaded(smaller)
    loaded.frame_size = 32
    resized = loaded(FRAMES)
    loaded.frame_size = None
    torch.testing.assert_close(resized, expected)
    assert not torch.allclose(resized, loaded(FRAMES))


def test_it_never_learns(loaded):
    loaded.train()
    assert not any(module.training for module in loaded.modules())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert not loaded(FRAMES.clone().requires_grad_()).requires_grad
    assert torch.equal(loaded(FRAMES), loaded(FRAMES))


def test_half_precision_keeps_boxes_whole(loaded):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert loaded(FRAMES).dtype == torch.float32


def test_an_untrained_network_says_so_until_it_has_weights(loaded, recwarn):
    proposer = RegionProposer(num_regions=9)
    with pytest.warns(UserWarning, match="untrained network, so they mean nothing"):
        proposer(FRAMES[:1])
    recwarn.clear()
    proposer.load_state_dict(loaded.state_dict())  # as a checkpoint of ours does
    assert torch.equal(proposer(FRAMES), loaded(FRAMES))
    assert not recwarn


def test_on_meta_it_has_a_shape_and_elsewhere_its_anchors():
    with torch.device("meta"):
        proposer = RegionProposer(num_regions=5)
        assert proposer(torch.empty(2, 3, 32, 32)).shape == (2, 5, 4)
    proposer.to_empty(device="cpu")
    for value in proposer.state_dict().values():
        value.fill_(0.01)
    assert proposer(FRAMES).shape == (2, 5, 4)


@pytest.mark.parametrize(
    ("num_frames", "num_steps", "expected"),
    [(8, 4, [0, 2, 4, 6]), (3, 3, [0, 1, 2]), (5, 3, [0, 2, 4]), (3, 2, [0, 2]), (16, 1, [0])],
)
def test_a_step_is_about_the_frame_below_it(num_frames, num_steps, expected):
    assert frames_of_steps(num_frames, num_steps) == expected


@given(st.integers(1, 200), st.data())
def test_steps_are_about_different_frames_in_order(num_frames, data):
    steps = frames_of_steps(num_frames, data.draw(st.integers(1, num_frames)))
    assert steps[0] == 0
    assert steps == sorted(set(steps))
    assert steps[-1] < num_frames


@pytest.mark.parametrize("steps", [0, 5])
def test_more_steps_than_frames_are_refused(steps):
    with pytest.raises(ValueError, match=f"a clip of 4 frames has features of {steps} steps"):
        frames_of_steps(4, steps)


@pytest.mark.parametrize(("options", "text"), [({"num_regions": 0}, "num_regions is 0"), ({"frame_size": 0}, "size 0")])
def test_wrong_options_are_refused(options, text, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for users
    with pytest.raises(ValueError, match=text):
        RegionProposer(**options)


def test_weights_that_do_not_fit_are_refused(loaded, published, tmp_path):
    state = torch.load(published, weights_only=True)
    del state["backbone.body.conv1.weight"]
    state["backbone.other"] = torch.zeros(1)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"1 missing: backbone\.body\.conv1\.weight; 1 unexpected: backbone\.other"):
        load_proposer(loaded, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="no such weights file"):
        load_proposer(loaded, tmp_path / "none.pth")


def test_without_a_network_coco_is_refused_in_one_line(loaded, monkeypatch):
    def fail(*arguments, **options):
        raise URLError("no route")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(
        WeightsError, match=r"cannot be downloaded .*no route.*give a local file of them, or give boxes"
    ):
        load_proposer(loaded, "coco")


def test_names_of_today_stay(loaded):
    assert all(named_as_today(key) == key for key in loaded.state_dict())
