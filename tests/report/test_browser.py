"""The page in a real Chromium: its policy lets its own script run, and the table sorts."""

import re
import shutil
import subprocess
from importlib import resources

import pytest

from emrobust.report import render

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

TABLE = """<html lang="zh-CN"><section><p class="filter" hidden><label>x <input></label></p>
<table class="sortable"><thead><tr><th>名</th><th class="n">数</th><th class="still">图</th></tr>
</thead><tbody><tr><th>乙</th><td>9</td><td></td></tr><tr><th>甲</th><td>1,200</td><td></td></tr>
<tr><th>丙</th><td>–</td><td></td></tr></tbody></table></section><script>{script}</script>
<script>{then}</script></html>"""


def dom(tmp_path, page):
    """The document after its scripts have run, and what the browser complained of."""
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-background-networking --dump-dom"
    done = subprocess.run(
        [
            CHROMIUM,
            *flags.split(),
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"file://{tmp_path / 'page.html'}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_its_own_script_runs_under_its_policy(tmp_path, everything):
    document, complaints = dom(tmp_path, render(*everything))
    assert '<button type="button">' in document
    assert complaints == []


@pytest.mark.parametrize(
    ("clicks", "names"),
    [((1,), "甲乙丙"), ((1, 1), "乙甲丙"), ((0,), "丙甲乙"), ((1, 0), "丙甲乙")],
)
def test_a_click_sorts_and_an_unknown_value_stays_last(tmp_path, clicks, names):
    script = resources.files("emrobust.report").joinpath("templates/table.js").read_text("utf-8")
    then = "".join(f"document.querySelectorAll('button')[{k}].click();" for k in clicks)
    document, complaints = dom(tmp_path, TABLE.format(script=script, then=then))
    assert complaints == []
    body = document.partition("<tbody>")[2]
    # By name the order is that of Chinese collation: by pinyin, bing jia yi.
    assert "".join(re.findall(r"<th>(.)</th>", body)) == names
