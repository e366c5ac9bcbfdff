"""The model card: TRIPOD+AI and MI-CLAIM filled in from a run folder, the rest marked as open.

Items and sentences stand in tables. A sentence is shown where the run knows every value in it; so
an item that the run can say nothing about is open, whatever the table hopes.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from emrobust import runs
from emrobust.errors import ConfigError, did_you_mean
from emrobust.evaluate import Evaluation
from emrobust.report import card_facts, shell
from emrobust.report.words import Words, load
from emrobust.train import cost
from emrobust.train.run import Run

STRINGS = "card_strings.toml"
TRIPOD, MI_CLAIM = "tripod_ai.toml", "mi_claim.toml"
MARKDOWN, HTML, JSON, OPEN = "model_card.md", "model_card.html", "model_card.json", "card_open.toml"
_FACT = "fact_"


class Item(NamedTuple):
    """One item of a checklist.

    Attributes:
        key: what an answer is filed under: the number, or ``mi-1`` ….
        name: its short name.
        asks: what it asks for, or its part of the checklist.
        facts: sentences that the run folder gives.
        answer: what a person has stated.
        open: what only a person can know and nobody has stated yet.
    """

    key: str
    name: str
    asks: str
    facts: tuple[str, ...]
    answer: str
    open: str


class Card(NamedTuple):
    """A whole card.

    Attributes:
        name: of the project.
        tripod: the 27 items.
        mi_claim: its rows.
        cost: lines about time and energy.
    """

    name: str
    tripod: tuple[Item, ...]
    mi_claim: tuple[Item, ...]
    cost: tuple[str, ...]

    @property
    def open(self) -> list[Item]:
        """Items with something left to state."""
        return [item for item in (*self.tripod, *self.mi_claim) if item.open]


def read_answers(path: Path) -> dict[str, str]:
    """What a person has stated: item → text, of a TOML file's table ``answers``.

    Raises:
        ConfigError: the file cannot be read, names no such item, or an answer is no text.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8")).get("answers", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error if isinstance(error, tomllib.TOMLDecodeError) else type(error).__name__
        raise ConfigError(f"{path} cannot be read: {reason}") from None
    known = {key for table in (TRIPOD, MI_CLAIM) for key, _ in _items(table)}
    for key, value in given.items():
        if key not in known:
            raise ConfigError(f"{path}: there is no item {key!r}", did_you_mean(key, known))
        if not isinstance(value, str):
            raise ConfigError(f"{path}: the answer to {key!r} is no text", "Put it in quotes.")
    return {key: value.strip() for key, value in given.items() if value.strip()}


def fill(
    run: Run, evaluation: Evaluation, answers: Mapping[str, str] | None = None, language: str = "zh"
) -> Card:
    """Fill in the card.

    Args:
        run: the run.
        evaluation: of its test records.
        answers: what a person has stated, by item.
        language: of the card.
    """
    w = Words(language, STRINGS)
    facts = card_facts.gather(run, evaluation, w)
    stated = answers or {}

    def items(table: str) -> tuple[Item, ...]:
        return tuple(_fill(key, of, facts, stated, w) for key, of in _items(table))

    return Card(run.project.name, items(TRIPOD), items(MI_CLAIM), tuple(_cost(run.cost(), w)))


def _items(table: str) -> list[tuple[str, dict[str, Any]]]:
    text = resources.files("emrobust.report").joinpath(table).read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = tomllib.loads(text)["item"]
    return [(row.get("number", f"mi-{place}"), row) for place, row in enumerate(rows, start=1)]


def _fill(
    key: str, of: Mapping[str, Any], facts: Mapping[str, str], stated: Mapping[str, str], w: Words
) -> Item:
    language = "zh" if w.language == "zh" else "en"
    said = tuple(line for name in of["facts"] if (line := _sentence(name, facts, w)))
    answer = stated.get(key, "")
    left = of[f"open_{language}"] or ("" if said else of[language])
    asks = of.get(f"asks_{language}") or of[f"part_{language}"]
    return Item(key, of[language], asks, said, answer, "" if answer else left)


def _sentence(name: str, facts: Mapping[str, str], w: Words) -> str:
    try:
        return w(_FACT + name, **facts)
    except KeyError:
        if _FACT + name not in load(STRINGS)[w.language]:
            raise
        return ""


def _cost(spent: Mapping[str, Any], w: Words) -> list[str]:
    if not spent:
        return [w("cost_unknown")]
    lines = [
        w(
            "cost_line",
            seconds=_duration(spent["seconds"]),
            cpu=_duration(spent["cpu_seconds"]),
            memory=f"{spent['memory_mb']:,}",
            processors=spent["processors"],
            accelerator=spent["accelerator"] or w("none"),
        ),
        w(
            "cost_energy",
            energy=f"{spent['watt_hours']:,.2f}",
            watts=f"{cost.CORE_WATTS:g}",
            card=f"{cost.ACCELERATOR_WATTS:g}",
            overhead=f"{cost.OVERHEAD:g}",
        ),
    ]
    return [*lines, w("cost_resumed")] if spent["resumed"] else lines


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def write_card(folder: Path, card: Card, language: str = "zh") -> None:
    """Write ``model_card.md``, ``.html``, ``.json`` and ``card_open.toml`` with what is open.

    The last has what a person has stated too, so that it may be filled in bit by bit.

    Raises:
        StorageError: the folder cannot be written.
    """
    runs.write_text(folder / MARKDOWN, render(card, language, "card.md.j2"))
    runs.write_text(folder / HTML, render(card, language, "card.html.j2"))
    plain = {
        "name": card.name,
        "cost": list(card.cost),
        **{key: [item._asdict() for item in getattr(card, key)] for key in ("tripod", "mi_claim")},
    }
    runs.write_json(folder / JSON, plain)
    lines = ["[answers]"]
    for item in (*card.tripod, *card.mi_claim):
        if item.answer:
            lines += [f"# {item.key} {item.name}", f"{_toml(item.key)} = {_toml(item.answer)}", ""]
    for item in card.open:
        lines += [f"# {item.key} {item.name}: {item.open}", f'{_toml(item.key)} = ""', ""]
    runs.write_text(folder / OPEN, "\n".join(lines) + "\n")


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def render(card: Card, language: str, template: str) -> str:
    """The card as HTML or Markdown, by its template."""
    w = Words(language, STRINGS)
    return shell.fill(
        template,
        ["card.css"],
        w=w,
        card=card,
        file=OPEN,
        filled=sum(bool(item.facts or item.answer) for item in card.tripod),
        left=sum(bool(item.open) for item in card.tripod),
    )
