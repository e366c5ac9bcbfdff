"""The thread that looks: texts every second, checks and alarms every minute."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import final

import numpy as np

from emrobust import runs
from emrobust.errors import EmrobustError, NotFoundError, UnavailableError
from emrobust.package import Package, layout
from emrobust.serve.catalog import Catalog, Served
from emrobust.serve.monitor import calibration
from emrobust.serve.monitor.alarms import Alarm, Alarms, Check, load_words
from emrobust.serve.monitor.checks import DATA_USE, LATENCY, Findings, Subject, examine
from emrobust.serve.monitor.ledger import KEPT, NOTES, Ledger
from emrobust.serve.monitor.level import Level, rank, worst
from emrobust.serve.monitor.report import AlarmOn, Bilingual, Report, describe_hours
from emrobust.serve.monitor.settings import MonitorSettings
from emrobust.serve.monitor.sketch import Sketch
from emrobust.serve.monitor.watch import Watch
from emrobust.serve.store import Database, clock

_LOG = logging.getLogger("emrobust.serve")
_PAUSE = 0.05  # seconds between strides, so that catching up leaves the processor to requests
_LOOK = 1.0  # seconds
_PATIENCE = 1.0  # seconds of catching up at a time


@final
class Monitor:
    """Looks at what the service does; safe to ask from many threads.

    Args:
        database: the store's.
        catalog: the models.
        settings: when alarms are raised.
    """

    def __init__(self, database: Database, catalog: Catalog, settings: MonitorSettings) -> None:
        self._database = database
        self._catalog = catalog
        self._settings = settings
        self._watch = Watch(database, settings.sample)
        self._ledger = Ledger(database)
        self._alarms = Alarms(database)
        self._words = load_words()
        self._levels: dict[tuple[str, str], Level] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)
        self._thread.start()

    def observe(self, served: Served, task: str, text: str, own: np.ndarray) -> None:
        """See a text as the model read it for a task, and the model's own probabilities [labels].

        Called from the event loop; it takes microseconds.
        """
        if served.package.drift is not None and task in NOTES:
            self._watch.observe(served.full_name, served.package.drift, text, own)

    def levels(self) -> dict[tuple[str, str], Level]:
        """The level of each model's checks at the last look."""
        return dict(self._levels)

    def report(self, model: str | None, hours: int) -> Report:
        """What happened to a model within some hours.

        Args:
            model: name or name@version; absent: the one that answers.
            hours: 1 to 720.

        Raises:
            NotFoundError: the model is not loaded and has no prediction.
            UnavailableError: the store is away, or what it has is still counted.
        """
        with self._locked():
            self._follow()
            self._watch.look()
            now = dt.datetime.now(dt.UTC)
            start = now - dt.timedelta(hours=hours)
            name, package = self._find(model)
            found = self._examine(name, package, start)
            alarms = self._alarms.read(name)
            loaded = {served.full_name for served in self._catalog}
            return Report(
                hours=hours,
                start=_second(start),
                to=_second(now),
                model=name,
                models=sorted(loaded | set(self._ledger.models)),
                level=worst([_sum_up(found.checks), *(of.level for of in alarms)]),
                alarms=[self._describe(of, found.checks) for of in _worst_first(alarms)],
                history=describe_hours(self._ledger.hours(name, start)),
                load=found.load,
                input=found.input,
                labels=found.labels,
                calibration=found.calibration,
                feedback=found.feedback,
                abstention=found.abstention,
                shadow=found.shadow,
            )

    def look(self) -> None:
        """Measure every model that answers, and raise or end alarms.

        Raises:
            EmrobustError: the store is away or full; the next look finds what this one missed.
        """
        with self._lock:
            self._watch.look()
            self._watch.write()
            self._follow()
            start = dt.datetime.now(dt.UTC) - dt.timedelta(hours=self._settings.hours)
            levels: dict[tuple[str, str], Level] = {}
            for served in self._catalog:
                if served.version.state != "active":
                    continue
                found = self._examine(served.full_name, served.package, start)
                self._alarms.update(served.full_name, found.checks)
                levels |= {(served.full_name, of.name): of.level for of in found.checks}
            self._levels = levels
            self._watch.forget(dt.datetime.now(dt.UTC) - KEPT)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """The lock, for one who does not wait long for it."""
        if not self._lock.acquire(timeout=2 * _PATIENCE):
            raise UnavailableError("the monitor is busy", "Try again in a few seconds.")
        try:
            yield
        finally:
            self._lock.release()

    def close(self) -> None:
        """Write what was counted, and stop."""
        self._closed.set()
        self._thread.join()
        try:
            self._watch.look()
            self._watch.write()
        except EmrobustError as error:
            _LOG.warning("monitor: %s", error.message)

    def _run(self) -> None:
        waited = 0.0
        while not self._closed.wait(_LOOK):
            waited += _LOOK
            try:
                self._watch.look()
                with self._lock:
                    self._follow()
                if waited >= self._settings.seconds:
                    waited = 0.0
                    self.look()
            except UnavailableError as error:
                _LOG.info("monitor: %s", error.message)
            except EmrobustError as error:
                _LOG.warning("monitor: %s", error.message)
            except Exception as error:  # it must not stop
                _LOG.error("monitor: an unforeseen %s", type(error).__name__)

    def _follow(self) -> None:
        """Count what was recorded, for a while; after a restart there may be much.

        Raises:
            UnavailableError: there is still more.
        """
        until = time.monotonic() + _PATIENCE
        while self._ledger.follow():
            if time.monotonic() > until:
                raise UnavailableError(
                    "the monitor still counts what was recorded before", "Try again in a minute."
                )
            self._closed.wait(_PAUSE)

    def _find(self, model: str | None) -> tuple[str, Package | None]:
        try:
            served = self._catalog.find(model)
        except NotFoundError:
            if model in self._ledger.models:
                return str(model), None
            raise
        return served.full_name, served.package

    def _examine(self, model: str, package: Package | None, start: dt.datetime) -> Findings:
        reference = None if package is None else package.drift
        subject = Subject(
            names=() if package is None else package.names,
            known={} if package is None else runs.read_json(package.folder / layout.REFERENCE),
            reference=reference,
            sketch=Sketch() if reference is None else self._watch.total(model, reference, start),
            tally=self._ledger.since(model, start),
            minutes=self._ledger.minutes(model),
            answers=calibration.read(self._database, model, start),
            days=None if package is None else layout.days_left(package.folder),
        )
        return examine(subject, self._settings, self._words)

    def _describe(self, alarm: Alarm, checks: tuple[Check, ...]) -> AlarmOn:
        words = self._words[alarm.name]
        check = next((of for of in checks if of.name == alarm.name), Check(alarm.name, "unknown"))
        return AlarmOn(
            check=alarm.name,
            level=alarm.level,
            now=check.level,
            since=alarm.since,
            value=check.value,
            threshold=check.threshold,
            title=Bilingual(**words.title),
            advice=Bilingual(**words.advice),
        )


def _sum_up(checks: Sequence[Check]) -> Level:
    """The worst level. Quick answers and a right to the records do not make a model calm."""
    found = worst([check.level for check in checks])
    if rank(found) > rank("calm"):
        return found
    return worst([check.level for check in checks if check.name not in {LATENCY, DATA_USE}])


def _worst_first(alarms: list[Alarm]) -> Iterator[Alarm]:
    return iter(sorted(alarms, key=lambda of: (-rank(of.level), of.since, of.name)))


def _second(moment: dt.datetime) -> str:
    return clock.write(moment)[:19] + "Z"
