"""Attacks on the embedded encoder: ours against a greedy loop as TextAttack runs it.

    bench/attack.py [--records 100] [--budget 200] [--rounds 3] [--run RUN --prepared FOLDER]
                    [--quick]

A classifier with the embedded encoder is fitted on 4,000 notes of the made-up clinic, or a run's is
taken, with the first of its test records. Both sides attack it with the recipe zh_homophone_glyph,
the goal `label_dropped` and the same budget. Records with nothing to gain are left out on all sides
before the clock starts. Ours runs as `emrobust attack` does, on all others in step. The peer is
GreedyWordSwapWIR written out plainly, the way TextAttack runs it: one record after the other, each
word deleted to rank them, all candidates of a word asked at once, batches of 32 in float32 padded
to their longest. It has none of TextAttack's own costs per text. Both sides get the same words,
candidates and constraints.

Where TextAttack can be imported (docs/attack.md says how), its own GreedyWordSwapWIR runs too, with
the same model, goal, candidates of a word, constraints and budget (``textattack``,
``ratio_textattack``). It cuts words by itself and ranks all of them, those without a candidate too.

``ours`` and ``peer`` are records a second, ``minutes_per_1000`` is ours for 1,000 records. Sides
run in turn; each side's median counts. ``successes``, ``queries`` and seconds of processors
(``cpu``, which other work on the machine changes less) are told an attacked record; ``fp32`` is
ours with the search's passes in float32 as well.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch

from emrobust import attack, perturb, records, rng
from emrobust.attack.attempt import Subject, make_trial
from emrobust.attack.constraint import Trial
from emrobust.attack.goal import Case
from emrobust.attack.units import group
from emrobust.clinic.chart import write_block
from emrobust.clinic.model import build
from emrobust.perturb import Edit
from emrobust.pipeline.prepare import LABELS as FOLDER
from emrobust.train import NeuralClassifier, batches
from emrobust.train import run as training

RECIPE = "zh_homophone_glyph"
GOAL = {"name": "label_dropped"}
BATCH = 32
LABELS = 12


class Notes(NamedTuple):
    """Texts and their labels [n, K]."""

    texts: list[str]
    truth: np.ndarray


class Done(NamedTuple):
    """What a side has done."""

    seconds: float
    cpu: float
    attacked: int
    successes: int
    queries: int


def write_notes(count: int) -> Notes:
    """Notes of the clinic that have one of its commonest codes."""
    clinic, number = build(), 0
    texts: list[str] = []
    codes: list[list[str]] = []
    while len(texts) < count:
        for row in write_block(clinic, 11, number).outpatient:
            texts.append("\n".join(str(part) for part in row[7:10] if part))
            codes.append([code[:3] for code in str(row[10]).split(";")])
        number += 1
    flat = [code for of in codes for code in of]
    names = sorted(set(flat), key=lambda code: (-flat.count(code), code))[:LABELS]
    kept = [place for place, of in enumerate(codes) if set(of) & set(names)][:count]
    known = [[code for code in codes[place] if code in names] for place in kept]
    return Notes([texts[place] for place in kept], records.indicator(known, names))


def fit(notes: Notes, epochs: int) -> NeuralClassifier:
    model = NeuralClassifier(
        "transformer", epochs=epochs, learning_rate=5e-4, max_length=160, adversary="none"
    )
    return model.fit(notes.texts, notes.truth, validation=(notes.texts, notes.truth))


def read_run(run: Path, prepared: Path, count: int) -> tuple[NeuralClassifier, Notes]:
    """A run's network and its first test records."""
    loaded = training.load(run)
    rows = training.read_rows(prepared / FOLDER / records.FILE)
    rows = rows.take([k for k, split in enumerate(rows.split) if split == "test"][:count])
    model = loaded.estimator()
    if not isinstance(model, NeuralClassifier):
        raise SystemExit(f"{run} is no run of a network")
    return model, Notes(rows.texts, records.indicator(rows.labels, loaded.names))


def read_clocks() -> np.ndarray:
    """Seconds of the wall, and of all processors together."""
    return np.array([time.perf_counter(), time.process_time()])


def pick(victim: attack.Victim, notes: Notes) -> list[Subject]:
    """The records that can be attacked: that have a label which the model finds."""
    made = attack.compose(attack.find(RECIPE), GOAL)
    rows = enumerate(zip(notes.texts, notes.truth, strict=True))
    subjects = [Subject(str(row), text, truth.astype(bool)) for row, (text, truth) in rows]
    answers = victim.exact(notes.texts)
    decided = victim.decide(answers)
    return [
        subject
        for subject, answer, chosen in zip(subjects, answers, decided, strict=True)
        if made.goal.attackable(
            Case(victim.names, subject.truth, answer, chosen, victim.thresholds)
        )
    ]


def run_ours(victim: attack.Victim, subjects: Sequence[Subject], budget: int) -> Done:
    made = attack.compose(attack.find(RECIPE), GOAL, budget=budget)
    start = read_clocks()
    outcomes = list(attack.run(made, victim, subjects))
    seconds, cpu = read_clocks() - start
    hits = sum(of.state == "success" for of in outcomes)
    return Done(seconds, cpu, len(outcomes), hits, sum(of.queries for of in outcomes))


def ask(model: NeuralClassifier, texts: Sequence[str]) -> np.ndarray:
    """Probabilities in batches of 32, each padded to its longest, in float32."""
    answers = []
    for first in range(0, len(texts), BATCH):
        tokens = batches.pack(model.network_.encode(texts[first : first + BATCH], 160))
        ids, mask = batches.pad(tokens, np.arange(len(tokens.lengths)), model.network_.pad)
        with torch.inference_mode():
            answers.append(model.network_(ids, mask).sigmoid().numpy().astype(np.float64))
    return np.concatenate(answers)


def run_peer(model: NeuralClassifier, subjects: Sequence[Subject], budget: int) -> Done:
    """GreedyWordSwapWIR, a record at a time."""
    made = attack.compose(attack.find(RECIPE), GOAL, budget=budget)
    victim = attack.Victim(model)
    start = read_clocks()
    outcomes = [search_plainly(model, made, look(model, victim, of), of) for of in subjects]
    seconds, cpu = read_clocks() - start
    hits = sum(hit for hit, _ in outcomes)
    return Done(seconds, cpu, len(outcomes), hits, sum(queries for _, queries in outcomes))


def look(model: NeuralClassifier, victim: attack.Victim, subject: Subject) -> Case:
    """What the model says of a record."""
    answer = ask(model, [subject.text])
    decided = victim.decide(answer)[0]
    return Case(victim.names, subject.truth, answer[0], decided, victim.thresholds)


def search_plainly(
    model: NeuralClassifier, made: attack.Attack, case: Case, subject: Subject
) -> tuple[bool, int]:
    """Whether one record falls, and the queries spent."""
    text, queries = subject.text, 1
    random = Random(rng.derive(0, "attack", subject.record_id))  # noqa: S311 - no secret
    units = made.units(text, random)
    if not units:
        return False, queries
    hidden = [text[: unit.start] + text[unit.end :] for unit in units][: made.budget - queries]
    importance = made.goal.score(case, ask(model, hidden))
    queries += len(hidden)
    best = float(made.goal.score(case, case.probability[None])[0])
    taken: tuple[Edit, ...] = ()
    for place in np.argsort(-importance, kind="stable"):
        trials = [make_trial(text, sorted((*taken, edit))) for edit in units[place].edits]
        for constraint in made.constraints:
            allowed = constraint.allows(trials)
            trials = [trial for trial, fair in zip(trials, allowed, strict=True) if fair]
        trials = trials[: made.budget - queries]
        if not trials:
            continue
        answers = ask(model, [trial.edited for trial in trials])
        queries += len(trials)
        if made.goal.reached(case, answers).any():
            return True, queries
        scores = made.goal.score(case, answers)
        if scores.max() > best:
            best, taken = float(scores.max()), trials[int(scores.argmax())].edits
    return False, queries


class Exact(attack.Victim):
    """A victim that is searched with its own predictions."""

    reader = None


def candidates(made: attack.Attack, word: str) -> list[str]:
    """What a word may become."""
    random = Random(0)  # noqa: S311 - no secret
    edits = (edit for of in made.transformations for edit in of.edits(word, random))
    changed = [perturb.apply(word, (of,)) for unit in group(word, edits, 99) for of in unit.edits]
    return changed[: made.each]


def compare(before: str, after: str) -> Trial | None:
    """A trial of the characters that differ; None where more has changed."""
    if len(before) != len(after):
        return None
    places = (place for place in range(len(before)) if before[place] != after[place])
    return Trial(before, tuple(Edit(k, k + 1, after[k]) for k in places), after)


def build_textattack(model: NeuralClassifier, made: attack.Attack) -> Any:
    """TextAttack's own greedy search; the record's case is put into its goal function."""
    ta = importlib.import_module("textattack")

    def derive(base: Any, **members: Any) -> Any:
        return type("Ours", (base,), members)

    def keeps(_: Any, changed: Any, original: Any) -> bool:
        trial = compare(original.text, changed.text)
        return trial is not None and all(of.allows([trial])[0] for of in made.constraints)

    def replace(_: Any, text: Any, indices: Sequence[int]) -> list[Any]:
        # It cuts a changed text anew, and there may be fewer words than there were.
        places = [place for place in indices if place < len(text.words)]
        return [
            text.replace_word_at_index(place, word)
            for place in places
            for word in candidates(made, text.words[place])
        ]

    wrapper = derive(
        ta.models.wrappers.ModelWrapper, model=None, __call__=lambda _, texts: ask(model, texts)
    )
    goal = derive(
        ta.goal_functions.GoalFunction,
        case=None,
        _process_model_outputs=lambda _, __, answers: answers,
        _get_score=lambda of, answer, _: made.goal.score(of.case, answer.numpy()[None])[0],
        _is_goal_complete=lambda of, answer, _: made.goal.reached(of.case, answer.numpy()[None])[0],
        _goal_function_result_type=lambda _: (
            ta.goal_function_results.ClassificationGoalFunctionResult
        ),
    )
    swap = derive(
        ta.transformations.word_swaps.WordSwap,
        _get_transformations=replace,
        _get_replacement_words=None,
    )
    kept = derive(ta.constraints.Constraint, _check_constraint=keeps)
    return ta.Attack(
        goal(wrapper(), query_budget=made.budget),
        [kept(compare_against_original=True)],
        swap(),
        ta.search_methods.GreedyWordSwapWIR("delete"),
    )


def run_textattack(model: NeuralClassifier, subjects: Sequence[Subject], budget: int) -> Done:
    """TextAttack, a record at a time; it asks the originals itself."""
    made = attack.compose(attack.find(RECIPE), GOAL, budget=budget)
    victim = attack.Victim(model)
    search = build_textattack(model, made)
    spent, results = np.zeros(2), []
    for subject in subjects:
        search.goal_function.case = look(model, victim, subject)
        start = read_clocks()
        results.append(search.attack(subject.text, 0))
        spent += read_clocks() - start
    hits = sum(type(of).__name__ == "SuccessfulAttackResult" for of in results)
    return Done(spent[0], spent[1], len(results), hits, sum(of.num_queries for of in results))


def rate(done: Sequence[Done]) -> float:
    return statistics.median(of.attacked / of.seconds for of in done)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=100)
    parser.add_argument("--budget", type=int, default=200)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--prepared", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    if given.quick:
        given.records, given.budget, given.rounds = 8, 40, 1
    if given.run is None:
        known = 60 if given.quick else 4000
        notes = write_notes(known + given.records)
        model = fit(Notes(notes.texts[:known], notes.truth[:known]), 1 if given.quick else 4)
        notes = Notes(notes.texts[known:], notes.truth[known:])
    else:
        model, notes = read_run(given.run, given.prepared, given.records)
    victim = attack.Victim(model)
    subjects = pick(victim, notes)
    if not subjects:
        raise SystemExit("the model finds no label of these records: give more of them")
    run_ours(victim, subjects, 10)  # tables are read, kernels are made, the graph is written
    sides: dict[str, Callable[[], Done]] = {
        "ours": lambda: run_ours(victim, subjects, given.budget),
        "peer": lambda: run_peer(model, subjects, given.budget),
    }
    if importlib.util.find_spec("textattack") is not None:
        sides["textattack"] = lambda: run_textattack(model, subjects, given.budget)
    done: dict[str, list[Done]] = {name: [] for name in sides}
    for _ in range(given.rounds):
        for name, run in sides.items():
            done[name].append(run())
    rates = {name: rate(of) for name, of in done.items()}
    done["fp32"] = [run_ours(Exact(model), subjects, given.budget)]
    real = rates.get("textattack")
    print(
        json.dumps(
            {
                "name": "attack",
                "ours": rates["ours"],
                "peer": rates["peer"],
                "ratio": rates["ours"] / rates["peer"],
                "unit": "attacked records/s",
                "peer_name": "GreedyWordSwapWIR written plainly, batch 32, float32",
                "textattack": real,
                "ratio_textattack": None if real is None else rates["ours"] / real,
                "minutes_per_1000": 1000 / rates["ours"] / 60,
                "threads": torch.get_num_threads(),
                "budget": given.budget,
                **{
                    f"{key}_{name}": getattr(of[0], key) / of[0].attacked
                    for name, of in done.items()
                    for key in ("successes", "queries", "cpu")
                },
            }
        )
    )


if __name__ == "__main__":
    main()
