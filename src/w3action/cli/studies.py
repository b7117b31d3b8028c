"""Verbs that run many things: demo, reproduce."""

import json
from itertools import chain
from pathlib import Path

from w3action.cli.app import AsJson, PositionalName, Settings, app


@app.command(name="demo")
def demo_verb(*, out: Path = Path("runs/demo"), num_videos: int = 1500, seed: int = 0) -> None:
    """Draw the tabletop set, train TSN, TSM and TSM+W3 on it, compare them and show where they look.

    Args:
        out: Folder for all of it.
        num_videos: Videos in all.
        seed: Of the set and of the runs.
    """
    from w3action.demo import run_demo

    print(run_demo(out, num_videos=num_videos, seed=seed))


@app.command(name="reproduce")
def reproduce_verb(
    table: PositionalName,
    /,
    *,
    data: Path,
    val: Path | None = None,
    test: Path | None = None,
    out: Path = Path("runs/study"),
    recipe: str = "demo",
    network: str | None = None,
    settings: Settings = [],  # noqa: B006 (tyro reads the default; nothing writes to it)
    seeds: int = 3,
    jobs: int | None = None,
    tracks: Path | None = None,
    rows: tuple[str, ...] = (),
    as_json: AsJson = False,
) -> None:
    """Run a table of the paper on your data: the same trainer for every row, several seeds, the paper's column beside.

    Args:
        table: sanity, sweep, table5, table6, table7, table8, readings, curves, lengths, figure3, or
            all of them.
        data: Training videos: a folder or a manifest; its splits train, val and test are used.
        val: Validation videos, where the manifest has no such split.
        test: Test videos; without them, the test split, else the validation videos.
        out: Folder of the study. Runs that are finished there are not run again.
        recipe: What all rows have in common, of `w3 recipes`.
        network: A network of `w3 list`, for its backbone; without it, the recipe's.
        settings: Changes to the recipe, such as epochs=20 mixed_precision=bf16.
        seeds: Seeds of each row.
        jobs: Runs at once; without it, one for each GPU or CPU core.
        tracks: Where hands are (Parquet), for figure3; without it, tracks.parquet beside the test videos' list.
        rows: Only these rows of the table, or networks of figure3, by the names of their runs: --rows tsn tsm w3.
            The page then holds no others.
        as_json: Print JSON instead of text.
    """
    from w3action import config, recipes
    from w3action.study.reproduce import reproduce

    chosen = config.override(recipes.recipe(recipe), [*chain(*settings)])
    pages = reproduce(
        table,
        chosen,
        data=data,
        val=val,
        test=test,
        out=out,
        network=network,
        num_seeds=seeds,
        num_parallel=jobs,
        tracks=tracks,
        rows=rows,
    )
    if as_json:
        print(json.dumps([json.loads(page.with_suffix(".json").read_text()) for page in pages], indent=2))
        return
    from w3action.study.publish import show

    for page in pages:
        show(page.with_suffix(".json"))
