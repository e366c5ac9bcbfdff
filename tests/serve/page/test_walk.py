"""The whole way of a doctor through the page, in a real Chromium against a real service."""

from __future__ import annotations

import csv
import json

import httpx
import pytest
import sqlalchemy as sa

from emrobust.serve.store import keys
from emrobust.serve.store.schema import FEEDBACK, PREDICTIONS

pytestmark = pytest.mark.browser

COLUMNS = (
    "visit_no", "patient_no", "visit_time", "site", "department", "sex", "age",
    "chief_complaint", "present_illness", "past_history",
)  # fmt: skip
NOTE = "患者反复胸闷三月，独一无二的字句。"


def rows(opened, table):
    with opened.store.database.read() as connection:
        return connection.execute(sa.select(table).order_by(table.c.at)).mappings().all()


def text(page, selector):
    return page.inner_text(selector)


def test_a_doctor_needs_only_the_keyboard(visit, opened, tokens):
    seen = visit()
    page, press = seen.page, seen.page.keyboard.press
    page.clock.install()
    page.goto(seen.address)
    page.wait_for_selector("#key:focus")
    page.keyboard.type(tokens["clinician"])
    press("Enter")
    page.wait_for_selector("#note textarea:focus")
    press("Shift+Tab")
    assert page.evaluate("document.activeElement.id") == "example"
    press("ArrowDown")
    press("Control+Enter")
    page.wait_for_selector("#label-0:focus")
    page.wait_for_selector("#reasons[aria-busy=false]")
    assert page.locator("#read mark").count() > 0, "what speaks for it is marked"
    first = text(page, "#reasons-title")
    press("ArrowDown")
    page.wait_for_selector("#label-1[aria-selected=true]:focus")
    assert text(page, "#reasons-title") != first
    press("r")
    page.wait_for_selector(".told.waiting")
    press("z")  # a wrong key
    page.wait_for_selector("#verdict button.yes")
    accept = page.locator("#verdict button.yes")
    assert accept.is_enabled()
    press("a")
    page.wait_for_selector(".told.waiting")
    page.clock.run_for(5500)
    page.wait_for_selector(".told.sent")
    press("n")
    page.wait_for_selector("#note textarea:focus")
    assert page.input_value("#note textarea") == ""
    (kept,) = rows(opened, FEEDBACK)
    (told,) = (row for row in rows(opened, PREDICTIONS) if row["task"] == "diagnose")
    assert (kept["verdict"], kept["prediction"]) == ("accepted", told["id"])
    seen.check()


def test_a_diagnosis_is_corrected_and_another_rejected_by_the_keyboard(visit, opened, tokens):
    seen = visit()
    page, press = seen.sign_in(tokens["clinician"]), seen.page.keyboard.press
    seen.diagnose(2)
    press("c")
    page.wait_for_selector("#correct-query:focus")
    press("Backspace")  # drops the last of the chosen
    known = page.locator("#correct-found li").first.inner_text()
    press("Enter")
    press("Enter")  # two, since the first may be what was dropped
    press("Control+Enter")
    page.wait_for_selector(".told.waiting")
    assert known.split("\n")[0] in text(page, ".told")
    press("n")  # sends at once what waits

    seen.diagnose(3)
    press("r")
    page.wait_for_selector(".told.waiting")
    with page.expect_response("**/v1/feedback"):
        press("n")
    page.wait_for_selector("#note textarea:focus")
    kept = rows(opened, FEEDBACK)
    assert [row["verdict"] for row in kept] == ["changed", "rejected"]
    assert known.split("\n")[0] in json.loads(kept[0]["labels"])
    seen.check()


def test_a_verdict_outlives_the_sign_in_and_waits_for_who_gave_it(visit, opened, tokens):
    def key_of_wang():
        return keys.add(opened.store.database, name="Dr. Wang", role="clinician", actor="test")[0]

    seen = visit()
    page = seen.sign_in(key_of_wang())
    seen.diagnose()
    page.keyboard.press("c")
    page.wait_for_selector("#correct-query:focus")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".told.waiting")
    page.route("**/v1/feedback", lambda route: route.fulfill(status=401, body="{}"))
    page.keyboard.press("n")
    page.wait_for_selector("#trouble:has-text('您的判断还没有记录')")
    page.wait_for_selector("#key:focus")
    kept = json.loads(page.evaluate("sessionStorage['emrobust-verdicts']"))
    page.unroute("**/v1/feedback")
    assert set(kept[0]["json"]) == {"prediction", "verdict", "labels"}, "nothing of the note"

    def sign_in(token):
        page.fill("#key", token)
        page.keyboard.press("Enter")
        page.wait_for_selector("#note textarea:focus")

    sign_in(tokens["clinician"])  # a colleague
    page.click("#sign-out")
    assert rows(opened, FEEDBACK) == []
    sign_in(key_of_wang())
    page.wait_for_selector("#trouble.good:has-text('已补交')")
    (told,) = rows(opened, FEEDBACK)
    assert json.loads(told["labels"]) == kept[0]["json"]["labels"]
    assert page.evaluate("'emrobust-verdicts' in sessionStorage") is False


@pytest.mark.parametrize(("locale", "lang"), [("en-US", "en"), ("zh-TW", "zh-CN"), ("fr", "zh-CN")])
def test_the_page_begins_in_the_browsers_language(visit, tokens, locale, lang):
    page = visit(locale=locale).sign_in(tokens["clinician"])
    page.wait_for_selector(f"html[lang={lang}]")
    page.click("#language")
    page.reload()
    page.wait_for_selector("html[lang=zh-CN]" if lang == "en" else "html[lang=en]")


def test_a_note_and_a_key_leave_no_trace_in_the_browser(visit, tokens):
    seen = visit()
    page = seen.sign_in(tokens["clinician"])
    assert page.url == f"{seen.address}/"
    page.fill("#note textarea", NOTE)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#reasons[aria-busy=false]")
    page.click("#language")
    page.wait_for_selector("html[lang=en]")
    kept = page.evaluate("JSON.stringify([{...localStorage}, document.cookie, location.href])")
    assert json.loads(kept) == [{"emrobust-language": "en"}, "", f"{seen.address}/"]
    session = page.evaluate("JSON.stringify({...sessionStorage})")
    assert json.loads(session) == {"emrobust-key": tokens["clinician"]}
    assert all("独" not in url and "%E7" not in url for url in seen.asked)
    page.goto("about:blank")
    page.go_back()
    page.wait_for_selector("#note textarea")
    assert page.input_value("#note textarea") == ""
    page.click("#sign-out")
    assert page.evaluate("sessionStorage.length") == 0
    assert not page.is_visible("#diagnose")
    seen.check()


def test_a_key_in_the_address_of_an_open_page_ends_what_was_before(visit, opened):
    """Another system opens the page in the same window, for a colleague."""
    (token, wang), (other, _) = (
        keys.add(opened.store.database, name=name, role="clinician", actor="test")
        for name in ("Dr. Wang", "Dr. Li")
    )
    seen = visit()
    page = seen.sign_in(token)
    seen.diagnose()
    page.keyboard.press("r")
    page.wait_for_selector(".told.waiting")
    change = "key => { location.hash = `key=${key}`; }"
    page.evaluate(change, token)  # the same doctor goes on
    page.wait_for_selector(".told.waiting")
    with page.expect_response("**/v1/feedback"):
        page.evaluate(change, other)
    page.wait_for_selector("#caller:has-text('Dr. Li')")
    assert page.input_value("#note textarea") == ""
    (told,) = rows(opened, FEEDBACK)
    assert told["actor"] == wang.prefix
    seen.check()


def test_trouble_is_told_in_plain_words(visit, opened, tokens):
    seen = visit()
    page = seen.page
    page.goto(f"{seen.address}/#key=wrong")
    page.wait_for_selector("#trouble:not([hidden])")
    assert "密钥无效" in text(page, "#trouble")
    seen.sign_in(tokens["clinician"])
    page.click("#run")
    page.wait_for_selector("#trouble:has-text('病历里没有文字')")
    page.fill("#record", "V1\u2028V2")
    page.fill("#note textarea", NOTE * 20)
    page.click("#run")
    page.wait_for_selector("#trouble:has-text('就诊号有误')")
    assert page.evaluate("document.activeElement.id") == "record"
    page.fill("#record", "\u200bV1\u00a0")
    with page.expect_request("**/v1/diagnose") as asked:
        page.click("#run")
    assert asked.value.post_data_json["record_id"] == "V1"
    page.wait_for_selector("#read .stop")
    assert (NOTE * 20).endswith(text(page, "#read .unread"))
    page.click("#edit")
    page.fill("#note textarea", "12345。")
    page.click("#run")
    page.wait_for_selector("#trouble:not([hidden])")
    assert "病历里没有文字" in text(page, "#trouble")
    page.route("**/v1/diagnose", lambda route: route.abort())
    page.fill("#note textarea", NOTE)
    page.click("#run")
    page.wait_for_selector("#trouble:has-text('连接不上')")
    assert page.input_value("#note textarea") == NOTE
    busy = {"Retry-After": "7", "Content-Type": "application/problem+json"}
    page.unroute("**/v1/diagnose")
    page.route("**/v1/diagnose", lambda route: route.fulfill(status=503, headers=busy, body="{}"))
    page.click("#trouble button")  # once more
    page.wait_for_selector("#trouble:has-text('7 秒后')")


def test_a_key_is_cleaned_of_what_cannot_be_seen_and_a_wrong_one_is_called_wrong(visit, tokens):
    seen = visit()
    page = seen.page
    page.goto(seen.address)
    for wrong in ("密钥", "emr_ключ", "clé"):
        page.fill("#key", wrong)
        page.keyboard.press("Enter")
        page.wait_for_selector("#trouble:has-text('密钥无效')")
        assert page.locator("#trouble button").count() == 1, "the same key is not tried again"
        page.click("#trouble button")
    page.fill("#key", f"\u3000\u200b{tokens['clinician']}\ufeff \u2060")
    page.keyboard.press("Enter")
    page.wait_for_selector("#note textarea")
    assert page.evaluate("sessionStorage['emrobust-key']") == tokens["clinician"]
    seen.check()


def test_a_table_goes_in_and_a_table_comes_out(visit, tokens, tmp_path):
    seen = visit(accept_downloads=True)
    page = seen.sign_in(tokens["clinician"])
    table = tmp_path / "visits.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(
            [f"V{k}", f"P{k}", "2026-03-01", "A", "呼吸内科", "男", 40,
             "咳嗽三天", "患者咳嗽，咳黄痰，发热。", "体健"]
            for k in range(40)
        )  # fmt: skip
    page.click("#tab-batch")
    page.set_input_files("#batch-file", table)
    page.wait_for_selector("[data-focus^=get-]")
    with page.expect_download() as download:
        page.click("[data-focus^=get-]")
    found = list(csv.DictReader(download.value.path().read_text("utf-8-sig").splitlines()))
    assert len(found) == 40
    assert download.value.suggested_filename.endswith(".csv")
    page.click("[data-focus^=erase-]")
    page.wait_for_selector(".state.erased:has-text('结果已删除')")
    page.wait_for_selector("#said:has-text('visits.csv 的结果已删除')", state="attached")
    page.wait_for_selector("#jobs-list:focus")
    assert page.locator("[data-job] button").count() == 0, "nothing is offered that is not there"
    assert "保留至" not in text(page, "[data-job]")
    seen.check()


@pytest.fixture
def options(served_package):
    return [f'serve.model_folders=["{served_package.parent}"]']


def test_an_administrator_lets_another_version_answer(visit, opened, tokens, as_role):
    seen = visit()
    added = httpx.post(
        f"{seen.address}/v1/models",
        headers=as_role("administrator"),
        json={
            "path": str(opened.catalog.find().package.folder),
            "name": "clinic",
            "version": "2",
        },
    )
    assert added.status_code == 201, added.text
    page = seen.sign_in(tokens["administrator"])
    page.click("#tab-models")
    for button, way_out in (("active", "Escape"), ("active", "Enter"), ("retired", "Enter")):
        page.focus(f'[data-model="clinic@2"] [data-state={button}]')
        page.keyboard.press("Enter")
        page.wait_for_selector("#confirm[open]")
        page.keyboard.press(way_out)
        page.wait_for_selector("#confirm", state="hidden")
        assert page.locator('[data-model="clinic@2"] .state.ready').count() == 1, "asked only"
    page.click('[data-model="clinic@2"] [data-state=active]')
    asked = text(page, "#confirm")
    assert "启用 clinic@2？" in asked
    assert "不再由 clinic@1 给出" in asked
    page.click("#confirm-yes")
    page.wait_for_selector('[data-model="clinic@2"] .state.active')
    assert page.locator('[data-model="clinic@1"] .state.ready').count() == 1
    in_use = {"type": "urn:emrobust:in_use", "detail": "unfinished batch jobs need it"}
    page.route(
        "**/versions/1", lambda route: route.fulfill(status=409, body=json.dumps(in_use)), times=1
    )
    page.click('[data-model="clinic@1"] [data-state=retired]')
    page.click("#confirm-yes")
    page.wait_for_selector("#trouble:has-text('还有未完成的批量任务要用这个版本')")
    seen.errors.clear()  # the browser's own words about the 409
    page.click('[data-model="clinic@1"] [data-state=retired]')
    assert "停用 clinic@1？" in text(page, "#confirm")
    page.click("#confirm-yes")
    page.wait_for_selector('[data-model="clinic@1"]', state="detached")
    page.click("#tab-diagnose")
    seen.diagnose()
    assert "clinic@2" in text(page, "#answered")
    seen.check()


def test_a_reviewer_watches_and_an_administrator_sees_the_card(visit, tokens):
    seen = visit()
    page = seen.sign_in(tokens["clinician"])
    assert not page.is_visible("#tab-monitor"), "a clinician has no monitor"
    page = seen.sign_in(tokens["administrator"])
    page.wait_for_selector("#tab-monitor")
    seen.diagnose()
    page.click("#tab-monitor")
    page.wait_for_selector("#monitor .verdict-line")
    page.click("#tab-models")
    page.click("[data-measures]")
    page.wait_for_selector("#measures-title:focus")
    assert page.locator(".measures svg[role=img]").count() == 1
    page.click("[data-card]")
    page.wait_for_selector("#card-title:focus")
    assert page.locator(".model-card section").count() > 1
    assert page.locator(".model-card [style], .model-card script").count() == 0
    seen.check()


def test_a_correction_knows_the_labels_of_the_version_that_answered(visit, tokens):
    seen = visit()
    seen.sign_in(tokens["clinician"])
    seen.diagnose()
    seen.page.keyboard.press("c")
    seen.page.wait_for_selector("#correct[open]")
    asked = {url for url in seen.asked if url.endswith("/labels")}
    assert asked == {f"{seen.address}/v1/models/clinic%401/labels"}


def test_what_speaks_for_it_is_asked_of_the_version_that_answered(visit, tokens):
    seen, asked = visit(), {}
    page = seen.sign_in(tokens["clinician"])

    def hear(request):
        if request.method == "POST" and "/v1/" in request.url:
            asked[request.url.rpartition("/")[2]] = request.post_data_json.get("model")

    page.on("request", hear)
    seen.diagnose()
    assert asked == {"diagnose": None, "explain": "clinic@1", "triage": "clinic@1"}
    seen.check()
