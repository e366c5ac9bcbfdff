"""The project file: one TOML that says where the records are and what becomes of them.

Sections are frozen pydantic models. Every problem in a file is reported at once, each with
its key and a suggestion. ``[model]`` and ``[train]`` hold the settings of a registered
component beside its name; those are checked against the component's signature when it is
built (`emrobust.registry`), so this module never imports torch.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from emrobust.errors import ConfigError, did_you_mean
from emrobust.placeholders import PLACEHOLDERS

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_PASSWORD = re.compile(r"(://[^:/@]*:).+(@)")
# Keys that hold a path: those in the file are relative to the file's own folder.
_PATHS = (
    ("source", "path"),
    ("labels", "table"),
    ("deid", "key_file"),
    ("normalize", "tables"),
    ("augment", "translations"),
    ("augment", "cache"),
    ("augment", "perturbations", "lexicon"),
    ("augment", "perturbations", "vectors"),
    ("evaluate", "truth"),
)

# A day in quotes, or as TOML writes one without.
Day = Annotated[str, BeforeValidator(lambda day: str(day) if isinstance(day, dt.date) else day)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


def expand_variables(text: str, where: str) -> str:
    """``${NAME}`` replaced by environment variables; ``where`` is what an error calls the text.

    Raises:
        ConfigError: a variable is not set.
    """
    missing = [name for name in _VARIABLE.findall(text) if name not in os.environ]
    if missing:
        raise ConfigError(
            f"{where} names ${{{missing[0]}}}, which is not set in the environment",
            f"Set it before the command: export {missing[0]}=…",
        )
    return _VARIABLE.sub(lambda match: os.environ[match[1]], text)


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


S = TypeVar("S", bound=Section)
DEFAULT_SEED = 20260101


class Columns(Section):
    """Which column of the source is what. Only named columns are ever read."""

    record_id: str = Field(description="the visit's number, unique")
    patient_id: str | None = Field(None, description="whose visit; absent: every row a patient")
    visit_time: str | None = None
    site: str | None = None
    department: str | None = None
    sex: str | None = None
    age: str | None = None
    labels: tuple[str, ...] = Field((), description="one or more columns of codes or classes")
    split: str | None = Field(
        None, description="train, validation or test where a row's split is decided already"
    )
    text: tuple[str, ...] = Field(min_length=1, description="text fields in the order joined")
    identifiers: dict[str, tuple[str, ...]] = Field(
        {}, description="kind → columns whose values are looked for in the texts, never written"
    )

    @field_validator("identifiers")
    @classmethod
    def _known_kinds(cls, given: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for kind in given:
            if kind not in PLACEHOLDERS:
                raise ValueError(f"{kind!r} is no kind; {did_you_mean(kind, PLACEHOLDERS)}")
        return given

    def without(self, absent: Collection[str]) -> Columns:
        """The map without these columns, none of which is the visit's number or a text."""

        def kept(names: Sequence[str]) -> tuple[str, ...]:
            return tuple(name for name in names if name not in absent)

        single = {
            field: None
            for field, name in self
            if isinstance(name, str) and name in absent and field != "record_id"
        }
        known = {kind: kept(names) for kind, names in self.identifiers.items()}
        return self.model_copy(update={**single, "labels": kept(self.labels), "identifiers": known})

    def of_source(self) -> list[str]:
        """Every source column that a record is made of, once each."""
        single = (self.record_id, self.patient_id, self.visit_time, self.site, self.department)
        named = [*single, self.sex, self.age, self.split, *self.text, *self.labels]
        return list(dict.fromkeys(name for name in named if name))


class Source(Section):
    """Where the records come from: a file, or a database and a query."""

    path: Path | None = Field(None, description="CSV, TSV, Excel, Parquet, JSON, JSONL, SQLite")
    url: str | None = Field(
        None, description="SQLAlchemy URL; ${NAME} takes an environment variable"
    )
    query: str | None = Field(None, description="SQL that gives one row a visit")
    table: str | None = Field(None, description="database table or Excel sheet")
    header_row: int = Field(
        1,
        ge=1,
        description="row with the columns' names (CSV, TSV, Excel); those above are skipped",
    )
    date_order: Literal["ymd", "mdy", "dmy"] = Field(
        "ymd", description="of dates in figures; those that begin with the year are always read"
    )
    encoding: Literal["auto", "utf-8", "utf-8-sig", "gb18030"] = "auto"
    delimiter: str = Field("auto", description="one character, or auto")
    label_separator: str | tuple[str, ...] = Field(
        ";", description="between the labels of one cell; any of several"
    )
    separator: str = Field("\n", description="between the text fields when they are joined")
    columns: Columns

    @model_validator(mode="after")
    def _one_source(self) -> Source:
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path (a file) or url (a database), not both")
        if self.url is not None and (self.query is None) == (self.table is None):
            raise ValueError("a database needs either query or table")
        return self

    @field_serializer("url", when_used="json")
    def _hide_password(self, url: str | None) -> str | None:
        return url and _PASSWORD.sub(r"\1***\2", url)

    def connection(self) -> str:
        """The database URL with environment variables put in."""
        return expand_variables(self.url or "", "[source] url")


class Labels(Section):
    """How codes become the classes that the model learns."""

    task: Literal["multi", "single"] = "multi"
    kind: Literal["icd10", "plain"] = "icd10"
    level: Literal["code", "subcategory", "category"] = Field(
        "category", description="without a table: full code, I20.8 or I20"
    )
    table: Path | None = Field(None, description="CSV code,class that the hospital can edit")
    top: int | None = Field(None, ge=1, description="keep the K commonest classes")
    min_count: int = Field(1, ge=1, description="classes with fewer rows count as rare")
    rare: Literal["other", "drop"] = Field(
        "other", description="rare classes become the class `other`, or are dropped"
    )
    nothing: tuple[str, ...] | None = Field(
        None, description="words for no diagnosis; absent: those of names, none among codes"
    )
    invalid: Literal["reject", "drop"] = Field(
        "reject", description="a code that is not ICD-10: refuse the row, or drop the code"
    )


class Split(Section):
    """How rows are divided. Labels of validation and test rows are never learned from."""

    by: Literal["patient", "time", "site", "text"] = Field(
        "patient", description="what must not cross; `text` keeps equal texts together"
    )
    validation: Share = 0.1
    test: Share = 0.1
    test_from: Day | None = Field(None, description="by time: first day of the test split")
    validation_from: Day | None = Field(None, description="by time: first day of validation")
    test_sites: tuple[str, ...] = Field((), description="by site: the held-out sites")
    folds: int | None = Field(None, ge=2, le=50, description="cross-validate instead")
    near_duplicates: float = Field(0.9, gt=0.0, le=1.0, description="similarity reported as near")

    @model_validator(mode="after")
    def _consistent(self) -> Split:
        if self.validation + self.test >= 1.0:
            raise ValueError("validation and test together must leave rows to train on")
        if self.by == "time" and self.folds:
            raise ValueError("a split by time has no folds")
        if self.by == "site" and not (self.test_sites or self.folds):
            raise ValueError("a split by site needs test_sites")
        return self


class Component(Section):
    """A registered component by name; its other keys are its own settings."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    name: str

    def settings(self) -> dict[str, Any]:
        """The component's own settings, without its name."""
        return dict(self.model_extra or {})


# Its bare name will do where a component keeps its defaults: ``loss = "focal"``.
Named = Annotated[
    Component, BeforeValidator(lambda given: {"name": given} if isinstance(given, str) else given)
]


class Deid(Section):
    """De-identification of the text fields, and what else of a record could name somebody."""

    enabled: bool = Field(False, description="treat the texts before anything is written")
    accept_identifiers: bool = Field(
        False, description="go on although direct identifiers are found in the output"
    )
    key_file: Path | None = Field(
        None, description="file with the secret of surrogates and shifts; never the key itself"
    )
    columns: tuple[str, ...] = Field((), description="text fields to treat; absent: all")
    engines: tuple[str, ...] = Field((), description="further detectors beside the rules")
    operators: dict[str, Named] = Field({}, description="kind → operator, where not the default")
    visit_time: Literal["auto", "keep", "month", "quarter", "year", "drop"] = Field(
        "auto", description="auto: moves along where dates are shifted"
    )
    pseudonyms: bool = Field(False, description="keyed pseudonyms for record_id and patient_id")
    audit_rows: int = Field(
        20_000, ge=0, description="rows in the second pass with different means; 0: no audit"
    )
    workers: int | None = Field(
        None, ge=1, description="processes; absent: the processors, at most four"
    )


class Governance(Section):
    """The data-use record: by what right the records are used, and until when.

    It goes into every run folder, report and card, so it names an office and never a person.
    All of it is given or nothing: half a record would look like one. ``cases`` is no part of the
    record and stands alone where nobody is in the data.
    """

    approval: str | None = Field(None, min_length=1, description="number of the approval")
    purpose: str | None = Field(None, min_length=1, description="what the records are used for")
    legal_basis: str | None = Field(
        None, min_length=1, description="such as the consent that was given, or an article"
    )
    responsible_role: str | None = Field(
        None, min_length=1, description="the office that answers for it, never a name"
    )
    retain_until: dt.date | None = Field(None, description="last day on which they may be used")
    data_level: int | None = Field(None, ge=1, le=5, description="by GB/T 39725-2020")
    cases: Literal["synthetic", "permitted"] | None = Field(
        None, description="why a package may show training records; absent: it may not"
    )

    @model_validator(mode="after")
    def _whole(self) -> Governance:
        missing = [name for name, value in self if value is None and name != "cases"]
        if 0 < len(missing) < len(type(self).model_fields) - 1:
            raise ValueError(f"a data-use record is given whole; add {', '.join(missing)}")
        return self

    def public(self) -> dict[str, str | int]:
        """The record as plain values; empty where none was given."""
        plain: dict[str, str | int] = self.model_dump(
            mode="json", exclude={"cases"}, exclude_none=True
        )
        return plain

    def refuse_expired(self, today: dt.date | None = None) -> None:
        """Refuse to use records after their last day.

        Args:
            today: the day that it is; absent: this machine's.

        Raises:
            ConfigError: the retention date is over.
        """
        day = today or dt.datetime.now().astimezone().date()
        if self.retain_until is not None and day > self.retain_until:
            raise ConfigError(
                f"`governance.retain_until`: the records might be used until {self.retain_until} "
                f"(approval {self.approval}); today is {day}",
                "Delete them and what was made of them, as the approval says. If it was extended, "
                "set the new date in the project file and run everything again from it.",
            )


class Normalize(Section):
    """Steps that rewrite texts where a model reads them; the records keep what was written."""

    markup: bool = Field(False, description="HTML entities and tags")
    width: bool = Field(False, description="full-width letters and digits, Chinese punctuation")
    variants: bool = Field(False, description="traditional characters to simplified ones")
    residue: bool = Field(False, description="empty brackets, blanks, 请填写, repeated phrases")
    sections: bool = Field(False, description="headings in one writing")
    units: bool = Field(False, description="2d to 2天, mmhg to mmHg")
    vitals: bool = Field(False, description="T38.5 to 体温38.5℃")
    abbreviations: bool = Field(False, description="BS to 肠鸣音 or 血糖, by its neighbours")
    arrows: bool = Field(False, description="WBC↑ to 白细胞升高")
    terms: bool = Field(False, description="colloquial words to the lexicon's formal terms")
    typos: bool = Field(False, description="likely typing errors, judged by a masked LM; slow")
    typos_checkpoint: str = Field("emrobust/zh-small", description="the masked LM of `typos`")
    tables: Path | None = Field(
        None, description="folder of tables that replace the shipped ones of the same name"
    )


class Model(Component):
    """The model; `emrobust list models`."""

    name: str = "tfidf"


class Train(Section):
    """The training loop; defaults suit a two-core machine."""

    epochs: int = Field(10, ge=1)
    learning_rate: float | None = Field(
        None, gt=0.0, le=1.0, description="absent: the model's own default"
    )
    layer_decay: float = Field(
        1.0, gt=0.0, le=1.0, description="rate of an encoder's layer against the one above it"
    )
    weight_decay: float = Field(0.01, ge=0.0)
    warmup: float = Field(0.1, ge=0.0, lt=1.0, description="share of steps")
    clip_norm: float = Field(1.0, gt=0.0, description="L2 norm of all gradients")
    batch_size: int = Field(32, ge=1, description="most texts in a batch")
    batch_tokens: int = Field(4096, ge=16, description="most tokens in a batch, padding included")
    accumulate: int = Field(1, ge=1, description="batches of a step, in each process")
    max_length: int = Field(128, ge=8, description="tokens kept of a text")
    patience: int = Field(5, ge=1, description="epochs without a better validation macro-F1")
    loss: Named | None = Field(None, description="absent: cross-entropy, binary for multi-label")
    label_smoothing: float | None = Field(
        None,
        ge=0.0,
        lt=1.0,
        description="of the targets of any loss; absent: the model's own, where no loss is named",
    )
    adversary: Named | None = Field(
        None, description="none: plain training; absent: the model's own"
    )
    thresholds: Literal["global", "label"] = "label"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    checkpoint_seconds: float = Field(60.0, gt=0.0)


Weight = Annotated[float, Field(ge=0.0, le=1000.0)]


class Augment(Section):
    """Which training texts are changed from epoch to epoch, how often and by what."""

    probability: float = Field(
        0.0, ge=0.0, le=1.0, description="of a record in an epoch; 0: no augmentation"
    )
    rules: Weight = Field(0.4, description="share of the perturbations")
    back_translation: Weight = Field(0.2, description="share of the way there and back")
    masked_lm: Weight = Field(0.2, description="share of words filled by a masked LM")
    mixup: Weight = Field(0.2, description="share of MixUp, which takes whole batches")
    redistribute: bool = Field(
        False, description="give the share of what cannot run here to the others"
    )
    rare: float = Field(0.0, ge=0.0, le=4.0, description="1: by inverse frequency; 0: all alike")
    perturbations: tuple[Named, ...] = Field((), description="empty: all of the language")
    at_once: int = Field(1, ge=1, description="perturbations that a text gets")
    checkpoint: str = Field("emrobust/zh-small", description="the masked LM")
    masked: tuple[float, float] = Field((0.1, 0.15), description="least and most of the words")
    variants: int = Field(2, ge=1, le=100, description="fillings that a text has in all")
    there: str | None = Field(None, description="Marian checkpoint into another language")
    back: str | None = Field(None, description="Marian checkpoint back from it")
    translations: Path | None = Field(None, description="a table instead: text, translation")
    bleu: float = Field(0.75, ge=0.0, le=1.0, description="least, of a translation that is kept")
    mixup_alpha: float = Field(0.4, gt=0.0, le=100.0, description="of MixUp's Beta distribution")
    workers: int = Field(1, ge=0, le=64, description="processes; 0: in the training loop")
    cache: Path | None = Field(None, description="what models made; absent: beside the data")


class Evaluate(Section):
    """Metrics, intervals and the report."""

    bootstrap: int = Field(1000, ge=0, description="resamples by patient; 0: no intervals")
    confidence: float = Field(0.95, gt=0.5, lt=1.0)
    bins: int = Field(10, ge=2, description="of the calibration error")
    calibrator: str = Field(
        "auto", description="auto: the best on validation records; none; or a calibrator's name"
    )
    coverage: float = Field(
        0.95, gt=0.5, lt=1.0, description="share of true labels that prediction sets shall hold"
    )
    risk: Share | None = Field(
        None,
        description="share of wrong answers at which a package falls silent; absent: the least "
        "certain tenth is left to the doctor",
    )
    suites: tuple[Literal["noise", "length", "shift", "attack"], ...] = Field(
        ("noise", "length", "shift", "attack"), description="kinds of test suites; empty: none"
    )
    suite_records: int = Field(
        2000, ge=10, description="test records in each suite that changes texts"
    )
    truth: Path | None = Field(
        None, description="truth.parquet of a synthetic clinic: adds the best possible classifier"
    )


class Project(Section):
    """A whole project file."""

    name: str = "project"
    language: Literal["zh", "en"] = "zh"
    seed: int = Field(DEFAULT_SEED, ge=0)
    source: Source
    governance: Governance = Governance()
    labels: Labels = Labels()
    split: Split = Split()
    deid: Deid = Deid()
    normalize: Normalize = Normalize()
    model: Model = Model()
    train: Train = Train()
    augment: Augment = Augment()
    evaluate: Evaluate = Evaluate()

    def public(self) -> dict[str, Any]:
        """The project as plain values that may be written down: no password in the URL."""
        plain: dict[str, Any] = self.model_dump(mode="json", exclude_none=True)
        if not plain["governance"]:
            del plain["governance"]
        return plain


def load(path: Path, overrides: Sequence[str] = ()) -> Project:
    """Read a project file and apply ``section.key=value`` overrides.

    Paths in the file are relative to the file; paths in overrides to the working folder.

    Raises:
        ConfigError: the file is missing or not TOML, or lists every wrong key at once.
    """
    if not path.exists():
        raise ConfigError(f"the project file {path} does not exist", "Examples lie in configs/.")
    return load_as(Project, path, overrides, _PATHS)


def load_as(
    kind: type[S], path: Path | None, overrides: Sequence[str], paths: Sequence[tuple[str, ...]]
) -> S:
    """Read a file of settings, or none, as `load` reads a project file.

    Args:
        kind: what the settings are.
        path: TOML; absent: the overrides alone.
        overrides: ``section.key=value``.
        paths: sections and key of the settings that are paths.

    Raises:
        ConfigError: as `load`.
    """
    values = {} if path is None else _read_toml(path)
    _make_absolute(values, Path() if path is None else path.parent, paths)
    for override in overrides:
        _override(values, override)
    _make_absolute(values, Path(), paths)
    return _parse_as(kind, values, "--set" if path is None else str(path))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        # Windows' Notepad puts a byte-order mark before the first key.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror})") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"{path} is not TOML: not UTF-8",
            "Save it as UTF-8 (in Notepad: Save as, Encoding: UTF-8).",
        ) from None


def _make_absolute(
    values: dict[str, Any], folder: Path, paths: Sequence[tuple[str, ...]] = _PATHS
) -> None:
    """Paths from the root on, so that a run's copy of the file means the same anywhere."""
    for *sections, key in paths:
        for table in _tables(values, sections):
            given = table.get(key)
            if isinstance(given, str) and ":" not in given:
                table[key] = str((folder / given).absolute())
            elif isinstance(given, list):
                table[key] = [str((folder / str(one)).absolute()) for one in given]


def _tables(values: object, sections: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The tables under these keys, each of them where there is a list."""
    if isinstance(values, list):
        for one in values:
            yield from _tables(one, sections)
    elif isinstance(values, dict):
        if sections:
            yield from _tables(values.get(sections[0]), sections[1:])
        else:
            yield values


def parse(values: Mapping[str, Any], where: str = "the project") -> Project:
    """Validate plain values as a project; every problem is reported at once.

    Raises:
        ConfigError: lists all wrong keys, each with a suggestion.
    """
    return _parse_as(Project, values, where)


def _parse_as(kind: type[S], values: Mapping[str, Any], where: str) -> S:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = [_problem(details, kind) for details in error.errors(include_input=False)]
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError(f"{where} has {len(problems)} problem(s):\n{lines}") from None


def parse_overrides(kind: type[S], overrides: Sequence[str], given: Mapping[str, Any]) -> S:
    """Sections from ``section.key=value`` overrides alone, for commands without a project file.

    Args:
        kind: a model with a field for each section that has a meaning.
        overrides: as given by ``--set``.
        given: section → key → value of what is known otherwise; goes over the overrides.

    Raises:
        ConfigError: lists all wrong keys, each with a suggestion.
    """
    values = nest(overrides)
    known = list(kind.model_fields)
    if set(values) - set(known):
        named = " and ".join(f"[{name}]" for name in known)
        raise ConfigError(f"--set: without a project file only {named} can be set")
    for section, of in given.items():
        values[section] = {**values.get(section, {}), **of}
    return _parse_as(kind, values, "--set")


def nest(overrides: Sequence[str]) -> dict[str, Any]:
    """``section.key=value`` overrides as nested values; paths are made absolute.

    Raises:
        ConfigError: one is not of that form.
    """
    values: dict[str, Any] = {}
    for override in overrides:
        _override(values, override)
    _make_absolute(values, Path())
    return values


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    *sections, last = key.strip().split(".")
    if not equals or not last:
        raise ConfigError(f"--set {override!r} is not of the form section.key=value")
    place = values
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise ConfigError(f"--set {key}: {section} is a value, not a section")
    try:
        place[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        place[last] = text


def _problem(details: Any, root: type[BaseModel] = Project) -> str:
    where = [part for part in details["loc"] if isinstance(part, str)]
    key = ".".join(str(part) for part in details["loc"]) or "the file"
    if details["type"] == "extra_forbidden":
        return f"`{key}` is not a known key. {did_you_mean(where[-1], _keys(where[:-1], root))}"
    if details["type"] == "missing":
        return f"`{key}` is missing."
    return f"`{key}`: {details['msg'].removeprefix('Value error, ')}."


def _keys(where: Sequence[str], root: type[BaseModel]) -> Iterator[str]:
    """The keys that a section may have."""
    section = root
    for name in where:
        annotation = section.model_fields[name].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return
        section = annotation
    yield from section.model_fields


def dump(project: Project) -> str:
    """The resolved project as TOML that `load` reads back."""
    plain = project.public()
    lines = [
        f"{key} = {_toml(value)}" for key, value in plain.items() if not isinstance(value, dict)
    ]
    for name, section in plain.items():
        if isinstance(section, dict):
            lines += _dump_section(name, section)
    return "\n".join(lines) + "\n"


def _dump_section(name: str, section: dict[str, Any]) -> list[str]:
    flat = {key: value for key, value in section.items() if not isinstance(value, dict)}
    lines = ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in flat.items())]
    for key, value in section.items():
        if isinstance(value, dict):
            lines += _dump_section(f"{name}.{key}", value)
    return lines


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_toml(key)} = {_toml(item)}' for key, item in value.items())} }}"
    # JSON's strings, numbers and booleans are TOML's too.
    # (TOML forbids a bare delete character.)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
