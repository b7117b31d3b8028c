"""The main job on a fresh machine: draw videos, train four networks on them, compare them, show where they look.

Every run stands in a folder of its own and a finished one is not trained again, so a stopped demo goes on.
"""

import dataclasses
import os
import statistics
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from w3action.config import RunConfig, override
from w3action.data import FrameCache, read_manifest
from w3action.files import render_page, write_json
from w3action.recipes import demo as demo_recipe
from w3action.runs.checkpoint import load_checkpoint
from w3action.runs.folder import read_metrics
from w3action.runs.measure import measure
from w3action.tabletop import write_tabletop
from w3action.train import train
from w3action.use.explain import explain
from w3action.use.predict import predict

NUM_EXAMPLES = 4

# Each run is the one before it with one thing changed.
SETTINGS = {
    "tsn": ["model.name=tsn_small"],
    "tsm": ["model.name=tsm_small"],
    "tsm_w3": ["model.name=tsm_small", "model.attention=w3"],
    "tsm_w3_mfr": ["model.name=tsm_small", "model.attention=w3", "mfr=true"],
}


@dataclasses.dataclass(frozen=True)
class Row:
    """A network's figures, by the center protocol on the test videos."""

    name: str
    top1: float  # percent
    top5: float
    gflops: float  # multiply-adds of one clip / 1e9
    params: int
    train_clips_per_second: float  # the median epoch


@dataclasses.dataclass(frozen=True)
class Example:
    """A test video that was predicted and explained."""

    video: Path
    label: str
    prediction: str
    probability: float
    pictures: Path  # the folder of `explain`


def run_demo(out: Path, *, num_videos: int, seed: int) -> Path:
    """Run everything and return the report's path.

    Args:
        out: the folder for the data, the runs and the report.
        num_videos: of the drawn set; 70 % train, 10 % val, 20 % test.
        seed: of the set and of the runs.

    Raises:
        ValueError: `out` holds another demo, or the set is too small to train on.
    """
    console = Console(highlight=False)
    manifest = _draw(out / "tabletop", num_videos, seed, console)
    cache = FrameCache(4 * 2**30)  # the runs share the decoded frames
    rows = []
    for name, settings in SETTINGS.items():
        config = override(demo_recipe(), [*settings, f"seed={seed}"])
        if config.mfr:
            config = dataclasses.replace(config, mfr_teacher=str(out / "tsm_w3"))
        rows.append(_train_and_measure(name, config, manifest, out / name, cache))
    best = out / "tsm_w3_mfr"
    examples = _examples(best, manifest, out / "examples")
    write_json(out / "report.json", [dataclasses.asdict(row) for row in rows])
    report = _write_page(out, rows=rows, examples=examples, num_videos=num_videos)

    table = Table("network", "top-1", "top-5", "GFLOPs", "parameters", "training clips/s")
    for row in rows:
        accuracies, costs = (
            (f"{row.top1:.1f} %", f"{row.top5:.1f} %"),
            (f"{row.gflops:.3f}", f"{row.params / 1e6:.2f} M"),
        )
        table.add_row(row.name, *accuracies, *costs, f"{row.train_clips_per_second:.0f}")
    console.print(table)
    for example in examples:
        console.print(
            f"{example.video.name}: {example.prediction} ({100 * example.probability:.0f} %), is {example.label}",
            markup=False,
        )
    return report


def _draw(folder: Path, num_videos: int, seed: int, console: Console) -> Path:
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("drawing", total=num_videos)
        manifest = write_tabletop(folder, num_videos=num_videos, seed=seed, on_video=lambda: progress.advance(task))
    console.print(f"{num_videos} videos in {folder}")
    return manifest


def _train_and_measure(name: str, config: RunConfig, manifest: Path, run: Path, cache: FrameCache) -> Row:
    train(config, data=manifest, val=None, out=run, resume=True, cache=cache)
    measured = measure(run, data=manifest, split="test", num_workers=0, cache=cache)
    metrics, cost = measured.metrics, measured.cost
    speed = statistics.median(row["clips_per_second"] for row in read_metrics(run))
    return Row(name, metrics.top1, metrics.top5, cost.gflops, cost.params, train_clips_per_second=speed)


def _examples(run: Path, manifest: Path, out: Path) -> list[Example]:
    """Predict and explain the first test videos of as many classes."""
    checkpoint = load_checkpoint(run)
    videos = read_manifest(manifest, split="test", classes=checkpoint.classes).videos
    first_of_class = {}
    for video in videos:
        first_of_class.setdefault(video.label, video)
    examples = []
    for label, video in list(first_of_class.items())[:NUM_EXAMPLES]:
        pictures = out / video.path.stem
        found = predict(checkpoint, video.path, top=1)
        explain(checkpoint, video.path, out=pictures)
        examples.append(
            Example(video.path, checkpoint.classes[label], found.classes[0], found.probabilities[0], pictures)
        )
    return examples


def _write_page(out: Path, *, rows: list[Row], examples: list[Example], num_videos: int) -> Path:
    """Write `report.html` into `out`, which refers to the runs' and the examples' pictures beside it."""
    by_name, path = {row.name: row for row in rows}, out / "report.html"
    render_page(
        path,
        "demo",
        rows=rows,
        examples=[(example, Path(os.path.relpath(example.pictures, out)).as_posix()) for example in examples],
        num_videos=num_videos,
        time_gain=by_name["tsm"].top1 - by_name["tsn"].top1,
        w3_gain=by_name["tsm_w3"].top1 - by_name["tsm"].top1,
        mfr_gain=by_name["tsm_w3_mfr"].top1 - by_name["tsm_w3"].top1,
    )
    return path
