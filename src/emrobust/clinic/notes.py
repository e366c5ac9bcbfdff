"""Notes as doctors write them: findings put into words, with a span for every mention.

The wording depends on the site, the year, the findings' states and the patient's identity,
never on the diagnoses, so that `ceiling` bounds every classifier of these texts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from emrobust.clinic import wording
from emrobust.clinic.library import Library, Sentence, compile_library
from emrobust.clinic.model import Clinic
from emrobust.clinic.page import Clause, Mention
from emrobust.clinic.pen import Pen, Visit
from emrobust.clinic.slots import LEAVES
from emrobust.clinic.tables import KINDS
from emrobust.clinic.wording import Reading

FIELDS = ("chief_complaint", "present_illness", "past_history")
_SYMPTOM, _SIGN, _VITAL, _TEST, _HISTORY, _TRIGGER = range(len(KINDS))
# A group of sentences that has no place beside these findings.
_RIVALS = {"reason": "main", "healthy": "histories", "onset": "trigger"}

Text = tuple[str, str, str]
Item = int | tuple[Reading, int]  # a finding, or a reading with what it shows


class Content(NamedTuple):
    """What there is to say in one note."""

    main: list[int]
    more: list[int]
    trigger: list[int]
    denied: list[int]
    exam: list[Item]
    labs: list[int]
    histories: list[int]
    unhistories: list[int]
    absent: list[int]  # signs that are not there, told with the exam
    negative: list[int]  # tests that are not positive


@functools.lru_cache(maxsize=4)
def build_library(clinic: Clinic) -> Library:
    """The compiled words, sentences and templates of a clinic."""
    return compile_library(clinic, frozenset(LEAVES))


class Scribe:
    """Writes the notes of one block, one after the other."""

    def __init__(self, clinic: Clinic, generator: np.random.Generator) -> None:
        self.library = build_library(clinic)
        self.pen = Pen(self.library, generator)
        self.sentences: dict[str, Clause] = {}
        self.lists: dict[str, Callable[[Content], None]] = {
            "main": lambda content: self.pen.list(content.main, "、"),
            "more": lambda content: self.pen.list(content.more, "、"),
            "trigger": lambda content: self.pen.list(content.trigger, "、"),
            "denied": lambda content: self.pen.deny(content.denied, self.pen.site.denials),
            "exam": lambda content: self._report(content.exam, content.absent),
            "labs": lambda content: self._report(content.labs, content.negative),
            "histories": lambda content: self._recall(content.histories),
            "unhistories": lambda content: self.pen.deny(content.unhistories, ("否认", "无")),
        }

    def write(self, visit: Visit) -> tuple[Text, list[Mention]]:
        """The three fields of a note, and every mention in them."""
        self.pen.begin(visit)
        content = self._gather(visit)
        filled = {name for name in self.lists if getattr(content, name)}
        filled |= {"exam"} if content.absent else set()
        filled |= {"labs"} if content.negative else set()
        self._choose_sentences(visit, filled)
        chief, present, past = (self._fill(place, content, filled) for place in range(3))
        return (chief, present, past), self.pen.page.take_mentions()

    def _fill(self, place: int, content: Content, filled: set[str]) -> str:
        pen = self.pen
        pen.page.turn(FIELDS[place])
        templates = pen.hand.templates[place]
        for clause in templates[int(pen.draw() * len(templates))]:
            if filled.issuperset(clause.needs):
                self._say(clause, content, filled)
        return pen.page.close("" if place == 0 else pen.site.stop)

    def _say(self, clause: Clause, content: Content, filled: set[str]) -> None:
        pen = self.pen
        for slot, kind, literal in clause.steps:
            if not slot:
                if kind:
                    pen.page.mark(literal, kind, literal)
                else:
                    pen.page.add(literal)
            elif slot in LEAVES:
                LEAVES[slot](pen)
            elif slot in filled:
                if slot in self.lists:
                    self.lists[slot](content)
                else:
                    self._say(self.sentences[slot], content, filled)

    def _gather(self, visit: Visit) -> Content:
        draw, kinds, told = self.pen.draw, self.library.kinds, self.library.told
        has: list[list[int]] = [[] for _ in KINDS]
        lacks: list[list[int]] = [[] for _ in KINDS]
        for finding in visit.present:
            has[kinds[finding]].append(finding)
        for finding in visit.denied:
            lacks[kinds[finding]].append(finding)
        for of_kind in (has[_SYMPTOM], *lacks):
            _shuffle(draw, of_kind)
        symptoms = has[_SYMPTOM]
        count = 1 + (draw() < 0.6) + (draw() < 0.25)
        main = symptoms[:count] or self._second_choice(has)
        with_it = [finding for finding in has[_HISTORY] if finding in told]
        return Content(
            main=main,
            # Without a complaint there is no clause that a trigger fits into.
            more=symptoms[count:] + with_it + ([] if main else has[_TRIGGER]),
            trigger=has[_TRIGGER] if main else [],
            denied=lacks[_SYMPTOM] + lacks[_TRIGGER],
            exam=[*self._measure(visit, has[_VITAL]), *has[_SIGN]],
            labs=has[_TEST],
            histories=[finding for finding in has[_HISTORY] if finding not in told],
            unhistories=lacks[_HISTORY],
            absent=lacks[_SIGN] + lacks[_VITAL],
            negative=lacks[_TEST],
        )

    def _second_choice(self, has: Sequence[list[int]]) -> list[int]:
        """The chief complaint of a patient without symptoms: a sign, a result or nothing."""
        for kind in (_SIGN, _TEST):
            if has[kind] and self.pen.draw() < 0.7:
                return has[kind][:1]
        return []

    def _measure(self, visit: Visit, vitals: list[int]) -> list[Item]:
        """Readings to write: abnormal ones where there is a finding, some normal ones."""
        draw = self.pen.draw
        thorough = draw() < 0.3
        found: list[Item] = []
        said: set[int] = set()
        for readings in self.library.readings:
            for reading in readings:
                if reading.finding in vitals:
                    said.add(reading.finding)
                    numbers = draw() < 0.5
                    found.append((reading, reading.finding) if numbers else reading.finding)
                    break
                if reading.finding in visit.present:  # the symptom, as fever
                    if draw() < 0.5:
                        found.append((reading, -1))
                    break
                if reading.finding < 0 and draw() < (0.7 if thorough else 0.06):
                    found.append((reading, -1))
        return found + [vital for vital in vitals if vital not in said]

    def _choose_sentences(self, visit: Visit, filled: set[str]) -> None:
        """Sentences that say nothing of the diagnosis; their groups are added to ``filled``."""
        draw, library = self.pen.draw, self.library
        self.sentences.clear()
        for group, rate in self.pen.hand.content:
            if draw() >= rate or _RIVALS.get(group) in filled:
                continue
            sentence = self._choose(library.sentences[group], visit)
            if sentence is not None:
                self.sentences[group] = sentence
                filled.add(group)

    def _choose(self, group: Sequence[Sentence], visit: Visit) -> Clause | None:
        """A sentence by weight; the next that fits, where this one would contradict the note."""
        mark = self.pen.draw() * group[-1].until
        for sentence in (*(s for s in group if mark < s.until), *group):
            fits = sentence.ages[0] <= visit.age <= sentence.ages[1]
            if fits and sentence.blocks.isdisjoint(visit.present):
                return sentence.clause
        return None

    def _report(self, items: Sequence[Item], absent: Sequence[int]) -> None:
        """Readings, signs or tests, and then those that are not there."""
        pen = self.pen
        for number, item in enumerate(items):
            if number:
                pen.page.add(pen.site.comma)
            if isinstance(item, int):
                pen.mention(item)
            else:
                pen.read(*item)
        if absent:
            if items:
                pen.page.add(pen.site.comma)
            pen.deny(absent, pen.site.unseen)

    def _recall(self, histories: Sequence[int]) -> None:
        """Past diseases and drugs, some with their duration."""
        pen, page = self.pen, self.pen.page
        for number, finding in enumerate(histories):
            if number:
                page.add(pen.site.comma)
            pen.mention(finding)
            dated = "年" in page.pieces[-1]
            if self.library.names[finding].endswith("病史") and not dated and pen.draw() < 0.45:
                years = 1 + int(pen.draw() ** 1.7 * 22)
                text = f"{wording.chinese(years)}年" if pen.draw() < 0.2 else f"{years}年"
                page.mark(text, "duration", f"years:{years}")


def _shuffle(draw: Callable[[], float], items: list[int]) -> None:
    for last in range(len(items) - 1, 0, -1):
        other = int(draw() * (last + 1))
        items[last], items[other] = items[other], items[last]
