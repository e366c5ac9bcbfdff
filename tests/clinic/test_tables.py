"""The medical tables fit together, and a physician's rules for them hold."""

from __future__ import annotations

import collections
import csv
import re

import pytest

from emrobust.clinic import tables

CODE = re.compile(r"[A-TV-Z]\d{2}(\.(\d(\d{2})?|x\d{2})(x\d{3})?)?")
NEGATIONS = ("无", "未", "否认", "不伴", "没有", "(-)")
# A class leans on these only for people of one sex, so the class itself is of that sex.
IMPOSSIBLE = {"M": "female", "F": "male"}


def read(name: str) -> list[dict[str, str]]:
    with (tables.FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def wordings(finding: dict[str, str]) -> list[str]:
    cells = (finding[register] for register in tables.REGISTERS)
    return [wording for cell in cells for wording in cell.split("|") if wording]


def grouped(name: str, value: str) -> dict[str, dict[str, float]]:
    table: dict[str, dict[str, float]] = collections.defaultdict(dict)
    for row in read(name):
        key = next(v for c, v in row.items() if c not in ("class", "title", value))
        assert key not in table[row["class"]], (name, row["class"], key)
        table[row["class"]][key] = float(row[value])
    return table


CLASSES = {row["class"]: row for row in read("diagnoses")}
FINDINGS = {row["finding"]: row for row in read("findings")}
LINKS = grouped("links", "probability")


def test_there_are_enough_classes_and_none_twice():
    assert len(CLASSES) == len(read("diagnoses")) >= 50
    assert len({row["name"] for row in CLASSES.values()}) == len(CLASSES)


@pytest.mark.parametrize("name", ["codes", "links", "course", "comorbidity", "confusable"])
def test_every_table_knows_every_class_and_no_other(name):
    assert {row["class"] for row in read(name)} == set(CLASSES)


def test_second_classes_are_classes_and_differ_from_the_first():
    for name, value in (("comorbidity", "probability"), ("confusable", "weight")):
        for first, others in grouped(name, value).items():
            assert set(others) <= set(CLASSES), first
            assert first not in others


def test_no_comorbidity_joins_the_sexes():
    for first, others in grouped("comorbidity", "probability").items():
        for other in others:
            both = [float(CLASSES[first][s]) * float(CLASSES[other][s]) for s in ("male", "female")]
            assert max(both) > 0, (first, other)


def test_findings_are_defined_once_and_used():
    linked = {finding for links in LINKS.values() for finding in links}
    assert linked == set(FINDINGS)
    assert len(FINDINGS) == len(read("findings"))


def test_each_class_has_enough_findings_and_some_of_its_own():
    classes_of = collections.Counter(f for links in LINKS.values() for f in links)
    for name, links in LINKS.items():
        assert 8 <= len(links) <= 24, name
        telling = [f for f, p in links.items() if p >= 0.08 and classes_of[f] <= 3]
        assert len(telling) >= 2, name


def test_probabilities_are_probabilities():
    for links in LINKS.values():
        assert all(0.02 < p <= 0.9 for p in links.values())
    for others in grouped("comorbidity", "probability").values():
        assert all(0 < p <= 0.7 for p in others.values())
        assert sum(others.values()) < 2
    for name, finding in FINDINGS.items():
        assert 0 <= float(finding["leak"]) <= 0.03, name
        assert 0 <= float(finding["deny"]) <= 0.25, name


def test_courses_sum_to_one():
    for row in read("course"):
        assert sum(float(row[name]) for name in tables.DURATIONS) == pytest.approx(1, abs=1e-9)


def test_codes_are_icd10_of_one_class_each_and_their_shares_sum_to_one():
    codes = read("codes")
    assert len({row["code"] for row in codes}) == len(codes)
    for row in codes:
        assert CODE.fullmatch(row["code"]), row["code"]
        assert row["title"]
    for name, shares in grouped("codes", "weight").items():
        assert 1 <= len(shares) <= 5
        assert sum(shares.values()) == pytest.approx(1), name


def test_both_ways_of_writing_codes_occur():
    codes = [row["code"] for row in read("codes")]
    assert sum(len(code) <= 5 for code in codes) > len(CLASSES) / 2
    assert sum("x" in code for code in codes) >= 8


def test_every_finding_has_formal_and_colloquial_wordings_and_many_abbreviations():
    for name, finding in FINDINGS.items():
        assert finding["kind"] in tables.KINDS, name
        assert finding["group"], name
        assert 1 <= len(finding["formal"].split("|")) <= 3, name
        assert 1 <= len(finding["colloquial"].split("|")) <= 4, name
        assert finding["formal"], name
        assert finding["colloquial"], name
    assert sum(bool(f["abbreviated"]) for f in FINDINGS.values()) >= 0.4 * len(FINDINGS)


def test_no_wording_negates_or_breaks_a_list():
    for name, finding in FINDINGS.items():
        for wording in wordings(finding):
            assert not any(word in wording for word in NEGATIONS), (name, wording)
            assert not re.search(r"[，。；,;\s]", wording), (name, wording)
            assert len(wording) > 1


def test_a_finding_that_takes_a_side_names_none_itself():
    for name, finding in FINDINGS.items():
        if finding["side"] == "1":
            for wording in wordings(finding):
                assert not re.search("[左右双]|一侧|偏侧", wording), (name, wording)


def test_no_wording_belongs_to_two_findings():
    owners = collections.defaultdict(set)
    for name, finding in FINDINGS.items():
        for wording in wordings(finding):
            owners[wording.casefold()].add(name)
    assert not {w: names for w, names in owners.items() if len(names) > 1}


def test_findings_of_one_sex_come_from_classes_of_that_sex_only():
    for name, links in LINKS.items():
        for finding in links:
            sex = FINDINGS[finding]["sex"]
            if sex:
                assert float(CLASSES[name][IMPOSSIBLE[sex]]) == 0, (name, finding)
    for name, finding in FINDINGS.items():
        if finding["sex"]:
            assert float(finding["leak"]) == float(finding["deny"]) == 0, name


def test_age_limits_lie_at_the_edges_of_the_age_bands():
    edges = {"", "0", *map(str, tables.AGE_EDGES)}
    last = {"", *(str(edge - 1) for edge in tables.AGE_EDGES)}
    for name, finding in FINDINGS.items():
        assert finding["min_age"] in edges, name
        assert finding["max_age"] in last, name


def test_every_class_can_meet_most_of_its_findings_at_its_own_ages():
    starts = (0, *tables.AGE_EDGES)
    for name, links in LINKS.items():
        row = CLASSES[name]
        peak = starts[max(range(5), key=lambda i: float(row[tables.AGE_BANDS[i]]))]
        for finding, probability in links.items():
            limits = FINDINGS[finding]
            if probability >= 0.3 and not limits["max_age"]:
                assert int(limits["min_age"] or 0) <= max(peak, 40), (name, finding)


def test_the_tail_is_long():
    weights = sorted((float(row["weight"]) for row in CLASSES.values()), reverse=True)
    assert sum(weights[:10]) > 0.6 * sum(weights)
    assert weights[-1] < 0.002 * sum(weights)
    assert weights[0] < 0.15 * sum(weights)


def test_multipliers_leave_no_age_or_season_empty():
    for column in (*tables.AGE_BANDS, *tables.SEASONS, "male", "female"):
        values = [float(row[column]) for row in CLASSES.values()]
        assert min(values) >= 0
        assert sum(value > 0 for value in values) > 20, column
