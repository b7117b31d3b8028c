import csv
import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from w3action.config import ConfigError, OptimConfig, RunConfig
from w3action.data import ManifestError
from w3action.models import WeightsError
from w3action.runs.checkpoint import load_checkpoint
from w3action.runs.folder import read_metrics
from w3action.train import train
from w3action.train.loop import TrainingError
from w3action.train.run import build_model, build_task


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    different = [key for key in a if not torch.equal(a[key], b[key])]
    assert not different, different


def list_of(manifest: Path, folder: Path, *, splits: tuple[str, ...] = ("train",), num_broken: int = 0) -> Path:
    """Write a list of some splits of a manifest, whose first videos are text files."""
    with manifest.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] in splits]
    for number, row in enumerate(rows):
        row["path"] = str(manifest.parent / row["path"])
        del row["split"]
        if number < num_broken:
            path = folder / f"broken_{number}.mp4"
            path.write_text("this is no video")
            row["path"] = str(path)
    path = folder / f"{'_'.join(splits)}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_run_leaves_a_network_metrics_and_its_settings(tiny, tabletop, tmp_path):
    run = tmp_path / "run"
    train(tiny, data=tabletop, val=None, out=run)

    rows = read_metrics(run)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert {"loss", "cross_entropy", "train_top1", "val_top1", "val_top5", "clips_per_second"} <= rows[0].keys()
    loaded = load_checkpoint(run)
    assert len(loaded.classes) == 16
    assert loaded.clip_format.num_frames == 4
    assert (run / "best.safetensors").is_file()
    assert json.loads((run / "run.json").read_text())["config"]["optim"]["lr"] == 0.02
    assert list((run / "tensorboard").rglob("events*"))


@pytest.mark.parametrize("clip_norm", [0.5, 1e6])
def test_the_gradient_is_clipped_and_its_norm_before_is_told(tiny, tabletop, tmp_path, clip_norm):
    plain = OptimConfig(lr=0.25, scale_lr=False, group_rates=False, momentum=0.0, weight_decay=0.0, clip_norm=clip_norm)
    one_step = dataclasses.replace(tiny, epochs=1, batch_size=1000, optim=plain)
    train(one_step, data=tabletop, val=None, out=tmp_path / "run")

    torch.manual_seed(one_step.seed)
    before = build_model(one_step, num_classes=16)
    after = weights_of(tmp_path / "run")
    moved = torch.cat([(after[key] - value.detach()).flatten() for key, value in before.named_parameters()]).norm()
    norm = read_metrics(tmp_path / "run")[0]["gradient_norm"]
    assert norm > 0.5
    assert moved == pytest.approx(0.25 * min(norm, clip_norm), rel=1e-3)


def test_a_killed_run_goes_on_to_the_same_weights_bit_for_bit(tiny, tabletop, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    config = dataclasses.replace(tiny, checkpoint_every_steps=1, epochs=3)
    script = (
        "import json, sys; from pathlib import Path; from w3action.config import from_dict; "
        "from w3action.train import train; "
        "train(from_dict(json.loads(Path(sys.argv[1]).read_text()), origin='test'), data=Path(sys.argv[2]), val=None, "
        "out=Path(sys.argv[3]))"
    )
    settings = tmp_path / "config.json"
    settings.write_text(json.dumps(dataclasses.asdict(config)))
    arguments = [str(settings), str(tabletop), str(killed)]
    child = subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.DEVNULL)
    state = killed / "state.safetensors"
    for _ in range(1200):
        if state.is_file() and child.poll() is None:
            break
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert child.returncode == -signal.SIGKILL, "the run ended before it could be killed"
    assert not (killed / "model.safetensors").exists()

    train(config, data=tabletop, val=None, out=killed, resume=True)
    train(config, data=tabletop, val=None, out=whole)
    assert_same(weights_of(killed), weights_of(whole))
    for ours, theirs in zip(read_metrics(killed), read_metrics(whole), strict=True):
        assert {k: v for k, v in ours.items() if k != "clips_per_second"} == {
            k: v for k, v in theirs.items() if k != "clips_per_second"
        }


def test_a_full_disk_at_a_checkpoint_loses_nothing(tiny, tabletop, tmp_path, monkeypatch):
    run, whole = tmp_path / "run", tmp_path / "whole"
    real_fsync, states_written = os.fsync, []

    def fsync(descriptor: int) -> None:
        if "state.safetensors" in os.readlink(f"/proc/self/fd/{descriptor}"):
            states_written.append(1)
            if len(states_written) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=r"No space left on device.*--resume.*state\.safetensors"):
        train(tiny, data=tabletop, val=None, out=run)
    assert not [path for path in run.iterdir() if path.name.startswith(".")], "a temporary file is left"

    train(tiny, data=tabletop, val=None, out=run, resume=True)
    train(tiny, data=tabletop, val=None, out=whole)
    assert_same(weights_of(run), weights_of(whole))


def test_workers_do_not_change_a_run(tiny, tabletop, tmp_path):
    tiny = dataclasses.replace(tiny, epochs=1)
    in_workers = dataclasses.replace(tiny, data=dataclasses.replace(tiny.data, num_workers=2, cache_gib=0.0))
    train(tiny, data=tabletop, val=None, out=tmp_path / "alone")
    train(in_workers, data=tabletop, val=None, out=tmp_path / "workers")
    assert_same(weights_of(tmp_path / "alone"), weights_of(tmp_path / "workers"))


def test_a_finished_run_is_not_trained_again(tiny, tabletop, tmp_path):
    train(tiny, data=tabletop, val=None, out=tmp_path / "run")
    before = (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns
    train(tiny, data=tabletop, val=None, out=tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns == before


def test_a_folder_belongs_to_one_run(tiny, tabletop, tmp_path):
    run = tmp_path / "run"
    train(dataclasses.replace(tiny, epochs=1), data=tabletop, val=None, out=run)
    with pytest.raises(ConfigError, match="already holds a run.*--resume"):
        train(tiny, data=tabletop, val=None, out=run)
    with pytest.raises(ConfigError, match="epochs is 1, not 2"):
        train(tiny, data=tabletop, val=None, out=run, resume=True)


def test_a_run_that_never_got_to_a_checkpoint_leaves_its_folder_free(tiny, tabletop, tmp_path):
    run = tmp_path / "run"
    tiny = dataclasses.replace(tiny, epochs=1)
    with pytest.raises(ManifestError, match="typo"):
        train(tiny, data=tmp_path / "typo", val=None, out=run)
    (run / ".state.safetensors.123").write_text("half of a state")
    train(tiny, data=tabletop, val=None, out=run)
    assert (run / "model.safetensors").is_file()
    assert not list(run.glob(".*"))


def test_an_epoch_is_kept_when_validation_fails(tiny, tabletop, tmp_path, monkeypatch):
    run, whole = tmp_path / "run", tmp_path / "whole"
    tiny = dataclasses.replace(tiny, epochs=1)

    def fail(*args, **kwargs):
        raise OSError("the network drive is gone")

    with monkeypatch.context() as patched:
        patched.setattr("w3action.train.run.evaluate_videos", fail)
        with pytest.raises(OSError, match="network drive"):
            train(tiny, data=tabletop, val=None, out=run)
    assert not (run / "model.safetensors").exists()
    with monkeypatch.context() as patched:
        patched.setattr("w3action.train.loop._step", fail)  # nothing is left to be trained
        train(tiny, data=tabletop, val=None, out=run, resume=True)
    train(tiny, data=tabletop, val=None, out=whole)
    assert_same(weights_of(run), weights_of(whole))
    assert read_metrics(run)[0]["train_top1"] == read_metrics(whole)[0]["train_top1"]


def test_the_same_loss_comes_of_one_process_and_of_two(tiny, tabletop, tmp_path):
    """Two processes share each step's clips. Their batch norms see half of them, so figures are close, not equal."""
    script = (
        "import json, sys; from pathlib import Path; from w3action.config import from_dict; "
        "from w3action.train import train; "
        "train(from_dict(json.loads(Path(sys.argv[1]).read_text()), origin='test'), data=Path(sys.argv[2]), val=None, "
        "out=Path(sys.argv[3]))"
    )
    tiny = dataclasses.replace(tiny, epochs=1, model=dataclasses.replace(tiny.model, dropout=0.0))
    settings = tmp_path / "config.json"
    settings.write_text(json.dumps(dataclasses.asdict(tiny)))
    (tmp_path / "script.py").write_text(script)
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    both = [*launch, str(tmp_path / "script.py"), str(settings), str(tabletop), str(tmp_path / "two")]
    subprocess.run(both, check=True, stdout=subprocess.DEVNULL, timeout=300)
    train(tiny, data=tabletop, val=None, out=tmp_path / "one")
    one, two = (read_metrics(tmp_path / name)[0] for name in ("one", "two"))
    assert two["loss"] == pytest.approx(one["loss"], rel=0.05)
    assert (
        load_file(tmp_path / "two" / "state.safetensors").keys()
        == load_file(tmp_path / "one" / "state.safetensors").keys()
    )


def test_unreadable_videos_are_skipped_counted_and_listed(tiny, tabletop, tmp_path, capsys):
    data, val = list_of(tabletop, tmp_path, num_broken=1), list_of(tabletop, tmp_path, splits=("val",))
    train(dataclasses.replace(tiny, epochs=1), data=data, val=val, out=tmp_path / "run")
    assert "broken_0.mp4" in capsys.readouterr().out
    listed = (tmp_path / "run" / "bad_videos.csv").read_text()
    assert "broken_0.mp4" in listed
    assert listed.count("\n") == 2


def test_an_unreadable_validation_video_is_named_once(tiny, tabletop, tmp_path, capsys):
    data, val = list_of(tabletop, tmp_path, splits=("val", "test")), list_of(tabletop, tmp_path, num_broken=1)
    train(tiny, data=data, val=val, out=tmp_path / "run")
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("validation leaves out") == 1
    assert "broken_0.mp4" in said


def test_more_than_five_percent_unreadable_videos_stop_a_run(tiny, tabletop, tmp_path):
    bad, good = list_of(tabletop, tmp_path, num_broken=8), list_of(tabletop, tmp_path, splits=("val", "test"))
    with pytest.raises(TrainingError, match=r"of \d+ training videos cannot be read, more than 5%.*broken_\d.mp4"):
        train(tiny, data=bad, val=good, out=tmp_path / "run")
    with pytest.raises(TrainingError, match=r"8 of \d+ validation videos cannot be read, more than 5%.*--resume"):
        train(tiny, data=good, val=bad, out=tmp_path / "other")


def test_a_loss_that_is_no_number_stops_a_run(tiny, tabletop, tmp_path):
    wild = dataclasses.replace(tiny, epochs=5, optim=dataclasses.replace(tiny.optim, lr=1e12, clip_norm=1e12))
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf).*optim\.lr"):
        train(wild, data=tabletop, val=None, out=tmp_path / "run")


def test_a_validation_label_that_training_lacks_is_an_error(tiny, tabletop, tmp_path):
    other = tmp_path / "val.csv"
    other.write_text(f"path,label\n{next((tabletop.parent / 'videos').glob('*.mp4'))},Juggling something\n")
    with pytest.raises(ManifestError, match="Juggling something"):
        train(tiny, data=tabletop, val=other, out=tmp_path / "run")


def test_mfr_trains_a_teacher_then_a_student_from_the_same_start(tiny, tabletop, tmp_path, monkeypatch):
    starts: list[dict[str, torch.Tensor]] = []

    def remember(config: RunConfig, *, num_classes: int):
        model = build_model(config, num_classes=num_classes)
        starts.append({key: value.clone() for key, value in model.state_dict().items()})
        return model

    monkeypatch.setattr("w3action.train.run.build_model", remember)
    train(dataclasses.replace(tiny, mfr=True, epochs=1), data=tabletop, val=None, out=tmp_path / "run")
    teacher, student = starts
    assert_same(teacher, student)
    assert "mature_features" in read_metrics(tmp_path / "run")[0]
    assert "mature_features" not in read_metrics(tmp_path / "run" / "teacher")[0]
    # The student's checkpoint is the student alone.
    assert weights_of(tmp_path / "run").keys() == weights_of(tmp_path / "run" / "teacher").keys()


def test_a_given_teacher_is_used_and_must_fit(tiny, tabletop, tmp_path):
    train(dataclasses.replace(tiny, epochs=1), data=tabletop, val=None, out=tmp_path / "teacher")
    student = dataclasses.replace(tiny, mfr=True, mfr_teacher=str(tmp_path / "teacher"), epochs=1)
    before = weights_of(tmp_path / "teacher")
    train(student, data=tabletop, val=None, out=tmp_path / "student")
    assert_same(weights_of(tmp_path / "teacher"), before)
    assert not (tmp_path / "student" / "teacher").exists()

    for change in ({"name": "tsn_small"}, {"attention": "cbam"}, {"attention_options": {"temporal": False}}):
        other = dataclasses.replace(student, model=dataclasses.replace(tiny.model, **change))
        with pytest.raises(ValueError, match=rf"has {next(iter(change))} .*identical architecture"):
            build_task(other, build_model(other, num_classes=16))
    with pytest.raises(WeightsError, match="no checkpoint"):
        build_task(dataclasses.replace(student, mfr_teacher="nowhere"), build_model(student, num_classes=16))


def test_a_network_can_overfit_a_few_clips(tiny, tabletop, tmp_path):
    data = list_of(tabletop, tmp_path)
    rows = data.read_text().splitlines()
    data.write_text("\n".join(rows[:9]) + "\n")
    val = tmp_path / "val.csv"
    val.write_text(f"{rows[0]}\n{rows[9].split(',')[0]},{rows[1].split(',', 1)[1]}\n")
    config = dataclasses.replace(
        tiny,
        epochs=40,
        eval_every=40,
        model=dataclasses.replace(tiny.model, dropout=0.0),
        data=dataclasses.replace(tiny.data, num_frames=8, size=48, flip="off", scales=(1.0,)),
        optim=dataclasses.replace(tiny.optim, lr=0.05),
    )
    train(config, data=data, val=val, out=tmp_path / "run")
    assert max(row["train_top1"] for row in read_metrics(tmp_path / "run")) == 100.0
