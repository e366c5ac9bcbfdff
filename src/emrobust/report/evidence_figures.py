"""Figures of the evidence: risk and coverage, noise by severity, gaps of groups."""

from __future__ import annotations

from collections.abc import Sequence

from emrobust.evaluate.calibration import RiskCoverage
from emrobust.evaluate.slices import Group
from emrobust.evaluate.suites import SuiteScore
from emrobust.report import plot
from emrobust.report.plot import Panel
from emrobust.report.words import Words

_ROW = 20
_SEVERITIES = 5


def risk_coverage(of: RiskCoverage, words: Words) -> str:
    """Share of records not entirely right, and micro-F1, by the share that the model takes."""
    panel = Panel(
        plot.linear(words("axis_coverage"), 0, 1, percent=True),
        plot.linear(words("axis_risk"), 0, 1, percent=True),
        height=220,
    )
    parts = [plot.frame(panel)]
    for values, colour, dash in ((of.micro_f1, plot.BLUE, ""), (of.risk, plot.VERMILION, "5 3")):
        parts.append(plot.line(panel, of.coverage, values, colour, dash=dash))
    parts.append(
        plot.legend(
            [
                (words("micro_f1"), plot.BLUE, "line", False),
                (words("risk"), plot.VERMILION, "dash", False),
            ],
            panel.left,
        )
    )
    return _svg(parts, panel, words, "risk")


def noise(suites: Sequence[SuiteScore], words: Words) -> str:
    """Macro-F1 and micro-F1 at severities 0 to 5; nothing where not all are there."""
    by_name = {suite.name: suite for suite in suites}
    found = [by_name.get(f"noise-{severity}") for severity in range(1, _SEVERITIES + 1)]
    known = [suite for suite in found if suite is not None]
    if len(known) < _SEVERITIES:
        return ""
    ticks = tuple((float(severity), str(severity)) for severity in range(_SEVERITIES + 1))
    series = {
        measure: [known[0].standard[measure], *(suite.suite[measure] for suite in known)]
        for measure in ("macro_f1", "micro_f1")
    }
    values = [value for of in series.values() for value in of]
    room = max(0.1, max(values) - min(values)) * 0.3
    panel = Panel(
        plot.Axis(words("axis_severity"), 0, _SEVERITIES, ticks),
        plot.linear(words("axis_f1"), max(0.0, min(values) - room), min(1.0, max(values) + room)),
        height=220,
    )
    parts = [plot.frame(panel)]
    for (measure, scores), colour in zip(series.items(), (plot.BLUE, plot.VERMILION), strict=True):
        xs = [float(severity) for severity in range(_SEVERITIES + 1)]
        parts.append(plot.line(panel, xs, scores, colour))
        shape: plot.Shape = "circle" if measure == "macro_f1" else "square"
        for x, score in zip(xs, scores, strict=True):
            tip = words("tip_noise", name=words(measure), value=f"{score:.3f}")
            parts.append(plot.dot(*panel.at(x, score), colour, tip=tip, shape=shape))
    parts.append(
        plot.legend(
            [
                (words("macro_f1"), plot.BLUE, "circle", False),
                (words("micro_f1"), plot.VERMILION, "square", False),
            ],
            panel.left,
        )
    )
    return _svg(parts, panel, words, "noise")


def gaps(groups: Sequence[Group], names: Sequence[str], words: Words) -> str:
    """Each group's gap to the other records, a row a group, with its interval."""
    left = 176
    bounds = [bound for group in groups for bound in (group.gap_interval or (group.gap,))]
    low, high = min([*bounds, -0.02]), max([*bounds, 0.02])
    panel = Panel(
        plot.linear(words("axis_gap"), low * 1.05, high * 1.05),
        plot.Axis("", 0, len(groups), ()),
        left=left,
        top=14,
        width=plot.WIDTH - left - 18,
        height=len(groups) * _ROW,
    )
    parts = [plot.frame(panel, upright=False)]
    zero = panel.at(0, 0)[0]
    parts.append(plot.rule(zero, panel.top, zero, panel.top + panel.height, plot.SOFT))
    for place, (group, name) in enumerate(zip(groups, names, strict=True)):
        y = panel.top + (place + 0.5) * _ROW
        sure = group.p is not None and group.p < 0.05
        colour = plot.VERMILION if sure and group.gap < 0 else plot.BLUE
        tip = words(
            "tip_group",
            name=name,
            n=f"{group.n:,}",
            score=f"{group.micro_f1:.3f}",
            gap=f"{group.gap:+.3f}",
        )
        shown = plot.clip(name, left - 14)
        parts.append(plot.text(left - 8, y + 4, shown, anchor="end", tip=name, colour=plot.INK))
        if group.gap_interval:
            ends = [panel.at(bound, 0)[0] for bound in group.gap_interval]
            parts.append(plot.rule(ends[0], y, ends[1], y, colour, width=2))
        x = panel.at(group.gap, 0)[0]
        parts.append(plot.dot(x, y, colour, tip=tip, hollow=not group.judged))
    return plot.svg(
        parts,
        title=words("figure_groups"),
        description=words("describe_groups", n=len(groups)),
        height=panel.top + panel.height + 44,
    )


def _svg(parts: Sequence[str], panel: Panel, words: Words, figure: str) -> str:
    return plot.svg(
        parts,
        title=words(f"figure_{figure}"),
        description=words(f"describe_{figure}"),
        height=panel.top + panel.height + 44,
    )
