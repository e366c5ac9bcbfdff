"""The monitor's panel and similar cases, with answers that a small service would need long for."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.browser


def patch(page, path, change):
    """Change the service's answers on their way to the page."""

    def answer(route):
        told = route.fetch()
        found = told.json()
        change(found)
        route.fulfill(response=told, body=json.dumps(found))

    page.route(path, answer)


def both(words):
    return {"zh": words, "en": words}


@pytest.fixture
def label(opened):
    """A label that has another title in English."""
    (served,) = opened.catalog
    return next(one for one in served.package.labels if one["titles"].get("en"))


def test_diagnoses_have_their_english_titles(visit, tokens, label):
    seen = visit()
    page = seen.sign_in(tokens["reviewer"])
    page.click("#language")
    page.wait_for_selector("html[lang=en]")
    rate = {"expected": 0.1, "observed": 0.3, "low": 0.2, "high": 0.4, "p": 0.0, "level": "alarm"}
    rows = [{"label": label["name"], **rate}, {"label": "no label", **rate}]
    patch(page, "**/v1/monitor*", lambda found: found["labels"].update(rows=rows))
    page.click("#tab-monitor")
    page.wait_for_selector("table.rates")
    named = page.locator("table.rates tbody th").all_inner_texts()
    assert named == [label["titles"]["en"], "no label"]

    similar = [{"text": "…", "labels": [label["name"], "no label"], "similarity": 0.5}]

    def add_similar(found):
        for one in found["explained"]:
            one["similar"] = similar

    patch(page, "**/v1/explain", add_similar)
    page.click("#tab-diagnose")
    seen.diagnose()
    assert f"{label['titles']['en']}, no label · 50% alike" in page.inner_text(".cases")
    seen.check()


def test_an_alarm_agrees_with_its_panel_and_no_chance_is_none(visit, tokens):
    seen = visit()
    page = seen.sign_in(tokens["reviewer"])
    shift = {"of": "text", "title": both("用字"), "mmd": 0.002, "threshold": 0.01, "level": "calm"}
    alarm = {"check": "input.text", "level": "watch", "since": "2026-11-22T10:00:00Z"}
    alarm |= {"title": both("用字"), "advice": both("看看")}

    def change(found):
        found["input"] = {"level": "calm", "features": [], "shifts": [{**shift, "p": 0.0004}]}
        found["alarms"] = [{**alarm, "now": "calm"}, {**alarm, "now": "watch"}]

    patch(page, "**/v1/monitor*", change)
    page.click("#tab-monitor")
    page.wait_for_selector(".alarms li")
    over, on = page.locator(".alarms li").all_inner_texts()
    assert "目前“平稳”，连续三次转好后解除" in over
    assert "目前" not in on
    assert "p < 0.01" in page.inner_text(".shifts")
    seen.check()


def test_a_shadow_is_held_against_what_was_shown(visit, tokens):
    seen = visit()
    page = seen.sign_in(tokens["reviewer"])
    page.click("#tab-monitor")
    page.wait_for_selector("#monitor .verdict-line")
    assert "影子运行" not in page.inner_text("#monitor"), "this version is shown"
    told = {"compared": 1200, "same_first": 0.985, "same": 0.91}
    patch(page, "**/v1/monitor*", lambda found: found.update(shadow=told))
    page.select_option("#monitor-hours", "168")
    page.wait_for_selector("#monitor h2:has-text('影子运行')")
    numbers = page.locator("#monitor .card").first.locator("dd").all_inner_texts()
    assert numbers == ["1,200", "98.5%", "91.0%"]
    seen.check()
