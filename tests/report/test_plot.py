from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust.report import count_lengths, plot


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_linear_ticks_are_round_few_and_inside(low, width):
    axis = plot.linear("x", low, low + width)
    values = [value for value, _ in axis.ticks]
    assert 2 <= len(values) <= 8
    slack = 1e-6 * max(width, abs(low))
    assert all(axis.low - slack <= value <= axis.high + slack for value in values)


@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_logarithmic_axis_holds_its_data(a, b):
    low, high = sorted((a, b))
    axis = plot.logarithmic("n", low, high)
    assert axis.low <= low <= high <= axis.high
    assert 0 <= axis.share(low) <= axis.share(high) <= 1
    assert len(axis.ticks) >= 2


def test_percent_ticks_have_the_digits_that_they_need():
    assert [label for _, label in plot.linear("", 0, 1, percent=True).ticks][1] == "20%"
    assert [label for _, label in plot.linear("", 0, 0.11, percent=True).ticks][1] == "2.5%"
    assert [label for _, label in plot.linear("", 0, 1).ticks] == [
        "0.0", "0.2", "0.4", "0.6", "0.8", "1.0",
    ]  # fmt: skip


def test_points_outside_the_axes_are_drawn_at_the_edge():
    panel = plot.Panel(plot.logarithmic("", 1, 1000), plot.linear("", 0, 1))
    left, top = panel.at(0, 2)
    assert (left, top) == (panel.left, panel.top)
    assert panel.at(10, 0.5)[1] == pytest.approx(panel.top + panel.height / 2)


def test_text_is_escaped_everywhere():
    nasty = '<&">'
    panel = plot.Panel(plot.linear(nasty, 0, 1), plot.linear(nasty, 0, 1))
    parts = [
        plot.frame(panel),
        plot.text(0, 0, nasty, tip=nasty),
        plot.line(panel, [0, 1], [0, 1], plot.BLUE, tip=nasty),
        plot.dot(1, 1, plot.BLUE, tip=nasty, shape="diamond"),
        plot.bar(panel, 0, 1, 0.5, plot.BLUE, tip=nasty),
        plot.legend([(nasty, plot.BLUE, "dash", False)], 0),
    ]
    whole = ET.fromstring(plot.svg(parts, title=nasty, description=nasty, height=9))  # noqa: S314 (our own output)
    assert whole.get("aria-label") == nasty
    assert whole.get("role") == "img"
    assert [node.text for node in whole.iter("title")].count(nasty) == 5
    assert whole.find("desc").text == nasty


def test_long_names_are_shortened_to_their_room():
    assert plot.clip("高血压", 100) == "高血压"
    shortened = plot.clip("冠状动脉粥样硬化性心脏病", 80)
    assert shortened.endswith("…")
    assert plot.extent(shortened) <= 80


def test_lengths_are_counted_with_the_longest_in_the_last_bin():
    histogram = count_lengths({"train": [*range(1, 101), 5000], "test": [3, 3], "validation": []})
    assert sum(histogram.counts["train"]) == 101
    assert histogram.counts["train"][-1] >= 1
    assert histogram.edges[-1] < 5000
    assert histogram.medians == {"train": 51.0, "test": 3.0}
    assert "validation" not in histogram.counts
