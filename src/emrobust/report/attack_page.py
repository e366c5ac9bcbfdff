"""What attacks on a model reach, with the changes marked in the texts that may be shown.

One HTML file without a script, made from ``attack.json`` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from emrobust import runs
from emrobust.report import shell
from emrobust.report.words import Words

STRINGS = "attack_strings.toml"
Facts = Mapping[str, Any]
# Columns of the short section whose cells have another name.
_CELLS = {"attack": "name", "success_rate": "rate", "under_attack": "under"}
_SETTINGS = ("goal", "transformations", "constraints", "search", "budget")


class Piece(NamedTuple):
    """A stretch of a text: as it was, taken out, or put in."""

    kind: Literal["same", "removed", "added"]
    text: str


def write(path: Path, facts: Facts, name: str = "", language: str = "zh") -> None:
    """Write the page, all or nothing.

    Args:
        path: of the HTML file.
        facts: the contents of ``attack.json``.
        name: of the project.
        language: ``zh`` or ``en``.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    private = any(of["examples"] for of in facts["attacks"])
    runs.write_text(path, render(facts, name, language), private=private)


def render(facts: Facts, name: str = "", language: str = "zh") -> str:
    """The page's HTML."""
    w = Words(language, STRINGS)
    attacks = facts["attacks"]
    return shell.fill(
        "attack.html.j2",
        ["attack.css"],
        w=w,
        title=f"{w('title')} {name}".strip(),
        name=name,
        verdict=[_verdict(of, w) for of in attacks],
        rows=[_row(of, w) for of in attacks],
        examples=[_example(one, of, w) for of in attacks for one in of["examples"]],
        how=[{"name": _name(of, w), "settings": list(_settings(of))} for of in attacks],
    )  # fmt: skip


def present(facts: Facts | None, language: str) -> dict[str, Any] | None:
    """The short section of an evaluation report: a sentence and a row for each attack."""
    if facts is None:
        return None
    w = Words(language, STRINGS)
    rows = [_row(of, w) for of in facts["attacks"]]
    heads = ("attack", "goal", "success_rate", "under_attack", "queries", "edits", "memory")
    return {
        "title": w("title"),
        "heads": [w(head) for head in heads],
        "lines": [_verdict(of, w) for of in facts["attacks"]],
        "rows": [[row[_CELLS.get(head, head)] for head in heads] for row in rows],
        "limit": w("limit"),
    }


def _name(of: Facts, w: Words) -> str:
    known = w.known(f"recipe_{of['recipe']}")
    return str(of["recipe"]) if known.startswith("recipe_") else known


def _verdict(of: Facts, w: Words) -> str:
    tried = of["successes"] + of["failures"]
    if not tried:
        return w("verdict_none", name=_name(of, w), skipped=f"{of['skipped']:,}")
    said = w(
        "verdict",
        name=_name(of, w),
        tried=f"{tried:,}",
        successes=f"{of['successes']:,}",
        rate=f"{of['success_rate']['value']:.1%}",
        queries=_number(of["queries"], "{:.0f}", w),
        edits=_number(of["edits"], "{:.1f}", w),
        before=f"{of['scores']['standard']['macro_f1']:.3f}",
        after=f"{of['scores']['suite']['macro_f1']:.3f}",
    )
    # Attacks of before this was counted say nothing of it.
    untried = of.get("untried", 0)
    return f"{said} {w('verdict_untried', untried=f'{untried:,}')}" if untried else said


def _row(of: Facts, w: Words) -> dict[str, Any]:
    scores = of["scores"]
    drop = {
        "value": scores["drop"]["macro_f1"],
        "interval": scores["interval"].get("macro_f1"),
    }
    return {
        "name": _name(of, w),
        "goal": w.known(f"goal_{of['goal']['name']}"),
        "rate": _share(of["success_rate"], w),
        "accuracy": _share(of["accuracy"], w),
        "under": _share(of["accuracy_under_attack"], w),
        "before": f"{scores['standard']['macro_f1']:.3f}",
        "after": f"{scores['suite']['macro_f1']:.3f}",
        "drop": _share(drop, w),
        "counts": " / ".join(f"{of[key]:,}" for key in ("successes", "failures", "skipped")),
        "queries": _number(of["queries"], "{:.0f}", w),
        "edits": _number(of["edits"], "{:.1f}", w),
        "characters": _number(of["characters"], "{:.1%}", w),
        "memory": w("held_out" if of["held_out"] else "not_held_out"),
    }


def _share(of: Facts, w: Words) -> tuple[str, str]:
    """A share and its interval, as far as they are known."""
    bounds = of["interval"]
    return (
        _number(of["value"], "{:.1%}", w),
        f"{bounds[0]:.1%} – {bounds[1]:.1%}" if bounds else "",
    )


def _number(value: float | None, form: str, w: Words) -> str:
    return w("unknown") if value is None else form.format(value)


def _example(one: Facts, of: Facts, w: Words) -> dict[str, Any]:
    comma = "、" if w.language == "zh" else ", "
    named = {key: comma.join(one[key]) or w("nothing") for key in ("true", "before", "after")}
    return {
        "name": _name(of, w),
        "record": one["record_id"],
        "pieces": list(mark(one["text"], one["edits"])),
        "queries": one["queries"],
        **named,
    }


def mark(text: str, edits: list[list[Any]]) -> Iterator[Piece]:
    """The text cut at its edits: what stayed, what went and what came, in order."""
    at = 0
    for start, end, new in edits:
        pieces = (
            Piece("same", text[at:start]),
            Piece("removed", text[start:end]),
            Piece("added", new),
        )
        yield from (piece for piece in pieces if piece.text)
        at = end
    if text[at:]:
        yield Piece("same", text[at:])


def _settings(of: Facts) -> Iterator[tuple[str, str]]:
    for key in _SETTINGS:
        value = of[key]
        parts = value if isinstance(value, (list, tuple)) else [value]
        yield key, "; ".join(_part(part) for part in parts)


def _part(part: Any) -> str:
    if not isinstance(part, Mapping):
        return str(part)
    given = ", ".join(f"{key} = {value}" for key, value in part.items() if key != "name")
    return f"{part['name']} ({given})" if given else str(part["name"])
