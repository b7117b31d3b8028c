"""Parameter groups as the public TSM has them, and the learning rate over a run."""

import pytest
import torch
from torch import nn

from w3action.models import create_model
from w3action.train.optimizer import build_optimizer, parameter_groups, rate_factor, set_learning_rate

DECAY = 5e-4
STEP = {"schedule": "step", "milestones": (0.4, 0.8), "warmup": 0.0}
COSINE = {"schedule": "cosine", "milestones": (), "warmup": 0.0}


def expected_rate_and_decay(name: str, state: dict) -> tuple[float, float]:
    """The factor on the learning rate and the weight decay of a parameter, from its name and its neighbours alone."""
    owner, _, kind = name.rpartition(".")
    if owner == "head.fc":
        return (10.0, 0.0) if kind == "bias" else (5.0, DECAY)
    if f"{owner}.running_mean" in state:
        return 1.0, 0.0
    return (2.0, 0.0) if kind == "bias" else (1.0, DECAY)


@pytest.mark.parametrize(
    ("name", "attention"),
    [
        ("tsm_resnet18", "w3"),
        ("tsm_resnet18", None),
        ("tsm_resnet18", "cbam"),
        ("tsm_resnet50", "non_local"),
        ("tsm_mobilenetv2", "w3"),
        ("tsm_mobilenetv2", None),
    ],
)
def test_every_parameter_is_in_its_group_and_in_no_other(name, attention):
    with torch.device("meta"):
        model = create_model(name, num_classes=3, attention=attention)
    groups = parameter_groups(model, classifier=model.head, weight_decay=DECAY)
    found = [(id(p), group["lr_scale"], group["weight_decay"]) for group in groups for p in group["params"]]
    state = model.state_dict()
    expected = [(id(p), *expected_rate_and_decay(n, state)) for n, p in model.named_parameters()]
    assert sorted(found) == sorted(expected)
    assert len({group["name"] for group in groups}) == len(groups)


def test_frozen_parameters_are_in_no_group():
    model = create_model("tsm_small", num_classes=3)
    model.backbone.bn1.requires_grad_(False)
    model.head.fc.bias.requires_grad_(False)
    groups = parameter_groups(model, classifier=model.head, weight_decay=DECAY)
    found = {id(p) for group in groups for p in group["params"]}
    assert found == {id(p) for p in model.parameters() if p.requires_grad}
    assert all(group["params"] for group in groups)  # no empty group is left
    assert "classifier bias" not in {group["name"] for group in groups}


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_each_group_moves_at_its_own_rate(name):
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    groups = parameter_groups(model, classifier=model[2], weight_decay=0.0)
    optimizer = build_optimizer(name, groups, momentum=0.9)
    before = [p.clone() for p in model.parameters()]
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    set_learning_rate(optimizer, 0.01)
    optimizer.step()
    # The first step of either optimiser goes against the gradient by the rate itself.
    moved = [(was - now).mean().item() / 0.01 for was, now in zip(before, model.parameters(), strict=True)]
    assert moved == pytest.approx([1, 2, 1, 1, 5, 10], rel=1e-3)


def test_without_a_rate_nothing_moves():
    model = nn.Linear(2, 2)
    optimizer = build_optimizer("sgd", parameter_groups(model, classifier=model, weight_decay=DECAY), momentum=0.9)
    before = model.weight.clone()
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert torch.equal(model.weight, before)


def test_momentum_is_that_of_sgd_and_the_first_beta_of_adamw():
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr_scale": 1.0}]
    assert build_optimizer("sgd", groups, momentum=0.8).param_groups[0]["momentum"] == 0.8
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr_scale": 1.0}]
    assert build_optimizer("adamw", groups, momentum=0.8).param_groups[0]["betas"] == (0.8, 0.999)


@pytest.mark.parametrize(
    ("passed", "factor"), [(0.0, 1), (0.39, 1), (0.4, 0.1), (0.79, 0.1), (0.8, 0.01), (0.999, 0.01)]
)
def test_steps_fall_to_a_tenth_at_the_milestones(passed, factor):
    assert rate_factor(passed, **STEP) == pytest.approx(factor)


@pytest.mark.parametrize("epochs", range(5, 205, 5))
def test_a_milestone_falls_on_the_epoch_it_names(epochs):
    factors = [rate_factor(epoch / epochs, **STEP) for epoch in range(epochs)]
    lengths = [sum(f == pytest.approx(level) for f in factors) for level in (1, 0.1, 0.01)]
    assert lengths == [epochs * 2 // 5, epochs * 2 // 5, epochs // 5]  # 20, 20 and 10 of 50, as the public TSM


@pytest.mark.parametrize(("passed", "factor"), [(0.0, 1.0), (1 / 3, 0.75), (0.5, 0.5), (2 / 3, 0.25), (1.0, 0.0)])
def test_cosine(passed, factor):
    assert rate_factor(passed, **COSINE) == pytest.approx(factor, abs=1e-12)


@pytest.mark.parametrize("schedule", [STEP, COSINE])
def test_warmup_rises_from_almost_nothing_to_the_full_rate(schedule):
    schedule = {**schedule, "warmup": 0.1}
    rising = [rate_factor(0.1 * i / 100, **schedule) for i in range(101)]
    assert 0 < rising[0] <= 0.01
    assert rising == sorted(set(rising))
    assert rising[50] == pytest.approx(0.5, abs=0.01)
    assert rising[-1] == pytest.approx(1.0)


def test_after_warmup_cosine_has_the_rest_of_the_run():
    assert rate_factor(0.55, schedule="cosine", milestones=(), warmup=0.1) == pytest.approx(0.5)
    assert rate_factor(1.0, schedule="cosine", milestones=(), warmup=0.1) == pytest.approx(0.0)
