"""All steps one after the other, until nothing changes any more."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from emrobust import registry, runs
from emrobust.errors import RunError
from emrobust.normalize.alignment import Edit, Normalized, apply, compose
from emrobust.normalize.step import HAN, Step
from emrobust.normalize.typos import Scorer, Typos

KIND = "normalizer"
FILE = "normalizer.json"
FORMAT = 1
_HAN = re.compile(f"[{HAN}]")
# What one step wrote may be what an earlier one is for; in practice the third time is quiet.
_ROUNDS = 6


class Normalizer:
    """Rewrites texts into one way of writing, with the way back to the original.

    Args:
        steps: names of registered steps; they run in their own order.
        tables: folder of the tables; absent: the shipped ones. A folder of one's own need only
            hold the tables that differ.
        scorer: the language model of the step ``typos``.

    Raises:
        ConfigError: no such step, a table is wrong, or ``typos`` without a scorer.
    """

    def __init__(
        self, steps: Iterable[str], tables: Path | None = None, scorer: Scorer | None = None
    ) -> None:
        self.names = tuple(steps)
        self.scorer = scorer
        made = [_make(name, tables, scorer) for name in self.names]
        self.steps: tuple[Step, ...] = tuple(sorted(made, key=lambda step: step.order))

    def __call__(self, texts: Iterable[str]) -> list[str]:
        """The normalised texts."""
        return [self._rewrite(text) for text in texts]

    def align(self, text: str) -> Normalized:
        """One normalised text that knows where its characters come from."""
        given = Normalized(text)
        for edits in self._edit(text):
            given = Normalized(apply(given.text, edits), compose(given.origins, edits))
        return given

    def save(self, folder: Path) -> None:
        """Write the steps' names and tables into a new folder; of the scorer only its name."""
        folder.mkdir()
        for step in self.steps:
            for name in step.files:
                shutil.copyfile(step.table(name), folder / name)
        facts = {"format": FORMAT, "steps": list(self.names)}
        if self.scorer is not None:
            facts["scorer"] = self.scorer.name
        runs.write_json(folder / FILE, facts)

    @classmethod
    def load(cls, folder: Path, scorers: Callable[[str], Scorer] | None = None) -> Normalizer:
        """Read what `save` wrote: the same tables, whatever became of the shipped ones.

        Args:
            folder: it was written to.
            scorers: makes the scorer of a name, if one is needed.

        Raises:
            RunError: it is damaged, or a newer version wrote it.
        """
        facts: dict[str, Any] = runs.read_json(folder / FILE)
        if facts.get("format") != FORMAT:
            raise RunError(
                f"{folder / FILE} is of format {facts.get('format')}, this version reads {FORMAT}",
                "Update emrobust, or train the model again.",
            )
        name = facts.get("scorer")
        return cls(facts["steps"], folder, scorers(name) if scorers and name else None)

    def _rewrite(self, text: str) -> str:
        for edits in self._edit(text):
            text = apply(text, edits)
        return text

    def _edit(self, text: str) -> Iterator[list[Edit]]:
        """The edits of each step that has any, each for the text as the one before left it."""
        steps = self.steps
        for _ in range(_ROUNDS):
            back_to: list[int] = []
            chinese = _HAN.search(text) is not None
            for step in steps:
                if edits := step.edits(text):
                    yield edits
                    text = apply(text, edits)
                    if step.back_to is not None:
                        back_to.append(step.back_to)
            # 体温 makes a Chinese text of T38.5, whose marks are then Chinese too.
            if not chinese and _HAN.search(text):
                back_to.append(0)
            if not back_to:
                return
            steps = tuple(step for step in self.steps if step.order >= min(back_to))


def names_for(language: str, wanted: Mapping[str, bool]) -> tuple[str, ...]:
    """Names of the steps that are wanted and are for texts of this language."""
    return tuple(
        name
        for name, on in wanted.items()
        if on and language in registry.get(KIND, name).languages  # type: ignore[attr-defined]
    )


def _make(name: str, tables: Path | None, scorer: Scorer | None) -> Step:
    component = registry.get(KIND, name)
    step: Step = component(tables, scorer) if component is Typos else component(tables)
    return step
