"""What a person sees of a run: every word of it, whatever it looks like."""

import pytest
from accelerate import Accelerator

from w3action.runs.folder import read_metrics
from w3action.train.log import RunLog


@pytest.fixture
def log(tmp_path) -> RunLog:
    accelerator = Accelerator(cpu=True, log_with="tensorboard", project_dir=str(tmp_path))
    return RunLog(tmp_path, accelerator, title="my [bold] run", num_epochs=2)


def test_brackets_are_words_not_markup(log, capsys):
    log.say("Title [dQw4w9WgXcQ].mp4")
    log.warn("skipped clips/[/b]/a.mp4")
    said = capsys.readouterr().out
    assert "my [bold] run" in said
    assert "Title [dQw4w9WgXcQ].mp4" in said
    assert "clips/[/b]/a.mp4" in said


def test_metrics_may_differ_from_epoch_to_epoch(log):
    rows = [{"epoch": 1.0, "loss": 2.0}, {"epoch": 2.0, "loss": 1.0, "val_top1": 50.0}]
    log.epoch(rows[0], rows[:1])
    log.epoch(rows[1], rows)
    assert read_metrics(log.out) == rows


def test_a_warning_is_said_once(log, capsys):
    for message in ("a.mp4 is empty", "b.mp4 is empty", "a.mp4 is empty"):
        log.warn(message)
    said = capsys.readouterr().out
    assert said.count("a.mp4") == 1
    assert said.count("b.mp4") == 1
