"""A run's state: what is restored goes on bit by bit as if nothing had happened."""

import pytest
import safetensors.torch
import torch
from torch.nn import functional as F

from w3action.models import ActionModel, WeightsError, create_model
from w3action.models.backbone import put_channels_last_
from w3action.runs.checkpoint import save_weights
from w3action.train.optimizer import build_optimizer, parameter_groups, set_learning_rate
from w3action.train.state import Progress, load_state, save_state

PROGRESS = Progress(
    epoch=2,
    batch=3,
    step=23,
    best_top1=41.5,
    epoch_sums={"clips": 24.0, "loss": 1 / 3},
    history=[{"epoch": 1.0, "val_top1": 0.1 + 0.2}, {"epoch": 2.0, "val_top1": 41.5}],
    bad_videos={"3": ["a/ö.mp4", 'it is "empty"']},
    scaler={"scale": 65536.0, "growth_tracker": 7},
)


def start(optimizer: str, *, seed: int, **arguments) -> tuple[ActionModel, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model = create_model("tsm_small", **{"num_classes": 3, "attention": "w3", **arguments})
    groups = parameter_groups(model, classifier=model.head, weight_decay=5e-4)
    return model, build_optimizer(optimizer, groups, momentum=0.9)


def step(model: ActionModel, optimizer: torch.optim.Optimizer, number: int) -> None:
    """Train a step, with clips and dropout that belong to its number."""
    torch.manual_seed(number)
    set_learning_rate(optimizer, 0.01)
    optimizer.zero_grad()
    F.cross_entropy(model.train()(torch.randn(2, 3, 2, 32, 32)), torch.tensor([0, 2])).backward()
    optimizer.step()


def equal(one: ActionModel, other: ActionModel) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_restored_run_goes_on_bit_by_bit(name, tmp_path):
    model, optimizer = start(name, seed=0)
    for number in range(3):
        step(model, optimizer, number)
    save_state(tmp_path / "state.safetensors", model=model, optimizer=optimizer, progress=PROGRESS)
    restored, its_optimizer = start(name, seed=1)
    assert not equal(restored, model)
    assert load_state(tmp_path / "state.safetensors", model=restored, optimizer=its_optimizer) == PROGRESS
    assert equal(restored, model)
    without_moments, fresh_optimizer = start(name, seed=2)
    without_moments.load_state_dict(model.state_dict())
    for each in ((model, optimizer), (restored, its_optimizer), (without_moments, fresh_optimizer)):
        step(*each, 3)
    assert equal(restored, model)
    assert not equal(without_moments, model), "the moments were to matter"


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_every_moment_is_restored(name, tmp_path):
    model, optimizer = start(name, seed=0)
    step(model, optimizer, 0)
    save_state(tmp_path / "s", model=model, optimizer=optimizer, progress=Progress())
    restored, its_optimizer = start(name, seed=1)
    load_state(tmp_path / "s", model=restored, optimizer=its_optimizer)
    saved, loaded = optimizer.state_dict(), its_optimizer.state_dict()
    assert saved["state"].keys() == loaded["state"].keys()
    for index, moments in saved["state"].items():
        assert moments.keys() == loaded["state"][index].keys()
        assert moments.keys() == ({"momentum_buffer"} if name == "sgd" else {"step", "exp_avg", "exp_avg_sq"})
        for key, value in moments.items():
            assert torch.equal(loaded["state"][index][key], value)
            assert loaded["state"][index][key].dtype == value.dtype


def test_before_the_first_step_there_are_no_moments(tmp_path):
    model, optimizer = start("sgd", seed=0)
    save_state(tmp_path / "s", model=model, optimizer=optimizer, progress=Progress())
    restored, its_optimizer = start("sgd", seed=1)
    assert load_state(tmp_path / "s", model=restored, optimizer=its_optimizer) == Progress()
    step(model, optimizer, 0)
    step(restored, its_optimizer, 0)
    assert equal(restored, model)


def test_what_is_restored_no_longer_hangs_on_the_file(tmp_path):
    model, optimizer = start("sgd", seed=0)
    step(model, optimizer, 0)
    path = tmp_path / "s"
    save_state(path, model=model, optimizer=optimizer, progress=Progress())
    load_state(path, model=model, optimizer=optimizer)
    first = path.read_bytes()
    step(model, optimizer, 1)
    assert path.read_bytes() == first
    save_state(path, model=model, optimizer=optimizer, progress=Progress(step=2))  # over the file it came from
    assert load_state(path, model=model, optimizer=optimizer).step == 2


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x00\x00\x00\x00\x00\x00\x00garbage!"])
def test_what_is_no_state_is_refused(content, tmp_path):
    (tmp_path / "s").write_bytes(content)
    model, optimizer = start("sgd", seed=0)
    with pytest.raises(WeightsError, match=r"not the state of a run .*; remove it to start again"):
        load_state(tmp_path / "s", model=model, optimizer=optimizer)


@pytest.mark.parametrize("header", [{}, {"progress": "no JSON"}, {"progress": "[1]"}, {"progress": '{"days": 3}'}])
def test_a_header_that_is_no_progress_is_refused(header, tmp_path):
    model, optimizer = start("sgd", seed=0)
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    safetensors.torch.save_file(tensors, tmp_path / "s", metadata=header)
    with pytest.raises(WeightsError, match="not the state of a run"):
        load_state(tmp_path / "s", model=model, optimizer=optimizer)


def test_bare_weights_are_no_state(tmp_path):
    model, optimizer = start("sgd", seed=0)
    save_weights(tmp_path / "model.safetensors", model)
    with pytest.raises(WeightsError, match="not the state of a run"):
        load_state(tmp_path / "model.safetensors", model=model, optimizer=optimizer)


def test_half_a_state_is_refused(tmp_path):
    model, optimizer = start("sgd", seed=0)
    save_state(tmp_path / "s", model=model, optimizer=optimizer, progress=PROGRESS)
    (tmp_path / "s").write_bytes((tmp_path / "s").read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="not the state of a run"):
        load_state(tmp_path / "s", model=model, optimizer=optimizer)


@pytest.mark.parametrize("arguments", [{"num_classes": 4}, {"attention": None}, {"attention": "cbam"}])
def test_another_network_s_state_is_refused_and_nothing_is_loaded(arguments, tmp_path):
    model, optimizer = start("sgd", seed=0, **arguments)
    save_state(tmp_path / "s", model=model, optimizer=optimizer, progress=PROGRESS)
    other, its_optimizer = start("sgd", seed=1)
    before, _ = start("sgd", seed=1)
    with pytest.raises(WeightsError, match="does not fit the network of this run's config: .*(missing|mis-shaped)"):
        load_state(tmp_path / "s", model=other, optimizer=its_optimizer)
    assert equal(other, before)


def test_the_state_of_an_optimiser_of_other_parameters_is_refused(tmp_path):
    model, optimizer = start("sgd", seed=0)
    step(model, optimizer, 0)
    save_state(tmp_path / "state.safetensors", model=model, optimizer=optimizer, progress=PROGRESS)
    fewer = build_optimizer("sgd", [{"params": [model.head.classifier.weight]}], momentum=0.9)
    with pytest.raises(WeightsError, match="optimiser of other parameters; remove it"):
        load_state(tmp_path / "state.safetensors", model=model, optimizer=fewer)


def test_moments_come_back_in_their_parameters_order_of_memory(tmp_path):
    model, optimizer = start("adamw", seed=0)
    put_channels_last_(model)
    step(model, optimizer, 0)
    save_state(tmp_path / "state.safetensors", model=model, optimizer=optimizer, progress=PROGRESS)
    restored, its_optimizer = start("adamw", seed=1)
    put_channels_last_(restored)
    load_state(tmp_path / "state.safetensors", model=restored, optimizer=its_optimizer)
    moments = [(x, m["exp_avg"]) for x, m in its_optimizer.state.items()]
    assert any(not x.is_contiguous() for x, _ in moments)
    assert all(x.stride() == moment.stride() for x, moment in moments)
