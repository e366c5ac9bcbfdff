"""Back-translation: a text as it returns from another language, if it still tells the same.

By a pair of models (`marian`) or from a table that the user gives. BLEU alone is unsafe: 无胸痛
against 有胸痛 scores high. So a text is kept only if it is no copy, BLEU (sacrebleu, ``zh``) is at
least 0.75, not one guarded fact has changed, and it holds the same terms of the lexicon.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from sacrebleu.metrics.bleu import BLEU

from emrobust.augment import terms
from emrobust.augment.cache import Cache, key
from emrobust.errors import SourceError
from emrobust.perturb import Edit, permits

# Texts of one transaction.
_CHUNK = 256
COLUMNS = ("text", "translation")
Reason = Literal["missing", "copy", "bleu", "guards", "terms"]


class Translator(Protocol):
    """Anything that takes texts to another language and back."""

    fingerprint: str

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """Each text after its way there and back."""


class Translated(NamedTuple):
    """What became of a text.

    Attributes:
        text: its translation; None where it was refused.
        reason: why it was refused; None where it was kept.
    """

    text: str | None
    reason: Reason | None


def translate(
    texts: Sequence[str],
    translator: Translator,
    cache: Cache,
    *,
    bleu: float = 0.75,
    advance: Callable[[int], None] = lambda _: None,
) -> list[Translated]:
    """Back-translations by a model, as far as they are kept.

    Args:
        texts: of any number.
        translator: see `marian.Pair`.
        cache: where answers are taken from and kept.
        bleu: least BLEU, from 0 to 1.
        advance: is told how many more are done.
    """
    keys = [key("back_translation", translator.fingerprint, text) for text in texts]
    first = dict(zip(keys, texts, strict=True))
    order = sorted(first, key=lambda name: (-len(first[name]), name))
    found: dict[str, str] = {}
    for start in range(0, len(order), _CHUNK):
        chunk = order[start : start + _CHUNK]
        known = cache.find(chunk)
        if len(known) < len(chunk):
            # All of them: what a batch holds must not depend on what is known already.
            made = zip(chunk, translator([first[name] for name in chunk]), strict=True)
            fresh = {name: other for name, other in made if name not in known}
            cache.add(fresh)
            known.update(fresh)
        found.update(known)
        advance(len(chunk))
    return [_decide(text, found[name], bleu) for name, text in zip(keys, texts, strict=True)]


def look_up(
    texts: Sequence[str], table: Mapping[str, str], *, bleu: float = 0.75
) -> list[Translated]:
    """Back-translations from a table, as far as they are kept."""
    return [
        _decide(text, table[text], bleu) if text in table else Translated(None, "missing")
        for text in texts
    ]


def count(done: Sequence[Translated]) -> dict[str, int]:
    """How many were kept, and how many refused for each reason."""
    return dict(sorted(Counter(one.reason or "kept" for one in done).items()))


def _decide(text: str, other: str, bleu: float) -> Translated:
    reason = refuse(text, other, bleu)
    return Translated(other if reason is None else None, reason)


def refuse(text: str, other: str, bleu: float = 0.75) -> Reason | None:
    """Why ``other`` may not stand for ``text``, or None where it may.

    Args:
        text: as it was written.
        other: as it came back.
        bleu: least BLEU, from 0 to 1.
    """
    if not other.strip():
        return "missing"
    if _bare(text) == _bare(other):
        return "copy"
    if measure(text, other) < bleu:
        return "bleu"
    if not permits(text, list(find_edits(text, other))):
        return "guards"
    return None if terms.concepts(text) == terms.concepts(other) else "terms"


def measure(text: str, other: str) -> float:
    """BLEU of ``other`` against ``text`` by Chinese characters, from 0 to 1."""
    return float(_metric().sentence_score(other, [text]).score) / 100


@lru_cache(maxsize=1)
def _metric() -> BLEU:
    return BLEU(tokenize="zh", effective_order=True)


def find_edits(text: str, other: str) -> Iterator[Edit]:
    """The smallest edits that make ``other`` of ``text``."""
    matcher = SequenceMatcher(None, text, other, autojunk=False)
    for kind, start, end, first, last in matcher.get_opcodes():
        if kind != "equal":
            yield Edit(start, end, other[first:last])


def _bare(text: str) -> str:
    """Letters and digits only: another comma makes no other text."""
    return "".join(filter(str.isalnum, text)).lower()


def read_table(path: Path) -> dict[str, str]:
    """A table of translations that the user gives.

    Args:
        path: CSV with the columns text and translation, or JSONL with these keys.

    Raises:
        SourceError: it cannot be read, or a row lacks a column; names the row.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"the translation table {path} cannot be read ({type(error).__name__})",
            "Give a CSV or JSONL file in UTF-8 with `text` and `translation`.",
        ) from None
    rows = _json_rows(content, path) if path.suffix == ".jsonl" else _csv_rows(content)
    table: dict[str, str] = {}
    for number, row in rows:
        text, translation = (row.get(name) for name in COLUMNS)
        if not (isinstance(text, str) and isinstance(translation, str)):
            raise SourceError(
                f"{path}, row {number}: `text` or `translation` is missing",
                "Each row needs both, as strings.",
            )
        table.setdefault(text, translation)
    return table


def _csv_rows(content: str) -> Iterator[tuple[int, dict[str, Any]]]:
    yield from enumerate(csv.DictReader(content.splitlines(keepends=True)), start=2)


def _json_rows(content: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise SourceError(f"{path}, row {number}: it is no JSON object")
        yield number, row
