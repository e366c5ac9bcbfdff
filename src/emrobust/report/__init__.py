"""One HTML file that shows how good a model is, and how far to trust it."""

from emrobust.report import deid_page, review_page
from emrobust.report.context import LengthHistogram, OtherModel, ReportContext, count_lengths
from emrobust.report.page import render, write_report

__all__ = [
    "LengthHistogram",
    "OtherModel",
    "ReportContext",
    "count_lengths",
    "deid_page",
    "render",
    "review_page",
    "write_report",
]
