"""`w3 reproduce`: a table's name and videos -> runs -> a page.

The sweep comes first where there is to be one: it tries the same factors on the recipe's learning rate for every
attention, with a seed of its own, by validation accuracy; `rates.json` keeps the best, and the tables of the same
folder use it. So no row gets a worse-tuned schedule than another.
"""

import dataclasses
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from w3action.config import RunConfig
from w3action.models.checkpoint import write_atomically
from w3action.study.report import compile_report, write_report
from w3action.study.runs import Result, StudyError, check_parallel, exists, find_videos, plan, run_jobs
from w3action.study.tables import TABLES, VARIANTS, Table, variants_of

RATES_FILE = "rates.json"
SWEEP_SEED = 1000  # none of the tables' seeds, so that rows are not run on the seed they were tuned on


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
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> list[Path]:
    """Run a table, or all of them, and return the pages.

    Args:
        name: one of `TABLES`, or "all".
        recipe: what all rows have in common.
        data: the training videos.
        val: the validation videos; None takes the split of that name.
        test: the test videos; None takes the split of that name, else the validation videos.
        out: the study's folder.
        network: for its backbone; None takes the recipe's.
        num_seeds: seeds of each row, counted from 0.
        num_parallel: runs at once; None is one for each GPU or CPU core.
        say: gets a line for each finished run.

    Raises:
        StudyError: an unknown table, or runs that failed.
        ConfigError, ManifestError: see where they are defined.
    """
    if name != "all" and name not in TABLES:
        raise StudyError(f"unknown table {name!r}; choose one of {', '.join(TABLES)} or all")
    if num_seeds < 1:
        raise StudyError(f"--seeds is {num_seeds}; give at least 1")
    videos = find_videos(data, val, test)
    num_parallel = check_parallel(num_parallel)
    network = network or recipe.model.name
    # The sweep first: the others take their rates from it.
    tables = sorted(TABLES.values(), key=lambda table: table.name != "sweep") if name == "all" else [TABLES[name]]
    pages = []
    for table in tables:
        is_sweep = table.name == "sweep"
        rows = tuple(row for row in table.rows if exists(row.variant, network))
        if not rows:
            say(f"{table.name}: no network of {network}'s backbone belongs to it; left out")
            continue
        seeds = [SWEEP_SEED] if is_sweep else range(num_seeds)
        rates = {} if is_sweep else _read_rates(out)
        jobs = plan(variants_of(rows), seeds=seeds, recipe=recipe, settings=[], network=network, rates=rates, out=out)
        results = run_jobs(jobs, videos, num_parallel=num_parallel, say=lambda line, t=table: say(f"{t.name}  {line}"))
        if is_sweep:
            write_atomically(out / RATES_FILE, (json.dumps(_best_rates(table, results), indent=2) + "\n").encode())
        about = {
            "command": shlex.join(["w3", *sys.argv[1:]]),
            "network": network,
            "recipe": dataclasses.asdict(recipe),
            "rates": rates or "the recipe's for all",
            "tested on": "validation videos" if is_sweep or videos.test == videos.choosing else "test videos",
        }
        pages.append(write_report(compile_report(dataclasses.replace(table, rows=rows), results, about=about), out))
    return pages


def _read_rates(out: Path) -> dict[str, float]:
    path = out / RATES_FILE
    return json.loads(path.read_text()) if path.is_file() else {}


def _best_rates(table: Table, results: dict[tuple[str, int], Result]) -> dict[str, float]:
    """Choose each family's factor by validation accuracy; of equals the one nearest to the recipe's rate."""
    best: dict[str, tuple[float, float, float]] = {}
    for row in table.rows:
        found = results.get((row.variant, SWEEP_SEED))
        if found is None:
            continue
        family, _, factor = VARIANTS[row.variant].family.partition("*")
        score = (found.top1, -abs(float(factor) - 1), float(factor))
        best[family] = max(best.get(family, score), score)
    return {family: factor for family, (_, _, factor) in best.items()}
