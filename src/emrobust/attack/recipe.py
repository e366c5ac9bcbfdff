"""Recipes: attacks by name, put together from ``recipes.toml`` and what the user gives."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from emrobust import registry
from emrobust.attack.attack import Attack
from emrobust.errors import ConfigError, did_you_mean
from emrobust.perturb.perturbation import Language

_NAME = re.compile(r"[\w-]+")
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
        ConfigError: as `read`.
    """
    return read(TABLE)


def read(path: Path) -> dict[str, Recipe]:
    """The recipes of a file that is written like ``recipes.toml``, by name.

    Raises:
        ConfigError: the file is missing, not TOML, or a recipe in it is wrong; names the key.
    """
    advice = "`emrobust list recipes NAME` prints a recipe to begin from."
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"the recipes in {path} cannot be read: {error}", advice) from None
    found = {}
    for name, of in table.items():
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{path}: {name!r} is no name of a recipe", "Use letters, digits, - and _."
            )
        try:
            found[name] = Recipe.model_validate(of)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            key = ".".join(map(str, (name, *first["loc"])))
            raise ConfigError(f"{path}: `{key}`: {first['msg']}", advice) from None
    if not found:
        raise ConfigError(f"{path} holds no recipe", advice)
    return found


def select(wanted: Iterable[str]) -> dict[str, Recipe]:
    """Recipes by name, and all those of a file.

    Args:
        wanted: names, or paths that end in ``.toml``.

    Raises:
        ConfigError: as `find` and `read`, or two recipes have one name.
    """
    found: dict[str, Recipe] = {}
    for one in wanted:
        those = read(Path(one)) if one.endswith(".toml") else {one: find(one)}
        twice = sorted(those.keys() & found.keys())
        if others := [name for name in twice if those[name] != found[name]]:
            raise ConfigError(f"two recipes are called {others[0]!r}", "Rename one of them.")
        found |= those
    return found


def write(name: str) -> str:
    """A shipped recipe as TOML, to begin one's own from.

    Raises:
        ConfigError: there is none of this name; suggests the nearest.
    """
    find(name)
    sections = TABLE.read_text(encoding="utf-8").split("\n\n")
    return next(text for text in sections if text.startswith(f"[{name}]")).strip()


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
