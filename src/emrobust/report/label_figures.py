"""Figures about each label: the long tail, F1 against support, intervals in the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emrobust.evaluate import Evaluation, LabelScore
from emrobust.records import SPLITS
from emrobust.report import plot
from emrobust.report.plot import Panel, Shape
from emrobust.report.words import Words

_ROW = 18
# Beyond this many labels the long tail shows its two ends only.
_TAIL_ROWS = 80


def by_split(
    counts: Mapping[str, Mapping[str, int]], words: Words
) -> tuple[list[tuple[str, dict[str, int]]], dict[str, tuple[str, str, Shape]]]:
    """Labels from commonest to rarest with counts by split, and how each split is shown.

    Folds of a cross-validation are added up.
    """
    found = {split for of_label in counts.values() for split in of_label}
    if found <= set(SPLITS):
        shown = {s: (words(s), *plot.SPLIT_MARKS[s]) for s in SPLITS if s in found}
        rows = [(name, dict(of_label)) for name, of_label in counts.items()]
    else:
        shown = {"all": (words("all_records"), plot.BLUE, "circle")}
        rows = [(name, {"all": sum(of_label.values())}) for name, of_label in counts.items()]
    first = next(iter(shown), "all")
    return sorted(rows, key=lambda row: -row[1].get(first, 0)), shown


def long_tail(counts: Mapping[str, Mapping[str, int]], words: Words) -> tuple[list[str], int]:
    """Records of each label on a log scale, in two columns.

    Returns:
        the columns' plots, and how many labels in the middle are not shown.
    """
    rows, shown = by_split(counts, words)
    left_out = max(0, len(rows) - _TAIL_ROWS)
    if left_out:
        rows = rows[: _TAIL_ROWS // 2] + rows[-(_TAIL_ROWS // 2) :]
    most = max((n for _, of_label in rows for n in of_label.values()), default=1)
    axis = plot.logarithmic(words("axis_records_log"), 1, most)
    half = -(-len(rows) // 2) if len(rows) > 12 else len(rows)
    columns = [part for part in (rows[:half], rows[half:]) if part]
    return [_tail_column(part, shown, axis, half, words) for part in columns], left_out


def _tail_column(
    rows: Sequence[tuple[str, dict[str, int]]],
    shown: Mapping[str, tuple[str, str, Shape]],
    axis: plot.Axis,
    room: int,
    words: Words,
) -> str:
    left = 168
    panel = Panel(
        axis,
        plot.Axis("", 0, room, ()),
        left=left,
        width=plot.WIDTH - left - 18,
        height=room * _ROW,
    )
    items = [(*mark, split == "validation") for split, mark in shown.items()]
    parts = [plot.frame(panel, upright=False), plot.legend(items, left)]
    for place, (name, of_label) in enumerate(rows):
        y = panel.top + (place + 0.5) * _ROW
        parts.append(
            plot.text(
                left - 8, y + 4, plot.clip(name, left - 14), anchor="end", tip=name, colour=plot.INK
            )
        )
        known = {s: n for s, n in of_label.items() if n > 0 and s in shown}
        if known:
            xs = [panel.at(n, 0)[0] for n in known.values()]
            parts.append(plot.rule(min(xs), y, max(xs), y, "#b8c4ce", width=1.5))
        # Validation and test are often as large: the diamond lies inside the square.
        for split, (title, colour, shape) in shown.items():
            n = of_label.get(split, 0)
            x = panel.at(max(n, 1), 0)[0]
            tip = words("tip_records", label=name, split=title, n=f"{n:,}")
            if n:
                outer = split == "validation"
                radius = 4.4 if outer else 3.2
                parts.append(
                    plot.dot(x, y, colour, tip=tip, shape=shape, hollow=outer, radius=radius)
                )
            else:
                place_of_zero = left + 8 + 10 * list(shown).index(split)
                parts.append(plot.text(place_of_zero, y + 4, "0", colour=colour, size=11, tip=tip))
    return plot.svg(
        parts,
        title=words("figure_long_tail"),
        description=words("describe_long_tail", n=len(rows)),
        height=panel.top + panel.height + 44,
    )


def f1_by_support(evaluation: Evaluation, words: Words) -> str:
    """Each label's F1 against its number of cases, with the ceiling's F1 above it."""
    labels = [label for label in evaluation.per_label if label.support > 0]
    best = (
        {label.name: label for label in evaluation.ceiling.per_label} if evaluation.ceiling else {}
    )
    panel = Panel(
        plot.logarithmic(
            words("axis_support_log"),
            min((label.support for label in labels), default=1),
            max((label.support for label in labels), default=1),
        ),
        plot.linear("F1", 0, 1),
        height=290,
    )
    items: list[tuple[str, str, Shape, bool]] = [(words("this_model"), plot.BLUE, "circle", False)]
    marks, gaps = [], []
    for label in labels:
        x, y = panel.at(label.support, label.f1)
        tip = words("tip_f1", label=label.name, n=f"{label.support:,}", f1=f"{label.f1:.3f}")
        if label.name in best:
            top = best[label.name].f1
            above = panel.at(label.support, top)[1]
            gaps.append(plot.rule(x, y, x, above, "#c3ccd4"))
            gaps.append(
                plot.dot(
                    x,
                    above,
                    plot.GREY,
                    shape="diamond",
                    hollow=True,
                    radius=3.2,
                    tip=words(
                        "tip_f1",
                        label=words("ceiling_of", label=label.name),
                        n=f"{label.support:,}",
                        f1=f"{top:.3f}",
                    ),
                )
            )
        marks.append(plot.dot(x, y, plot.BLUE, tip=tip, radius=4))
    if best:
        items.append((words("ceiling"), plot.GREY, "diamond", True))
    return plot.svg(
        [plot.frame(panel), plot.legend(items, panel.left), *gaps, *marks, *_names(panel, labels)],
        title=words("figure_f1_support"),
        description=words("describe_f1_support", n=len(labels)),
        height=panel.top + panel.height + 44,
    )


def _names(panel: Panel, labels: Sequence[LabelScore], most: int = 6) -> list[str]:
    """Names beside the weakest labels, where they hide no mark and no other name."""
    points = [panel.at(label.support, label.f1) for label in labels]
    taken: list[tuple[float, float, float, float]] = []
    parts: list[str] = []
    for label in sorted(labels, key=lambda of: of.f1):
        x, y = panel.at(label.support, label.f1)
        wide = plot.extent(label.name, 11)
        for start in (x + 8, x - 8 - wide):
            box = (start, y - 7, start + wide, y + 7)
            inside = panel.left < box[0] and box[2] < panel.left + panel.width
            free = not any(_overlap(box, other) for other in taken)
            clear = not any(_overlap(box, (px - 4, py - 4, px + 4, py + 4)) for px, py in points)
            if inside and free and clear:
                taken.append(box)
                parts.append(plot.text(start, y + 4, label.name, size=11, colour=plot.INK))
                break
        if len(parts) == most:
            break
    return parts


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def spread(label: LabelScore, best: float | None, words: Words) -> str:
    """A label's F1 with its interval on a line from 0 to 1, for a cell of the table."""
    width, height = 132.0, 16.0

    def place(value: float) -> float:
        return 4 + value * (width - 8)

    parts = [plot.rule(4, height / 2, width - 4, height / 2, plot.GRID, width=1)]
    if label.f1_interval:
        low, high = label.f1_interval
        parts.append(plot.rule(place(low), height / 2, place(high), height / 2, "#8fbbdc", width=5))
    if best is not None:
        parts.append(
            plot.dot(place(best), height / 2, plot.GREY, shape="diamond", hollow=True, radius=3)
        )
    parts.append(plot.dot(place(label.f1), height / 2, plot.BLUE, radius=3.6))
    return plot.svg(
        parts,
        title=words("figure_spread", label=label.name),
        description="",
        width=width,
        height=height,
    )
