"""De-identification on the way from a source to records, and its papers."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from pathlib import Path
from typing import Any

from emrobust import config, deid, ingest, records, runs
from emrobust.config import Deid, Governance, Project, Section, Source
from emrobust.deid import review
from emrobust.deid.key import read_key
from emrobust.errors import ConfigError
from emrobust.language import count_foreign, describe_foreign
from emrobust.pipeline import governance
from emrobust.report import deid_page, review_page

REPORT = "deid_report.html"
FACTS = "deid_report.json"
ASSESSMENT = "pipl_art55.zh.md"
SUMMARY = "summary.json"
LOCAL = "local.json"
_LOOKED_AT = 1000  # records whose language is looked at


class Reading(Section):
    """What the first stage needs: where the records are and how they are treated.

    Attributes:
        governance: the data-use record, which the report shows.
        key: the fingerprint of the key, so that another key is another output.
    """

    source: Source
    deid: Deid
    governance: Governance = Governance()
    name: str = ""
    language: str = "zh"
    key: str = ""


def reading_of(project: Project) -> Reading:
    """The settings of the first stage.

    Raises:
        ConfigError: the key file is missing or open to others, or the split needs the true dates.
    """
    settings = project.deid
    key = ""
    if settings.enabled and settings.key_file:
        key = read_key(settings.key_file).fingerprint()
    _refuse_time_split(project)
    return Reading(
        source=project.source,
        deid=settings,
        governance=project.governance,
        name=project.name,
        language=project.language,
        key=key,
    )


def _refuse_time_split(project: Project) -> None:
    if not project.deid.enabled or project.split.by != "time":
        return
    if project.deid.visit_time == "drop" or (
        project.deid.visit_time == "auto" and deid.Deidentifier(project.deid).shifts
    ):
        raise ConfigError(
            '[split] by = "time" needs the order of the visits, which [deid] takes away',
            'Set [deid] visit_time = "month" and generalise dates, or split by patient.',
        )


def read(settings: Reading, source: Path, target: Path) -> runs.Summary:
    """The first stage: records without identifiers, straight from the source.

    No text is written before it is treated. With ``enabled`` the report, its facts and the
    self-assessment lie beside the records.

    Raises:
        InputError: the source or the settings are wrong.
        RecordsError: direct identifiers would be written and are not accepted.
    """
    return _read(settings, source, target, None)[0]


def deidentify(
    project: Project,
    out: Path,
    wishes: deid.Wishes | None = None,
    today: dt.date | None = None,
) -> tuple[runs.Summary, dict[str, Any]]:
    """Read, treat and write a project's records; the folder appears whole or not at all.

    Args:
        project: what to read.
        out: folder to write.
        wishes: what to write beside the records.
        today: the day on which the data-use record must still hold; absent: this machine's.

    Raises:
        ConfigError: the folder holds something else, or the data-use record is over.
        InputError: the source or the settings are wrong.
    """
    governance.check(project, today)
    if out.exists() and any(out.iterdir()) and not (out / FACTS).is_file():
        raise ConfigError(f"{out} is not empty", "Give a new folder with --out.")
    settings = project.deid.model_copy(update={"enabled": True})
    reading = reading_of(project.model_copy(update={"deid": settings}))
    with runs.atomic_folder(out) as target:
        summary, facts = _read(reading, project.source.path or Path("absent"), target, wishes)
        runs.write_json(target / SUMMARY, asdict(summary))
        runs.write_manifest(target, {"project": project.public()})
    return summary, facts


def _read(
    settings: Reading, source: Path, target: Path, wishes: deid.Wishes | None
) -> tuple[runs.Summary, dict[str, Any]]:
    deidentifier = deid.Deidentifier(settings.deid, wishes, settings.language)
    summary = ingest.ingest(settings.source, source, target, deidentifier)
    facts = {
        **deidentifier.facts(target / records.FILE),
        "dropped_columns": summary.notes["dropped_columns"],
        "governance": settings.governance.public(),
    }
    runs.write_json(target / FACTS, facts)
    if settings.deid.enabled:
        write_papers(target, facts, settings.name, settings.language)
    warnings = _warn_of_language(target, settings.language)
    notes = {**summary.notes, **deid.notes_of(facts), "warnings": warnings}
    return runs.Summary(summary.rows_in, summary.rows_out, summary.rejected, notes), facts


def _warn_of_language(folder: Path, language: str) -> list[str]:
    first = next(records.read_batches(folder / records.FILE, rows=_LOOKED_AT))
    foreign = count_foreign(records.join_text(first), language)
    warning = describe_foreign(foreign, first.num_rows, language)
    return [f"of the first rows {warning}"] if warning else []


def write_papers(
    target: Path, facts: dict[str, Any], name: str, language: str = "zh", *, prefix: str = ""
) -> None:
    """The report as a page, and the self-assessment to complete."""
    deid_page.write_report(target / f"{prefix}{REPORT}", facts, name, language)
    deid_page.write_assessment(target / f"{prefix}{ASSESSMENT}", facts, name)


def load(path: Path, overrides: tuple[str, ...], key: Path | None) -> Project:
    """A project with a key file from the command line, where it names none itself."""
    project = config.load(path, overrides)
    if key is not None and project.deid.key_file is None:
        update = {"key_file": key.absolute()}
        project = project.model_copy(update={"deid": project.deid.model_copy(update=update)})
    return project


def write_sheet(project: Project, out: Path, count: int, today: dt.date | None = None) -> int:
    """Write a review sheet of so many records; the number of records on it.

    Raises:
        ConfigError: ``out`` exists, the settings are wrong, or the data-use record is over on
            ``today`` (absent: this machine's day).
        InputError: the source cannot be read.
    """
    governance.check(project, today)
    if out.exists():
        raise ConfigError(f"{out} exists; a sheet may hold a reader's work", "Give another --out.")
    settings = project.deid.model_copy(update={"enabled": True})
    stream = ingest.batches(project.source, with_labels=False, with_known=True)
    worker = deid.Deidentifier(settings, language=project.language).worker
    drawn = review.draw(stream, worker, count, project.seed)
    review_page.write_sheet(out, review.sheet(drawn), project.name, project.language)
    return len(drawn)


def correct(corrections: Path, out: Path, name: str = "", language: str = "zh") -> dict[str, Any]:
    """Recall and precision of a reviewed sheet, put into the report of ``out``.

    Args:
        corrections: what the sheet exported.
        out: a folder that `deidentify` wrote, or a new one for ``local.json`` alone.
        name: of the project.
        language: of the report.

    Raises:
        InputError: the corrections are not a sheet's.
    """
    measured = review.measure(review.read(corrections))
    runs.write_json(out / LOCAL, measured)
    if (out / FACTS).is_file():
        facts = {**runs.read_json(out / FACTS), "local": measured}
        runs.write_json(out / FACTS, facts)
        write_papers(out, facts, name, language)
        manifest = runs.read_json(out / runs.MANIFEST)
        runs.write_manifest(out, manifest["facts"])
    return measured
