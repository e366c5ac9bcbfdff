"""Recipes: attacks by name, put together from ``recipes.toml`` and what the user gives."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from emrobust import registry
from emrobust.attack.attack import Attack
from emrobust.errors import ConfigError, did_you_mean
from emrobust.perturb.perturbation import Language

TABLE = Path(__file__).parent / "recipes.toml"
BUDGET = 200
# Where the user names no goal.
GOALS = {"multi": "set_changed", "single": "untargeted"}


class Recipe(BaseModel):
    """What a recipe is made of; each part is a mapping with ``name`` and that part's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str
    language: Language
    transformations: tuple[dict[str, Any], ...]
    constraints: tuple[dict[str, Any], ...]
    search: dict[str, Any] = {"name": "greedy"}


@functools.cache
def recipes() -> Mapping[str, Recipe]:
    """The shipped recipes by name.

    Raises:
        ConfigError: the table is missing or wrong.
    """
    try:
        table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
        return {name: Recipe.model_validate(of) for name, of in table.items()}
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigError(f"the table {TABLE} cannot be used: {error}") from None


def find(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        ConfigError: there is none; suggests the nearest.
    """
    known = recipes()
    if name not in known:
        raise ConfigError(f"there is no recipe called {name!r}.", did_you_mean(name, known))
    return known[name]


def compose(
    recipe: Recipe,
    goal: Mapping[str, Any],
    *,
    search: Mapping[str, Any] | None = None,
    budget: int = BUDGET,
) -> Attack:
    """The attack of a recipe.

    Args:
        recipe: as `find` gives it.
        goal: ``name`` and settings of the goal.
        search: likewise; absent: the recipe's.
        budget: most queries of a record.

    Raises:
        ConfigError: a part or a setting is unknown, a table is empty, or the budget is too small.
    """
    return Attack(
        goal=_make("goal", goal),
        constraints=tuple(_make("constraint", of) for of in recipe.constraints),
        transformations=tuple(_make("transformation", of) for of in recipe.transformations),
        search=_make("search", search or recipe.search),
        budget=budget,
    )


def _make(kind: str, given: Mapping[str, Any]) -> Any:
    values = dict(given)
    name = str(values.pop("name", ""))
    return registry.get(kind, name)(**registry.settings(kind, name, values))
