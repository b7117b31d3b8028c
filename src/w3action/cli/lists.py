"""Verbs that say what there is: list, recipes, settings."""

import dataclasses
import json
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from w3action.cli.app import AsJson, app, show

MOST_COLUMNS, WIDE = 2, 110  # of accuracies side by side, twice as many on a wide screen: Table 4 has twelve


@app.command(name="list")
def list_verb(*, as_json: AsJson = False) -> None:
    """List the networks and the attentions, with what they cost on their usual clips and 174 classes."""
    from w3action.models import ATTENTIONS
    from w3action.models.cost import describe_models
    from w3action.models.foreign import FRAMES_MEET, LIBRARIES

    described = describe_models()
    if as_json:
        print(json.dumps([dataclasses.asdict(row) for row in described], indent=2))
        return
    table = Table("model", "GFLOPs", "paper", "parameters", "clip", "ImageNet")
    table.columns[0].no_wrap = True
    for row in described:
        paper = "" if row.paper_gflops is None else f"{row.paper_gflops:g}"
        clip, weights = f"{row.num_frames} x {row.size} px", "yes" if row.imagenet else ""
        table.add_row(row.name, f"{row.gflops:.2f}", paper, f"{row.params / 1e6:.2f} M", clip, weights)
    attentions = Table("attention", "looks at")
    for name, attention in ATTENTIONS.items():
        attentions.add_row(name, attention.summary)
    console = Console()
    console.print(table, *(f"{row.name}: {row.differs}" for row in described if row.differs), attentions)
    print(
        "any model takes any attention: w3 train --set model.name=MODEL model.attention=ATTENTION ...\n"
        f"also a model: KIND:LIBRARY/NAME, an image network of {' or '.join(LIBRARIES)}, such as tsm:timm/regnety_032; "
        f"KIND is {', '.join(FRAMES_MEET)}"
    )


@app.command(name="recipes")
def recipes_verb(*, runs: Path = Path("runs"), as_json: AsJson = False) -> None:
    """List the recipes of `w3 train`: those for your own clips, and the paper's tables with what came of them here.

    Args:
        runs: A folder in which reports of `w3 eval` and `w3 fuse` are looked for, to stand beside the paper's figures.
        as_json: Print JSON instead of text.
    """
    from w3action.recipes import OWN, PAPER_TABLES, RECIPES
    from w3action.runs.figures import find_results, ours_of

    results = find_results(runs)
    found = [[(row, ours_of(table, row, results)) for row in table.rows] for table in PAPER_TABLES]
    if as_json:
        tables = [
            {
                **{name: getattr(table, name) for name in ("number", "title", "data", "columns")},
                "rows": [dataclasses.asdict(row) | {"ours": o.figures, "changed": o.changed} for row, o in rows],
            }
            for table, rows in zip(PAPER_TABLES, found, strict=True)
        ]
        recipes = {name: dataclasses.asdict(make()) for name, make in RECIPES.items()}
        print(json.dumps({"recipes": recipes, "tables": tables}, indent=2))
        return
    for name, make in OWN.items():
        print(f"{name:10}{(make.__doc__ or '').splitlines()[0]}")
    console = Console()
    num_columns = 2 * MOST_COLUMNS if console.width >= WIDE else MOST_COLUMNS
    for paper_table, rows in zip(PAPER_TABLES, found, strict=True):
        for start in range(0, len(paper_table.columns), num_columns):
            part = slice(start, start + num_columns)
            title = f"\nTable {paper_table.number}: {paper_table.title} (paper / ours)"
            names = ("system and its recipes", "frames", "GFLOPs", *paper_table.columns[part])
            table = Table(*names, title=title, title_justify="left", box=box.SIMPLE_HEAD)
            table.columns[0].no_wrap = True  # a recipe is to be typed
            for row, ours in rows:
                system = "\n ".join(filter(None, (row.system, row.backbone, *row.runs)))
                cost = "" if row.gflops is None else f"{row.gflops:g}"
                mark = "*" if ours.changed else ""
                pairs = zip(row.figures[part], ours.figures[part], strict=True)
                figures = [f"{_percent(paper)} / {_percent(here, mark)}" for paper, here in pairs]
                table.add_row(system, row.frames, cost, *figures)
            console.print(table)
        for row, ours in rows:
            if row.differs:
                print(f"{row.system}: {row.differs}")
            if ours.changed:
                print(f"* {row.system}, {row.frames} frames: ours with another {', '.join(ours.changed)}")
    print("train a recipe with w3 train RECIPE --data ... --out ...; rows of several recipes with w3 fuse as well")


@app.command(name="settings")
def settings_verb(*, as_json: AsJson = False) -> None:
    """List what `--set KEY=VALUE` changes in a run: every key with its default, its type and what it does."""
    from w3action.config import list_settings

    settings = list_settings()
    text = "\n".join(f"{one.key}={one.default}  ({one.type})\n    {one.about}" for one in settings)
    show([dataclasses.asdict(one) for one in settings], text, as_json=as_json)


def _percent(figure: float | None, mark: str = "") -> str:
    return "-" if figure is None else f"{figure:.1f}{mark}"
