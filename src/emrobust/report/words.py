"""The interface's words, from ``strings.toml`` and its like."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

STRINGS = "strings.toml"


class Words:
    """The strings of one language; ``words("key", n=3)`` fills in the placeholders."""

    def __init__(self, language: str, file: str = STRINGS) -> None:
        self._table: dict[str, str] = load(file)[language]
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """The string called ``key``.

        Raises:
            KeyError: there is no such string, or a placeholder has no value.
        """
        return self._table[key].format(**values)

    def known(self, key: str) -> str:
        """The string called ``key``, or the key itself where the table has none."""
        return self._table.get(key, key)


def load(file: str = STRINGS) -> dict[str, dict[str, Any]]:
    """Language → key → string."""
    text = resources.files("emrobust.report").joinpath(file).read_text(encoding="utf-8")
    return tomllib.loads(text)
