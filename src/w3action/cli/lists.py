"""Verbs that say what there is and what it costs: list, recipes, bench flops."""

import dataclasses
import json

from rich.console import Console
from rich.table import Table

from w3action.cli.app import AsJson, PositionalName, app, bench_app


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
def recipes_verb(*, as_json: AsJson = False) -> None:
    """List the recipes of `w3 train`."""
    from w3action.recipes import RECIPES

    if as_json:
        print(json.dumps({name: dataclasses.asdict(make()) for name, make in RECIPES.items()}, indent=2))
        return
    for name, make in RECIPES.items():
        print(f"{name:18}{(make.__doc__ or '').splitlines()[0]}")


@bench_app.command(name="flops")
def flops_verb(
    model: PositionalName,
    /,
    *,
    attention: str | None = None,
    frames: int | None = None,
    size: int | None = None,
    num_classes: int = 174,
    as_json: AsJson = False,
) -> None:
    """Count the multiply-adds (GFLOPs) of one clip, and the parameters.

    Args:
        model: A model of `w3 list`.
        attention: An attention of `w3 list`.
        frames: Frames in the clip; without it, the model's own.
        size: Side of the frames in pixels; without it, the model's own.
        num_classes: Classes of the classifier.
        as_json: Print JSON instead of text.
    """
    from w3action.models.listing import describe_model

    row = describe_model(model, attention=attention, num_frames=frames, size=size, num_classes=num_classes)
    if as_json:
        print(json.dumps(dataclasses.asdict(row), indent=2))
    else:
        with_attention = f" + {attention}" if attention else ""
        print(f"{model}{with_attention}, {row.num_frames} frames of {row.size} px, {num_classes} classes")
        print(f"{row.gflops:.2f} GFLOPs (multiply-adds)\n{row.params / 1e6:.2f} M parameters")
