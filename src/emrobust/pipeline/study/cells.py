"""Train the cells of a study: each a run folder, made by `emrobust train` in its own process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from emrobust import config, progress, records, runs
from emrobust.config import Project
from emrobust.errors import ConfigError, RunError
from emrobust.pipeline.prepare import LABELS
from emrobust.pipeline.study import plan
from emrobust.pipeline.study.plan import Plan, Row
from emrobust.train import run as training

CELLS = "cells"
DATA = "data"
PROJECTS = "projects"
LOGS = "logs"
# When whoever started it dies, its input ends, and so does it: the next start trains the same cell.
_COMMAND = """
import os, signal, sys, threading
watch = lambda: (os.read(0, 1), os.kill(os.getpid(), signal.SIGTERM))
threading.Thread(target=watch, daemon=True).start()
from emrobust.cli import main
sys.exit(main())
"""
_PAUSE = 0.2


class Cell(NamedTuple):
    """A row with one seed.

    Attributes:
        row: its recipe.
        seed: number of the repetition, from 0.
        project: what is trained.
    """

    row: Row
    seed: int
    project: Project

    @property
    def name(self) -> str:
        """Of its run folder."""
        return f"{self.row.key}-{self.seed + 1}"


def lay_out(
    study: Plan, project: Project, seeds: int, overrides: plan.Settings
) -> tuple[list[Cell], dict[str, str]]:
    """Every cell, all rows of the first seed first, and the rows that cannot be trained.

    Args:
        study: the rows.
        project: the study's own.
        seeds: repetitions.
        overrides: of the user.

    Returns:
        the cells, and row → why it has none.

    Raises:
        ConfigError: every row's settings are wrong.
    """
    missing = {row.key: row.missing for row in study.rows if row.missing}
    able = [row for row in study.rows if not row.missing]
    cells = [
        Cell(row, seed, plan.project_of(row, project, seed, overrides))
        for seed in range(seeds)
        for row in able
    ]
    if not cells:
        reasons = "\n".join(f"  - {key}: {why}" for key, why in missing.items())
        raise ConfigError(f"no row of the study can be trained here:\n{reasons}")
    return cells, missing


def train(cells: Sequence[Cell], out: Path, parallel: int) -> dict[str, str]:
    """Train what is not trained yet, several at a time; goes on where it was stopped.

    A folder that holds a run with other settings, data or files is left: that cell has failed.

    Args:
        cells: of the study, in order.
        out: of the study, with the prepared ``data/`` that all share; ``cells/``, ``projects/``
            and ``logs/`` are written beside it.
        parallel: processes at a time; the processors are divided among them.

    Returns:
        cell → why it failed; the others are run folders now.

    Raises:
        StorageError: the folder cannot be written.
    """
    failed = _taken(cells, out)
    waiting = [
        cell
        for cell in cells
        if cell.name not in failed and not (out / CELLS / cell.name / runs.MANIFEST).is_file()
    ]
    with progress.track("training the study", len(cells), "cells") as advance:
        advance(len(cells) - len(waiting))
        running: dict[str, subprocess.Popen[bytes]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < parallel:
                    cell = waiting.pop(0)
                    running[cell.name] = _start(cell, out, parallel)
                    progress.say(f"training {cell.name}, log: {_log(cell.name, out)}")
                for name in list(_ended(running)):
                    if _close(running.pop(name)):
                        failed[name] = _last_line(_log(name, out))
                    advance(1)
                time.sleep(_PAUSE)
        finally:
            for process in running.values():
                process.terminate()
            for process in running.values():
                _close(process)
    return failed


def processors() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))


def _taken(cells: Sequence[Cell], out: Path) -> dict[str, str]:
    """Cell → why it cannot be trained where its folder holds another run."""
    data = runs.checksum(out / DATA / LABELS / records.FILE)
    found = {}
    for cell in cells:
        try:
            facts = {**training.facts_of(cell.project), "data": data}
            training.claim(out / CELLS / cell.name, facts)
        except (ConfigError, RunError) as error:
            found[cell.name] = error.message
    return found


def _ended(running: Mapping[str, subprocess.Popen[bytes]]) -> Iterator[str]:
    return (name for name, process in running.items() if process.poll() is not None)


def _close(process: subprocess.Popen[bytes]) -> int:
    """Its exit status, once it has ended."""
    status = process.wait()
    if process.stdin is not None:
        process.stdin.close()
    return status


def _start(cell: Cell, out: Path, parallel: int) -> subprocess.Popen[bytes]:
    """`emrobust train` on the cell's own project file, with its share of the processors."""
    file, log = out / PROJECTS / f"{cell.name}.toml", _log(cell.name, out)
    runs.write_text(file, config.dump(cell.project))
    with runs.storage_errors(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        writing: IO[bytes] = log.open("wb")
    threads = max(1, processors() // parallel)
    with writing:
        return subprocess.Popen(  # noqa: S603  # our own command on files that were just written
            [sys.executable, "-c", _COMMAND, "train", str(file),
             "--data", str(out / DATA), "--out", str(out / CELLS / cell.name)],
            stdin=subprocess.PIPE, stdout=writing, stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )  # fmt: skip


def _log(name: str, out: Path) -> Path:
    return out / LOGS / f"{name}.log"


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    said = [line for line in lines if line.startswith("error:")] or lines[-1:]
    return said[0] if said else "it ended without a word"
