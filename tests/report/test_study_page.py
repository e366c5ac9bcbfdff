"""A study's tables: columns of the paper's figures only where the paper has some."""

from __future__ import annotations

import copy
import re

import pytest

from emrobust.report import study_page

ROW = {"key": "a", "name": "plain", "seconds": 90.0, "missing": "", "scores": {}, "paper": {}}
FACTS = {
    "title": "A study",
    "zh": "研究",
    "base": "as it was",
    "about": {"seeds": 2, "level": 0.05, "confidence": 0.95, "quick": False},
    "rows": {
        "a": ROW | {"scores": {"macro_f1": [0.5, 0.6], "ece": [0.01, 0.02]}},
        "b": ROW | {"key": "b", "name": "FreeLB", "seconds": None},
    },
    "tables": [
        {"key": "1", "en": "One", "zh": "一", "measures": ["macro_f1", "ece"], "rows": ["a", "b"]}
    ],
    "claims": [
        {
            "second": "b",
            "measure": "ece",
            "difference": 0.01,
            "interval": [-0.01, 0.03],
            "significant": False,
        }
    ],
    "failed": {},
}


@pytest.fixture
def compared():
    facts = copy.deepcopy(FACTS)
    facts["rows"]["b"]["paper"] = {"macro_f1": [54.3, 0.5]}
    return facts


def heads(page: str) -> list[str]:
    return re.findall(r'<th scope="col"[^>]*>([^<]*)', page)


def test_a_measure_the_paper_prints_has_a_column_and_no_other(compared):
    page = study_page.html(compared, "en")
    own, paper = "macro-F1", "paper"
    assert heads(page)[:5] == ["Model", own, paper, "ECE", "minutes of training"]
    assert page.count('<td class="n">54.3 ± 0.5</td>') == 1
    assert "levels cannot" in page
    text = study_page.markdown(compared)
    head, *lines = (line for line in text.splitlines() if line.startswith("|"))
    named = [own, "difference to as it was", paper, "ECE", "difference to as it was"]
    assert head == f"| Model | {' | '.join(named)} | minutes of training |"
    assert lines == [
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| plain | 55.0 ± 7.1 |  |  | 1.5 ± 0.7 |  | 1.5 |",
        "| FreeLB | not available |  | 54.3 ± 0.5 | not available | +1.0 [-1.0, +3.0] |  |",
    ]
    rows = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    assert [row.count("<td") for row in rows[1:3]] == [4, 4]


def test_a_study_without_the_papers_figures_says_nothing_of_it():
    page = study_page.html(FACTS, "en")
    assert heads(page)[:4] == ["Model", "macro-F1", "ECE", "minutes of training"]
    assert "The paper" not in page + study_page.markdown(FACTS)
    assert "论文" not in study_page.html(FACTS, "zh")
