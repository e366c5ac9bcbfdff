"""What may be left: estimates against known values, risk against a table counted by hand."""

from __future__ import annotations

import datetime as dt
import json

import pyarrow as pa
import pytest

from emrobust import records
from emrobust.deid import audit, risk


def test_chapman_is_that_of_the_textbook():
    # Seber (1982): 200 marked, 150 caught, 50 of them marked.
    found = audit.estimate(200, 150, 50)
    assert found.total == pytest.approx(201 * 151 / 51 - 1)
    assert found.low < found.total < found.high
    assert 300 < found.low < 560 < found.high < 900
    whole = audit.estimate(40, 30, 30)
    assert (whole.total, whole.low, whole.high) == (40, 40, 40)


def test_searches_without_a_common_find_estimate_nothing():
    found = audit.estimate(44, 22, 0)
    assert (found.total, found.low, found.high) == (None, None, None)
    assert found.recall == pytest.approx(audit.wilson(0, 22))


def test_wilson_is_that_of_the_textbook():
    # Newcombe (1998), method 3: 81 of 263 and 0 of 20.
    assert audit.wilson(81, 263) == pytest.approx((0.3080, 0.2553, 0.3662), abs=1e-4)
    assert audit.wilson(0, 20) == pytest.approx((0.0, 0.0, 0.1611), abs=1e-4)
    assert audit.wilson(0, 0) == (0.0, 0.0, 1.0)


def test_rows_are_drawn_from_the_whole_table():
    drawn = [row for row in range(100_000) if audit.is_drawn(row, 400)]
    assert drawn[:100] == list(range(100))
    assert 500 < len(drawn) < 1_500
    assert sum(row > 50_000 for row in drawn) > 30
    assert not any(audit.is_drawn(row, 0) for row in range(10))


def test_parts_add_up_to_json():
    whole, part = audit.Part(), audit.Part(rows=2)
    part.captures.update({("name", "rules"): 9, ("name", "second"): 8, ("name", "both"): 7})
    part.known.update({("name", "there"): 5, ("name", "left"): 1})
    part.rare = [audit.Rare(1, 1, 3, "x", 0, 2, "name"), audit.Rare(2, 1, 3, "x", 4, 6, "name"),
                 audit.Rare(2, 2, 9, "x", 4, 6, "name")]  # fmt: skip
    whole.add(part)
    whole.add(part)
    concluded = json.loads(json.dumps(audit.conclude(whole)))
    assert concluded["rows"] == 4
    assert concluded["captures"]["name"]["both"] == 14
    assert concluded["known"]["name"] == {"there": 10, "found": 0, "left": 2, "part": 0}
    assert [place["row"] for place in concluded["rare"]["places"]] == [3, 3]


def write(path, rows):
    schema = records.schema(["t"])
    columns = {
        "record_id": [str(n) for n in range(len(rows))],
        "patient_id": [row[0] for row in rows],
        "visit_time": [dt.datetime.fromisoformat(f"2023-{row[3]:02d}-01") for row in rows],
        "site": ["东院" for _ in rows],
        "department": [None for _ in rows],
        "sex": [row[1] for row in rows],
        "age": [row[2] for row in rows],
        "text_t": ["x" for _ in rows],
        "labels": [row[4] for row in rows],
        "split": [None for _ in rows],
        "fold": [None for _ in rows],
    }
    batch = pa.RecordBatch.from_pydict(columns, schema=schema)
    records.write(path, schema, [batch])


def test_risk_is_counted_by_patient_and_rare_diagnoses_single_out(tmp_path):
    # Fourteen men of 40–44 in one quarter, one of them there twice and one with a rare disease;
    # six women of 60–64 with one disease.
    men = [(f"m{n}", "M", 41 + n % 3, 1 + n % 3, ["I10"]) for n in range(14)]
    men += [("m0", "M", 41, 2, ["J06.9"]), ("m13", "M", 42, 2, ["E75.2"])]
    women = [(f"f{n}", "F", 60, 5, ["I10.x00"]) for n in range(6)]
    write(tmp_path / "r.parquet", men + women)
    found = risk.measure(tmp_path / "r.parquet")
    # m13 is in two classes: with and without the rare diagnosis; J06 is rare here, too. Who is in
    # two counts in the smaller.
    assert found["classes"] == 4
    assert found["patients"] == 20
    assert dict(found["sizes"]) == {"1": 2, "5–10": 6, "11–19": 12} | {
        size: 0 for size, _ in found["sizes"] if size not in ("1", "5–10", "11–19")
    }
    assert found["k"] == 1
    assert found["maximum_risk"] == 1.0
    assert found["average_risk"] == pytest.approx((2 * 1 + 12 / 14 + 6 / 6) / 20)
    assert found["l"] == 1
    assert found["rare_diagnoses"] == 2
    assert found["grade"] == 2
    assert risk.measure(tmp_path / "r.parquet", direct_left=1)["grade"] == 1
    met = {of["name"]: of["met"] for of in found["benchmarks"]}
    assert not any(met[name] for name in ("public", "public_strict", "contract_maximum"))


def test_a_table_of_likenesses_reaches_the_public_benchmark(tmp_path):
    rows = [(f"p{n}", "M", 41, 1, ["I10" if n % 2 else "J06"]) for n in range(40)]
    write(tmp_path / "r.parquet", rows)
    found = risk.measure(tmp_path / "r.parquet")
    assert (found["k"], found["l"], found["grade"]) == (40, 2, 3)
    assert all(of["met"] for of in found["benchmarks"])
    assert dict(found["sizes"])["20–49"] == 40


def test_bands_and_quarters():
    assert [risk.band(a) for a in (None, 0.4, 44, 45.9, 89, 90, 103)] == [
        "", "0–4", "40–44", "45–49", "85–89", "90+", "90+",
    ]  # fmt: skip
    assert risk.quarter(dt.datetime.fromisoformat("2023-12-31")) == "2023Q4"
