"""What the clinic plants is put together from parts that no detector's table lists."""

from __future__ import annotations

import itertools

import pytest

from emrobust.clinic.chart import write_block
from emrobust.clinic.identity import load_parts
from emrobust.clinic.model import build
from emrobust.deid.tables import read_toml, words
from emrobust.placeholders import PLACEHOLDERS

PLACES = {
    word for key in ("provinces", "cities", "hospitals") for word in words("places.toml", key)
}
TRAPS = {word for key in ("names", "hospitals", "employers") for word in words("traps.toml", key)}


def made(first: str, second: str) -> set[str]:
    return {a + b for a, b in itertools.product(first, second)}


def test_characters_of_given_names_are_not_the_detectors():
    parts = load_parts()
    planted = set(parts.male + parts.female + parts.either)
    assert len(planted) > 100
    listed = read_toml("surnames.toml")["given"]
    assert not planted & set(listed["frequent"] + listed["medium"])


def test_towns_streets_and_hospitals_are_not_the_detectors():
    parts = load_parts()
    towns = made(parts.place_first, parts.place_second)
    assert not towns & PLACES
    assert not {f"{town}{kind}" for town in towns for kind in parts.place_kinds} & PLACES
    assert not {site.hospital for site in build().style.sites} & PLACES
    whole = {f"{town}{kind}" for town in towns for kind in parts.hospital_kinds}
    assert not whole & (PLACES | TRAPS)


def test_employers_are_not_the_detectors():
    parts = load_parts()
    brands = made(parts.employer_words, parts.employer_words)
    schools = made(parts.place_first, parts.place_second)
    assert not brands & (PLACES | TRAPS)
    assert not {f"{town}{kind}" for town in schools for kind in parts.school_kinds} & TRAPS


@pytest.mark.parametrize("kind", ["patient_name", "doctor_name", "hospital", "employer", "address"])
def test_nothing_that_was_planted_stands_in_a_table(kind):
    assert kind in PLACEHOLDERS
    planted = {
        span["value"]
        for spans in write_block(build(), 5, 0, rows=2_000).truth.column("spans").to_pylist()
        for span in spans
        if span["kind"] == kind
    }
    assert planted
    assert not planted & (PLACES | TRAPS)
