"""The report's sections beyond the scores, whatever part of them is there."""

import re
from dataclasses import replace

import numpy as np
import pytest

from emrobust import config
from emrobust.evaluate import curves, gather, suites
from emrobust.evaluate.calibration import control, measure_sets, risk_coverage
from emrobust.evaluate.evidence import Calibrated, Evidence
from emrobust.evaluate.significance import compare_recipes
from emrobust.evaluate.slices import discover, measure_buckets, measure_groups
from emrobust.report import render

SETTINGS = config.Evaluate(bootstrap=30)
NASTY = "<b>组</b>"


def predictions(wrong, seed=0, n=400):
    stream = np.random.default_rng(seed)
    truth = (stream.random((n, 4)) < [0.5, 0.4, 0.2, 0.0]).astype(np.uint8)
    flip = stream.random((n, 4)) < wrong
    said = np.where(flip, 1 - truth, truth) * 0.8 + 0.1
    return gather(truth, said, None, [NASTY, "b", "c", "d"], np.arange(n) // 2)


@pytest.fixture(scope="module")
def everything():
    good, bad = predictions(0.05), predictions(0.4)
    bins = curves.reliability(good.truth, good.probability, 10)
    errors = {"ece": 0.05, "ece_mass": 0.05, "brier": 0.1}
    halves = ["x" if k % 4 < 2 else NASTY for k in range(400)]
    texts = ["头晕三天" if k % 3 else "咳嗽三天" for k in range(400)]
    shared = {"settings": SETTINGS, "seed": 1}
    names = [*(f"noise-{k}" for k in (1, 2, 3, 4, 5)), "noise-paper", "empty"]
    return Evidence(
        calibration=Calibrated(
            "vector",
            {"none": {"nll": 1.0, "brier": 0.1, "ece": 0.1}, "vector": dict.fromkeys(
                ("nll", "brier", "ece"), 0.01)},
            errors, errors, {"b": (0.1, 0.01), "d": None}, {"b": (0.2, 0.02), "d": None}, bins,
        ),
        sets=(measure_sets(good, control(bad, 0.95)),),
        risk=risk_coverage(good),
        suites=tuple(
            suites.compare(name, "noise", good, bad, settings=SETTINGS, seed=1) for name in names
        ),
        shift={"site": "none", "year": "all", "department": "unknown"},
        fairness=measure_groups(good, {"department": halves}, **shared),
        buckets=tuple(measure_buckets(good, {"b": 900, "c": 200}, **shared)),
        discovery=discover(bad, {"sex": halves}, texts, language="zh", **shared),
        significance=compare_recipes({NASTY: [bad], "b": [good, good]}, settings=SETTINGS),
        missing={"baseline": f"the file {NASTY} was changed\n  Run it again."},
    )  # fmt: skip


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_part_has_its_section_and_nothing_is_markup(minimum, everything, language):
    evaluation, context = minimum
    page = render(evaluation, replace(context, language=language, evidence=everything))
    for part in ("calibration", "sets", "suites", "groups", "discovery", "significance", "missing"):
        assert f'<section id="{part}">' in page, part
    assert NASTY not in page
    shown = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"\bnan\b", shown)


def test_a_suite_that_left_most_texts_alone_says_so(minimum, everything):
    evaluation, context = minimum
    idle = replace(everything.suites[0], about={"changed": 0.03})
    given = replace(everything, suites=(idle, *everything.suites[1:]))
    page = render(evaluation, replace(context, language="en", evidence=given))
    assert page.count("(only 3% of the texts changed)") == 1


def test_parts_that_are_not_there_leave_no_gap(minimum, everything):
    evaluation, context = minimum
    bare = render(evaluation, replace(context, evidence=Evidence()))
    assert '<section id="suites">' not in bare
    for part in ("calibration", "risk", "fairness", "discovery", "significance"):
        render(evaluation, replace(context, evidence=replace(everything, **{part: None})))
    few = replace(everything, suites=everything.suites[:2], sets=(), buckets=(), shift={})
    assert '<section id="suites">' in render(evaluation, replace(context, evidence=few))


def test_what_gives_reason_to_is_among_the_cautions(minimum, everything):
    evaluation, context = minimum
    page = render(evaluation, replace(context, language="en", evidence=everything))
    cautions = page.split('<div class="caution">')[1].split("</div>")[0]
    assert "Under noise of the paper" in cautions
    assert "nearly empty texts the model still gives" in cautions
    quiet = replace(everything, suites=())
    page = render(evaluation, replace(context, language="en", evidence=quiet))
    assert "Under noise of the paper" not in page
