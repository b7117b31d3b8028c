"""The losses of both training stages against their formulas, and what is frozen."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from w3action.layers import NonLocal
from w3action.models import ActionModel, create_model
from w3action.train.tasks import MatureFeatureTask, PlainTask, feature_distance

CLIPS = torch.randn(2, 3, 3, 48, 40, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 2])
NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


def network(*, seed: int = 0, name: str = "tsm_small", attention: str | None = "w3") -> ActionModel:
    torch.manual_seed(seed)
    return create_model(name, num_classes=3, attention=attention, dropout=0.0)


def step(task: PlainTask) -> dict[str, torch.Tensor]:
    """One step of SGD in training mode; returns the losses before it."""
    task.train()
    losses = task(CLIPS, LABELS).losses
    sum(losses.values()).backward()
    torch.optim.SGD((p for p in task.parameters() if p.requires_grad), lr=0.1).step()
    return losses


def snapshot(model: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_stage_one_is_cross_entropy_of_the_mean_of_frame_logits(label_smoothing):
    model = network()
    task = PlainTask(model, label_smoothing=label_smoothing).eval()
    losses, correct = task(CLIPS, LABELS)
    frames = model.head.frame_logits(model.forward_features(CLIPS).maps)
    expected = frames.mean(dim=1)
    assert correct.tolist() == (expected.argmax(dim=1) == LABELS).tolist()
    share = torch.full((2, 3), label_smoothing / 3)
    share[[0, 1], LABELS] += 1 - label_smoothing
    by_hand = -(share * expected.log_softmax(dim=1)).sum(dim=1).mean()
    assert losses.keys() == {"cross_entropy"}
    torch.testing.assert_close(losses["cross_entropy"], by_hand)


def test_cross_entropy_is_computed_in_float32():
    loss = PlainTask(network()).classify(torch.randn(2, 3, dtype=torch.bfloat16), LABELS).losses["cross_entropy"]
    assert loss.dtype == torch.float32


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_equation_9(reduction):
    student, teacher = torch.randn(2, 2, 5, 4, 3, 2)  # each (B, C, T, H, W)
    per_clip = []
    for clip in range(2):
        norms = [((student - teacher)[clip, :, t] ** 2).sum().sqrt() for t in range(4)]
        per_clip.append(sum(norms) / (4 if reduction == "mean" else 1))
    found = feature_distance(student, teacher, reduction=reduction)
    torch.testing.assert_close(found, sum(per_clip) / 2)


def test_equation_9_is_a_mean_over_frames_unless_told_otherwise():
    student, teacher = torch.randn(2, 2, 5, 4, 3, 2)
    assert torch.equal(feature_distance(student, teacher), feature_distance(student, teacher, reduction="mean"))


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_stage_two_adds_the_distance_of_refined_features(weight, reduction):
    student, teacher = network(seed=1), network(seed=2)
    task = MatureFeatureTask(student, teacher, weight=weight, reduction=reduction).eval()
    losses, correct = task(CLIPS, LABELS)
    logits = student(CLIPS)
    features = [model.forward_features(CLIPS).maps for model in (student, teacher)]  # y of equation 8
    assert losses.keys() == {"cross_entropy", "mature_features"}
    assert correct.tolist() == (logits.argmax(dim=1) == LABELS).tolist()
    torch.testing.assert_close(losses["cross_entropy"], F.cross_entropy(logits, LABELS))
    torch.testing.assert_close(losses["mature_features"], weight * feature_distance(*features, reduction=reduction))


def test_the_teacher_is_frozen_in_evaluation_mode_and_never_changes():
    teacher = network(seed=2)
    task = MatureFeatureTask(network(seed=1), teacher)
    before = snapshot(teacher)
    for _ in range(2):
        step(task)
    assert task.model.training
    assert not any(m.training for m in teacher.modules())
    assert not any(p.requires_grad for p in teacher.parameters())
    assert all(p.grad is None for p in teacher.parameters())
    after = teacher.state_dict()  # with the batch norms' statistics
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_the_teacher_computes_under_inference_mode_and_keeps_nothing(monkeypatch):
    teacher = network(seed=2)
    task = MatureFeatureTask(network(seed=1), teacher).train()
    seen, kept = [], []
    compute = teacher.forward_features
    monkeypatch.setattr(task, "mature_features", lambda clips: seen.append(compute(clips)) or seen[-1])
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        losses = task(CLIPS, LABELS).losses
    (features,) = seen
    assert features.maps.is_inference()
    assert all(tensor.data_ptr() != features.maps.data_ptr() for tensor in kept)
    sum(losses.values()).backward()  # autograd takes what inference mode made


def test_a_compiled_teacher_gives_the_same_losses(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function: compiled.append(function) or function)
    student, teacher = network(seed=1), network(seed=2)
    plain = MatureFeatureTask(student, teacher).eval()(CLIPS, LABELS).losses
    assert compiled == []
    found = MatureFeatureTask(student, teacher, compile_teacher=True).eval()(CLIPS, LABELS).losses
    assert compiled == [teacher.forward_features]
    assert found == plain


def test_the_student_learns_from_the_distance_alone():
    task = MatureFeatureTask(network(seed=1), network(seed=2)).train()
    task(CLIPS, LABELS).losses["mature_features"].backward()
    gradients = {name: p.grad for name, p in task.model.named_parameters()}
    learning = {name for name, grad in gradients.items() if grad is not None and grad.any()}
    assert {
        "backbone.conv1.weight",
        "refine.conv.weight",
        "backbone.layer1.0.slots.attention.where.video.2.bias",
    } <= learning
    assert not learning & {"head.fc.weight", "head.fc.bias"}


def test_the_student_in_stage_two_changes():
    task = MatureFeatureTask(network(seed=1), network(seed=2))
    before = snapshot(task.model)
    step(task)
    after = task.model.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert {"backbone.conv1.weight", "head.fc.weight", "backbone.bn1.running_mean"} <= changed


def test_equal_features_have_no_distance_and_finite_gradients():
    student = network()
    task = MatureFeatureTask(student, copy.deepcopy(student)).eval()  # one mode for both: one and the same features
    losses = task(CLIPS, LABELS).losses
    assert losses["mature_features"] == 0
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in student.parameters())


@pytest.mark.parametrize("kind", ["plain", "mature"])
@pytest.mark.parametrize("name", ["tsm_small", "tsm_resnet18"])
def test_frozen_batch_norms_are_all_but_the_first(name, kind):
    model = network(name=name)
    if kind == "plain":
        task = PlainTask(model, freeze_batch_norm=True)
    else:
        task = MatureFeatureTask(model, network(name=name, seed=2), freeze_batch_norm=True)
    before = snapshot(model)
    step(task)
    names = [key for key, m in model.named_modules() if isinstance(m, NORMS)]
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    for index, key in enumerate(names):
        norm = model.get_submodule(key)
        is_first = index == 0
        assert norm.training == is_first
        assert norm.weight.requires_grad == norm.bias.requires_grad == is_first
        assert (f"{key}.running_mean" in changed) == (f"{key}.weight" in changed) == is_first
    assert names[0] == "backbone.bn1"


def test_without_freezing_every_batch_norm_learns():
    task = PlainTask(network())
    before = snapshot(task.model)
    step(task)
    statistics = [key for key in before if key.endswith("running_mean")]
    assert all(not torch.equal(task.model.state_dict()[key], before[key]) for key in statistics)


def test_freezing_spares_the_norms_of_attention_that_starts_untrained():
    task = PlainTask(network(attention="non_local"), freeze_batch_norm=True).train()
    layers = [m for m in task.model.modules() if isinstance(m, NonLocal)]
    assert layers
    assert all(layer.norm.weight.requires_grad for layer in layers)


def test_several_labellings_add_the_cross_entropies_of_their_logits():
    logits = torch.randn(4, 5)
    labels = torch.tensor([[0, 4], [1, 3], [0, 2], [1, 4]])  # ids count through
    task = PlainTask(network(), sizes=(2, 3))
    by_hand = F.cross_entropy(logits[:, :2], labels[:, 0]) + F.cross_entropy(logits[:, 2:], labels[:, 1] - 2)
    torch.testing.assert_close(task.classify(logits, labels).losses["cross_entropy"], by_hand)


def test_labellings_must_be_as_many_as_their_sizes():
    with pytest.raises(ValueError, match=r"labels of shape \(2,\) are given for 2 labellings"):
        PlainTask(network(), sizes=(2, 1)).classify(torch.randn(2, 3), torch.tensor([0, 1]))
