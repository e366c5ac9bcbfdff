"""Figures about the whole: precision and recall, reliability, learning, text lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emrobust.evaluate.curves import PrecisionRecall, Reliability
from emrobust.report import plot
from emrobust.report.context import LengthHistogram
from emrobust.report.plot import Panel, Shape
from emrobust.report.words import Words

_LABEL_COLOURS = (plot.GREEN, plot.PURPLE, plot.AMBER)
# A bin with fewer decisions is drawn hollow: its share is mostly luck.
_SURE_BIN = 50


def precision_recall(curves: PrecisionRecall, words: Words) -> str:
    """Precision against recall: micro, macro and a few labels."""
    panel = Panel(plot.linear(words("recall"), 0, 1), plot.linear(words("precision"), 0, 1), top=56)
    series = [
        (words("macro_average"), plot.BLUE, curves.macro, "", 2.6),
        (words("micro_average"), plot.VERMILION, curves.micro, "", 2.6),
    ]
    series += [
        (name, colour, curve, "5 3", 1.6)
        for (name, curve), colour in zip(curves.labels.items(), _LABEL_COLOURS, strict=False)
    ]
    parts = [plot.frame(panel)]
    parts += [
        plot.line(panel, curves.recall, ys, colour, dash=dash, width=width, tip=name)
        for name, colour, ys, dash, width in reversed(series)
    ]
    shapes: list[tuple[str, str, Shape, bool]] = [
        (plot.clip(name, 96), colour, "dash" if dash else "line", False)
        for name, colour, _, dash, _ in series
    ]
    parts.append(plot.legend(shapes[:2], panel.left))
    parts.append(plot.legend(shapes[2:], panel.left, y=38))
    return plot.svg(
        parts,
        title=words("figure_pr"),
        description=words("describe_pr"),
        height=panel.top + panel.height + 44,
    )


def reliability(curve: Reliability, words: Words) -> str:
    """Share true against probability, with the number of decisions of each bin below."""
    panel = Panel(
        plot.linear("", 0, 1, percent=True),
        plot.linear(words("axis_true"), 0, 1, percent=True),
        height=220,
    )
    most = max(*curve.decisions, 10)
    below = Panel(
        plot.linear(words("axis_probability"), 0, 1, percent=True),
        plot.Axis(
            words("axis_decisions_log"),
            0.8,
            most * 1.5,
            tuple((10.0**p, plot.short(10.0**p)) for p in range(0, 9, 2) if 10**p <= most),
            log=True,
        ),
        top=panel.top + panel.height + 34,
        height=74,
    )
    bins = len(curve.decisions)
    known = [b for b in range(bins) if curve.decisions[b]]
    parts = [plot.frame(panel), plot.frame(below)]
    parts.append(plot.line(panel, (0, 1), (0, 1), plot.GREY, dash="4 4", width=1.4))
    parts.append(
        plot.line(
            panel, [curve.confidence[b] for b in known], [curve.true[b] for b in known], plot.BLUE
        )
    )
    for b in known:
        tip = words(
            "tip_bin",
            low=f"{b / bins:.0%}",
            high=f"{(b + 1) / bins:.0%}",
            n=f"{curve.decisions[b]:,}",
            said=f"{curve.confidence[b]:.1%}",
            true=f"{curve.true[b]:.1%}",
        )
        x, y = panel.at(curve.confidence[b], curve.true[b])
        parts.append(plot.dot(x, y, plot.BLUE, tip=tip, hollow=curve.decisions[b] < _SURE_BIN))
        parts.append(
            plot.bar(below, b / bins, (b + 1) / bins, curve.decisions[b], "#7f9db9", tip=tip)
        )
    parts.append(
        plot.legend(
            [
                (words("this_model"), plot.BLUE, "circle", False),
                (words("few_decisions", n=_SURE_BIN), plot.BLUE, "circle", True),
            ],
            panel.left,
        )
    )
    return plot.svg(
        parts,
        title=words("figure_reliability"),
        description=words("describe_reliability"),
        height=below.top + below.height + 44,
    )


Points = list[tuple[float, float]]


def learning(history: Sequence[Mapping[str, float | None]], words: Words) -> list[str]:
    """Training loss and validation macro-F1 by epoch, a plot each.

    The best epoch is marked; under cross-validation each fold has a line of its own.
    """
    plots = []
    for key, colour in (("loss", plot.VERMILION), ("macro_f1", plot.BLUE)):
        folds = _by_fold(history, key)
        if max((len(points) for points in folds), default=0) > 1:
            plots.append(_learning(key, colour, folds, words))
    return plots


def _by_fold(history: Sequence[Mapping[str, float | None]], key: str) -> list[Points]:
    """The known (epoch, value) points of each fold, or of the only run."""
    folds: dict[float | None, Points] = {}
    for row in history:
        epoch, value = row.get("epoch"), row.get(key)
        if epoch is not None and value is not None:
            folds.setdefault(row.get("fold"), []).append((epoch, value))
    return list(folds.values())


def _learning(key: str, colour: str, folds: Sequence[Points], words: Words) -> str:
    panel = _learning_panel(key, [point for points in folds for point in points], words)
    alone = len(folds) == 1
    best = max(folds[0], key=lambda point: point[1]) if alone and key == "macro_f1" else None
    parts = [plot.frame(panel)]
    for points in folds:
        epochs, values = zip(*points, strict=True)
        parts.append(plot.line(panel, epochs, values, colour, width=2 if alone else 1.2))
        for epoch, value in points:
            tip = words("tip_epoch", epoch=f"{epoch:g}", value=f"{value:.4f}")
            radius = 5.5 if (epoch, value) == best else 3 if alone else 1.8
            parts.append(plot.dot(*panel.at(epoch, value), colour, tip=tip, radius=radius))
    if best:
        parts.append(_best(panel, best, words))
    return plot.svg(
        parts,
        title=words(f"figure_{key}"),
        description=words(f"describe_{key}"),
        height=panel.top + panel.height + 44,
    )


def _learning_panel(key: str, points: Points, words: Words) -> Panel:
    epochs = sorted({epoch for epoch, _ in points})
    low, high = min(value for _, value in points), max(value for _, value in points)
    room = (high - low) * 0.1 or 0.05
    shown = epochs[:: max(1, round(len(epochs) / 10))]
    ticks = tuple((epoch, f"{epoch:g}") for epoch in shown)
    return Panel(
        plot.Axis(words("axis_epoch"), epochs[0], epochs[-1], ticks),
        plot.linear(words(f"axis_{key}"), max(0.0, low - room), high + room),
        height=170,
        top=20,
    )


def _best(panel: Panel, best: tuple[float, float], words: Words) -> str:
    x, y = panel.at(*best)
    late = x > panel.left + panel.width / 2
    return plot.text(
        x + (-8 if late else 8),
        y + 22,
        words("best_epoch", value=f"{best[1]:.3f}"),
        anchor="end" if late else "start",
        colour=plot.INK,
    )


def lengths(histogram: LengthHistogram, words: Words) -> str:
    """Share of texts by length, a stepped line a split."""
    shares = {
        split: [n / max(sum(counts), 1) for n in counts]
        for split, counts in histogram.counts.items()
    }
    top = max((share for of_split in shares.values() for share in of_split), default=1.0)
    panel = Panel(
        plot.linear(words("axis_length"), 0, histogram.edges[-1]),
        plot.linear(words("axis_share"), 0, top * 1.1, percent=True),
        height=220,
    )
    parts = [plot.frame(panel)]
    items: list[tuple[str, str, Shape, bool]] = []
    for split, of_split in shares.items():
        colour = plot.SPLIT_MARKS.get(split, (plot.GREY, "line"))[0]
        xs = [edge for edge in histogram.edges for _ in range(2)]
        ys = [0.0, *(share for share in of_split for _ in range(2)), 0.0]
        median = f"{histogram.medians[split]:,.0f}"
        dash = "" if split == "train" else "5 3"
        tip = words("tip_length", split=words.known(split), median=median)
        parts.append(plot.line(panel, xs, ys, colour, width=1.8, dash=dash, tip=tip))
        name = words("legend_length", split=words.known(split), median=median)
        items.append((name, colour, "dash" if dash else "line", False))
    parts.append(plot.legend(items, panel.left))
    return plot.svg(
        parts,
        title=words("figure_lengths"),
        description=words("describe_lengths"),
        height=panel.top + panel.height + 44,
    )
