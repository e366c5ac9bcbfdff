"""The terms that a note states, and those that it denies or leaves open.

Terms are the lexicon's, under their formal names. What a note denies (否认胸痛) or doubts is not
stated; the cues and how far they reach are those of the guards.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from emrobust import lexicon
from emrobust.perturb import guards
from emrobust.perturb.tokens import EDGE

# Types of the lexicon that can be a finding: what was seen, felt or measured of a patient, or is
# known of them. What was done for them is none: drugs, their routes (口服) and doses, operations.
_FINDINGS = frozenset({"symptom", "sign", "disease", "tcm", "test", "vital"})
_FORWARD = frozenset({"negation", "doubt"})
_BACKWARD = frozenset({"denial", "normal", "question"})
_ENDS = frozenset({EDGE, "turn", "question"})
_SHORTEST = 2


class Mentions(NamedTuple):
    """The terms of a note: stated, and denied or left open."""

    stated: frozenset[str]
    denied: frozenset[str]


def mentions(text: str, words: Iterable[tuple[int, int]] = ()) -> Mentions:
    """The terms that a note states or denies.

    Args:
        text: the note.
        words: ranges of its words, where those count too that the lexicon does not know.
    """
    ranges = _denials(text)
    stated: set[str] = set()
    denied: set[str] = set()
    for start, end, term in _terms(text, words):
        inside = any(first <= start and end <= last for first, last in ranges)
        (denied if inside else stated).add(term)
    return Mentions(frozenset(stated), frozenset(denied - stated))


def is_finding(term: str) -> bool:
    """Whether the lexicon knows a term as something that a note can find, and not as any word."""
    return any(owner.type in _FINDINGS for owner in lexicon.load().owners(term))


def _terms(text: str, words: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int, str]]:
    known = lexicon.load()
    taken = np.zeros(len(text) + 1, dtype=bool)
    for match in known.find(text):
        taken[match.start : match.end] = True
        if is_finding(match.form):
            owners = known.owners(match.form)
            name = owners[0].formal if len(owners) == 1 else match.form
            yield match.start, match.end, name
    for start, end in words:
        word = text[start:end].lower()
        if len(word) >= _SHORTEST and word.isalpha() and not taken[start:end].any():
            yield start, end, word


def _denials(text: str) -> list[tuple[int, int]]:
    """Ranges that a cue denies or doubts: to the clause's end, or back to its beginning."""
    found = []
    since = 0
    tokens = guards.facts(text).tokens
    for place, token in enumerate(tokens):
        if token.kind in _FORWARD:
            ends = (t.start for t in tokens[place + 1 :] if t.kind in _ENDS)
            found.append((token.start, next(ends, len(text))))
        elif token.kind in _BACKWARD:
            found.append((since, token.end))
        if token.kind in _ENDS:
            since = token.end
    return found
