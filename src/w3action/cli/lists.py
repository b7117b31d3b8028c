"""Verbs that say what there is: list, recipes."""

import dataclasses
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from w3action.cli.app import AsJson, app

MOST_COLUMNS = 4  # of accuracies side by side: Table 4 has twelve


@app.command(name="list")
def list_verb(*, as_json: AsJson = False) -> None:
    """List the networks and the attentions, with what they cost on their usual clips and 174 classes."""
    from w3action.models import ATTENTIONS
    from w3action.models.listing import describe_models

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
    print("any model takes any attention: w3 train --set model.name=MODEL model.attention=ATTENTION ...")


@app.command(name="recipes")
def recipes_verb(*, runs: Path = Path("runs"), as_json: AsJson = False) -> None:
    """List the recipes of `w3 train`: those for your own clips, and the paper's tables with what came of them here.

    Args:
        runs: A folder in which reports of `w3 eval` and `w3 fuse` are looked for, to stand beside the paper's figures.
        as_json: Print JSON instead of text.
    """
    from w3action.recipes import OWN, RECIPES, TABLES
    from w3action.results import figures_of, find_results

    results = find_results(runs)
    if as_json:
        tables = [
            {
                **{name: getattr(table, name) for name in ("number", "title", "data", "columns")},
                "rows": [{**dataclasses.asdict(row), "ours": figures_of(table, row, results)} for row in table.rows],
            }
            for table in TABLES
        ]
        recipes = {name: dataclasses.asdict(make()) for name, make in RECIPES.items()}
        print(json.dumps({"recipes": recipes, "tables": tables}, indent=2))
        return
    for name, make in OWN.items():
        print(f"{name:10}{(make.__doc__ or '').splitlines()[0]}")
    console = Console()
    for paper_table in TABLES:
        ours = [figures_of(paper_table, row, results) for row in paper_table.rows]
        for start in range(0, len(paper_table.columns), MOST_COLUMNS):
            part = slice(start, start + MOST_COLUMNS)
            title = f"\nTable {paper_table.number}: {paper_table.title} (paper / ours)"
            names = ("system", "frames", "GFLOPs", *paper_table.columns[part], "recipe")
            table = Table(*names, title=title, title_justify="left")
            for row, found in zip(paper_table.rows, ours, strict=True):
                pairs = zip(row.figures[part], found[part], strict=True)
                figures = [f"{_percent(paper)} / {_percent(here)}" for paper, here in pairs]
                system = f"{row.system}, {row.backbone}" if row.backbone else row.system
                cost = "" if row.gflops is None else f"{row.gflops:g}"
                table.add_row(system, row.frames, cost, *figures, "\n".join(row.runs))
            console.print(table)
        for row in paper_table.rows:
            if row.differs:
                print(f"{row.system}: {row.differs}")
    print("train a recipe with w3 train RECIPE --data ... --out ...; rows of several recipes with w3 fuse as well")


def _percent(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.1f}"
