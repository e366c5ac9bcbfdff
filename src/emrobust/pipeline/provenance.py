"""Where an encoder's text comes from, and on whose word it names no person.

Weights remember what they read. A folder that went through de-identification can show it: its
manifests tie the records to what the first stage did, so a changed file is noticed. Any other
text is taken on the user's word alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from emrobust import records, runs
from emrobust.config import Governance, Project
from emrobust.deid.gate import DIRECT
from emrobust.errors import ConfigError, InputError, RunError
from emrobust.pipeline.deid import FACTS
from emrobust.pipeline.prepare import INGEST, STAGES
from emrobust.report import data_use

_PERSONS = frozenset({"patient_name", "relative_name", "doctor_name", "person_name"})


class Provenance(NamedTuple):
    """One source of text.

    Attributes:
        name: of the file or folder, without its path.
        deidentified: what its de-identification did; empty where the user's word is all.
        governance: its data-use record; empty where it has none.
    """

    name: str
    deidentified: dict[str, Any]
    governance: dict[str, Any]

    def line(self) -> str:
        """For the card."""
        done = self.deidentified
        if not done:
            return f"{self.name}: stated by the user to name no person"
        return (
            f"{self.name}: de-identified by `emrobust`, {done['rows']:,} records, "
            f"{done['identifiers']:,} identifiers treated, no direct identifier found afterwards "
            f"(records sha256 {done['records'][:16]})"
        )


def trace(
    sources: Sequence[Path], *, deidentified: bool, today: dt.date | None = None
) -> list[Provenance]:
    """Where each source comes from.

    Args:
        sources: text files and folders with records.
        deidentified: the user says that no text names a person.
        today: the day on which data-use records must still hold; absent: this machine's.

    Raises:
        ConfigError: a folder's data-use record is over.
        InputError: nothing shows that a source names no person, and the user doesn't say so.
    """
    traced = []
    for source in sources:
        record = _record(source)
        record.refuse_expired(today)
        shown, why = _show(source)
        if why and not deidentified:
            raise InputError(
                "an encoder remembers its text, and nothing shows that this text names no person: "
                f"{source}: {why}",
                "Prepare it with [deid] enabled = true; or de-identify it otherwise and add "
                "--deidentified.",
            )
        traced.append(Provenance(source.name, shown, record.public()))
    return traced


def match(project: Project, data: Path) -> None:
    """Refuse prepared data whose data-use record is not the project's: it would be lost.

    Raises:
        ConfigError: the two differ.
    """
    found = _record(data)
    if found.public() and found.public() != project.governance.public():
        raise ConfigError(
            f"{data} was prepared under another [governance] than the project file gives "
            f"(approval {found.approval}, until {found.retain_until})",
            "Give the same record in the project file, or prepare the data again under this one.",
        )


def _first(folder: Path) -> Path:
    """The folder of a prepared or de-identified table in which the source was read."""
    return folder if (folder / records.FILE).is_file() else folder / INGEST


def _settings(facts: dict[str, Any]) -> dict[str, Any]:
    """The settings with which the source was read, from a manifest's facts."""
    settings: dict[str, Any] = facts.get("settings") or facts.get("project") or {}
    return settings


def _record(source: Path) -> Governance:
    """The data-use record of a folder, though its files be changed."""
    path = _first(source) / runs.MANIFEST
    if not path.is_file():
        return Governance()
    settings = _settings(runs.read_json(path)["facts"])
    return Governance.model_validate(settings.get("governance") or {})


def _show(source: Path) -> tuple[dict[str, Any], str]:
    """What the de-identification of a folder did, or why it cannot be relied on."""
    if not source.is_dir():
        return {}, "it is no folder that `emrobust prepare` or `emrobust deid` wrote"
    first = _first(source)
    try:
        settings = _settings(runs.verify_manifest(first))
        facts = runs.read_json(first / FACTS)
        last = _last(source, first)
    except RunError as error:
        return {}, error.message
    for why in _doubts(settings, facts):
        return {}, why
    return {
        "rows": facts["rows"],
        "identifiers": sum(n for of in facts["found"].values() for n in of.values()),
        "records": runs.checksum(last / records.FILE),
    }, ""


def _last(source: Path, first: Path) -> Path:
    """The stage whose records are read, each stage shown to be made from the one before.

    Raises:
        RunError: a stage was changed, or made from something else.
    """
    if first == source:
        return first
    before = first
    for name in STAGES[1:]:
        stage = source / name
        if not stage.is_dir():
            break
        if runs.verify_manifest(stage)["source"] != runs.checksum(before):
            raise RunError(f"{stage} was not made from {before}", "Prepare the folder again.")
        before = stage
    read = max(source.glob(f"*/{records.FILE}")).parent
    if read != before:
        raise RunError(f"{read} is no stage of {source}", "Prepare the folder again.")
    return before


def _doubts(settings: dict[str, Any], facts: dict[str, Any]) -> Iterator[str]:
    """Why texts that were read with these settings may still name a person."""
    if not facts["enabled"]:
        yield "it was read without [deid] enabled = true"
    if facts["direct_identifiers_left"]:
        yield "direct identifiers were accepted in it"
    known = facts.get("audit", {}).get("known", {})
    if sum(known[kind]["left"] for kind in known.keys() & (DIRECT | {"name"})):
        yield "its audit found values that are known from columns"
    treated = settings.get("deid", {}).get("columns") or ()
    untreated = set(settings["source"]["columns"]["text"]) - set(treated) if treated else ()
    if untreated:
        yield f"[deid] columns leaves out {', '.join(sorted(untreated))}"
    kept = sorted(k for k in DIRECT | _PERSONS if "keep" in facts["found"].get(k, {}))
    if kept:
        yield f"[deid] operators keeps {', '.join(kept)}"


def describe(traced: Sequence[Provenance]) -> str:
    """The card's section on where the text comes from and by what right it was used."""
    lines = ["Text:", "", *(f"- {of.line()}" for of in traced)]
    for of in traced:
        use = data_use.describe(of.governance, "en")
        if use.rows:
            lines += ["", f"{use.heading}, {of.name}:", ""]
            lines += [f"- {name}: {value}" for name, value in use.rows]
    return "\n".join(lines)
