"""Batches: what triggers leave out holds nothing, and patterns take linear time by their form."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from re import _constants as sre
from re import _parser
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emrobust.clinic.chart import write_block
from emrobust.clinic.model import build
from emrobust.deid import gate
from emrobust.deid.characters import change_all, squeeze_all, widths
from emrobust.deid.detect import detect, detect_all, load
from emrobust.deid.detector import fold
from emrobust.deid.prefilter import Needles, Prefilter, fold_all
from emrobust.deid.relax import relax
from emrobust.deid.scoring import read_marked
from emrobust.deid.treatment import search, search_all

SENTENCES = Path(__file__).parent / "sentences.txt"
VISITS = 1_200


@pytest.fixture(scope="module")
def detectors():
    return load()


@pytest.fixture(scope="module")
def texts():
    notes = write_block(build(), 11, 2, rows=VISITS).notes
    return [text for note in notes for text in note[1:]] + [m.text for m in read_marked(SENTENCES)]


def test_a_batch_gives_what_its_texts_give_one_by_one(texts, detectors):
    alone = {at: spans for at, text in enumerate(texts) if (spans := detect(text, detectors))}
    assert len(alone) > 600
    assert detect_all(texts, detectors) == alone


def test_the_gate_finds_in_a_batch_what_it_finds_alone(texts):
    names = [text[3:5] if place % 3 == 0 else None for place, text in enumerate(texts)]
    needles = Needles([("patient_name", names), ("phone", ["" for _ in texts])], len(texts))
    rows = [{"patient_name": [name]} if name else {} for name in names]
    alone = {at: found for at, text in enumerate(texts) if (found := search(text, rows[at]))}
    assert len(alone) > 600
    assert search_all(texts, needles) == alone


def test_every_shipped_detector_has_triggers_that_re2_takes(detectors):
    patterns = Prefilter(detectors).patterns
    assert set(patterns) == {d.name for d in detectors} - {"known"}
    assert None not in patterns.values()


@settings(deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=6))
def test_batches_of_any_characters(lines):
    assert fold_all(lines)[0] == [fold(line) for line in lines]
    lengths = [len(line) for line in lines]
    assert list(map(len, change_all(lines, widths()))) == lengths
    assert squeeze_all(lines) == [squeeze_all([line])[0] for line in lines]


LETTERS = "ab1 ２三.：\n"
PATTERNS = (
    r"(?<![a1])b(?!\d)", r"b(?<![a].)1", r"(a|b)1?\1", r"(?>a+)b", r"(?:a\s?){1,3}+b", r"^a\b.",
    r"(?i:A)b$", r"[^\W\d]{2,}(?=\s)", r"(?<=1)a*(?:b|(?=：))", r"x?", r"(?:a(?!b)|b)1",
)  # fmt: skip


@settings(deadline=None)
@given(st.text(LETTERS, max_size=12), st.sampled_from(PATTERNS))
def test_a_relaxed_pattern_matches_wherever_its_pattern_does(text, written):
    pattern = re.compile(written)
    loose = pc.match_substring_regex(pa.array([text]), relax(pattern))[0].as_py()
    assert loose or not pattern.search(text)


def _of_module(name: str) -> Iterator[tuple[str, re.Pattern[str]]]:
    module = sys.modules[name]
    yield from ((f"{name}.{k}", v) for k, v in vars(module).items() if isinstance(v, re.Pattern))


def _patterns(detectors: Any) -> dict[str, re.Pattern[str]]:
    """Every pattern of the detectors, their modules, the gate and the dates."""
    found = dict(_of_module(gate.__name__)) | dict(_of_module("emrobust.deid.dates"))
    found |= dict(_of_module("emrobust.deid.detector")) | dict(_of_module("emrobust.deid.names"))
    for detector in detectors:
        found |= dict(_of_module(type(detector).__module__))
        values = {**vars(detector), **vars(getattr(detector, "_names", object))}
        own = {k: v for k, v in values.items() if isinstance(v, re.Pattern)}
        found |= {f"{detector.name}.{k}": v for k, v in own.items()}
    return found


REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT)


def _is_unbounded(items: Any) -> bool:
    """Whether a repeat without a limit, that gives back what it took, is in a parsed pattern."""
    for kind, value in items:
        if kind in REPEATS and value[1] is sre.MAXREPEAT:
            return True
        gives_back = kind not in (sre.ATOMIC_GROUP, sre.POSSESSIVE_REPEAT)
        if gives_back and any(_is_unbounded(part) for part in _inside(kind, value)):
            return True
    return False


def _inside(kind: Any, value: Any) -> list[Any]:
    if kind is sre.BRANCH:
        return list(value[1])
    if kind in (*REPEATS, sre.POSSESSIVE_REPEAT, sre.SUBPATTERN, sre.ASSERT, sre.ASSERT_NOT):
        return [value[-1]]
    return [value] if kind is sre.ATOMIC_GROUP else []


def _nested(items: Any) -> bool:
    """Whether a repeat without a limit stands in another: (a+)+ takes exponential time."""
    return any(
        (kind in REPEATS and value[1] is sre.MAXREPEAT and _is_unbounded(value[2]))
        or any(_nested(part) for part in _inside(kind, value))
        for kind, value in items
    )


def test_no_pattern_repeats_without_limit_inside_of_such_a_repeat(detectors):
    patterns = _patterns(detectors)
    assert len(patterns) > 100
    parsed = {name: _parser.parse(p.pattern, p.flags) for name, p in patterns.items()}
    assert [name for name, tree in parsed.items() if _nested(tree)] == []
    assert _nested(_parser.parse("(?:a+|b)*c"))
    assert not _nested(_parser.parse("(?:a++|b)*c"))
