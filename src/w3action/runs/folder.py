"""A run's folder: what it was made from, and that no run writes over another."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from w3action.config import ConfigError, RunConfig, from_dict
from w3action.files import write_bytes

RUN_FILE = "run.json"  # what the run is made from
DESCRIPTION_FILE = "model.json"  # the network and its classes
WEIGHTS_FILE = "model.safetensors"  # after the last epoch; it marks the run as finished
BEST_WEIGHTS_FILE = "best.safetensors"  # after the best validation
STATE_FILE = "state.safetensors"  # to go on from
METRICS_FILE = "metrics.csv"  # a row per epoch
BAD_VIDEOS_FILE = "bad_videos.csv"  # videos that could not be read
HELD_OUT_FILE = "held_out.csv"  # validation videos that the run chose itself
IMPORT_FILE = "import.json"  # of a run made of another project's weights: which file, and what it lacked
TEACHER_FOLDER = "teacher"  # a run of its own: stage one of MFR
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
    write_bytes(out / RUN_FILE, (json.dumps(wanted, indent=2) + "\n").encode())


def _describe(config: RunConfig, data: Path, val: Path | None) -> dict[str, Any]:
    described = {"config": asdict(config), "data": str(data.resolve()), "val": str(val.resolve()) if val else None}
    return json.loads(json.dumps(described))  # tuples become lists, as they are when read back


def read_run(out: Path) -> tuple[RunConfig, Path, Path | None]:
    """Read what a run was made from: its config, its training videos, its validation videos.

    Raises:
        ConfigError: the folder holds no run.
    """
    path = out / RUN_FILE
    if not path.is_file():
        raise ConfigError(f"{out} holds no run ({RUN_FILE} is missing); give the folder of `w3 train --out`")
    found = json.loads(path.read_text())
    val = found["val"]
    return from_dict(found["config"], origin=str(path)), Path(found["data"]), Path(val) if val else None


def is_finished(out: Path) -> bool:
    """Tell whether a run is finished."""
    return (out / WEIGHTS_FILE).is_file()


def read_metrics(out: Path) -> list[dict[str, float]]:
    """Read a run's `metrics.csv`: a row per epoch; numbers that an epoch does not have are left out."""
    with (out / METRICS_FILE).open(newline="") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def write_bad_videos(out: Path, bad_videos: Iterable[Sequence[str]]) -> None:
    """List the videos that could not be read, as (path, reason), if there were any."""
    rows = list(bad_videos)
    if rows:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["path", "reason"])
        writer.writerows(rows)
        write_bytes(out / BAD_VIDEOS_FILE, text.getvalue().encode())


def _differences(wanted: dict, found: dict, prefix: str = "") -> list[str]:
    names = []
    for key in {**wanted, **found}:
        a, b = wanted.get(key), found.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            names += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            names.append(f"{prefix}{key} is {b}, not {a}")
    return names
