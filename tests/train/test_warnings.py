import dataclasses

import pytest

from w3action.config import DataConfig, OptimConfig, RunConfig
from w3action.data import find_flip_pairs
from w3action.train.run import warnings_about

SIDED = ["left", "right", "up"]


def found(config: RunConfig, classes: list[str] = SIDED, num_videos: int = 1000) -> str:
    return "\n".join(warnings_about(config, classes=classes, flips=find_flip_pairs(classes), num_videos=num_videos))


def test_the_default_run_has_nothing_to_warn_of():
    assert found(RunConfig()) == ""


@pytest.mark.parametrize(
    ("config", "classes", "word"),
    [
        (RunConfig(batch_size=8, optim=OptimConfig(scale_lr=False)), SIDED, "0.00125 would fit"),
        (RunConfig(data=DataConfig(flip="plain")), SIDED, "2 classes speak of a side (such as 'left')"),
        (
            RunConfig(data=DataConfig(flip="plain")),
            ["left", "right", "a left turn"],
            "3 classes speak of a side (such as 'a",
        ),
        (RunConfig(), ["push left", "up"], "'push left' speaks of a side"),
        (RunConfig(optim=OptimConfig(freeze_batch_norm=True)), SIDED, "but the first are frozen"),
    ],
)
def test_what_breaks_reproductions_is_said(config, classes, word):
    assert word in found(config, classes)


def test_a_batch_larger_than_the_set_is_said():
    assert "more than the 10 videos" in found(RunConfig(), num_videos=10)


def test_a_plain_flip_is_fine_where_no_class_has_a_side():
    assert found(dataclasses.replace(RunConfig(), data=DataConfig(flip="plain")), ["open", "close"]) == ""
