"""Text under construction that knows where everything in it stands, and its templates.

A template is a string such as ``"，伴{more}"``. ``{slot}`` is written by the scribe, and a
clause is left out when it has nothing to put there; ``{slot?}`` may stay empty;
``{kind:words}`` writes the words and marks them with a span of that kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from emrobust.errors import ConfigError

_SLOT = re.compile(r"\{([a-z_]+)(\??)(?::([^}]*))?\}")
_JOINTS = "，。；、,. "

Mention = tuple[str, int, int, str, str]  # field, start, end, kind, value
Step = tuple[str, str, str]  # slot or "", kind or "", literal words


class Clause(NamedTuple):
    """A compiled piece of a template.

    Attributes:
        steps: literals and slots in order.
        needs: slots that must have content, or the clause is left out.
    """

    steps: tuple[Step, ...]
    needs: tuple[str, ...]


def compile_clause(text: str, optional: frozenset[str], known: frozenset[str]) -> Clause:
    """Compile ``text``; slots in ``optional`` may be empty, those in ``known`` never are.

    Raises:
        ConfigError: a slot is neither.
    """
    steps: list[Step] = []
    needs: list[str] = []
    end = 0
    for match in _SLOT.finditer(text):
        if match.start() > end:
            steps.append(("", "", text[end : match.start()]))
        name, bare, words = match[1], match[2], match[3]
        if words is not None:
            steps.append(("", name, words))
        elif name in optional or name in known:
            steps.append((name, "", ""))
            needs += [name] if name in optional and not bare else []
        else:
            raise ConfigError(f"the clinic's template {text!r} has an unknown slot {name!r}")
        end = match.end()
    if end < len(text):
        steps.append(("", "", text[end:]))
    return Clause(tuple(steps), tuple(needs))


class Page:
    """One field of a note: pieces of text, and the mentions in them with exact offsets."""

    __slots__ = ("field", "length", "mentions", "pieces")

    def __init__(self) -> None:
        self.field = ""
        self.length = 0
        self.pieces: list[str] = []
        self.mentions: list[Mention] = []

    def turn(self, field: str) -> None:
        """Start a new field; mentions are kept until `take_mentions`."""
        self.field = field
        self.length = 0
        self.pieces = []

    def add(self, text: str) -> None:
        """Append text; a field does not begin with a joint such as a comma."""
        if not self.length:
            text = text.lstrip(_JOINTS)
        self.pieces.append(text)
        self.length += len(text)

    def mark(self, text: str, kind: str, value: str) -> None:
        """Append text that is a mention of ``kind``."""
        start = self.length
        self.pieces.append(text)
        self.length = start + len(text)
        self.mentions.append((self.field, start, self.length, kind, value))

    def close(self, stop: str) -> str:
        """The text of the field, ended with ``stop`` unless it has an end."""
        if self.length and not self.pieces[-1].endswith(("。", "；", ".", ";", stop)):
            self.pieces.append(stop)
        return "".join(self.pieces)

    def take_mentions(self) -> list[Mention]:
        """All mentions since the last call."""
        mentions, self.mentions = self.mentions, []
        return mentions


def uniforms(generator: np.random.Generator, chunk: int = 65_536) -> Callable[[], float]:
    """A quick source of uniform numbers in [0, 1)."""

    def flow() -> Iterator[float]:
        while True:
            yield from generator.random(chunk).tolist()

    return flow().__next__
