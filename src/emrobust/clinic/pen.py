"""Puts findings, readings and durations into words, with sides and typing errors."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from emrobust.clinic import wording
from emrobust.clinic.identity import Person, load_parts
from emrobust.clinic.library import Library
from emrobust.clinic.page import Page, uniforms
from emrobust.clinic.wording import Reading

_SIDES = (("左", "L"), ("右", "R"), ("左", "L"), ("右", "R"), ("双", "B"))
_SIDED = 0.9  # sided findings whose side is written
_SAME_SIDE = 0.85  # of these, findings on the side of the visit's other findings
_BODY = "眼耳膝肩踝肘腕髋胳腿脚手脸"  # words that begin so take 左 alone, others 左侧


class Visit(NamedTuple):
    """All that a note may depend on; the diagnoses are not among it."""

    number: str
    date: dt.date
    site: int
    year: int
    sex: int
    age: int
    present: list[int]
    denied: list[int]
    duration: int
    person: Person
    doctor: str


class Pen:
    """Writes single mentions onto the page, in the style of the visit's site."""

    def __init__(self, library: Library, generator: np.random.Generator) -> None:
        self.library = library
        self.draw = uniforms(generator)
        self.page = Page()
        self.parts = load_parts()
        self.lexicon = wording.load_lexicon()
        self.typos = wording.load_typos()
        self.durations = wording.load_durations()
        self.sides: dict[int, tuple[str, str] | None] = {}

    def begin(self, visit: Visit) -> None:
        """Take up a new note."""
        self.visit = visit
        self.hand = self.library.hands[visit.site]
        self.site = self.hand.site
        self.formal, self.colloquial = self.hand.registers[visit.year]
        self.marked = self.draw() < self.site.marked
        self.sides.clear()
        self.side = self._draw_side()
        self.course = self.durations[visit.duration]
        low, high = self.course.low, self.course.high
        self.amount = low + int(self.draw() * (high - low + 1))

    def register(self) -> int:
        """Formal, colloquial or abbreviated: 0, 1 or 2."""
        drawn = self.draw()
        return 0 if drawn < self.formal else 1 if drawn < self.colloquial else 2

    def mention(self, finding: int, kind: str = "finding_present") -> None:
        """One finding in this site's words, with its side and perhaps a typing error."""
        draw, library, page = self.draw, self.library, self.page
        here = kind == "finding_present"
        words = (library.present if here else library.denied)[finding][self.register()]
        word, inner = words[int(draw() * len(words))]
        if here and library.sided[finding]:
            self._take_side(finding, word)
        start = page.length
        if not inner and draw() < self.hand.typos:
            clean, word = word, wording.mistype(draw, word, self.typos)
            page.mentions.append((page.field, start, start + len(word), "typo", clean))
        page.mark(word, kind, library.names[finding])
        for first, last, of_kind, value in inner:
            page.mentions.append((page.field, start + first, start + last, of_kind, value))

    def _draw_side(self) -> tuple[str, str]:
        return _SIDES[int(self.draw() * len(_SIDES))]

    def _take_side(self, finding: int, word: str) -> None:
        """左/右/双 before a finding, the same one wherever the note names it."""
        if finding not in self.sides:
            drawn = self.draw() / _SIDED
            side = self.side if drawn < _SAME_SIDE else self._draw_side()
            self.sides[finding] = side if drawn < 1 else None
        written = self.sides[finding]
        if written is not None:
            text = written[0] if word[0] in _BODY else written[0] + "侧"
            self.page.mark(text, "side", written[1])

    def list(self, findings: Sequence[int], joint: str) -> None:
        """Findings one after the other."""
        for number, finding in enumerate(findings):
            if number:
                self.page.add(joint)
            self.mention(finding)

    def deny(self, findings: Sequence[int], cues: Sequence[str]) -> None:
        """Denied findings: some words each deny one, some a list; or each is marked (-)."""
        if self.marked:
            self._mark_denied(findings)
            return
        draw, page, left = self.draw, self.page, 0
        for number, finding in enumerate(findings):
            if left:
                page.add("、")
            else:
                if number:
                    page.add(self.site.comma)
                cue = cues[int(draw() * len(cues))]
                page.mark(cue, "negation", cue)
                left = 2 + int(draw() * 3) if draw() < self.site.listed else 1
            self.mention(finding, "finding_denied")
            left -= 1

    def _mark_denied(self, findings: Sequence[int]) -> None:
        for number, finding in enumerate(findings):
            if number:
                self.page.add("、")
            self.mention(finding, "finding_denied")
            self.page.mark("(-)", "negation", "(-)")

    def read(self, reading: Reading, finding: int) -> None:
        """A vital sign in numbers; ``finding`` is what it shows, or −1."""
        text, value = wording.write_reading(self.draw, reading)
        page = self.page
        start = page.length
        page.mark(text, "vital", f"{reading.vital}:{value}")
        if finding >= 0:
            name = self.library.names[finding]
            page.mentions.append((page.field, start, page.length, "finding_present", name))

    def last(self) -> None:
        """How long it has lasted; words differ from field to field, the amount doesn't."""
        words = self.course.words[self.register()]
        text = words[int(self.draw() * len(words))]
        text = text.replace("{n}", str(self.amount)).replace("{c}", wording.chinese(self.amount))
        self.page.mark(text, "duration", f"{self.course.name}:{self.amount}")
