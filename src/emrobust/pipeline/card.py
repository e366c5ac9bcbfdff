"""From a run folder to its model card."""

from __future__ import annotations

from pathlib import Path

from emrobust.evaluate import run as evaluation
from emrobust.report import card
from emrobust.train import run as training


def write_card(
    folder: Path, out: Path, answers: Path | None = None, language: str = ""
) -> card.Card:
    """Write a run's model card.

    Args:
        folder: the run.
        out: folder to write.
        answers: TOML with what a person has stated, as ``card_open.toml`` asks for it.
        language: of the card; empty: the project's.

    Raises:
        ConfigError: the answers cannot be read or name no item.
        RunError: no finished run.
    """
    stated = card.read_answers(answers) if answers is not None else {}
    run = training.load(folder)
    words = language or run.project.language
    made = card.fill(run, evaluation.evaluate(run), stated, words)
    card.write_card(out, made, words)
    return made
