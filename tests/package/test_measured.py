"""What a package tells of its test records."""

from __future__ import annotations

import dataclasses

import pytest

from emrobust import runs
from emrobust.errors import ConfigError
from emrobust.evaluate import run as evaluation
from emrobust.package import measured


@pytest.fixture(scope="module")
def found(runs_of):
    return evaluation.evaluate(runs_of("tfidf"))


def write_report(folder, found):
    group = {"aspect": "sex", "micro_f1": 0.7, "gap": -0.02, "gap_interval": [-0.05, 0.01]}
    suite = {"name": "noise-1", "kind": "noise", "n": 70, "standard": {"micro_f1": 0.8}}
    evidence = {
        "suites": {"noise-1": {**suite, "suite": {"micro_f1": 0.7}}},
        "fairness": {
            "groups": [
                {**group, "value": "F", "patients": 40, "judged": True},
                {**group, "value": "M", "patients": 9, "judged": True},
            ]
        },
    }
    runs.write_json(folder / "metrics.json", {**found.to_json(), "evidence": evidence})
    return folder


def test_without_a_report_scores_and_calibration_are_told(found):
    told = measured.summarise(found, None, 10)
    assert told["records"] == found.n
    assert told["scores"]["macro_f1"] == found.scores["macro_f1"]
    assert sum(row["count"] for row in told["reliability"]) == sum(found.reliability.decisions)
    assert "groups" not in told


def test_groups_of_few_patients_stay_at_home(found, tmp_path):
    told = measured.summarise(found, write_report(tmp_path, found), 10)
    assert [row["value"] for row in told["groups"]] == ["F"]
    assert told["suites"] == [
        {"name": "noise-1", "kind": "noise", "records": 70, "standard": 0.8, "changed": 0.7}
    ]


def test_another_runs_report_is_refused(found, tmp_path):
    other = dataclasses.replace(found, scores={**found.scores, "macro_f1": 0.123})
    with pytest.raises(ConfigError, match="not measured on this run"):
        measured.summarise(found, write_report(tmp_path, other), 10)
