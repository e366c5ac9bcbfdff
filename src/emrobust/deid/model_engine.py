"""A token-classification checkpoint as a second engine: any that transformers can read.

It runs only where it is asked for: its recall is its own, and it costs a thousand times a rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from emrobust.deid.detector import Detector, Row
from emrobust.deid.spans import Span
from emrobust.deid.tables import read_csv
from emrobust.errors import ModelError
from emrobust.placeholders import PLACEHOLDERS
from emrobust.registry import register

_MAX_TOKENS = 512


@register("detector")
class ModelEngine(Detector):
    """Spans of a token classifier.

    Args:
        checkpoint: a folder with ``config.json``, safetensors and a fast tokenizer.
        labels: the checkpoint's labels (without B-/I-) → kinds; more than ``engines.csv`` knows.
        lowest: spans of a lower score are left out.

    Raises:
        ModelError: the folder holds no usable checkpoint, or no label of it is known.
    """

    kinds: ClassVar[tuple[str, ...]] = tuple(PLACEHOLDERS)
    source: ClassVar[str] = "the user's checkpoint; labels of engines.csv"
    default: ClassVar[bool] = False

    def __init__(
        self, *, checkpoint: Path, labels: Mapping[str, str] | None = None, lowest: float = 0.5
    ) -> None:
        self._kinds = kinds_of(labels)
        self._lowest = lowest
        self._pipeline = _load(Path(checkpoint))
        known = {label.split("-", 1)[-1].upper() for label in self._pipeline.model.config.label2id}
        if known.isdisjoint(self._kinds):
            raise ModelError(
                f"no label of {Path(checkpoint).name} is known: {', '.join(sorted(known)[:8])}",
                "Say what they mean with `labels`, e.g. labels = {PER = 'person_name'}.",
            )

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        if not text.strip():
            return []
        return [
            self.span(
                int(entity["start"]),
                int(entity["end"]),
                float(entity["score"]),
                f"the model's label {entity['entity_group']}",
                kind,
            )
            for entity in self._pipeline(text)
            if (kind := self._kinds.get(str(entity["entity_group"]).upper()))
            and entity["score"] >= self._lowest
            and entity["start"] < entity["end"]
        ]


def kinds_of(labels: Mapping[str, str] | None) -> dict[str, str]:
    """An engine's labels in capitals → kinds: those of ``engines.csv`` and the user's.

    Raises:
        ModelError: a kind that there is not.
    """
    kinds = {row["label"]: row["kind"] for row in read_csv("engines.csv")}
    kinds |= {label.upper(): kind for label, kind in (labels or {}).items()}
    for kind in kinds.values():
        if kind not in PLACEHOLDERS:
            raise ModelError(f"{kind!r} is no kind", f"Known are: {', '.join(PLACEHOLDERS)}.")
    return kinds


def _load(folder: Path) -> Any:
    """The checkpoint's pipeline; torch is imported here, so that rules run without it."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline  # noqa: PLC0415 - slow

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True)
        model = AutoModelForTokenClassification.from_pretrained(
            folder, local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError, KeyError):
        raise ModelError(
            f"{folder} holds no token-classification checkpoint",
            "Give a folder with config.json, model.safetensors and tokenizer.json.",
        ) from None
    room = getattr(model.config, "max_position_embeddings", _MAX_TOKENS)
    tokenizer.model_max_length = min(tokenizer.model_max_length, room)
    # Long notes are read in pieces that overlap by a quarter.
    return pipeline(
        "token-classification",
        model=model,
        tokenizer=tokenizer,
        aggregation_strategy="simple",
        stride=tokenizer.model_max_length // 4,
    )
