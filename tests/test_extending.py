"""Adding a thing as CONTRIBUTING.md says: one file (here a class or a function) and one line in a dictionary."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from w3action.config import DataConfig, ModelConfig, OptimConfig, RunConfig, override
from w3action.data import test_segments as middles_of_segments
from w3action.datasets.sets.listed_videos import Lister
from w3action.datasets.sets.prepare import SETS, prepare
from w3action.evaluate.protocols import PROTOCOLS, Protocol
from w3action.layers import Attended, Masks
from w3action.models import ATTENTIONS, NETWORKS
from w3action.models.attention import Attention
from w3action.models.heads import Head
from w3action.runs.checkpoint import load_checkpoint
from w3action.runs.measure import measure
from w3action.train import train
from w3action.train.run import build_model

TINY = RunConfig(
    model=ModelConfig(name="tsm_small"),
    data=DataConfig(num_frames=4, size=32, num_workers=0, train_fraction=0.3),
    optim=OptimConfig(lr=0.05, lr_batch_size=8),
    batch_size=8,
    epochs=1,
)


class EfficientChannelAttention(nn.Module):
    """What: a convolution over neighbouring channels of each frame's averages (ECA)."""

    def __init__(self, channels: int, *, kernel_size: int = 3):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x):
        averages = x.mean(dim=(3, 4)).transpose(1, 2)  # (B, T, C)
        mask = self.conv(averages.flatten(0, 1)[:, None]).sigmoid().view(averages.shape).transpose(1, 2)
        return Attended(x * mask[..., None, None], Masks(channel=mask))


class LargestHead(Head):
    """Score a video by the largest value of each channel."""

    def __init__(self, in_channels, num_classes, **classifier):
        super().__init__(**classifier)
        self.fc = self.scoring_layer(in_channels, num_classes)

    def forward(self, features):
        return self.fc(self.dropout(features.amax(dim=(2, 3, 4))))


def prepare_drawn(root, *, annotations=None, split=None):
    """List the drawn set as if it were somebody's data set."""
    lister, labels = Lister(root), set()
    with (annotations or root / "manifest.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if split in (None, row["split"]):
                lister.add(row["path"], label=row["label"], split=row["split"])
                labels.add(row["label"])
    return lister.finish(sorted(labels))


def train_once(config: RunConfig, data: Path, out: Path) -> nn.Module:
    """Train for an epoch and return the network that was saved; check that every part of it has learnt."""
    train(config, data=data, val=None, out=out)
    checkpoint = load_checkpoint(out, device="cpu")
    torch.manual_seed(config.seed)
    start = build_model(config, num_classes=len(checkpoint.classes)).state_dict()
    weights = checkpoint.model.state_dict()
    assert [key for key in start if key.endswith("weight") and torch.equal(start[key], weights[key])] == []
    return checkpoint.model


def test_an_attention_is_a_layer_and_a_line(tabletop, tmp_path, monkeypatch):
    monkeypatch.setitem(ATTENTIONS, "eca", Attention(EfficientChannelAttention, "what, from neighbouring channels"))
    config = override(TINY, ["model.attention=eca", "model.attention_options.kernel_size=5"])
    model = train_once(config, tabletop, tmp_path / "run")
    layers = [module for module in model.modules() if isinstance(module, EfficientChannelAttention)]
    assert [layer.conv.kernel_size for layer in layers] == [(5,)] * 3


def test_a_head_is_a_class_and_a_line(tabletop, tmp_path, monkeypatch):
    monkeypatch.setitem(NETWORKS, "largest_small", replace(NETWORKS["tsm_small"], head=LargestHead))
    model = train_once(override(TINY, ["model.name=largest_small"]), tabletop, tmp_path / "run")
    assert isinstance(model.head, LargestHead)


def test_a_data_set_is_a_function_and_a_line_and_a_protocol_is_a_line(tabletop, tmp_path, monkeypatch):
    monkeypatch.setitem(SETS, "drawn", prepare_drawn)
    prepared = prepare("drawn", tabletop.parent, tmp_path / "drawn.parquet", annotations=tabletop)
    assert prepared.num_videos == {"train": 56, "val": 8, "test": 16}
    train_once(TINY, prepared.manifest, tmp_path / "run")

    corners = Protocol("corners", middles_of_segments, "ten", num_clips=1, fusion="probabilities")
    monkeypatch.setitem(PROTOCOLS, "corners", corners)
    measured = measure(
        tmp_path / "run", data=prepared.manifest, protocol="corners", split="val", num_workers=0, device="cpu"
    )
    assert measured.report.name == "eval_corners.json"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.attention=w4", "unknown attention 'w4'; choose one of w3, cbam, se"),
        ("model.place=outptu", "unknown place 'outptu'; choose one of residual, output"),
        ("model.refine_from=evry", "unknown refine_from 'evry'; choose one of last, every"),
        ("model.name=tsm_smal", "unknown model 'tsm_smal'; choose one of tsn_small, tsm_small"),
    ],
)
def test_a_name_that_stands_for_nothing_is_refused_before_a_run_begins(setting, message, tabletop, tmp_path):
    with pytest.raises(ValueError, match=message):
        train(override(TINY, [setting]), data=tabletop, val=None, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_files_and_dictionaries_that_contributing_names_are_there():
    root = Path(__file__).parents[1]
    rows = [line for line in (root / "CONTRIBUTING.md").read_text().splitlines() if line.startswith("| ")]
    assert len(rows) > 10
    for row in rows:
        for name, place in re.findall(r"`([A-Z_]+|build_task)` in `([^`]+)`", row):
            path = root / "src/w3action" / place if not place.startswith("tests/") else root / place
            assert re.search(rf"^(def )?{name}\b", path.read_text(), re.M), (name, place)
        for place in re.findall(r"`((?:[a-z0-9_]+/)+)(?:NAME\w*\.py)?`", row):
            assert (root / "src/w3action" / place).is_dir(), place
        for place in re.findall(r"`((?:[a-z0-9_]+/)*[a-z0-9_]+\.py)`", row):
            path = root / "src/w3action" / place
            assert path.is_file() or (root / place).is_file(), place
