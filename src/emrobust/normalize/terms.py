"""Colloquial words and synonyms → the formal term of the lexicon: 拉肚子 → 腹泻. Off by default.

A word that may mean two things stays, and so does one inside a longer known word (感冒 in
感冒灵). The suites that perturb by the lexicon draw their test words from it too: what they show
of a model behind this step is not robustness against words that nobody foresaw.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from emrobust import lexicon
from emrobust.lexicon.table import FOLDER, REGISTERS, SHIELD, TYPES, Type, has_tables
from emrobust.normalize import sections
from emrobust.normalize.alignment import Edit
from emrobust.normalize.step import Step, rows, words
from emrobust.registry import register

# Drugs keep the name that was written: a trade name is more than its substance.
_TYPES: tuple[Type, ...] = ("symptom", "sign", "disease", "test", "procedure", "anatomy", "tcm")


@register("normalizer")
class Terms(Step):
    """Terms by the lexicon."""

    order: ClassVar[int] = 90
    back_to: ClassVar[int | None] = 60
    files: ClassVar[tuple[str, ...]] = (*(f"{kind}.csv" for kind in TYPES), SHIELD, sections.FILE)

    def __init__(self, tables: Path | None = None) -> None:
        super().__init__(tables)
        known = lexicon.load(tables) if tables and has_tables(tables) else lexicon.load()
        self._find = known.find
        headings = {
            word for _, row in rows(super().table(sections.FILE)) for word in words(row["writings"])
        }
        self._formal = {
            word: others[0]
            for source in REGISTERS
            if source != "abbreviated"  # the step `abbreviations` looks at their neighbours
            for word, others in known.swaps(_TYPES, source, "formal", "all").items()
            if word not in headings
            and len(known.owners(word)) == 1
            and known.owners(word)[0].formal == others[0] != word
        }

    def table(self, name: str) -> Path:
        """A table of the lexicon, or of the folder where a run keeps its own."""
        own = super().table(name)
        return own if own.is_file() else FOLDER / name

    def edits(self, text: str) -> list[Edit]:
        """See `Step.edits`."""
        return [
            Edit(start, end, self._formal[form])
            for start, end, form in self._find(text)
            if form in self._formal
        ]
