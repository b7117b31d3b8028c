"""Recipes: one function per run that others may want to repeat, each returning a whole `RunConfig`.

`w3 train RECIPE --data ... --out ...` starts one; `--set key=value` changes it. `own` is for people's own clips,
`published` holds the runs behind the paper's tables, and `tables` the tables themselves: rows that name their runs.
"""

from collections.abc import Callable

from w3action.config import ConfigError, RunConfig
from w3action.recipes.own import default, demo, edge
from w3action.recipes.published import PUBLISHED
from w3action.recipes.tables import TABLES, PaperRow, PaperTable

__all__ = ["OWN", "RECIPES", "TABLES", "PaperRow", "PaperTable", "recipe"]

OWN: dict[str, Callable[[], RunConfig]] = {"default": default, "edge": edge, "demo": demo}
RECIPES: dict[str, Callable[[], RunConfig]] = {**OWN, **PUBLISHED}


def recipe(name: str) -> RunConfig:
    """Return the config of a recipe.

    Raises:
        ConfigError: there is none of that name; the message lists them.
    """
    if name not in RECIPES:
        raise ConfigError(f"unknown recipe {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]()
