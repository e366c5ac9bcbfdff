"""What every page is made of: a template, its own style and script inside, nothing from elsewhere.

A page carries a content security policy that allows its own style and script by their hashes and
nothing else, so a browser enforces that it never goes to the network.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib import metadata, resources
from typing import Any

import jinja2
from markupsafe import Markup

_FOLDER = resources.files("emrobust.report") / "templates"


def fill(template: str, styles: Sequence[str] = (), script: str = "", **values: Any) -> str:
    """A page, or a Markdown file where the template's name says so.

    Args:
        template: a file of ``templates``.
        styles: style sheets there; the page's ``style`` is ``style.css`` and these.
        script: a script there.
        values: for the template; ``style``, ``script``, their hashes and ``version`` are given.
    """
    style = "".join(map(_read, ("style.css", *styles)))
    code = _read(script) if script else ""
    return _environment(template).from_string(_read(template)).render(
        style=Markup(style),  # noqa: S704 (our own file)
        script=Markup(code),  # noqa: S704 (our own file)
        style_hash=_hash(style),
        script_hash=_hash(code),
        version=metadata.version("emrobust"),
        **values,
    )  # fmt: skip


def data_of(value: Any) -> Markup:
    """JSON that cannot end the element that it stands in."""
    text = json.dumps(value, ensure_ascii=False)
    escaped = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(escaped)  # noqa: S704 (no character of markup is left)


def _environment(template: str) -> jinja2.Environment:
    """Pages escape what they are given; templates refuse names they don't know."""
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(_read),
        autoescape=".html" in template,  # noqa: S701 (Markdown is for people, and is no markup)
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    """What a page's policy calls its own style or script by."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
