"""Imaging, laboratory and pathology numbers (CT号, 病理号, 条码号, accession number)."""

from __future__ import annotations

from typing import ClassVar

from emrobust.deid.labelled import Labelled
from emrobust.registry import register


@register("detector")
class ExamNumber(Labelled):
    """A number behind CT号 and the like."""

    kinds: ClassVar[tuple[str, ...]] = ("exam_no",)
    source: ClassVar[str] = "labels.csv; field names of hospital information systems"
