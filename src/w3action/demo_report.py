"""The demo's page: the table, the confusion matrices and the attention strips, in one folder."""

import os
from dataclasses import dataclass
from pathlib import Path

import jinja2

from w3action.models.checkpoint import write_atomically


@dataclass(frozen=True)
class Row:
    """A network's figures, by the center protocol on the test videos."""

    name: str
    top1: float  # percent
    top5: float
    gflops: float  # multiply-adds of one clip / 1e9
    params: int
    train_clips_per_second: float  # the median epoch


@dataclass(frozen=True)
class Example:
    """A test video that was predicted and explained."""

    video: Path
    label: str
    prediction: str
    probability: float
    pictures: Path  # the folder of `explain`


def write_report(out: Path, *, rows: list[Row], examples: list[Example], num_videos: int) -> Path:
    """Write `report.html` into `out`, which refers to the runs' and the examples' pictures beside it."""
    environment = jinja2.Environment(loader=jinja2.PackageLoader("w3action", "templates"), autoescape=True)
    by_name = {row.name: row for row in rows}
    page = environment.get_template("demo.html.j2").render(
        rows=rows,
        examples=[(example, Path(os.path.relpath(example.pictures, out)).as_posix()) for example in examples],
        num_videos=num_videos,
        time_gain=by_name["tsm"].top1 - by_name["tsn"].top1,
        w3_gain=by_name["tsm_w3"].top1 - by_name["tsm"].top1,
        mfr_gain=by_name["tsm_w3_mfr"].top1 - by_name["tsm_w3"].top1,
    )
    path = out / "report.html"
    write_atomically(path, page.encode())
    return path
