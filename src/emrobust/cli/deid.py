"""``emrobust deid``: take the identifiers out of a project's records or of any table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from emrobust.errors import ConfigError


def run_deid(
    what: Annotated[
        Path | None, typer.Argument(help="A project file (.toml), or a table of any kind.")
    ] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder (project), file (table), or sheet (--sample)."),
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="Table: text columns to treat, by comma.")
    ] = None,
    keep: Annotated[
        str | None, typer.Option("--keep", help="Table: columns to write as they are, by comma.")
    ] = None,
    patient: Annotated[
        str | None, typer.Option("--patient", help="Table: column that tells patients apart.")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", help="Table: column with the time of the visit.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="Key file: surrogates, date shifts, mapping.")
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option("--explain", help="CSV to write: every decision with its evidence, no text."),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", help="File to write: the way back, encrypted with --key."),
    ] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Write a review sheet of N records.")
    ] = None,
    corrections: Annotated[
        Path | None, typer.Option("--corrections", help="What a reviewed sheet exported.")
    ] = None,
    new_key: Annotated[
        Path | None, typer.Option("--new-key", help="Make a key file, and nothing else.")
    ] = None,
    language: Annotated[
        Literal["", "zh", "en"],
        typer.Option(help="Table: of its texts and of the report; else the texts tell."),
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Overrides; repeatable."),
    ] = None,
) -> None:
    """Take identifiers out of texts; review sheet, report and way back on request."""
    from emrobust import deid
    from emrobust.deid.key import make_key, read_key

    if new_key is not None:
        make_key(new_key)
        typer.echo(f"{new_key}: keep it apart from the data; without it nothing can be undone")
        return
    if what is None or out is None:
        raise ConfigError("a project file or a table, and --out, are needed", "See --help.")
    if mapping is not None and key is None:
        raise ConfigError("--mapping needs --key", "Make one with --new-key FILE.")
    if language and what.suffix == ".toml":
        raise ConfigError("--language is for tables", "A project's file says it: --set language=en")
    asked = _Asked(
        what=what,
        out=out,
        overrides=tuple(settings or ()),
        key=key,
        wishes=deid.Wishes(explain, mapping, read_key(key) if mapping and key else None),
        sample=sample,
        corrections=corrections,
        language=language,
    )
    if what.suffix == ".toml":
        lines = _project(asked)
    else:
        lines = _table(asked, _split(text), _split(keep), patient=patient, time=time)
    for line in lines:
        typer.echo(line)


@dataclass(frozen=True)
class _Asked:
    """What the command was given, whatever it is about."""

    what: Path
    out: Path
    overrides: tuple[str, ...]
    key: Path | None
    wishes: Any
    sample: int | None
    corrections: Path | None
    language: str


def _project(asked: _Asked) -> list[str]:
    from emrobust.pipeline import deid

    out = asked.out
    project = deid.load(asked.what, asked.overrides, asked.key)
    if asked.corrections is not None:
        return _told(deid.correct(asked.corrections, out, project.name, project.language))
    if asked.sample is not None:
        return [f"{deid.write_sheet(project, out, asked.sample)} records to review: {out}"]
    summary, facts = deid.deidentify(project, out, asked.wishes)
    return [*_done(summary.rows_out, facts), f"report: {out / deid.REPORT}"]


def _table(
    asked: _Asked,
    text: tuple[str, ...],
    keep: tuple[str, ...],
    *,
    patient: str | None,
    time: str | None,
) -> list[str]:
    from emrobust import config
    from emrobust.pipeline import deid, deid_table

    out = asked.out
    if asked.corrections is not None:
        return _told(deid.correct(asked.corrections, out))
    if not text:
        raise ConfigError("a table needs --text", "Name the columns: --text 主诉,现病史")
    known = {"source": {"path": asked.what, "columns": deid_table.columns_of(text)}}
    settings = config.parse_overrides(deid_table.Settings, asked.overrides, known)
    given = settings.deid
    if asked.key is not None and given.key_file is None:
        given = given.model_copy(update={"key_file": asked.key.absolute()})
    plan = deid_table.Plan(text, keep, patient, time, settings.source, asked.language)
    if asked.sample is not None:
        rows = deid_table.sample_table(asked.what, out, plan, given, asked.sample)
        return [f"{rows} records to review: {out}"]
    rows, facts = deid_table.treat_table(asked.what, out, plan, given, asked.wishes)
    lines = _done(rows, facts)
    lines += [
        f"{n:,} rows refused: {reason} ({out.stem}.rejects.csv)"
        for reason, n in facts["rejected"].items()
    ]
    return [*lines, f"report: {out.with_name(f'{out.stem}.{deid.REPORT}')}"]


def _split(names: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (names or "").split(",") if name.strip())


def _done(rows: int, facts: dict[str, Any]) -> list[str]:
    found = sum(n for of in facts["found"].values() for n in of.values())
    lines = [f"{rows:,} rows, {found:,} identifiers treated"]
    if facts.get("risk"):
        of = facts["risk"]
        lines.append(f"k = {of['k']}, maximum risk {of['maximum_risk']:.3f}, grade {of['grade']}")
    return lines


def _told(measured: dict[str, Any]) -> list[str]:
    of = measured["kinds"]["all"]
    shares = {
        "recall": of["recall"],
        "precision": of["precision"],
        "whole records": measured["whole_document_recall"],
    }
    return [
        f"{measured['documents']} records reviewed",
        *(f"{name}: {s:.3f} ({low:.3f}–{high:.3f})" for name, (s, low, high) in shares.items()),
    ]
