"""A run's folder: what it was made from, and that no run writes over another."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path

from w3action.config import ConfigError, RunConfig, from_dict
from w3action.models.checkpoint import WEIGHTS_FILE, write_atomically

RUN_FILE = "run.json"
METRICS_FILE = "metrics.csv"
BAD_VIDEOS_FILE = "bad_videos.csv"


def claim(out: Path, config: RunConfig, *, data: Path, val: Path | None, resume: bool) -> None:
    """Make the folder this run's own, and write `run.json` into it.

    Raises:
        ConfigError: there is a run in it and `resume` is off, or it is another run than this one.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; give another folder with --out")
    wanted = {"config": asdict(config), "data": str(data), "val": str(val) if val else None}
    path = out / RUN_FILE
    if path.is_file():
        if not resume:
            raise ConfigError(f"{out} already holds a run; go on with --resume, or give another folder with --out")
        found = json.loads(path.read_text())
        differing = _differences(json.loads(json.dumps(wanted)), found)
        if differing:
            raise ConfigError(f"{out} holds a run with other settings ({', '.join(differing)}); give another --out")
        return
    write_atomically(path, (json.dumps(wanted, indent=2) + "\n").encode())


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
    """Tell whether a run got to its end."""
    return (out / WEIGHTS_FILE).is_file()


def read_metrics(out: Path) -> list[dict[str, float]]:
    """Read a run's `metrics.csv`: a row per epoch; numbers that an epoch does not have are left out."""
    with (out / METRICS_FILE).open(newline="") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def write_bad_videos(out: Path, reasons: dict[str, str]) -> None:
    """List the videos that could not be read, if there were any."""
    if reasons:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["path", "reason"])
        writer.writerows(reasons.items())
        write_atomically(out / BAD_VIDEOS_FILE, text.getvalue().encode())


def _differences(wanted: dict, found: dict, prefix: str = "") -> list[str]:
    names = []
    for key in {**wanted, **found}:
        a, b = wanted.get(key), found.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            names += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            names.append(f"{prefix}{key} is {b}, not {a}")
    return names
