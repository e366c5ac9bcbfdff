"""What may still leak: a second pass with other means than the detectors'.

1. **Known values.** What the row's own columns say is looked for in the original. How much of it
   the detectors find *without* being told is their recall on values that are known to be there;
   how much still stands in the treated text, whole or in part, is a leak that is known.
2. **Capture and recapture.** The rules and a second engine (known values, the gate's bare
   characters, and any further detectors) are two captures of the same identifiers. From what
   each found and what both found, Chapman's estimator says how many there are in all, and so
   how many neither found. It takes the engines for independent; where they miss the same hard
   cases, the true number is higher.
3. **Rare tokens.** Words of the treated text that begin with a surname, and codes of letters and
   digits, that only one patient's records have. They are places to look at, not proven leaks.
"""

from __future__ import annotations

import functools
import hashlib
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import NamedTuple

import rjieba

from emrobust.deid import detect, gate, known_name
from emrobust.deid.detector import Detector, fold
from emrobust.deid.known import Known as KnownValues
from emrobust.deid.operator import NAMES
from emrobust.deid.spans import Span, resolve
from emrobust.deid.treatment import Known, Treated

Z = 1.959964  # of a 95 % interval
_CODE = re.compile(
    r"(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])[A-Za-z0-9][A-Za-z0-9-]{6,24}(?![A-Za-z0-9])"
)
_HAN = re.compile(r"[\u4e00-\u9fff]{2,3}")
_WORDS_SHOWN = 200
_PART = 4  # characters of a known value that are a leak by themselves
_RARE_WORD_PATIENTS = 1


class Rare(NamedTuple):
    """A token and where it is; the token itself is only a number."""

    token: int
    patient: int
    row: int
    column: str
    start: int
    end: int
    shape: str


@dataclass
class Part:
    """What the audit counted in some rows; parts add up.

    Attributes:
        rows: rows looked at.
        captures: (kind, which) → identifiers; which is rules, second or both.
        known: (kind, which) → values; which is there, found, left or part.
        rare: candidates for rare tokens.
    """

    rows: int = 0
    captures: Counter[tuple[str, str]] = field(default_factory=Counter)
    known: Counter[tuple[str, str]] = field(default_factory=Counter)
    rare: list[Rare] = field(default_factory=list)

    def add(self, other: Part) -> None:
        """Take another part in."""
        self.rows += other.rows
        self.captures.update(other.captures)
        self.known.update(other.known)
        self.rare += other.rare


def is_drawn(row: int, most: int) -> bool:
    """Whether a row of a table of unknown length is audited.

    The first quarter of ``most`` rows is, then fewer and fewer, as many in each doubling.
    """
    quarter = most // 4
    if row < quarter or quarter == 0:
        return row < quarter
    step = 1 << (row // quarter).bit_length()
    return hash_of(str(row)) % step == 0


def hash_of(text: str) -> int:
    """64 bits of a text, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def look(
    text: str, treated: Treated, known: Known, detectors: Sequence[Detector], part: Part
) -> None:
    """Look at one text again, with other means, and count in ``part``."""
    second_engines = [detector for detector in detectors if not detector.default]
    rules = [detector for detector in detectors if detector.default]
    first = detect.detect(text, rules, None)
    told = resolve(KnownValues().find(fold(text), known))
    second = _union(
        [(s.start, s.end, _group(s.kind)) for s in told]
        + [(k.start, k.end, _group(k.kind)) for k in gate.scan(text)]
        + [(s.start, s.end, _group(s.kind)) for s in detect.detect(text, second_engines, None)]
    )
    for start, end, kind in second:
        part.captures[kind, "second"] += 1
        part.captures[kind, "both"] += _covers(first, start, end)
    kinds = {kind for _, _, kind in second}
    for span in first:
        if _group(span.kind) in kinds or _group(span.kind) in _SEEN_BY_BOTH:
            part.captures[_group(span.kind), "rules"] += 1
    for span in told:
        part.known[_group(span.kind), "there"] += 1
        part.known[_group(span.kind), "found"] += _covers(first, span.start, span.end)
    _count_left(treated, known, part)


_SEEN_BY_BOTH = frozenset({"name", "id_card", "phone", "email", "bank_card"})


def _group(kind: str) -> str:
    return "name" if kind in NAMES else kind


def _union(found: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    kept: list[tuple[int, int, str]] = []
    for start, end, kind in sorted(set(found)):
        if kept and start < kept[-1][1]:
            kept[-1] = (kept[-1][0], max(end, kept[-1][1]), kept[-1][2])
        else:
            kept.append((start, end, kind))
    return kept


def _covers(spans: Iterable[Span], start: int, end: int) -> bool:
    """Whether every character of a place is in some span."""
    at = start
    for span in spans:
        if span.start <= at < span.end:
            at = span.end
    return at >= end


def _count_left(treated: Treated, known: Known, part: Part) -> None:
    """Values of the row that the treated text still has, whole or the end of them."""
    own = [(d.start, d.end) for d in treated.decisions if d.operator != "keep"]
    for leak in gate.outside(gate.find_known(treated.text, known), own):
        part.known[_group(leak.kind), "left"] += 1
    pieces = {kind: list(_pieces(kind, values)) for kind, values in known.items()}
    parts = [
        gate.Leak(*place, kind)
        for kind in NAMES & known.keys()
        for name in known[kind]
        for place in known_name.find(treated.text, name)
    ]
    found = {*gate.find_known(treated.text, pieces), *parts}
    for leak in gate.outside(sorted(found), own):
        part.known[_group(leak.kind), "part"] += 1


def _pieces(kind: str, values: Iterable[str]) -> Iterable[str]:
    """What of a value would still lead to its owner: a given name, the end of a number."""
    for value in values:
        plain = re.sub(r"\s", "", value)
        if kind in NAMES and len(plain) == 3 and _HAN.fullmatch(plain):
            yield plain[1:]
        elif kind in ("address", "employer", "hospital") and len(plain) >= 2 * _PART:
            yield plain[-(len(plain) // 2) :]


@functools.lru_cache(maxsize=1)
def _surnames() -> frozenset[str]:
    file = resources.files("emrobust.deid") / "tables" / "surrogate.toml"
    return frozenset(tomllib.loads(file.read_text(encoding="utf-8"))["surnames"])


def find_rare(treated: Treated, row: int, column: str, patient: int) -> Iterable[Rare]:
    """Candidates for rare tokens outside of the operators' own words."""
    own = [(d.start, d.end) for d in treated.decisions]
    text, at = treated.text, 0
    for word in rjieba.cut(text):
        start, at = at, at + len(word)
        if (
            len(word) > 1
            and word[0] in _surnames()
            and _HAN.fullmatch(word)
            and _free(own, start, at)
        ):
            yield Rare(hash_of(word), patient, row, column, start, at, "name")
    for found in _CODE.finditer(text):
        if _free(own, *found.span()):
            yield Rare(hash_of(found[0]), patient, row, column, *found.span(), "code")


def _free(own: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    return not any(a < end and start < b for a, b in own)


class Estimate(NamedTuple):
    """How many identifiers of a kind there are, by Chapman's estimator.

    Attributes:
        rules: found by the rules.
        second: found by the second engine.
        both: found by both.
        total: estimated in all; None where no identifier was found by both, as then any number is
            as likely as the next.
        low, high: of its 95 % interval.
        recall: of the rules, of what the second engine found, with its Wilson interval.
    """

    rules: int
    second: int
    both: int
    total: float | None
    low: float | None
    high: float | None
    recall: tuple[float, float, float]


def estimate(rules: int, second: int, both: int) -> Estimate:
    """Chapman (1951), with the interval of its logarithm's transformation (Chao 1987).

    The interval is that of the number neither found, which has no upper end below zero.
    """
    if both == 0:
        return Estimate(rules, second, both, None, None, None, wilson(both, second))
    total = (rules + 1) * (second + 1) / (both + 1) - 1
    variance = (
        (rules + 1) * (second + 1) * (rules - both) * (second - both)
        / ((both + 1) ** 2 * (both + 2))
    )  # fmt: skip
    seen = rules + second - both
    unseen = max(total - seen, 0.0)
    low = high = float(seen)
    if unseen > 0:
        ratio = math.exp(Z * math.sqrt(math.log(1 + variance / unseen**2)))
        low, high = seen + unseen / ratio, seen + unseen * ratio
    return Estimate(rules, second, both, total, low, high, wilson(both, second))


def wilson(hits: int, of: int) -> tuple[float, float, float]:
    """A share and its 95 % interval (Wilson 1927); 0 to 1 where nothing was counted."""
    if of == 0:
        return 0.0, 0.0, 1.0
    share = hits / of
    centre = (share + Z**2 / (2 * of)) / (1 + Z**2 / of)
    half = Z / (1 + Z**2 / of) * math.sqrt(share * (1 - share) / of + Z**2 / (4 * of**2))
    return share, max(centre - half, 0.0), min(centre + half, 1.0)


def conclude(part: Part) -> dict[str, object]:
    """The audit as plain JSON values; places, never text."""
    kinds = sorted({kind for kind, which in part.captures if which == "second"})
    estimates = {
        kind: estimate(*(part.captures[kind, which] for which in ("rules", "second", "both")))
        for kind in kinds
    }
    return {
        "rows": part.rows,
        "captures": {kind: of_kind._asdict() for kind, of_kind in estimates.items()},
        "known": {
            kind: {which: part.known[kind, which] for which in ("there", "found", "left", "part")}
            for kind in sorted({kind for kind, _ in part.known})
        },
        "rare": _rare(part.rare),
    }


def _rare(candidates: Sequence[Rare]) -> dict[str, object]:
    patients: dict[int, set[int]] = {}
    for token in candidates:
        patients.setdefault(token.token, set()).add(token.patient)
    alone = [t for t in candidates if len(patients[t.token]) <= _RARE_WORD_PATIENTS]
    counts: Mapping[str, int] = Counter(token.shape for token in alone)
    return {
        "counts": dict(sorted(counts.items())),
        "places": [
            {"row": t.row, "column": t.column, "start": t.start, "end": t.end, "shape": t.shape}
            for t in sorted(alone, key=lambda t: (t.row, t.column, t.start))[:_WORDS_SHOWN]
        ],
    }
