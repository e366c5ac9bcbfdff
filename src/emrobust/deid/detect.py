"""All detectors over one text.

Detectors are built once a process by `load`; they hold nothing but compiled patterns and
tables, so processes that fork or spawn each use their own.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence

from emrobust import registry
from emrobust.deid.detector import Detector, Row, fold
from emrobust.deid.known import Known
from emrobust.deid.prefilter import Prefilter, fold_all
from emrobust.deid.spans import Span, resolve


def load(names: Iterable[str] | None = None) -> tuple[Detector, ...]:
    """Detectors by name, or all that run by default; built once a process.

    Raises:
        ConfigError: no such detector; suggests the nearest.
    """
    return _load(
        tuple(registry.names("detector")) if names is None else tuple(names), names is None
    )


@functools.lru_cache(maxsize=8)
def _load(names: tuple[str, ...], only_default: bool) -> tuple[Detector, ...]:
    kinds: list[type[Detector]] = [registry.get("detector", name) for name in names]
    return tuple(kind() for kind in kinds if kind.default or not only_default)


def detect(text: str, detectors: Sequence[Detector], row: Row | None = None) -> list[Span]:
    """Identifiers of one text, not overlapping, in order.

    Args:
        text: the original; offsets are into it.
        detectors: from `load`.
        row: values of other columns of the same row, by kind.
    """
    folded = fold(text)
    found = [span for detector in detectors for span in detector.find(folded, row)]
    return resolve(found, text)


def detect_all(
    texts: Sequence[str], detectors: Sequence[Detector], told: Mapping[int, Row] | None = None
) -> dict[int, list[Span]]:
    """What `detect` finds in each of many texts, in a fraction of the time.

    Args:
        texts: the originals; some thousands at once are best.
        detectors: from `load`.
        told: number of a text → values of other columns of its row that may stand in it.

    Returns:
        number of a text → its spans, in order; texts without any are left out.
    """
    told = told or {}
    folded, array = fold_all(texts)
    prefilter = _prefilter(tuple(detectors))
    found: dict[int, list[Span]] = {}
    for detector in detectors:
        places = told if isinstance(detector, Known) else prefilter.choose(detector, array)
        for place in places:
            if spans := detector.find(folded[place], told.get(place)):
                found.setdefault(place, []).extend(spans)
    resolved = ((place, resolve(found[place], texts[place])) for place in sorted(found))
    return {place: spans for place, spans in resolved if spans}


@functools.lru_cache(maxsize=8)
def _prefilter(detectors: tuple[Detector, ...]) -> Prefilter:
    return Prefilter(detectors)
