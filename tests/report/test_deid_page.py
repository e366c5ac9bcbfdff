"""The de-identification pages: words in both languages, no way out, and a sheet that works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib import resources
from string import Formatter

import pytest

from emrobust import registry
from emrobust.deid import audit, review
from emrobust.placeholders import PLACEHOLDERS
from emrobust.report import deid_page, review_page, words

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SIZES = [("1", 4), ("2", 2), ("3–4", 9), ("≥100", 30)]
FACTS = {
    "enabled": True, "rows": 1200, "characters": 90_000, "rows_touched": 300,
    "found": {"patient_name": {"placeholder": 90}, "date": {"date_shift": 70, "placeholder": 3}},
    "direct_identifiers_left": {"phone": 2}, "accepted": True, "key": "0123abcd",
    "direct_identifiers_places": [], "operators": {"patient_name": "placeholder"},
    "detectors": ["person_name"], "visit_time": "shift", "pseudonyms": False,
    "audit": {
        "rows": 500,
        "captures": {
            "name": audit.estimate(40, 30, 28)._asdict(),
            "phone": audit.estimate(44, 22, 0)._asdict(),
        },
        "known": {"name": {"there": 30, "found": 28, "left": 1, "part": 2}},
        "rare": {"counts": {"name": 1}, "places": [
            {"row": 3, "column": "主诉", "start": 1, "end": 3, "shape": "name"}]},
    },
    "risk": {
        "patients": 45, "classes": 12, "k": 1, "k_median": 40.0, "l": 1, "rare_diagnoses": 2,
        "maximum_risk": 1.0, "average_risk": 0.27, "share_below": {"5": 0.33}, "sizes": SIZES,
        "grade": 1, "quasi_identifiers": [], "benchmarks": [
            {"name": "public", "measure": "maximum", "threshold": 0.1, "risk": 1.0, "met": False}],
    },
}  # fmt: skip


def strings():
    return words.load(deid_page.STRINGS)


def test_both_languages_have_the_same_words_and_placeholders():
    table = strings()
    for zh, en in [(table["zh"], table["en"]), *((table[t]["zh"], table[t]["en"]) for t in
                                                 ("kinds", "operators"))]:  # fmt: skip
        assert set(zh) == set(en)
        for key, text in zh.items():
            fields = [{n for _, n, _, _ in Formatter().parse(of) if n} for of in (text, en[key])]
            assert fields[0] == fields[1], key
            assert not re.search(r"[\u4e00-\u9fff}][,;:(]|[,;:)][\u4e00-\u9fff]", text), key
    assert set(PLACEHOLDERS) <= set(table["kinds"]["zh"])
    assert set(registry.names("operator")) == set(table["operators"]["zh"])


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_report_says_what_is_left_and_never_goes_out(language):
    local = review.measure(
        review.Corrections.model_validate(
            {"version": 1, "sheet": "a", "documents": [{"row": 1, "reviewed": True, "fields": [
                {"name": "主诉", "spans": [[0, 2, "patient_name", "right"]], "missed": []}]}]}
        )
    )  # fmt: skip
    page = deid_page.render({**FACTS, "local": local}, "一个<b>项目", language)
    assert "default-src 'none'" in page
    assert not re.search(r"<script|https?://|src=|@import|url\(", page)
    assert "一个&lt;b&gt;项目" in page
    for value in ("0.933", "0.787–0.982", "42–", "0123abcd", "1.000"):
        assert value in page, value
    assert "1,034" not in page
    assert f">{'无法估计' if language == 'zh' else 'not estimable'}<" in page
    assert ("请勿对外提供" if language == "zh" else "do not release") in page
    bare = {**FACTS, "direct_identifiers_left": {}, "found": {}, "risk": {}}
    bare.pop("audit")
    clean = deid_page.render(bare, "", language)
    assert ("未发现直接标识符" if language == "zh" else "found no direct identifier") in clean


def test_the_self_assessment_is_filled_where_it_can_be():
    paper = deid_page.render_assessment(FACTS, "项目")
    assert paper.count("【待填】") > 12
    for known in ("第五十五条", "1,200 条", "163 处", "最大重标识风险 1.000", "不符合", "0.933"):
        assert known in paper, known
    assert re.search(r"^\|.*\|$", paper, re.MULTILINE)
    assert not re.search(r"\n\|[^\n]*\n\n\|", paper)


def the_sheet():
    found = [[2, 5, "patient_name", "a cue"], [9, 11, "date", "a cue"]]
    text = "𠮷诉王小明来诊，于昨日</script>好转，李四陪"
    fields = [{"name": "主诉", "text": text, "spans": found}]
    return {"version": 1, "sheet": "abc123", "documents": [{"row": 7, "fields": fields}] * 2}


DRIVE = """
const asked = [];
URL.createObjectURL = (blob) => { asked.push(blob); return "#"; };
const marks = () => document.querySelectorAll(".text")[0].querySelectorAll("mark");
marks()[1].click();
const rest = [...document.querySelectorAll(".text")[0].querySelectorAll("span")].pop();
const at = rest.firstChild.data.indexOf("李四");
getSelection().setBaseAndExtent(rest.firstChild, at, rest.firstChild, at + 2);
document.dispatchEvent(new Event("selectionchange"));
const shown = !document.getElementById("palette").hidden;
document.querySelector('[data-kind="relative_name"]').click();
document.querySelector("input[type=checkbox]").click();
document.getElementById("export").click();
asked[0].text().then((said) => {
  const out = document.createElement("pre");
  out.id = "out";
  out.textContent = JSON.stringify({ shown, said: JSON.parse(said),
    progress: document.getElementById("progress").textContent, marks: marks().length });
  document.body.append(out);
});
"""


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_reader_marks_exports_and_is_measured(tmp_path):
    page = review_page.render_sheet(the_sheet(), "项目")
    assert page.count("<script") == 3
    opened = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    (tmp_path / "sheet.html").write_text(
        opened.replace("</body>", f"<script>{DRIVE}</script></body>"), encoding="utf-8"
    )
    document, complaints = dom(tmp_path, "sheet.html")
    assert complaints == []
    out = re.search(r'<pre id="out">(.*?)</pre>', document, re.DOTALL)
    told = json.loads(out[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
    assert told["shown"]
    assert told["marks"] == 3
    assert "1 / 2" in told["progress"]
    (tmp_path / "c.json").write_text(json.dumps(told["said"]), encoding="utf-8")
    corrections = review.read(tmp_path / "c.json")
    field = corrections.documents[0].fields[0]
    assert field.spans[1] == (9, 11, "date", "wrong")
    text = the_sheet()["documents"][0]["fields"][0]["text"]
    start, end, kind = field.missed[0]
    assert (text[start:end], kind) == ("李四", "relative_name")
    assert review.measure(corrections)["kinds"]["all"]["missed"] == 1
    assert "王小明" not in json.dumps(told["said"], ensure_ascii=False)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_its_script_runs_under_its_policy(tmp_path):
    review_page.write_sheet(tmp_path / "sheet.html", the_sheet())
    assert (tmp_path / "sheet.html").stat().st_mode & 0o777 == 0o600
    document, complaints = dom(tmp_path, "sheet.html")
    assert complaints == []
    assert document.count("<mark") == 4


def dom(folder, name):
    flags = "--headless --no-sandbox --disable-gpu --disable-background-networking --dump-dom"
    done = subprocess.run(
        [CHROMIUM, *flags.split(), "--enable-logging=stderr", "--virtual-time-budget=2000",
         f"--user-data-dir={folder / 'profile'}", f"file://{folder / name}"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_every_word_of_the_pages_is_in_the_table():
    room = resources.files("emrobust.report")
    templates = ("deid.html.j2", "review.html.j2")
    page = "".join((room / "templates" / t).read_text(encoding="utf-8") for t in templates)
    code = "".join(
        (room / f"{f}.py").read_text(encoding="utf-8") for f in ("deid_page", "review_page")
    )
    used = set(re.findall(r"\bw\('(\w+)'[,)]", page)) | set(
        re.findall(r"""\bw\(\s*"(\w+)"[,)]""", code)
    )
    assert len(used) > 60
    assert used <= set(strings()["zh"])
