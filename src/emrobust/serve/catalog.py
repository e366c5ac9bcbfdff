"""The models that the service holds, side by side, and which of them answers.

The store remembers each version's state, so a restart goes on where it was. A switch replaces one
mapping in one step of the event loop: who asks afterwards gets the new version, and who was being
answered keeps the old one, which is closed when its last text is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from emrobust import package, runs
from emrobust.errors import ConfigError, EmrobustError, NotFoundError, did_you_mean
from emrobust.package import Package, layout
from emrobust.serve import reading
from emrobust.serve.batcher import Batcher
from emrobust.serve.settings import ServeSettings
from emrobust.serve.store import Database, versions
from emrobust.serve.store.versions import Version

_LOG = logging.getLogger("emrobust.serve")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,98}\Z")
_CONSOLE = "console"


@dataclass(frozen=True)
class Served:
    """A version that is loaded.

    Attributes:
        version: name, version and state, as the store has them.
        package: the model.
        form: how its texts are put together.
        batcher: the way to it.
    """

    version: Version
    package: Package
    form: reading.Form
    batcher: Batcher

    @property
    def full_name(self) -> str:
        """``name@version``."""
        return self.version.full_name


@dataclass(frozen=True)
class Wanted:
    """A package to serve.

    Attributes:
        path: its folder.
        name: absent: the project's.
        version: absent: the start of its checksum.
    """

    path: Path
    name: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Candidate:
    """A package that was checked; the store knows nothing of it yet.

    Attributes:
        path: its folder.
        name: of the model.
        version: of the model.
        checksum: of its manifest.
    """

    path: Path
    name: str
    version: str
    checksum: str


Watch = Callable[[str, int, float, float], None]


def parse(word: str) -> Wanted:
    """``PATH``, ``NAME=PATH`` or ``NAME@VERSION=PATH`` of the command line."""
    named, equals, path = word.rpartition("=")
    if not equals or "/" in named:
        return Wanted(Path(word))
    name, _, version = named.partition("@")
    return Wanted(Path(path), name, version or None)


def check(wanted: Wanted) -> Candidate:
    """Check every file of a package, and its name.

    Raises:
        RunError: it was changed, or is none.
        ConfigError: its data-use record is over, or its name is none.
    """
    layout.verify(wanted.path)
    project = str(runs.read_json(wanted.path / layout.FACTS)["project"])
    checksum = runs.checksum(wanted.path / runs.MANIFEST)
    name = wanted.name or re.sub(r"[^A-Za-z0-9._-]+", "-", project).strip("-.") or "model"
    version = wanted.version or checksum[:8]
    for given in (name, version):
        if not _NAME.match(given):
            raise ConfigError(
                "a model's name and version have Latin letters, digits and . _ - only",
                "Give them: NAME@VERSION=FOLDER.",
            )
    return Candidate(wanted.path.absolute(), name, version, checksum)


def nothing_to_serve() -> ConfigError:
    """No package was named, and the store knows none."""
    return ConfigError("there is no model to serve", "Name a package: emrobust serve FOLDER")


@final
class Catalog:
    """All loaded versions.

    Args:
        database: remembers states.
        settings: of the service.
        watch: is told of each batch, with the version's full name.
    """

    def __init__(self, database: Database, settings: ServeSettings, watch: Watch) -> None:
        self._database = database
        self._settings = settings
        self._watch = watch
        self._served: Mapping[tuple[str, str], Served] = {}
        self._default = ""
        self._changing = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    @property
    def default(self) -> str:
        """The name of the model that answers where a request names none."""
        return self._default

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served.values())

    def open(self, candidates: Sequence[Candidate]) -> None:
        """Load these packages, and those that the store knows and that are not retired.

        Raises:
            RunError: a package does not pass its own test.
            ConfigError: there is no package.
        """
        loaded = [self._load(self._register(one, _CONSOLE)) for one in candidates]
        self._put(*loaded)
        self._remember()
        for served in loaded:
            if self._active(served.version.name) is None:
                self._put(self._switched(served, "active", _CONSOLE))
        names = [served.version.name for served in self if served.version.state == "active"]
        if not names:
            raise nothing_to_serve()
        self._default = loaded[0].version.name if loaded else names[0]

    def _remember(self) -> None:
        """Load what was loaded when the service last ran, as far as it is still there.

        Versions that wait too: the one that answered before is the way back.
        """
        for version in versions.every(self._database):
            known = (version.name, version.version) in self._served
            if known or version.state == "retired":
                continue
            try:
                self._put(self._load(version))
            except EmrobustError as error:
                _LOG.warning("%s is retired: %s", version.full_name, error.message)
                versions.switch(
                    self._database,
                    name=version.name,
                    version=version.version,
                    state="retired",
                    actor=_CONSOLE,
                    lost=True,
                )

    def find(self, wanted: str | None = None) -> Served:
        """The version that answers for ``name``, ``name@version`` or, for None, the default name.

        Raises:
            NotFoundError: there is none.
        """
        name, at, version = (wanted or self._default).partition("@")
        found = self._served.get((name, version)) if at else self._active(name)
        if found is None:
            known = {served.version.name for served in self} | {s.full_name for s in self}
            raise NotFoundError("there is no such model here", did_you_mean("", known))
        return found

    def shadows(self, of: Served) -> list[Served]:
        """The other versions of a model's name that score silently what it is asked."""
        name = of.version.name
        beside = (s for s in self if s.version.name == name and s.full_name != of.full_name)
        return [s for s in beside if s.version.state == "shadow"]

    async def add(self, wanted: Wanted, actor: str) -> Served:
        """Load and self-test a package beside the others; it is ready and does not answer yet.

        Raises:
            RunError: it was changed, or is none.
            ConfigError: its data-use record is over, or its name is none.
            StoreError: its version is known with another checksum.
        """
        async with self._changing:
            candidate = await asyncio.to_thread(check, wanted)
            version = await asyncio.to_thread(self._register, candidate, actor)
            known = self._served.get((version.name, version.version))
            if known is not None:
                return known
            served = await asyncio.to_thread(self._load, version)
            self._put(served)
            return served

    async def switch(self, name: str, version: str, state: str, actor: str) -> Served | None:
        """Set a version's state; None where it is retired and so no longer loaded.

        Raises:
            NotFoundError: there is no such version.
            ConfigError: the version that answers would be gone.
            InUseError: unfinished batch jobs need the version that would be gone.
        """
        async with self._changing:
            served = self._served.get((name, version))
            if served is None:
                raise NotFoundError("there is no such model version here", "See GET /v1/models.")
            if served.version.state == "active" and state != "active":
                raise ConfigError(
                    "the version that answers cannot be taken away",
                    "Make another version of this name active instead.",
                )
            changed = await asyncio.to_thread(self._switched, served, state, actor)
            before = self._active(name)
            if state == "active" and before is not None and before is not served:
                self._put(_with_state(before, "ready"))
            self._put(changed)
            if state == "retired":
                self._drop(changed)
                return None
            return changed

    async def close(self) -> None:
        """Read what waits, then stop."""
        self._ending.set()
        await asyncio.gather(*self._closing, *(served.batcher.drain() for served in self))

    def _active(self, name: str) -> Served | None:
        of_name = (served for served in self if served.version.name == name)
        return next((served for served in of_name if served.version.state == "active"), None)

    def _register(self, of: Candidate, actor: str) -> Version:
        return versions.register(
            self._database,
            name=of.name,
            version=of.version,
            checksum=of.checksum,
            path=str(of.path),
            actor=actor,
        )

    def _load(self, version: Version) -> Served:
        path = Path(version.path)
        if not layout.is_package(path) or runs.checksum(path / runs.MANIFEST) != version.checksum:
            raise ConfigError(f"{path} is no longer the package that it was")
        given = self._settings
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            loaded = package.load(
                path, threads=given.serve.threads, precision=given.serve.precision, single=True
            )
        for warning in said:
            _LOG.warning("%s: %s", version.full_name, warning.message)

        def watch(size: int, waited: float, spent: float) -> None:
            self._watch(version.full_name, size, waited, spent)

        batcher = Batcher(
            loaded.predict_proba, queue=given.limits.queue, most=given.limits.batch, watch=watch
        )
        return Served(version, loaded, reading.form_of(loaded), batcher)

    def _switched(self, served: Served, state: str, actor: str) -> Served:
        of = served.version
        changed = versions.switch(
            self._database, name=of.name, version=of.version, state=state, actor=actor
        )
        return Served(changed, served.package, served.form, served.batcher)

    def _put(self, *served: Served) -> None:
        new = {(one.version.name, one.version.version): one for one in served}
        self._served = {**self._served, **new}

    def _drop(self, served: Served) -> None:
        gone = (served.version.name, served.version.version)
        self._served = {key: one for key, one in self._served.items() if key != gone}
        task = asyncio.create_task(self._put_away(served))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _put_away(self, served: Served) -> None:
        """Stop a model once no request can hold it any more: none outlives its deadline."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.limits.deadline):
                await self._ending.wait()
        await served.batcher.drain()


def _with_state(served: Served, state: versions.State) -> Served:
    return replace(served, version=replace(served.version, state=state))
