"""A real Chromium that can reach nothing but this machine, and a page signed in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)  # fmt: skip
SIZES = {"hospital": (1366, 768), "phone": (390, 844), "large": (1920, 1080)}
# What the browser forbade by the page's policy.
WATCH = """window.forbidden = [];
document.addEventListener("securitypolicyviolation", (e) => forbidden.push(e.violatedDirective));"""


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A Chromium for the tests of one file."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield launched
        launched.close()


class Visit:
    """A page that is open, and what went wrong on it."""

    def __init__(self, context, address):
        self.address = address
        self.errors = []
        self.asked = []
        self.page = context.new_page()
        self.page.add_init_script(WATCH)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def _hear(self, message):
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def sign_in(self, token):
        self.page.goto(f"{self.address}/#key={token}")
        self.page.wait_for_selector("#note textarea")
        return self.page

    def diagnose(self, example=1):
        """Take an example and ask about it, by the keyboard."""
        self.page.focus("#example")
        for _ in range(example):
            self.page.keyboard.press("ArrowDown")
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_selector("#label-0:focus")
        self.page.wait_for_selector("#reasons[aria-busy=false]")

    def check(self):
        """Nothing was complained of, forbidden or asked of anybody else."""
        assert self.errors == []
        assert self.page.evaluate("window.forbidden") == []
        ours = ("data:", "blob:", self.address)
        assert [url for url in self.asked if not url.startswith(ours)] == []


@pytest.fixture
def visit(browser, address):
    """A function that opens a page: ``visit(size, scheme)``, in a Chinese browser."""
    opened = []

    def open_page(size="hospital", scheme="light", **options):
        width, height = SIZES[size]
        given = {"color_scheme": scheme, "locale": "zh-CN", **options}
        context = browser.new_context(viewport={"width": width, "height": height}, **given)
        context.set_default_timeout(15_000)
        opened.append(context)
        return Visit(context, address)

    yield open_page
    for context in opened:
        context.close()
