"""What a study trains: rows, seeds, and the tables they are shown in; read from a TOML file."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from emrobust import config
from emrobust.config import Augment, Project, Section
from emrobust.encoder import checkpoint
from emrobust.errors import ConfigError, ModelError, did_you_mean

_ROOM = Path(__file__).parent
_FOCAL = {"multi": "bce_focal", "single": "focal"}
_AUGMENT = tuple(Augment.model_fields)
Settings = Mapping[str, Any]
# What a recipe of a study with ``plain`` begins with, whatever the project trains with.
_PLAIN: Settings = {
    "train": {"loss": None, "label_smoothing": None, "adversary": {"name": "none"}},
    "augment": {"probability": 0.0},
}
# What a table can show: `evaluation.overall`, and what a study adds to it.
MEASURES = (
    "macro_f1", "micro_f1", "macro_precision", "macro_recall", "micro_precision", "micro_recall",
    "pr_auc_macro", "ece", "brier", "accuracy", "ece_top", "ece_calibrated", "noise_macro_f1",
    "noise_micro_f1", "clean_macro_f1", "drop",
)  # fmt: skip


class _Recipe(Section):
    """What a row, an encoder and an arm have in common."""

    key: str
    name: str
    settings: dict[str, Any] = Field({})


class _Single(_Recipe):
    """A row of its own."""

    checkpoint: str | None = None
    paper: dict[str, tuple[float, ...]] = Field({})


class _Encoder(_Recipe):
    """What every arm trains: a checkpoint, or the network that ``settings`` name.

    ``paper``: the arms' printed numbers are its own.
    """

    checkpoint: str | None = None
    paper: bool = False


class _Arm(_Recipe):
    """A recipe for every encoder; ``needs``: keys of [augment] of which one must be given."""

    focal: bool = False
    needs: tuple[str, ...] = ()
    paper: dict[str, tuple[float, ...]] = Field({})


class Table(Section):
    """A table of the result: its rows in order, arms of every encoder after the single rows."""

    key: str
    en: str
    zh: str
    measures: tuple[str, ...]
    rows: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()


# So that nothing is trained for no eye.
_REST = Table(
    key="rest",
    en="Rows that no table names",
    zh="未列入各表的行",
    measures=("macro_f1", "micro_f1", "pr_auc_macro", "noise_macro_f1", "drop"),
)


class _File(Section):
    title: str
    zh: str
    base: str
    plain: bool = False
    rows: tuple[_Single, ...] = ()
    encoders: tuple[_Encoder, ...] = ()
    arms: tuple[_Arm, ...] = ()
    tables: tuple[Table, ...] = ()


class Row(Section):
    """One recipe of a study.

    Attributes:
        key: the name of its cells.
        name: for readers.
        settings: go over the project's own.
        plain: without the project's loss, adversary and augmentation.
        focal: with the seed's focal loss.
        base: key of the row that it is measured against.
        paper: measure → mean and standard deviation as printed, in percent.
        missing: why it cannot be trained here.
    """

    key: str
    name: str
    settings: dict[str, Any]
    plain: bool = False
    focal: bool = False
    base: str | None = None
    paper: dict[str, tuple[float, ...]] = Field({})
    missing: str = ""


class Plan(Section):
    """A study: every row once, and the tables that show them by key.

    ``base``: name of the arm that the others are compared with.
    """

    title: str
    zh: str
    base: str
    rows: tuple[Row, ...] = Field(min_length=1)
    tables: tuple[Table, ...]

    def row(self, key: str) -> Row:
        """The row of a key."""
        return next(row for row in self.rows if row.key == key)


def names() -> list[str]:
    """Studies that lie in the package."""
    return sorted(path.stem for path in _ROOM.glob("*.toml"))


def read(name: str, project: Project, only: Sequence[str] = ()) -> Plan:
    """The study of a name in the package, or of a TOML file.

    Args:
        name: such as ``paper``, or a path.
        project: whose task decides which arms can be trained.
        only: keys of the rows to keep; empty: all.

    Raises:
        ConfigError: no such study or row, or the file has wrong keys; all of them at once.
    """
    path = _ROOM / f"{name}.toml" if name in names() else Path(name)
    if not path.is_file():
        raise ConfigError(f"there is no study {name!r}", did_you_mean(name, names()))
    try:
        given = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n  - ".join([f"{path} is no study:", *lines])) from None
    if problems := list(_problems(given)):
        raise ConfigError("\n  - ".join([f"{path} has {len(problems)} problem(s):", *problems]))
    rows = [*_singles(given), *_families(given, project)]
    known = [row.key for row in rows]
    for key in only:
        if key not in known:
            raise ConfigError(f"{name} has no row {key!r}", did_you_mean(key, known))
    kept = tuple(row for row in rows if not only or row.key in only)
    base = next((arm.name for arm in given.arms if arm.key == given.base), given.base)
    tables = _tables(given, kept)
    return Plan(title=given.title, zh=given.zh, base=base, rows=kept, tables=tables)


def _problems(given: _File) -> Iterator[str]:
    """Names in the file that stand for nothing, or for two things."""
    arms = [arm.key for arm in given.arms]
    rows = [row.key for row in given.rows]
    rows += [f"{encoder.key}-{arm}" for encoder in given.encoders for arm in arms]
    if arms:
        yield from _unknown("base", "arm", [given.base], arms)
    encoders, tables = (of.key for of in given.encoders), (of.key for of in given.tables)
    for name, keys in (("encoders", encoders), ("arms", arms), ("tables", tables), ("rows", rows)):
        twice = [key for key, times in Counter(keys).items() if times > 1]
        yield from (f"`{name}`: the key {key!r} is there twice. Rename one." for key in twice)
    for arm in given.arms:
        yield from _unknown(f"arms.{arm.key}.needs", "key of [augment]", arm.needs, _AUGMENT)
    for table in given.tables:
        where = f"tables.{table.key}"
        yield from _unknown(f"{where}.measures", "measure", table.measures, MEASURES)
        yield from _unknown(f"{where}.rows", "row", table.rows, rows)
        yield from _unknown(f"{where}.arms", "arm", table.arms, arms)


def _unknown(where: str, what: str, given: Iterable[str], known: Sequence[str]) -> Iterator[str]:
    for name in given:
        if name not in known:
            yield f"`{where}`: there is no {what} {name!r}. {did_you_mean(name, known)}"


def _singles(given: _File) -> Iterator[Row]:
    for row in given.rows:
        settings, missing = _with_encoder(row.checkpoint, row.settings)
        yield Row(
            key=row.key,
            name=row.name,
            settings=settings,
            plain=given.plain,
            paper=row.paper,
            missing=missing,
        )


def _families(given: _File, project: Project) -> list[Row]:
    rows = []
    for encoder in given.encoders:
        settings, missing = _with_encoder(encoder.checkpoint, encoder.settings)
        rows += [
            Row(
                key=f"{encoder.key}-{arm.key}",
                name=f"{encoder.name}, {arm.name}",
                settings=merge(settings, arm.settings),
                plain=given.plain,
                focal=arm.focal,
                base=None if arm.key == given.base else f"{encoder.key}-{given.base}",
                paper=arm.paper if encoder.paper else {},
                missing=missing or _lacks(arm, project),
            )
            for arm in given.arms
        ]
    return rows


def _with_encoder(name: str | None, settings: Settings) -> tuple[Settings, str]:
    """Settings with the checkpoint, if there is one, and why it cannot be had."""
    if name is None:
        return settings, ""
    whole = merge({"model": {"name": "transformer", "checkpoint": name}}, settings)
    try:
        checkpoint.locate(name)
    except ModelError as error:
        return whole, error.message
    return whole, ""


def _lacks(arm: _Arm, project: Project) -> str:
    if not arm.needs or any(getattr(project.augment, key) is not None for key in arm.needs):
        return ""
    keys = ", ".join(f"augment.{key}" for key in arm.needs)
    return f"the project gives none of {keys}, so nothing is there to be left out"


def _tables(given: _File, rows: Sequence[Row]) -> tuple[Table, ...]:
    """Tables whose rows are keys of rows, empty ones left out; rows in none have one at the end."""
    known = {row.key for row in rows}
    found = []
    for table in given.tables:
        keys = [*table.rows, *(f"{e.key}-{arm}" for e in given.encoders for arm in table.arms)]
        kept = tuple(key for key in keys if key in known)
        if kept:
            found.append(table.model_copy(update={"rows": kept, "arms": ()}))
    shown = {key for table in found for key in table.rows}
    if rest := tuple(row.key for row in rows if row.key not in shown):
        found.append(_REST.model_copy(update={"rows": rest}))
    return tuple(found)


def merge(first: Settings, second: Settings) -> dict[str, Any]:
    """Nested settings; the second's win."""
    merged = dict(first)
    for key, value in second.items():
        mine = merged.get(key)
        both = isinstance(mine, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(mine, value) if both else value  # type: ignore[arg-type]  # both are mappings
    return merged


def project_of(row: Row, project: Project, seed: int, overrides: Settings) -> Project:
    """The project that a cell trains.

    Args:
        row: of the study.
        project: the study's own.
        seed: number of the repetition, from 0; the split is the same for all.
        overrides: of the user, over everything else.

    Raises:
        ConfigError: the row's settings are wrong.
    """
    settings = row.settings
    if row.focal:
        settings = merge(settings, {"train": {"loss": {"name": _FOCAL[project.labels.task]}}})
    # A model that the row names is trained with the row's settings alone: others' do not fit it.
    named = "name" in settings.get("model", {})
    own: Settings = project.model_dump(exclude={"model"} if named else None)
    if row.plain:
        own = merge(own, _PLAIN)
    return config.parse(
        merge(merge(own, settings), {**overrides, "seed": project.seed + seed}),
        f"row {row.key} of the study",
    )
