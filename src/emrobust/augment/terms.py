"""What the lexicon finds in a text that tells something about the patient.

The guards do not watch symptoms and diseases, since perturbations replace them by synonyms. A
model knows no such bounds: a symptom that it exchanges is another disease.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from emrobust import lexicon
from emrobust.lexicon import Match
from emrobust.lexicon.table import Entry

# Terms of these types tell nothing.
_WORDING = frozenset({"wording"})
# Nor do these in another language's way of putting it: 今来 returns as 今日来.
_LOOSE = frozenset({"wording", "time"})
_ABBREVIATION = re.compile("[A-Z]{2,}")


def find(text: str) -> list[Match]:
    """Terms that no model may change, from left to right."""
    return [match for match, _ in _matches(text, _WORDING)]


def concepts(text: str) -> Counter[str]:
    """What is told, by concept: the same for 发热 and 发烧; unknown abbreviations by themselves."""
    found: Counter[str] = Counter()
    end = 0
    for match, owners in _matches(text, _LOOSE):
        found["/".join(sorted(f"{entry.type}:{entry.formal}" for entry in owners))] += 1
        found.update(_ABBREVIATION.findall(text, end, match.start))
        end = match.end
    found.update(_ABBREVIATION.findall(text, end))
    return found


def _matches(text: str, empty: frozenset[str]) -> Iterator[tuple[Match, tuple[Entry, ...]]]:
    known = lexicon.load()
    for match in known.find(text):
        owners = known.owners(match.form)
        if any(entry.type not in empty for entry in owners):
            yield match, owners
