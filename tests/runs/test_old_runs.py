"""Runs that were made before the rooms moved still load, are measured and go on: their files, as they were written."""

import dataclasses
import hashlib
import json

import pytest
import safetensors.torch
import torch

from w3action.clip_format import ClipFormat
from w3action.config import RunConfig
from w3action.models import create_model
from w3action.recipes import demo
from w3action.runs.checkpoint import load_checkpoint
from w3action.runs.folder import claim, read_metrics, read_run
from w3action.train.optimizer import build_optimizer, parameter_groups
from w3action.train.state import Progress, load_state

MODEL_JSON = """{
  "format": 1,
  "model": {
    "name": "tsm_small",
    "num_classes": 16,
    "attention": "w3",
    "attention_options": {},
    "place": null,
    "refine": true,
    "refine_from": "last",
    "head_options": {},
    "dropout": 0.2,
    "in_channels": 3
  },
  "classes": ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"],
  "clip": {
    "num_frames": 8,
    "size": 48,
    "resize": 48
  }
}
"""
RUN_JSON = """{
  "config": {
    "recipe": "demo",
    "model": {
      "name": "tsm_small",
      "attention": "w3",
      "attention_options": {},
      "place": null,
      "refine": null,
      "refine_from": "last",
      "head_options": {},
      "dropout": 0.2,
      "pretrained": null,
      "proposer": null
    },
    "data": {
      "modality": "rgb",
      "num_frames": 8,
      "size": 48,
      "resize": 48,
      "sampling": "middle",
      "scales": [
        1.0
      ],
      "flip": "auto",
      "color_jitter": 0.0,
      "label_column": "label",
      "train_fraction": 1.0,
      "num_workers": 0,
      "cache_gib": 2.0,
      "decode_on": "cpu"
    },
    "optim": {
      "name": "adamw",
      "lr": 0.004,
      "lr_batch_size": 16,
      "scale_lr": true,
      "schedule": "cosine",
      "milestones": [
        0.4,
        0.8
      ],
      "warmup": 0.2,
      "group_rates": false,
      "momentum": 0.9,
      "weight_decay": 0.02,
      "clip_norm": 5.0,
      "freeze_batch_norm": false
    },
    "mfr": false,
    "mfr_weight": 0.1,
    "mfr_reduction": "mean",
    "mfr_teacher": null,
    "mfr_teacher_weights": "last",
    "batch_size": 16,
    "epochs": 14,
    "label_smoothing": 0.0,
    "mixed_precision": "no",
    "seed": 0,
    "eval_every": 7,
    "checkpoint_every_steps": null
  },
  "data": "/sets/tabletop/manifest.csv",
  "val": null
}
"""
METRICS_CSV = """epoch,cross_entropy,gradient_norm,loss,train_top1,clips_per_second,val_top1,val_top5,val_loss
13.0,0.6704875106994922,2.2665569378779487,0.6704875106994922,81.82692307692308,153.1670616444824,,,
14.0,0.6348922371864318,2.2410592739398663,0.6348922371864318,82.6923076923077,152.4,56.66666626930237,93.3,1.2067
"""
PROGRESS = {
    "epoch": 14,
    "batch": 0,
    "step": 910,
    "best_top1": 56.66666626930237,
    "epoch_sums": {},
    "history": [{"epoch": 14.0, "loss": 0.6348922371864318}],
    "bad_videos": {"3": ["a.mp4", "a.mp4: empty"]},
    "scaler": {},
}
# Of "name (shape) type" of every tensor, in the order of their names.
WEIGHTS_SHA256 = "38b57329ee67da85eb974454a4879ece471519760dae038be3f6f04aae864c96"
STATE_SHA256 = "716bf3ae0376db3a66e91e57469aa4063bfce3abd37db007a7725ef1c89e3a6c"
TYPES = {torch.float32: "F32", torch.int64: "I64"}


def digest(tensors: dict[str, torch.Tensor]) -> str:
    lines = [f"{name} {tuple(value.shape)} {TYPES[value.dtype]}" for name, value in sorted(tensors.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    """An old file's weights: its names, shapes and types, and numbers of our own."""
    torch.manual_seed(0)
    weights = create_model("tsm_small", num_classes=16, attention="w3").state_dict()
    return {name: torch.rand_like(v) if v.is_floating_point() else v + 910 for name, v in weights.items()}


@pytest.fixture
def old_run(tensors, tmp_path):
    (tmp_path / "model.json").write_text(MODEL_JSON)
    (tmp_path / "run.json").write_text(RUN_JSON)
    (tmp_path / "metrics.csv").write_text(METRICS_CSV)
    (tmp_path / "model.safetensors").write_bytes(safetensors.torch.save(tensors))
    return tmp_path


def test_the_weights_have_their_old_names(tensors):
    assert digest(tensors) == WEIGHTS_SHA256


def test_an_old_network_loads_whole(old_run, tensors):
    loaded = load_checkpoint(old_run, device="cpu")
    assert all(torch.equal(value, tensors[name]) for name, value in loaded.model.state_dict().items())
    assert loaded.classes == tuple("abcdefghijklmnop")
    assert loaded.clip_format == ClipFormat(num_frames=8, size=48, resize=48, modality="rgb")
    assert loaded.sizes == ()
    assert loaded.model.arguments == json.loads(MODEL_JSON)["model"]


def test_an_old_run_is_of_today_s_settings_and_goes_on(old_run):
    config, data, val = read_run(old_run)
    assert isinstance(config, RunConfig)
    model = dataclasses.replace(demo().model, attention="w3")
    assert config == dataclasses.replace(demo(), model=model)
    assert val is None
    claim(old_run, config, data=data, val=val, resume=True)
    assert (old_run / "run.json").read_text() == RUN_JSON
    assert read_metrics(old_run)[0] == {
        "epoch": 13.0,
        "cross_entropy": 0.6704875106994922,
        "gradient_norm": 2.2665569378779487,
        "loss": 0.6704875106994922,
        "train_top1": 81.82692307692308,
        "clips_per_second": 153.1670616444824,
    }


def test_an_old_state_is_restored(tensors, tmp_path):
    model = create_model("tsm_small", num_classes=16, attention="w3")
    groups = parameter_groups(model, classifier=model.head.classifier, weight_decay=0.02, rates=False)
    optimizer = build_optimizer("adamw", groups, momentum=0.9)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state = {f"model.{name}": value for name, value in tensors.items()}
    for index, parameter in enumerate(parameters):
        state |= {f"optimizer.{index}.{name}": torch.rand_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
        state[f"optimizer.{index}.step"] = torch.tensor(910.0)
    assert digest(state) == STATE_SHA256
    path = tmp_path / "state.safetensors"
    path.write_bytes(safetensors.torch.save(state, {"progress": json.dumps(PROGRESS)}))
    assert load_state(path, model=model, optimizer=optimizer) == Progress(**PROGRESS)
    assert all(torch.equal(value, tensors[name]) for name, value in model.state_dict().items())
    for index, parameter in enumerate(parameters):
        for name, value in optimizer.state[parameter].items():
            assert torch.equal(value, state[f"optimizer.{index}.{name}"])
