"""A run's folder: the name of every file in it, what it was made from, and that no run writes over another."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from w3action.config import ConfigError, RunConfig, from_dict
from w3action.files import write_csv, write_json

RUN_FILE = "run.json"  # what the run is made from
DESCRIPTION_FILE = "model.json"  # the network and its classes
WEIGHTS_FILE = "model.safetensors"  # after the last epoch; it marks the run as finished
BEST_WEIGHTS_FILE = "best.safetensors"  # after the best validation
STATE_FILE = "state.safetensors"  # to go on from
METRICS_FILE = "metrics.csv"  # a row per epoch
BAD_VIDEOS_FILE = "bad_videos.csv"  # videos that could not be read
HELD_OUT_FILE = "held_out.csv"  # validation videos that the run chose itself
REPORT_FILE = "eval_{}.json"  # figures by a protocol
FUSED_REPORT_FILE = "fused.json"  # figures of several runs together
SCORES_FILE = "scores_{}.safetensors"  # of every video, by a protocol or "fused"
CONFUSION_FILE = "confusion_{}.png"  # by a protocol, by "PROTOCOL_LABELLING", or "fused"
IMPORT_FILE = "import.json"  # of a run made of another project's weights: which file, and what it lacked
TEACHER_FOLDER = "teacher"  # a run of its own: stage one of MFR
# Beside these lies `tensorboard/`, which Accelerate names.
WEIGHTS_FILES = {"last": WEIGHTS_FILE, "best": BEST_WEIGHTS_FILE}  # by the epoch they are of
# A folder that has none of these was claimed by a run that never got to a checkpoint: a mistyped path, say.
WORTH_KEEPING = (WEIGHTS_FILE, STATE_FILE, TEACHER_FOLDER)


def claim(out: Path, config: RunConfig, *, data: Path, val: Path | None, resume: bool) -> None:
    """Make the folder this run's own, and write `run.json` into it.

    Raises:
        ConfigError: there is something of a run in it and `resume` is off, or it is another run than this one.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; give another folder with --out")
    wanted = _describe(config, data, val)
    if any((out / kept).exists() for kept in WORTH_KEEPING):
        if not resume:
            raise ConfigError(f"{out} already holds a run; go on with --resume, or give another folder with --out")
        differing = _differences(wanted, _describe(*read_run(out)))
        if differing:
            raise ConfigError(f"{out} holds a run with other settings ({', '.join(differing)}); give another --out")
    for abandoned in out.glob(".*.safetensors.[0-9]*"):  # half-written when a run was killed
        abandoned.unlink()
    write_json(out / RUN_FILE, wanted)


def _describe(config: RunConfig, data: Path, val: Path | None) -> dict[str, Any]:
    described = {"config": asdict(config), "data": str(data.resolve()), "val": str(val.resolve()) if val else None}
    return json.loads(json.dumps(described))  # tuples become lists, as they are when read back


def read_run(out: Path) -> tuple[RunConfig, Path, Path | None]:
    """Read what a run was made from: its config, its training videos, its validation videos.

    Raises:
        ConfigError: the folder holds no run.
    """
    found = read_run_file(out)
    if found is None:
        raise ConfigError(f"{out} holds no run ({RUN_FILE} is missing); give the folder of `w3 train --out`")
    val = found["val"]
    return from_dict(found["config"], origin=str(out / RUN_FILE)), Path(found["data"]), Path(val) if val else None


def read_run_file(out: Path) -> dict[str, Any] | None:
    """Return the content of `run.json` as it is; None if there is none, as in an imported run."""
    path = out / RUN_FILE
    return json.loads(path.read_text()) if path.is_file() else None


def is_finished(out: Path) -> bool:
    """Tell whether a run is finished."""
    return (out / WEIGHTS_FILE).is_file()


def write_metrics(out: Path, history: Sequence[dict[str, float]]) -> None:
    """Write `metrics.csv`, a row per epoch; epochs may have different numbers."""
    keys = list(dict.fromkeys(key for epoch in history for key in epoch))
    write_csv(out / METRICS_FILE, keys, ([epoch.get(key) for key in keys] for epoch in history))


def read_metrics(out: Path) -> list[dict[str, float]]:
    """Read a run's `metrics.csv`: a row per epoch; numbers that an epoch does not have are left out."""
    with (out / METRICS_FILE).open(newline="") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def write_bad_videos(out: Path, bad_videos: Iterable[Sequence[str]]) -> None:
    """List the videos that could not be read, as (path, reason), if there were any."""
    rows = list(bad_videos)
    if rows:
        write_csv(out / BAD_VIDEOS_FILE, ("path", "reason"), rows)


def _differences(wanted: dict, found: dict, prefix: str = "") -> list[str]:
    names = []
    for key in {**wanted, **found}:
        a, b = wanted.get(key), found.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            names += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            names.append(f"{prefix}{key} is {b}, not {a}")
    return names
