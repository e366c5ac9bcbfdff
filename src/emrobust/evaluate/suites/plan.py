"""What a suite does: ``suites.toml`` as checked values, and its perturbations made."""

from __future__ import annotations

import functools
import inspect
import tomllib
from importlib import resources
from typing import Literal, cast

from pydantic import ValidationError

from emrobust import registry
from emrobust.config import Section
from emrobust.errors import ConfigError
from emrobust.perturb import Perturbation

TABLE = "suites.toml"
Language = Literal["zh", "en"]


class _Long(Section):
    characters: int
    zh: tuple[str, ...]
    en: tuple[str, ...]


class _Empty(Section):
    zh: tuple[str, ...]
    en: tuple[str, ...]


class _Short(Section):
    characters: int


class Plan(Section):
    """The whole table: kinds of noise by language, rates by severity, words of other suites."""

    perturbations: dict[Language, dict[str, tuple[str, ...]]]
    severity: dict[str, dict[str, float]]
    long: _Long
    empty: _Empty
    short: _Short


@functools.lru_cache(maxsize=1)
def load() -> Plan:
    """The shipped table.

    Raises:
        ConfigError: it is missing or wrong.
    """
    try:
        text = resources.files(__package__).joinpath(TABLE).read_text(encoding="utf-8")
        return Plan.model_validate(tomllib.loads(text))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise ConfigError(f"the table {TABLE} cannot be used: {error}") from None


def perturbations(severity: str, language: Language) -> list[Perturbation]:
    """The perturbations of a severity; their words are those that training never sees.

    Raises:
        ConfigError: there is no such severity, or the table names no such perturbation.
    """
    plan = load()
    if severity not in plan.severity:
        raise ConfigError(f"there is no severity {severity!r}; known: {', '.join(plan.severity)}")
    made = []
    for noise, rate in plan.severity[severity].items():
        names = plan.perturbations[language][noise]
        made += [_make(name, rate / len(names)) for name in names]
    return made


def _make(name: str, rate: float) -> Perturbation:
    component = cast("type[Perturbation]", registry.get("perturbation", name))
    settings: dict[str, object] = {"rate": rate}
    if "use" in inspect.signature(component).parameters:
        settings["use"] = "test"
    return component(**settings)
