"""Presidio's analyzer as a second engine, where presidio-analyzer is installed.

It lists no Chinese identifiers of its own; it helps with English notes and as a second opinion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from emrobust.deid.detector import Detector, Row
from emrobust.deid.model_engine import kinds_of
from emrobust.deid.spans import Span
from emrobust.errors import ModelError
from emrobust.placeholders import PLACEHOLDERS
from emrobust.registry import register


class Found(Protocol):
    """What an analyzer returns: Presidio's ``RecognizerResult``."""

    entity_type: str
    start: int
    end: int
    score: float


class Analyzer(Protocol):
    """Presidio's ``AnalyzerEngine``."""

    def analyze(self, text: str, language: str) -> Sequence[Found]:
        """Entities of a text."""


@register("detector")
class PresidioEngine(Detector):
    """Spans of a Presidio analyzer.

    Args:
        language: of the texts, as Presidio names it.
        analyzer: one that is set up already; without it Presidio's own default.
        labels: entity types → kinds; more than ``engines.csv`` knows.
        lowest: spans of a lower score are left out.

    Raises:
        ModelError: presidio-analyzer is not installed.
    """

    kinds: ClassVar[tuple[str, ...]] = tuple(PLACEHOLDERS)
    source: ClassVar[str] = "Microsoft Presidio; labels of engines.csv"
    default: ClassVar[bool] = False

    def __init__(
        self,
        *,
        language: str = "en",
        analyzer: Any = None,
        labels: Mapping[str, str] | None = None,
        lowest: float = 0.4,
    ) -> None:
        self._kinds = kinds_of(labels)
        self._language = language
        self._lowest = lowest
        self._analyzer: Analyzer = _default_analyzer() if analyzer is None else analyzer

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        return [
            self.span(found.start, found.end, found.score, f"Presidio's {found.entity_type}", kind)
            for found in self._analyzer.analyze(text=text, language=self._language)
            if (kind := self._kinds.get(found.entity_type)) and found.score >= self._lowest
        ]


def _default_analyzer() -> Analyzer:
    try:
        from presidio_analyzer import AnalyzerEngine  # noqa: PLC0415 - not a dependency
    except ImportError:
        raise ModelError(
            "the Presidio engine needs presidio-analyzer, which is not installed",
            "Run `pip install presidio-analyzer`, or leave the engine out.",
        ) from None
    analyzer: Analyzer = AnalyzerEngine()
    return analyzer
