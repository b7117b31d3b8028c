import json

import pytest

from w3action.config import ConfigError, RunConfig
from w3action.runs.folder import claim, read_metrics, read_run, read_run_file, write_bad_videos, write_metrics


def test_a_claimed_folder_gives_back_its_settings(tmp_path):
    out = tmp_path / "run"
    claim(out, RunConfig(seed=3), data=tmp_path / "d.csv", val=None, resume=False)
    assert read_run(out) == (RunConfig(seed=3), tmp_path / "d.csv", None)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        claim(tmp_path / "file", RunConfig(), data=tmp_path, val=None, resume=False)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no run \(run.json is missing\)"):
        read_run(tmp_path)


def test_a_setting_from_another_version_is_refused(tmp_path):
    claim(tmp_path / "run", RunConfig(), data=tmp_path, val=None, resume=False)
    path = tmp_path / "run" / "run.json"
    content = json.loads(path.read_text())
    content["config"]["speed"] = 3
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="speed"):
        read_run(tmp_path / "run")


def test_bad_videos_are_listed_only_if_there_are_any(tmp_path):
    write_bad_videos(tmp_path, [])
    assert not list(tmp_path.iterdir())
    write_bad_videos(tmp_path, [("a,b.mp4", "empty")])
    assert (tmp_path / "bad_videos.csv").read_text() == 'path,reason\n"a,b.mp4",empty\n'


def test_an_imported_run_has_no_settings(tmp_path):
    assert read_run_file(tmp_path) is None


def test_epochs_of_different_numbers_are_read_back(tmp_path):
    history = [{"epoch": 1.0, "loss": 0.1 + 0.2}, {"epoch": 2.0, "loss": 1e-9, "val_top1": 50.0}]
    write_metrics(tmp_path, history)
    assert (tmp_path / "metrics.csv").read_text().splitlines()[0] == "epoch,loss,val_top1"
    assert read_metrics(tmp_path) == history
