"""Stage: the label set, decided by training rows alone.

It runs after the split. Classes beyond the ``top`` K or below ``min_count`` training rows are
rare: they become ``other`` or are dropped. What validation and test rows hold decides nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from emrobust import config, records, runs
from emrobust.errors import LabelError
from emrobust.labels import icd10
from emrobust.labels.aggregate import NONE_LEFT, OTHER, check_classes, of_classes
from emrobust.labels.rows import Relabel, rewrite
from emrobust.labels.table import read
from emrobust.runs import Summary

FILE = "labels.json"
_GROUP = "Put what belongs together into one class with a class table ([labels] table)."
LabelSets = Counter[tuple[str, ...]]


@dataclass(frozen=True)
class LabelSet:
    """The classes of a run, as kept in ``labels.json``.

    Attributes:
        task: ``multi`` or ``single``.
        names: classes, the commonest in training first: the order of a model's outputs.
        counts_train: class → training rows (all rows under cross-validation).
        titles: class → title in Chinese and English, where one is known.
        rare: ``rule`` (other or drop) and ``classes``: rare class → training rows.
    """

    task: str
    names: tuple[str, ...]
    counts_train: dict[str, int]
    titles: dict[str, dict[str, str]] = field(default_factory=dict)
    rare: dict[str, Any] = field(default_factory=dict)

    def titles_in(self, language: str) -> dict[str, str]:
        """Class → its title in a language, where it says more than the name."""
        found = {name: self.titles.get(name, {}).get(language, "") for name in self.names}
        return {name: title for name, title in found.items() if title not in ("", name)}


def read_label_set(path: Path) -> LabelSet:
    """Read ``labels.json``.

    Raises:
        RunError: it is missing or not readable.
    """
    plain = runs.read_json(path)
    return LabelSet(**{**plain, "names": tuple(plain["names"])})


def select(settings: config.Labels, source: Path, target: Path) -> Summary:
    """Decide the label set from the training rows and give every row its final labels.

    Args:
        settings: ``[labels]``.
        source: folder of the split stage.
        target: empty folder for the records, labels.json and rejects.csv.

    Returns:
        rows, rejects, and notes: the long tail (`tail`), ``statistics_from`` and ``warnings``.

    Raises:
        LabelError: the split has not run, fewer than two classes are left, there are fewer
            training rows than classes, or a split lost all its rows.
    """
    of_training, folds = training_label_sets(source / records.FILE)
    chosen = choose(of_training, settings)
    done = rewrite(source, target, _relabel(chosen))
    check_classes(len(chosen.names), sum(of_training.values()), "the training rows")
    _check_splits(source, target)
    records.check(target / records.FILE, names=chosen.names)
    runs.write_json(target / FILE, asdict(chosen))
    notes = tail(_mapped(of_training, set(chosen.names)), chosen)
    notes["statistics_from"] = (
        "all rows, since cross-validation trains on each of them" if folds else "training rows"
    )
    notes["warnings"] = list(_warnings(chosen))
    return Summary(done.rows_in, done.rows_out, done.rejected, notes)


def _warnings(chosen: LabelSet) -> Iterator[str]:
    """What a class table would mend."""
    counts = chosen.counts_train
    others, labels = counts.get(OTHER, 0), sum(counts.values())
    classes = [n for name, n in counts.items() if name != OTHER]
    classes += chosen.rare["classes"].values()
    lone = classes.count(1)
    if 2 * others > labels:
        yield f"{others:,} of {labels:,} labels ended in `{OTHER}`. {_GROUP}"
    if 2 * lone > len(classes):
        yield f"{lone:,} of {len(classes):,} classes have a single training record. {_GROUP}"


def conform(chosen: LabelSet, source: Path, target: Path) -> Summary:
    """Give another table, already aggregated, the label set of a run.

    Args:
        chosen: the run's label set.
        source: folder with the aggregated records of, say, another hospital.
        target: empty folder for the records, labels.json and rejects.csv.

    Raises:
        LabelError: a class is neither in the label set nor among the rare, and the set has no
            class ``other``.
    """
    known = {*chosen.names, *chosen.rare.get("classes", ())}
    for row, labels in enumerate(_labels(source / records.FILE), 1):
        for label in labels:
            if label not in known and OTHER not in chosen.names:
                raise LabelError(
                    f"row {row} has a class that is not in the run's label set of "
                    f"{len(chosen.names)} classes",
                    'Add its code to the class table, or train with rare = "other" in [labels].',
                )
    done = rewrite(source, target, _relabel(chosen))
    records.check(target / records.FILE, names=chosen.names)
    runs.write_json(target / FILE, asdict(chosen))
    return done


def training_label_sets(file: Path) -> tuple[LabelSets, bool]:
    """How often each set of classes occurs in training rows, and whether folds are used.

    Raises:
        LabelError: the rows have neither a split nor a fold.
    """
    found: LabelSets = Counter()
    folds = False
    for batch in records.read_batches(file, ["labels", "split", "fold"]):
        if batch.column("fold").null_count == 0:
            folds = True
        elif batch.column("split").null_count:
            raise LabelError(
                f"{file} has rows without a split", "Run the split stage before labels.select."
            )
        else:
            batch = batch.filter(pc.equal(batch.column("split"), "train"))  # noqa: PLW2901 - only the training rows go on
        found.update(tuple(sorted(labels or ())) for labels in batch.column("labels").to_pylist())
    return found, folds


def choose(of_training: LabelSets, settings: config.Labels) -> LabelSet:
    """The label set that training rows call for."""
    counts = _count(of_training)
    into = {OTHER} if settings.rare == "other" else set()
    ranked = [name for name in _by_count(counts) if name not in into]
    common = [name for name in ranked if counts[name] >= settings.min_count][: settings.top]
    rare = {name: counts[name] for name in ranked if name not in set(common)}
    final = _count(_mapped(of_training, {*common, *into}))
    names = tuple(_by_count(final))
    return LabelSet(
        settings.task,
        names,
        {name: final[name] for name in names},
        titles(names, settings),
        {"rule": settings.rare, "classes": rare},
    )


def titles(names: Sequence[str], settings: config.Labels) -> dict[str, dict[str, str]]:
    """Titles of classes: from the class table, else the ICD-10 block that a code lies in."""
    given = {} if settings.table is None else read(settings.table, settings.kind).titles
    found = {name: {"zh": name, "en": name} | given[name] for name in names if name in given}
    if OTHER in names:
        found.setdefault(OTHER, {"zh": "其他", "en": "other"})
    if settings.kind == "icd10" and settings.table is None:
        for name in set(names) - set(found):
            if of := icd10.block(name[:3]):
                within = f"({of.first}–{of.last})"
                found[name] = {"zh": f"{of.title_zh} {within}", "en": f"{of.title_en} {within}"}
    return found


def tail(label_sets: LabelSets, chosen: LabelSet) -> dict[str, Any]:
    """Facts of the long tail, for the report; shares are of rows, 0 to 1."""
    rows = max(sum(label_sets.values()), 1)
    top = set(chosen.names[:10])
    in_top = sum(n for labels, n in label_sets.items() if top & set(labels))
    per_row: Counter[int] = Counter()
    for labels, n in label_sets.items():
        per_row[len(labels)] += n
    return {
        "rows": rows,
        "counts": [[name, chosen.counts_train[name]] for name in chosen.names],
        "ten_commonest_share": in_top / rows,
        "rarest_share": min(chosen.counts_train.values(), default=0) / rows,
        "labels_per_row": {str(k): per_row[k] for k in sorted(per_row)},
        "rare": chosen.rare,
    }


def _labels(file: Path) -> Iterator[list[str]]:
    for batch in records.read_batches(file, ["labels"]):
        for labels in batch.column(0).to_pylist():
            yield labels or []


def _relabel(chosen: LabelSet) -> Relabel:
    names = frozenset(chosen.names)
    return lambda labels: of_classes(_kept(labels, names), chosen.task, NONE_LEFT)


def _kept(labels: Sequence[str], names: AbstractSet[str]) -> tuple[str, ...]:
    """Classes of the set stay; others become ``other`` where that is a class, or vanish."""
    into = [name if name in names else OTHER for name in labels]
    return tuple(dict.fromkeys(name for name in into if name in names))


def _mapped(label_sets: LabelSets, names: AbstractSet[str]) -> LabelSets:
    found: LabelSets = Counter()
    for labels, n in label_sets.items():
        if kept := _kept(labels, names):
            found[kept] += n
    return found


def _count(label_sets: LabelSets) -> Counter[str]:
    found: Counter[str] = Counter()
    for labels, n in label_sets.items():
        for label in labels:
            found[label] += n
    return found


def _by_count(counts: dict[str, int]) -> list[str]:
    return sorted(counts, key=lambda name: (-counts[name], name))


def _check_splits(source: Path, target: Path) -> None:
    before, after = (
        set(records.read(folder / records.FILE, ["split"])["split"].unique().to_pylist())
        for folder in (source, target)
    )
    if lost := sorted(before - after):
        raise LabelError(
            f"no row of the split {lost[0]} is left once rare classes are dropped",
            'Lower `min_count`, raise `top`, or set rare = "other" in [labels].',
        )
