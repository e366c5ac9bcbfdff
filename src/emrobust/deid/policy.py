"""Which operator treats which kind: the shipped table, and what the project file says instead."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, cast, final

from emrobust import registry
from emrobust.config import Deid
from emrobust.deid.key import Key
from emrobust.deid.operator import Operator, Subject
from emrobust.deid.operators.date_shift import DateShift
from emrobust.errors import ConfigError, did_you_mean
from emrobust.placeholders import PLACEHOLDERS

FALLBACK = "placeholder"


@final
@dataclass(frozen=True)
class Policy:
    """An operator a kind.

    Attributes:
        operators: kind → the operator's name and the operator, for every kind.
        shift: the longest shift in days where dates are shifted, else None.
    """

    operators: Mapping[str, tuple[str, Operator]]
    shift: int | None

    def replace(self, value: str, kind: str, subject: Subject) -> tuple[str, str]:
        """What stands in place of a value, and the operator that gave it."""
        name, operator = self.operators[kind]
        word = operator.replace(value, kind, subject)
        return (PLACEHOLDERS[kind], FALLBACK) if word is None else (word, name)

    def names(self) -> dict[str, str]:
        """Kind → the operator's name."""
        return {kind: name for kind, (name, _) in self.operators.items()}


def build(settings: Deid, key: Key | None) -> Policy:
    """The operators of a project.

    Raises:
        ConfigError: an unknown kind, operator or setting, or an operator lacks its key; all
            problems at once.
    """
    problems: list[str] = []
    chosen: dict[str, tuple[str, dict[str, Any]]] = {
        kind: (name, {}) for kind, name in defaults(with_key=key is not None).items()
    }
    for kind, component in settings.operators.items():
        if kind in chosen:
            chosen[kind] = (component.name, component.settings())
        else:
            problems.append(f"`deid.operators.{kind}` is no kind. {did_you_mean(kind, chosen)}")
    made: dict[str, tuple[str, Operator]] = {}
    for kind, (name, given) in chosen.items():
        try:
            made[kind] = (name, _make(name, given))
        except ConfigError as error:
            problems.append(f"`deid.operators.{kind}`: {error}")
    lacking = _lacking(made.values()) if key is None else []
    if lacking:
        problems.append(f"{', '.join(lacking)} need a key: name a file with `deid.key_file`.")
    if settings.pseudonyms and key is None:
        problems.append("`deid.pseudonyms` needs a key: name a file with `deid.key_file`.")
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError(f"[deid] has {len(problems)} problem(s):\n{lines}", _HINT)
    date = made["date"][1]
    return Policy(made, date.days if isinstance(date, DateShift) else None)


_HINT = "`emrobust list operators` names them; `emrobust deid --new-key FILE` makes a key."


def defaults(*, with_key: bool) -> dict[str, str]:
    """Kind → the shipped operator's name."""
    file = resources.files("emrobust.deid") / "tables" / "operators.csv"
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    named = {row["kind"]: row["with_key" if with_key else "without_key"] for row in rows}
    return {kind: named.get(kind, FALLBACK) for kind in PLACEHOLDERS}


def _make(name: str, given: Mapping[str, object]) -> Operator:
    settings = registry.settings("operator", name, given)
    return cast("Operator", registry.get("operator", name)(**settings))


def _lacking(operators: Iterable[tuple[str, Operator]]) -> list[str]:
    return sorted({f"`{name}`" for name, operator in operators if operator.keyed})
