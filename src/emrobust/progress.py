"""Progress of long work: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

Advance = Callable[[int], None]


@contextlib.contextmanager
def track(what: str, total: int | None = None, unit: str = "rows") -> Iterator[Advance]:
    """Yield a function that is told how much more is done.

    Shows speed and, where the total is known, the time left. Writes to standard error, so
    that standard output stays for results.
    """
    if sys.stderr.isatty():
        with _bar(what, total, unit) as advance:
            yield advance
    else:
        with _lines(what, total, unit) as advance:
            yield advance


def say(line: str) -> None:
    """Write a line of its own to standard error; a bar on a terminal stays below it."""
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _bar(what: str, total: int | None, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} " + unit),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    ]
    start = time.monotonic()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total, rate="")
        done = 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            rate = done / max(time.monotonic() - start, 1e-9)
            progress.update(task, completed=done, rate=f"{rate:,.0f} {unit}/s")

        yield advance


@contextlib.contextmanager
def _lines(what: str, total: int | None, unit: str, every: float = 10.0) -> Iterator[Advance]:
    start = last = time.monotonic()
    done = 0

    def advance(more: int) -> None:
        nonlocal done, last
        done += more
        now = time.monotonic()
        if now - last >= every:
            last = now
            rate = done / (now - start)
            left = f", {(total - done) / rate:.0f} s left" if total and rate else ""
            print(f"{what}: {done:,} {unit}, {rate:,.0f} {unit}/s{left}", file=sys.stderr)

    yield advance
