"""Outpatient, inpatient and record numbers (住院号, 门诊号, 病案号, MRN)."""

from __future__ import annotations

from typing import ClassVar

from emrobust.deid.labelled import Labelled
from emrobust.registry import register


@register("detector")
class VisitNumber(Labelled):
    """A number behind 住院号 and the like."""

    kinds: ClassVar[tuple[str, ...]] = ("visit_no",)
    source: ClassVar[str] = "labels.csv; field names of hospital information systems"
