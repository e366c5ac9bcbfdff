"""Plots as SVG text: axes and marks, small pure functions, no library.

Styles are presentation attributes, so a plot stands alone and needs no inline style (which
the page's content security policy forbids). Text is text: it can be selected, and the
reader's own fonts show Chinese. Colours are those of Okabe and Ito, told apart by readers
with any colour vision; marks differ in shape too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

WIDTH = 460
INK, SOFT, GRID = "#1f2933", "#52606d", "#e3e8ed"
BLUE, VERMILION, GREEN, PURPLE, AMBER, GREY = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#b0578d",
    "#c98500",
    "#7b8794",
)

Shape = Literal["circle", "diamond", "square", "line", "dash"]


# How each split is told apart wherever it is drawn.
SPLIT_MARKS: dict[str, tuple[str, Shape]] = {
    "train": (BLUE, "circle"),
    "validation": (GREEN, "square"),
    "test": (VERMILION, "diamond"),
}


@dataclass(frozen=True)
class Axis:
    """A scale with its ticks; a logarithmic one needs positive bounds."""

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies between low (0) and high (1), clipped to them."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(at)
        return (at - low) / (high - low)


@dataclass(frozen=True)
class Panel:
    """Two axes and the rectangle that they span, in pixels."""

    x: Axis
    y: Axis
    left: float = 58
    top: float = 34
    width: float = WIDTH - 58 - 22
    height: float = 250

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a point."""
        return (
            self.left + self.x.share(x) * self.width,
            self.top + (1 - self.y.share(y)) * self.height,
        )


def linear(title: str, low: float, high: float, *, percent: bool = False) -> Axis:
    """A linear axis with four to eight round ticks."""
    if high <= low:
        high = low + 1
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    shown = step * 100 if percent else step
    digits = max(0, -math.floor(math.log10(shown) + 1e-9))
    digits += round(step / power, 6) == 2.5 and shown < 10
    values = [number * step for number in range(first, last + 1)]
    ticks = [(v, f"{v:.{digits}%}" if percent else f"{v:,.{digits}f}") for v in values]
    return Axis(title, low, high, tuple(ticks))


def logarithmic(title: str, low: float, high: float) -> Axis:
    """A logarithmic axis from 1 (or a lower power of ten) with ticks at powers of ten."""
    first = math.floor(math.log10(max(low, 1e-9)))
    last = max(math.log10(max(high, 1.0)) * 1.02, first + 1)
    steps = (1, 3) if last - first < 3 else (1,)
    values = [m * 10.0**p for p in range(first, math.ceil(last) + 1) for m in steps]
    ticks = tuple((v, short(v)) for v in values if math.log10(v) <= last + 1e-9)
    return Axis(title, 10.0**first, 10.0**last, ticks, log=True)


def short(value: float) -> str:
    """A count in few characters: 300, 3k, 2M."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def text(
    x: float,
    y: float,
    content: str,
    *,
    anchor: Literal["start", "middle", "end"] = "start",
    size: float = 12,
    colour: str = SOFT,
    turn: float = 0,
    tip: str = "",
) -> str:
    """A line of text; ``turn`` in degrees about its own point."""
    turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}" '
        f'fill="{colour}"{turned}>{title}{escape(content)}</text>'
    )


def line(
    panel: Panel,
    xs: Sequence[float],
    ys: Sequence[float],
    colour: str,
    *,
    dash: str = "",
    width: float = 2,
    tip: str = "",
) -> str:
    """A line through points."""
    points = " ".join("{:.1f},{:.1f}".format(*panel.at(x, y)) for x, y in zip(xs, ys, strict=True))
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width:g}" '
        f'stroke-linejoin="round"{dashed}>{title}</polyline>'
    )


def dot(
    x: float,
    y: float,
    colour: str,
    *,
    tip: str = "",
    shape: Shape = "circle",
    hollow: bool = False,
    radius: float = 4,
) -> str:
    """A mark at pixels."""
    paint = (
        f'fill="#fff" stroke="{colour}" stroke-width="1.6"'
        if hollow
        else f'fill="{colour}" fill-opacity="0.85"'
    )
    title = f"<title>{escape(tip)}</title>" if tip else ""
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" {paint}>{title}</circle>'
    side = radius * 1.7
    turned = f' transform="rotate(45 {x:.1f} {y:.1f})"' if shape == "diamond" else ""
    return (
        f'<rect x="{x - side / 2:.1f}" y="{y - side / 2:.1f}" width="{side:.1f}" '
        f'height="{side:.1f}" {paint}{turned}>{title}</rect>'
    )


def bar(panel: Panel, start: float, end: float, value: float, colour: str, *, tip: str = "") -> str:
    """A bar that stands on the lower axis from ``start`` to ``end``."""
    left, top = panel.at(start, value)
    right, bottom = panel.at(end, panel.y.low)
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return (
        f'<rect x="{left + 1:.1f}" y="{top:.1f}" width="{max(right - left - 2, 1):.1f}" '
        f'height="{max(bottom - top, 0):.1f}" fill="{colour}" fill-opacity="0.8">{title}</rect>'
    )


def rule(
    x1: float, y1: float, x2: float, y2: float, colour: str = GRID, *, width: float = 1
) -> str:
    """A straight line between pixels."""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{colour}" stroke-width="{width:g}"/>'
    )


def frame(panel: Panel, *, upright: bool = True) -> str:
    """Grid, ticks and titles of both axes; without ``upright`` the y ticks are left out."""
    right, bottom = panel.left + panel.width, panel.top + panel.height
    parts = []
    for value, label in panel.x.ticks:
        x = panel.at(value, panel.y.low)[0]
        parts.append(rule(x, panel.top, x, bottom))
        parts.append(text(x, bottom + 16, label, anchor="middle"))
    for value, label in panel.y.ticks if upright else ():
        y = panel.at(panel.x.low, value)[1]
        parts.append(rule(panel.left, y, right, y))
        parts.append(text(panel.left - 7, y + 4, label, anchor="end"))
    parts.append(rule(panel.left, bottom, right, bottom, SOFT))
    if panel.x.title:
        middle = panel.left + panel.width / 2
        parts.append(text(middle, bottom + 34, panel.x.title, anchor="middle", colour=INK))
    if panel.y.title and upright:
        y = panel.top + panel.height / 2
        parts.append(text(13, y, panel.y.title, anchor="middle", colour=INK, turn=-90))
    return "".join(parts)


def extent(content: str, size: float = 12) -> float:
    """Width of a text in pixels, roughly: Chinese characters are square."""
    return sum(size if ord(character) > 0x2E80 else size * 0.56 for character in content)


def clip(name: str, width: float, size: float = 12) -> str:
    """The name, shortened with an ellipsis to fit."""
    if extent(name, size) <= width:
        return name
    kept = name
    while kept and extent(kept, size) + size > width:
        kept = kept[:-1]
    return kept + "…"


def legend(items: Sequence[tuple[str, str, Shape, bool]], x: float, y: float = 16) -> str:
    """Marks with their names in a row: (name, colour, shape, hollow)."""
    parts = []
    for name, colour, shape, hollow in items:
        parts.append(_sample(x, y - 4, colour, shape, hollow=hollow))
        parts.append(text(x + 18, y, name, colour=INK))
        x += 18 + extent(name) + 16
    return "".join(parts)


def _sample(x: float, y: float, colour: str, shape: Shape, *, hollow: bool) -> str:
    """A mark or a piece of line, 16 pixels wide."""
    if shape == "line":
        return rule(x - 3, y, x + 13, y, colour, width=2.6)
    if shape == "dash":
        pieces = ((x - 3, x + 3), (x + 7, x + 13))
        return "".join(rule(a, y, b, y, colour, width=2) for a, b in pieces)
    return dot(x + 6, y, colour, shape=shape, hollow=hollow, radius=4.5)


def svg(
    parts: Sequence[str], *, title: str, description: str, height: float, width: float = WIDTH
) -> str:
    """The whole plot; it scales to its container."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{''.join(parts)}</svg>"
    )
