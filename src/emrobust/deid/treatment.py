"""One text after another: detectors, operators, the gate; and the reason for every edit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from emrobust.deid import detect, gate, spans
from emrobust.deid.detector import Detector, language_of
from emrobust.deid.operator import Subject
from emrobust.deid.policy import Policy
from emrobust.deid.prefilter import Needles
from emrobust.deid.spans import Span

Known = Mapping[str, Sequence[str]]


class Decision(NamedTuple):
    """What became of an identifier.

    Attributes:
        span: where it is in the original, what it is, and who says so why.
        operator: that gave its replacement.
        start: offset of the replacement in the treated text.
        end: offset behind it.
    """

    span: Span
    operator: str
    start: int
    end: int


class Treated(NamedTuple):
    """A text without its identifiers.

    Attributes:
        text: equal to the original outside of the decisions' spans, byte for byte.
        decisions: in order.
        leaks: direct identifiers that the gate found in the treated text.
    """

    text: str
    decisions: list[Decision]
    leaks: list[gate.Leak]


@dataclass(frozen=True)
class Treatment:
    """Everything that a text is treated with; built once a process.

    Attributes:
        detectors: the rules and further engines.
        policy: an operator a kind.
        kinds: those that are treated; absent: all.
        language: of texts in which no word tells.
    """

    detectors: Sequence[Detector]
    policy: Policy
    kinds: frozenset[str] | None = None
    language: str = "zh"

    def treat(self, text: str, known: Known, subject: Subject) -> Treated:
        """Take the identifiers out of a text.

        Args:
            text: the original.
            known: values of other columns of the same row by kind.
            subject: whose text it is.
        """
        needles = Needles([(kind, [v]) for kind, values in known.items() for v in values], 1)
        done = self.treat_all([text], needles, lambda _: subject)
        return done.get(0) or Treated(text, [], [])

    def treat_all(
        self, texts: Sequence[str], needles: Needles, subject_of: Callable[[int], Subject]
    ) -> dict[int, Treated]:
        """Take the identifiers out of many texts.

        Args:
            texts: the originals.
            needles: values of other columns of the texts' rows.
            subject_of: a text's number → whose it is.

        Returns:
            number of a text → what became of it; texts in which nothing is are left out.
        """
        told = needles.find(texts)
        found = detect.detect_all(texts, self.detectors, told)
        done = {
            at: self._edit(texts[at], kept, subject_of(at))
            for at, spans in found.items()
            if (kept := [s for s in spans if self.kinds is None or s.kind in self.kinds])
        }
        after = [done[at].text if at in done else text for at, text in enumerate(texts)]
        # Where nothing was edited, a value stands where it stood before.
        left = needles.find(after, sorted({*told, *done}))
        for at in sorted({*gate.suspects(after), *left}):
            text, decisions, _ = done.get(at) or Treated(texts[at], [], [])
            own = [(d.start, d.end) for d in decisions if d.operator != "keep"]
            if leaks := search(text, left.get(at, {}), own):
                done[at] = Treated(text, decisions, leaks)
        return done

    def _edit(self, text: str, found: Sequence[Span], subject: Subject) -> Treated:
        of_text = replace(subject, language=language_of(text, self.language))
        words = [self.policy.replace(text[s.start : s.end], s.kind, of_text) for s in found]
        edited = spans.apply(
            text, [(span, word) for span, (word, _) in zip(found, words, strict=True)]
        )
        decisions, shift = [], 0
        for span, (word, operator) in zip(found, words, strict=True):
            start = span.start + shift
            decisions.append(Decision(span, operator, start, start + len(word)))
            shift += len(word) - (span.end - span.start)
        return Treated(edited, decisions, [])


def search_all(texts: Sequence[str], needles: Needles) -> dict[int, list[gate.Leak]]:
    """What `search` finds in each of many texts; texts without any are left out."""
    told = needles.find(texts)
    found = {at: search(texts[at], told.get(at, {})) for at in {*gate.suspects(texts), *told}}
    return {at: leaks for at, leaks in sorted(found.items()) if leaks}


def search(text: str, known: Known, own: Sequence[tuple[int, int]] = ()) -> list[gate.Leak]:
    """Direct identifiers of a text by the gate, but for an operator's own words."""
    direct = {kind: values for kind, values in known.items() if kind in gate.DIRECT}
    found = {*gate.scan(text), *(gate.find_known(text, direct) if direct else ())}
    return gate.outside(sorted(found), own)
