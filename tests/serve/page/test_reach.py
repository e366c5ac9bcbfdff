"""Everybody can use the page: names, contrast, order, sizes; checked in a real Chromium."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from emrobust.serve.store import keys

pytestmark = pytest.mark.browser

HERE = Path(__file__).parent
CHECKS = [(HERE / name).read_text("utf-8") for name in ("names.js", "contrast.js")]
OWN_WORDS = "h1, .brand, .tabs, button:not(#language), label:not(.pick), dt, th[scope=col]"
WIDER = "document.documentElement.scrollWidth - window.innerWidth"
TABS = ("diagnose", "batch", "monitor", "models")


def look_around(seen, tell):
    """Show each panel, the dialogs and the sign-in; ``tell(name)`` looks at each."""
    page = seen.page
    seen.diagnose()
    tell("answered")
    page.keyboard.press("c")
    page.wait_for_selector("#correct[open]")
    tell("correct")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.wait_for_selector(".told")
    tell("told")
    for tab in TABS[1:]:
        page.click(f"#tab-{tab}")
        page.wait_for_load_state("networkidle")
        tell(tab)
    page.click("[data-measures]")
    page.wait_for_selector("#measures-title")
    tell("measures")
    page.click("[data-card]")
    page.wait_for_selector("#card-title")
    tell("card")
    page.click("#sign-out")
    page.wait_for_selector("#sign-in")
    tell("sign-in")


@pytest.mark.parametrize(
    ("size", "scheme"), [("hospital", "light"), ("phone", "dark"), ("large", "dark")]
)
def test_all_can_be_read_named_and_seen_without_scrolling_sideways(visit, tokens, size, scheme):
    seen = visit(size, scheme)
    seen.sign_in(tokens["administrator"])
    found = {}

    def tell(name):
        wrong = [one for check in CHECKS for one in seen.page.evaluate(check)]
        if seen.page.evaluate(WIDER) > 0:
            wrong.append("wider than the screen")
        if wrong:
            found[name] = wrong

    tell("empty")
    look_around(seen, tell)
    assert found == {}
    seen.check()


def test_english_has_no_chinese_and_no_bare_key(visit, tokens):
    seen = visit()
    page = seen.sign_in(tokens["administrator"])
    page.click("#language")
    page.wait_for_selector("html[lang=en]")
    found = []

    def tell(name):
        said = page.evaluate("document.body.innerText")
        found.extend((name, key) for key in re.findall(r"\b[a-z]+\.[a-z_]+\b", said))
        own = page.evaluate(
            "(words) => [...document.querySelectorAll(words)]"
            ".filter((e) => !e.closest('.model-card, .chips')).map((e) => e.innerText).join(' ')",
            OWN_WORDS,
        )
        found.extend((name, run) for run in re.findall(r"[\u4e00-\u9fff]+", own))

    look_around(seen, tell)
    shown = [one for one in found if one[0] != "card"]  # the card is in its own language
    assert shown == []


def test_tab_goes_from_the_note_to_the_answer_and_is_seen(visit, tokens):
    seen = visit()
    page = seen.sign_in(tokens["clinician"])
    seen.diagnose()
    page.evaluate("document.getElementById('main').focus()")
    stops, hidden = [], []
    for _ in range(12):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "(() => { const e = document.activeElement; const s = getComputedStyle(e);"
            " return [e.id || e.textContent.trim().slice(0, 8), s.outlineStyle]; })()"
        )
        if page.evaluate("document.activeElement === document.body"):
            break  # behind the last one
        stops.append(name)
        if outline == "none":
            hidden.append(name)
    assert hidden == []
    wanted = ["example", "read", "record", "edit", "clear", "label-0"]
    assert [stop for stop in stops if stop in wanted] == wanted
    assert stops.index("label-0") < next(
        k for k, stop in enumerate(stops) if stop.startswith("采纳")
    )


@pytest.mark.parametrize("size", ["hospital", "phone"])
def test_trouble_is_seen_wherever_the_page_is_scrolled_to(visit, tokens, size):
    seen = visit(size)
    page = seen.sign_in(tokens["clinician"])
    page.click("#tab-models")
    page.click("[data-card]")
    page.wait_for_selector("#card-title:focus")
    page.route("**/card", lambda route: route.abort())
    page.evaluate("scrollTo(0, 500)")
    page.evaluate("document.querySelector('[data-card]').click()")
    page.wait_for_selector("#trouble button:last-child")
    top = page.evaluate(
        "(() => { const r = document.querySelector('#trouble p').getBoundingClientRect();"
        " return document.elementFromPoint(r.x + 5, r.y + 5)?.closest('#trouble') && r.y; })()"
    )
    assert page.evaluate("scrollY") > 0
    assert top is not None, "nothing lies above it"
    assert 0 < top < 120


def test_the_items_of_a_card_have_their_numbers_before_their_titles(visit, tokens):
    seen = visit()
    page = seen.sign_in(tokens["clinician"])
    page.click("#tab-models")
    page.click("[data-card]")
    page.wait_for_selector("#card-title:focus")
    cut = page.evaluate(
        "[...document.querySelectorAll('.model-card .item span')]"
        ".filter((e) => e.scrollWidth > e.getBoundingClientRect().width + 1"
        " && getComputedStyle(e).display !== 'inline').map((e) => e.textContent)"
    )
    assert page.locator(".model-card .item span").count() == 27
    assert cut == []


@pytest.mark.parametrize("size", ["hospital", "large"])
def test_the_bar_says_in_full_who_is_signed_in(visit, opened, size):
    name, role = "Dr. Alexandra Featherstone", "administrator"
    token, _ = keys.add(opened.store.database, name=name, role=role, actor="test")
    seen = visit(size)
    page = seen.sign_in(token)
    page.click("#language")
    page.wait_for_selector("html[lang=en]")
    assert page.inner_text("#caller") == f"{name} · {role}"
    whole, shown = page.evaluate(
        "[document.getElementById('caller')].flatMap((e) => [e.scrollWidth, e.clientWidth])"
    )
    assert whole <= shown


def test_a_shade_tells_that_more_lies_below(visit, tokens):
    seen = visit()
    page = seen.sign_in(tokens["clinician"])
    seen.diagnose()
    page.evaluate("document.getElementById('reasons').style.maxHeight = '60px'")
    place = page.locator("#reasons").bounding_box()
    strip = {"x": place["x"] + 3, "y": place["y"] + place["height"] - 12, "width": 6, "height": 8}
    before = page.screenshot(clip=strip)
    page.evaluate("document.getElementById('reasons').scrollTo(0, 9999)")
    assert page.screenshot(clip=strip) != before
