"""Recipes: one function per run that others may want to repeat, each returning a whole `RunConfig`.

`w3 train RECIPE --data ... --out ...` starts one; `--set key=value` changes it. `own` is for people's own clips,
`published` holds the runs behind the paper's tables, and `tables` the tables themselves: rows that name their runs.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

from w3action.config import ConfigError, RunConfig
from w3action.recipes.own import default, demo, edge
from w3action.recipes.paper_tables import PAPER_TABLES, PaperRow, PaperTable
from w3action.recipes.published import PUBLISHED

__all__ = ["OWN", "PAPER_TABLES", "RECIPES", "PaperRow", "PaperTable", "changed_settings", "recipe"]

OWN: dict[str, Callable[[], RunConfig]] = {"default": default, "edge": edge, "demo": demo}
RECIPES: dict[str, Callable[[], RunConfig]] = {**OWN, **PUBLISHED}
IDLE = {"seed", "eval_every", "checkpoint_every_steps", "data.num_workers", "data.cache_gib"}  # another run of the same


def recipe(name: str) -> RunConfig:
    """Return the config of a recipe.

    Raises:
        ConfigError: there is none of that name; the message lists them.
    """
    if name not in RECIPES:
        raise ConfigError(f"unknown recipe {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]()


def changed_settings(config: Mapping[str, Any]) -> list[str]:
    """Name the settings in which a run, as its `run.json` tells it, is another than its recipe's.

    The seed and what makes it only faster or slower do not count. A recipe that no longer exists counts as changed.
    """
    if config["recipe"] not in RECIPES:
        return ["recipe"]
    given = _flatten(config)
    made = _flatten(json.loads(json.dumps(dataclasses.asdict(recipe(config["recipe"])))))  # tuples as lists
    return sorted(key for key in {*made, *given} - IDLE if made.get(key) != given.get(key))


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat
