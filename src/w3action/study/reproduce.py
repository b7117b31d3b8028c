"""`w3 reproduce`: a table's name and videos -> runs -> a page.

The sweep comes first where there is to be one: it tries the same factors on the recipe's learning rate for every
attention, with seeds of its own, by validation accuracy; `rates.json` keeps the best, and the tables of the same
folder use it. So no row gets a worse-tuned schedule than another.
"""

import dataclasses
import datetime
import json
import shlex
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from w3action.bench.turns import choose_device, describe_machine
from w3action.config import RunConfig
from w3action.data import FrameCache, read_manifest
from w3action.files import write_bytes
from w3action.runs.checkpoint import load_checkpoint
from w3action.study.figure3 import VARIANTS_SHOWN, compile_gaze, write_figure3
from w3action.study.gaze import TRACKS_FILE, measure_gaze, read_tracks
from w3action.study.jobs import Job, Result, StudyError, Videos, check_parallel, exists, find_videos, plan, run_jobs
from w3action.study.page import write_report
from w3action.study.report import compile_report
from w3action.study.tables import FAMILIES, RATE_FACTORS, TABLES, Table, with_teachers

FIGURE = "figure3"
SWEEP = "sweep"
RATES_FILE = "rates.json"
SWEEP_SEEDS = (1000, 1001)  # none of the tables' seeds, so that rows are not run on the seeds they were tuned on


def reproduce(
    name: str,
    recipe: RunConfig,
    *,
    data: Path,
    val: Path | None,
    test: Path | None,
    out: Path,
    network: str | None,
    num_seeds: int,
    num_parallel: int | None,
    tracks: Path | None = None,
    rows: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> list[Path]:
    """Run a table, or all of them, and return the pages.

    Args:
        name: one of `TABLES`, "figure3", or "all".
        recipe: what all rows have in common.
        data: the training videos.
        val: the validation videos; None takes the split of that name.
        test: the test videos; None takes the split of that name, else the validation videos.
        out: the study's folder.
        network: for its backbone; None takes the recipe's.
        num_seeds: seeds of each row, counted from 0.
        num_parallel: runs at once; None is one for each GPU or CPU core.
        rows: only these of the table, or networks of figure 3, by the names of their runs ("tsm", "w3"); none given
            means all. The page holds no others.
        tracks: where hands are, for figure 3; None takes `tracks.parquet` beside the test videos' list.
        say: gets a line for each finished run.

    Raises:
        StudyError: an unknown table, or runs that failed.
        ConfigError, ManifestError, TracksError: see where they are defined.
    """
    if name not in (*TABLES, FIGURE, "all"):
        raise StudyError(f"unknown table {name!r}; choose one of {', '.join(TABLES)}, {FIGURE} or all")
    if num_seeds < 1:
        raise StudyError(f"--seeds is {num_seeds}; give at least 1")
    study = _Study(
        recipe=recipe,
        videos=find_videos(data, val, test, label_column=recipe.data.label_column),
        out=out,
        network=network or recipe.model.name,
        num_seeds=num_seeds,
        num_parallel=check_parallel(num_parallel),
        tracks=tracks,
        say=say,
    )
    _check_rows(rows, name)
    # The sweep first: the others take their rates from it.
    names = [*sorted(TABLES, key=lambda table: table != SWEEP), FIGURE] if name == "all" else [name]
    pages = [study.figure3(rows) if name == FIGURE else study.table(TABLES[name], rows) for name in names]
    return [page for page in pages if page is not None]


def _check_rows(rows: Sequence[str], name: str) -> None:
    if not rows:
        return
    if name == "all":
        raise StudyError("rows are chosen of a single table; leave --rows out for all")
    known = VARIANTS_SHOWN if name == FIGURE else [row.variant for row in TABLES[name].rows]
    strange = [row for row in rows if row not in known]
    if strange:
        raise StudyError(f"{name} has no row {strange[0]!r}; choose of {', '.join(known)}")


@dataclass(frozen=True)
class _Study:
    """What all tables of a study have in common."""

    recipe: RunConfig
    videos: Videos
    out: Path
    network: str
    num_seeds: int
    num_parallel: int
    tracks: Path | None
    say: Callable[[str], None]

    def table(self, table: Table, only: Sequence[str] = ()) -> Path | None:
        wanted = [row for row in table.rows if not only or row.variant in only]
        rows = tuple(row for row in wanted if exists(row.variant, self.network))
        if not rows:
            self.say(f"{table.name}: no network of {self.network}'s backbone belongs to it; left out")
            return None
        results = self.run(table.name, with_teachers(row.variant for row in rows))
        if table.name == SWEEP:
            self.choose_rates(_best_rates(results))
        report = compile_report(dataclasses.replace(table, rows=rows), results, about=self.about(table.name))
        return write_report(report, self.out)

    def figure3(self, only: Sequence[str] = ()) -> Path:
        wanted = [name for name in VARIANTS_SHOWN if not only or name in only]
        variants = [name for name in wanted if exists(name, self.network)]
        self.run(FIGURE, with_teachers(variants))
        column = self.recipe.data.label_column
        manifest = read_manifest(self.videos.test, split=self.videos.test_split, label_column=column)
        tracks = read_tracks(self.tracks or self.videos.test.parent / TRACKS_FILE, manifest)
        cache = FrameCache(int(self.recipe.data.cache_gib * 2**30))  # the networks see the same frames
        gazes = {}
        for job in self.plan(FIGURE, variants):
            gazes[job.variant, job.seed] = measure_gaze(
                load_checkpoint(job.folder), manifest.videos, tracks, cache=cache
            )
            self.say(f"{FIGURE}  {job.variant}, seed {job.seed}: looked at {len(manifest)} videos")
        return write_figure3(compile_gaze(gazes), self.out, about=self.about(FIGURE))

    def plan(self, name: str, variants: Sequence[str]) -> list[Job]:
        return plan(
            variants,
            seeds=SWEEP_SEEDS if name == SWEEP else range(self.num_seeds),
            recipe=self.recipe,
            network=self.network,
            rates=self.rates(name),
            out=self.out,
        )

    def run(self, name: str, variants: Sequence[str]) -> dict[tuple[str, int], Result]:
        return run_jobs(
            self.plan(name, variants),
            self.videos,
            num_parallel=self.num_parallel,
            say=lambda line: self.say(f"{name}  {line}"),
        )

    def rates(self, name: str) -> dict[str, float]:
        return self.chosen_rates() if name != SWEEP else {}

    def chosen_rates(self) -> dict[str, float]:
        path = self.out / RATES_FILE
        return json.loads(path.read_text()) if path.is_file() else {}

    def choose_rates(self, best: dict[str, float]) -> None:
        """Keep the sweep's choice, beside what a sweep of other rows chose."""
        text = json.dumps(self.chosen_rates() | best, indent=2) + "\n"
        write_bytes(self.out / RATES_FILE, text.encode())
        for family, factor in best.items():
            if factor in (RATE_FACTORS[0], RATE_FACTORS[-1]):
                self.say(f"{SWEEP}  {family}: its best rate, {factor:g} times the recipe's, is the last one tried")

    def about(self, name: str) -> dict[str, Any]:
        return {
            "command": shlex.join(["w3", *sys.argv[1:]]),
            "network": self.network,
            "recipe": dataclasses.asdict(self.recipe),
            "factors on the learning rate": self.rates(name) or "1 for all",
            "tested on": "test videos" if self.videos.has_test and name != SWEEP else "validation videos",
            "date": datetime.date.today().isoformat(),
            "device": describe_machine(choose_device(None)).device,
            "torch": torch.__version__,
        }


def _best_rates(results: dict[tuple[str, int], Result]) -> dict[str, float]:
    """Choose the factors of families by validation accuracy; of equals the one nearest to the recipe's rate.

    A family that has not had all its trials is left out.
    """
    best = {}
    for family in FAMILIES:
        trials = {
            factor: [results.get((f"{family}_rate{factor:g}", seed)) for seed in SWEEP_SEEDS] for factor in RATE_FACTORS
        }
        if any(None in found for found in trials.values()):
            continue
        scores = {
            factor: statistics.mean(result.top1 for result in found if result) for factor, found in trials.items()
        }
        best[family] = max(scores, key=lambda factor: (scores[factor], -abs(factor - 1)))
    return best
