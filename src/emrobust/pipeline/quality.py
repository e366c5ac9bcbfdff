"""From a prepared folder to a sheet of what may be wrong in it, and from corrections to another.

quality.json  every finding as numbers and record numbers, without any text
quality.html  the sheet to correct, with the texts, readable by its owner only
quality.csv   the same for a spreadsheet
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from emrobust import quality, records, runs
from emrobust.config import Governance
from emrobust.errors import InputError, RunError
from emrobust.labels import LabelSet, read_label_set
from emrobust.pipeline.prepare import INGEST, LABELS, SUITES
from emrobust.quality import Conflict, Found, Support, review
from emrobust.report import quality_page
from emrobust.train import run as training
from emrobust.train.run import Rows

HTML, JSON, CSV = "quality.html", "quality.json", "quality.csv"
CORRECTIONS = "corrections.json"
_LISTED = 200


class Checked(NamedTuple):
    """What was found in a prepared folder.

    Attributes:
        rows: that were checked.
        mislabels: all rows, the likeliest wrong first.
        support: of the rows outside training; None where there are none.
        conflicts: equal texts with different labels.
    """

    rows: Rows
    mislabels: Found
    support: Support | None
    conflicts: list[Conflict]


def check_quality(
    data: Path,
    out: Path,
    *,
    top: int = 200,
    folds: int = 5,
    seed: int = 0,
    language: str = "",
    today: dt.date | None = None,
) -> Checked:
    """Look for what may be wrong in prepared records and write the sheet.

    Args:
        data: a prepared folder.
        out: folder to write.
        top: records on the sheet.
        folds: of the models that judge the labels.
        seed: of folds and samples.
        language: of the page; empty: the project's.
        today: the day that it is; absent: this machine's.

    Raises:
        ConfigError: the last day of the data-use record is over.
        RunError: ``data`` is not a prepared folder.
        InputError: there are too few patients.
    """
    rows, label_set, checksum = _read(data)
    settings = _settings(data)
    Governance.model_validate(settings.get("governance", {})).refuse_expired(today)
    of_texts = str(settings.get("language", "zh"))
    truth = records.indicator(rows.labels, label_set.names)
    probability = quality.out_of_fold(
        rows.texts,
        truth,
        rows.patient_id,
        single=label_set.task == "single",
        folds=folds,
        seed=seed,
        language=of_texts,
    )
    found = quality.find_mislabels(truth, probability)
    checked = Checked(
        rows,
        found,
        _support(data, rows, seed, of_texts),
        quality.find_conflicts(rows.texts, rows.labels),
    )
    entries = [
        _entry(rows, of, label_set.names, probability[of.row]) for of in found.suspects[:top]
    ]
    plain = _to_json(checked, entries, checksum)
    runs.write_json(out / JSON, plain)
    runs.write_text(out / CSV, review.to_csv(entries), private=True)
    shown = language or of_texts
    page = quality_page.render(plain, entries, label_set.names, label_set.titles_in(shown), shown)
    runs.write_text(out / HTML, page, private=True)
    return checked


def _read(data: Path) -> tuple[Rows, LabelSet, str]:
    path = data / LABELS / records.FILE
    if not path.is_file():
        raise RunError(f"{data} is not a prepared folder", "Write it with `emrobust prepare`.")
    label_set = read_label_set(data / LABELS / training.LABELS)
    return training.read_rows(path), label_set, runs.checksum(path)


def _settings(data: Path) -> dict[str, Any]:
    """What the first stage was given: language and data-use record among it."""
    facts: dict[str, Any] = runs.read_json(data / INGEST / runs.MANIFEST)["facts"]
    settings: dict[str, Any] = facts["settings"]
    return settings


def _support(data: Path, rows: Rows, seed: int, language: str) -> Support | None:
    split = np.array([name or "" for name in rows.split])
    known, asked = np.flatnonzero(split == "train"), np.flatnonzero(split != "train")
    if not len(known) or not len(asked):
        return None
    train, rest = rows.take(known), rows.take(asked)
    table = records.read(data / LABELS / records.FILE, ["site", "department"])
    columns: dict[str, Sequence[Sequence[str]]] = {"label": rest.labels}
    for name in table.column_names:
        cells = table[name].to_pylist()
        columns[name] = [[cells[row]] if cells[row] else [] for row in asked]
    found = quality.find_unsupported(
        train.texts,
        train.patient_id,
        rest.texts,
        rest.patient_id,
        columns,
        seed=seed,
        language=language,
    )
    # Places among all rows, as everywhere else.
    return found._replace(rows=[int(asked[row]) for row in found.rows])


def _entry(
    rows: Rows, of: quality.Suspect, names: Sequence[str], probability: np.ndarray
) -> review.Entry:
    return review.Entry(
        record_id=rows.record_id[of.row],
        split=rows.split[of.row] or "",
        labels=tuple(rows.labels[of.row]),
        drop="" if of.drop is None else names[of.drop],
        add="" if of.add is None else names[of.add],
        likely=tuple((names[k], round(float(probability[k]), 4)) for k in of.likely),
        score=round(of.score, 4),
        confident=of.confident,
        text=rows.texts[of.row],
    )


def _to_json(checked: Checked, entries: Sequence[review.Entry], data: str) -> dict[str, Any]:
    rows, support = checked.rows, checked.support
    return {
        "version": review.VERSION,
        "data": data,
        "rows": checked.mislabels.rows,
        "confident": checked.mislabels.confident,
        "mislabels": [entry.to_json() for entry in entries],
        "conflicts": [
            {
                "records": [rows.record_id[row] for row in of.rows],
                "labels": [[list(labels), count] for labels, count in of.labels],
            }
            for of in checked.conflicts[:_LISTED]
        ],
        "conflicting_texts": len(checked.conflicts),
        "support": support
        and {
            "bound": support.bound,
            "expected": support.expected,
            "asked": len(support.cosine),
            "unsupported": len(support.rows),
            "records": [rows.record_id[row] for row in support.rows[:_LISTED]],
            "groups": {
                name: [{**group._asdict(), "share": group.share} for group in groups[:10]]
                for name, groups in support.groups.items()
            },
        },
    }


def correct(data: Path, corrections: Path, out: Path) -> int:
    """Write another prepared folder with the corrected labels; the number of changed records.

    The folder says what was changed (``corrections.json``); the one it was made from stays.

    Args:
        data: the prepared folder that the sheet was made from.
        corrections: what the sheet exported, or the filled-in CSV.
        out: a new folder.

    Raises:
        InputError: the corrections do not fit, or ``out`` exists.
        LabelError: a label is not in the label set.
        RunError: ``data`` is not a prepared folder.
    """
    if out.exists():
        raise InputError(f"{out} exists", "Give a new folder with --out.")
    rows, label_set, checksum = _read(data)
    single = label_set.task == "single"
    known = dict(zip(rows.record_id, rows.labels, strict=True))
    wanted = review.read(corrections, checksum, known, label_set.names, single=single)
    unknown = len(set(wanted) - set(rows.record_id))
    if unknown:
        raise InputError(
            f"{unknown} of the {len(wanted)} corrected records are not in {data}",
            "Give the prepared folder that the sheet was made from.",
        )
    changes = {
        record_id: {"before": before, "after": wanted[record_id]}
        for record_id, before in zip(rows.record_id, rows.labels, strict=True)
        if record_id in wanted and sorted(wanted[record_id]) != sorted(before)
    }
    with runs.atomic_folder(out) as target:
        # Suites hold the labels as they were; they are made anew.
        ignored = shutil.ignore_patterns(SUITES)
        shutil.copytree(data, target, ignore=ignored, dirs_exist_ok=True)
        _rewrite(target / LABELS, rows, label_set, changes)
    return len(changes)


def _rewrite(
    folder: Path, rows: Rows, label_set: LabelSet, changes: dict[str, dict[str, list[str]]]
) -> None:
    """The last stage's records, label counts and manifest with the corrected labels."""
    labels = [
        changes[record_id]["after"] if record_id in changes else before
        for record_id, before in zip(rows.record_id, rows.labels, strict=True)
    ]
    table = records.read(folder / records.FILE)
    place = table.schema.get_field_index("labels")
    table = table.set_column(
        place, table.schema.field(place), pa.array(labels, pa.list_(pa.string()))
    )
    records.write(folder / records.FILE, table.schema, table.to_batches())
    counts = dict.fromkeys(label_set.counts_train, 0)
    for of_row, split in zip(labels, rows.split, strict=True):
        if split in {"train", None}:
            for label in of_row:
                counts[label] = counts.get(label, 0) + 1
    runs.write_json(folder / training.LABELS, asdict(replace(label_set, counts_train=counts)))
    runs.write_json(folder / CORRECTIONS, changes)
    manifest = runs.read_json(folder / runs.MANIFEST)
    facts = {**manifest["facts"], "corrections": runs.checksum(folder / CORRECTIONS)}
    runs.write_manifest(folder, facts)
