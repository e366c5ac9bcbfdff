"""From a run to what attacks on it reach.

attack.json   every attack: its parts, rates with intervals, scores before and after
attack.html   the same for readers, with changed texts where examples are wanted
NAME.attack   only while the attack NAME runs: the records that are done

and, where it is wished for, a suite in the prepared folder, for `emrobust evaluate` of any run that
was trained there: ``suites/attack/RUN-NAME.parquet``, the records that were drawn, with the changed
texts of successes. Its owner's alone, as it holds texts.

``attack.json`` holds ``model``, ``seed``, ``records`` and ``attacks``: for each, ``recipe``,
``goal``, ``search``, ``budget``, ``held_out`` (whether training's augmentation never writes what
it writes), the fields of `evaluate.attacked.Attacked`, and ``examples``: ``record_id``, ``text``,
``edits`` (start, end, new text; offsets into the text in characters), ``true``, ``before`` and
``after`` (labels). The texts are the records' own, so there are none unless the records are a
synthetic clinic's or the user asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from emrobust import attack as attacks
from emrobust import progress, records, rng, runs
from emrobust.attack import log
from emrobust.attack.attack import Attack
from emrobust.attack.attempt import Subject
from emrobust.attack.constraints.edit_budget import count_changed
from emrobust.attack.recipe import BUDGET, GOALS, Recipe
from emrobust.attack.victim import Victim
from emrobust.errors import ConfigError, InputError
from emrobust.evaluate import attacked, evidence, gather, suites
from emrobust.evaluate.attacked import Attacked, Attempted
from emrobust.evaluate.predictions import Predictions
from emrobust.pipeline.material import ATTACKS
from emrobust.pipeline.prepare import LABELS, SUITES
from emrobust.pipeline.rows import need_prepared, read_splits
from emrobust.report import attack_page
from emrobust.train import run as training
from emrobust.train.run import Rows, Run

JSON, HTML = ATTACKS, "attack.html"
# Without --recipe: the hardest of the project's language.
USUAL = {"zh": ("zh_combined",), "en": ("en_typo", "en_synonym")}
_EXAMPLES = 10


class Wishes(NamedTuple):
    """What to attack, and how.

    Attributes:
        recipes: names, or files of recipes; empty: what is usual for the project's language.
        goal: ``name`` and settings; empty: what is usual for the task.
        search: likewise; empty: the recipe's.
        records: test records that are drawn; 0: all.
        budget: most queries of a record.
        examples: changed texts to show of each attack; absent: some of a synthetic clinic, none
            of real records.
        language: of the page; empty: the project's.
        suite: whether the attacked texts become a suite in the prepared folder.
    """

    recipes: tuple[str, ...] = ()
    goal: Mapping[str, Any] = {}
    search: Mapping[str, Any] = {}
    records: int = 1000
    budget: int = BUDGET
    examples: int | None = None
    language: str = ""
    suite: bool = False


class Target(NamedTuple):
    """What is attacked."""

    run: Run
    victim: Victim
    rows: Rows
    before: Predictions
    prepared: Path


def attack(
    folder: Path, out: Path, wishes: Wishes | None = None, data: Path | None = None
) -> dict[str, Attacked]:
    """Attack a run by one recipe or several; write `JSON` and `HTML`.

    Stopped and started again, it goes on where it was.

    Args:
        folder: the run.
        out: folder to write.
        wishes: what to do.
        data: the prepared folder that the run was trained on, where it does not lie in it.

    Raises:
        ConfigError: an unknown recipe, part or setting, or a budget that allows no change.
        InputError: there is no test record, or ``data`` holds other records.
        RunError: no finished run, its prepared folder is not found, or ``out`` holds another
            attack that was stopped.
    """
    wishes = wishes or Wishes()
    run = training.load(folder)
    composed = compose(run, wishes)
    target = _target(run, wishes, data)
    about = {
        "model": runs.checksum(folder / runs.MANIFEST),
        "seed": run.project.seed,
        "records": len(target.rows.record_id),
    }
    shown = wishes.examples
    if shown is None:
        shown = _EXAMPLES if run.project.evaluate.truth is not None else 0
    keeps = shown > 0 or wishes.suite
    told, measured = [], {}
    for name, (recipe, of_recipe) in composed.items():
        facts = _facts(name, recipe, of_recipe, wishes, run)
        path = out / f"{name}.attack"
        entries = _attack(target, of_recipe, path, {**about, **facts, "examples": keeps})
        measured[name] = _measure(target, name, entries, facts)
        examples = _examples(target, entries, shown)
        if wishes.suite:
            _write_suite(target, name, entries)
        told.append({**facts, **measured[name].to_json(), "examples": examples})
    _write(out, {**about, "attacks": told}, run, wishes.language)
    for name in composed:
        (out / f"{name}.attack").unlink()
    return measured


def compose(run: Run, wishes: Wishes) -> dict[str, tuple[Recipe, Attack]]:
    """The attacks that are wished for, by the names of their recipes.

    Raises:
        ConfigError: an unknown recipe, part or setting, or a budget that allows no change.
    """
    project = run.project
    goal = dict(wishes.goal) or {"name": GOALS[project.labels.task]}
    found = {}
    for name, recipe in attacks.select(wishes.recipes or USUAL[project.language]).items():
        made = attacks.compose(recipe, goal, search=wishes.search or None, budget=wishes.budget)
        if made.goal.task not in {"both", project.labels.task}:
            raise ConfigError(
                f"the goal {goal['name']} is for {made.goal.task}-label models, this one is"
                f" {project.labels.task}-label",
                "`emrobust list goals` names the others.",
            )
        if recipe.language != project.language:
            progress.say(
                f"{name} changes `{recipe.language}` texts, and the project's are"
                f" `{project.language}`: it may find nothing to change"
            )
        found[name] = (recipe, made)
    return found


def _target(run: Run, wishes: Wishes, data: Path | None) -> Target:
    victim = Victim(run.estimator(), run.names)
    prepared = need_prepared(run, data)
    rows = read_splits(run, prepared)["test"]
    if not rows.record_id:
        raise InputError("the run has no test record to attack", "Split again with a test share.")
    if 0 < wishes.records < len(rows.record_id):
        random = rng.generator(run.project.seed, "attack", "records")
        rows = rows.take(np.sort(random.permutation(len(rows.record_id))[: wishes.records]))
    before = gather(
        records.indicator(rows.labels, run.names),
        victim.exact(rows.texts),
        victim.thresholds,
        run.names,
        rows.patient_id,
        task=run.project.labels.task,
    )
    return Target(run, victim, rows, before, prepared)


def _facts(name: str, recipe: Recipe, made: Attack, wishes: Wishes, run: Run) -> dict[str, Any]:
    return {
        "recipe": name,
        "about": recipe.about,
        "language": recipe.language,
        "goal": dict(wishes.goal) or {"name": GOALS[run.project.labels.task]},
        "search": dict(wishes.search) or recipe.search,
        "transformations": list(recipe.transformations),
        "constraints": list(recipe.constraints),
        "budget": wishes.budget,
        "held_out": all(of.held_out for of in made.transformations),
    }


def _attack(target: Target, made: Attack, path: Path, facts: Mapping[str, Any]) -> list[log.Entry]:
    """Attack what is not done yet; every record's entry, in order."""
    done = log.read(path, facts)
    texts = dict(zip(target.rows.record_id, target.rows.texts, strict=True))
    truth = target.before.truth.astype(bool)
    waiting = [
        Subject(record_id, texts[record_id], truth[row])
        for row, record_id in enumerate(target.rows.record_id)
        if record_id not in done
    ]
    what = f"attack {facts['recipe']}"
    with log.append(path, facts) as lines, progress.track(what, len(texts)) as advance:
        advance(len(done))
        for outcome in attacks.run(made, target.victim, waiting, seed=target.run.project.seed):
            touched = count_changed(texts[outcome.record_id], outcome.edits)
            entry = log.entry(outcome, touched, with_edits=bool(facts["examples"]))
            lines.write(entry._asdict())
            done[entry.record_id] = entry
            advance(1)
    return [done[record_id] for record_id in target.rows.record_id]


def _measure(
    target: Target, name: str, entries: Sequence[log.Entry], facts: Mapping[str, Any]
) -> Attacked:
    attempted = [
        Attempted(
            of.record_id,
            of.state,
            of.queries,
            of.changes,
            of.touched / max(len(text), 1),
            None if of.after is None else tuple(of.after),
            of.tried,
        )
        for of, text in zip(entries, target.rows.texts, strict=True)
    ]
    project = target.run.project
    return attacked.measure(
        name, target.before, attempted, settings=project.evaluate, seed=project.seed, about=facts
    )


def _examples(target: Target, entries: Sequence[log.Entry], most: int) -> list[dict[str, Any]]:
    """The first successes, with their texts."""
    found = [
        (row, of) for row, of in enumerate(entries) if of.edits is not None and of.after is not None
    ]
    return [
        {
            "record_id": of.record_id,
            "text": target.rows.texts[row],
            "edits": [list(edit) for edit in of.edits or ()],
            "true": _named(target, target.before.truth[row]),
            "before": _named(target, target.before.predicted[row]),
            "after": _named(target, target.victim.decide(np.array([of.after]))[0]),
            "queries": of.queries,
        }
        for row, of in found[:most]
    ]


def _write_suite(target: Target, name: str, entries: Sequence[log.Entry]) -> None:
    """The records that were drawn, successes with their changed texts."""
    table = records.read(target.prepared / LABELS / records.FILE)
    rows = evidence.rows_of(table, target.rows.record_id)
    changed = suites.edit(table.take(pa.array(rows)), [of.edits or () for of in entries])
    path = target.prepared / SUITES / suites.ATTACK / f"{target.run.folder.name}-{name}.parquet"
    records.write(path, table.schema, changed.to_batches(), private=True)


def _named(target: Target, mask: np.ndarray) -> list[str]:
    return [target.run.names[k] for k in np.flatnonzero(mask)]


def _write(out: Path, facts: Mapping[str, Any], run: Run, language: str) -> None:
    """Files with record texts are their owner's alone."""
    private = any(of["examples"] for of in facts["attacks"])
    runs.write_json(out / JSON, facts, private=private)
    attack_page.write(out / HTML, facts, run.project.name, language or run.project.language)
