"""An attack: a goal, constraints, transformations and a search, run on many records in step.

The searches of many records ask together: in each round their texts go through the constraints,
then through the model, and each search gets its answers. A record's outcome depends on nothing but
its own text, the attack and the seed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from random import Random
from typing import TypeVar

from emrobust import perturb, rng
from emrobust.attack.attempt import Attempt, Outcome, Subject
from emrobust.attack.constraint import Constraint, Trial
from emrobust.attack.goal import Case, Goal
from emrobust.attack.search import Search
from emrobust.attack.transformation import Transformation
from emrobust.attack.units import Unit, group
from emrobust.attack.victim import Victim
from emrobust.errors import ConfigError
from emrobust.perturb import Edit

POOL = 256  # records that are attacked in step


@dataclass(frozen=True)
class Attack:
    """What is composed; each part is a component of its own.

    Attributes:
        goal: what counts as a success.
        constraints: that every changed text keeps; the cheapest first.
        transformations: that give the edits; of one place, the earlier's come first.
        search: which edits are tried.
        budget: most queries of a record, the original included.
        each: most edits of a word that are tried.

    Raises:
        ConfigError: no transformation, or a budget that allows no change.
    """

    goal: Goal
    constraints: tuple[Constraint, ...]
    transformations: tuple[Transformation, ...]
    search: Search
    budget: int = 200
    each: int = 8

    def __post_init__(self) -> None:
        if self.budget < 2:
            raise ConfigError(
                f"a query budget of {self.budget} allows no attack",
                "One query goes to the unchanged text; give at least 2.",
            )
        if not self.transformations:
            raise ConfigError("the attack has no transformation", "Name at least one.")

    def units(self, text: str, random: Random) -> list[Unit]:
        """What may be changed in a text; the constraints judge it when it is tried."""
        spans = perturb.protected(text)
        return group(
            text,
            (
                edit
                for of in self.transformations
                for edit in of.edits(text, random)
                if of.rewrites or not _touches(spans, edit)
            ),
            self.each,
        )


def _touches(spans: Sequence[tuple[int, int]], edit: Edit) -> bool:
    """Whether an edit lies in a guarded span in part, or inserts inside one or at its edge."""
    start, end, _ = edit
    if start == end:
        place = bisect_left(spans, start, key=itemgetter(1))
        return place < len(spans) and spans[place][0] <= start
    place = bisect_right(spans, start, key=itemgetter(1))
    return place < len(spans) and spans[place][0] < end


def run(
    attack: Attack,
    victim: Victim,
    subjects: Iterable[Subject],
    *,
    seed: int = 0,
    pool: int = POOL,
) -> Iterator[Outcome]:
    """Attack records; outcomes in the order in which they end.

    Args:
        attack: what to do.
        victim: the model.
        subjects: records, read as they are needed.
        seed: each record's randomness hangs on it and on the record's number only.
        pool: records that are attacked in step; more need more memory and fill batches better.

    Raises:
        ConfigError: the goal is for another kind of model.
    """
    if attack.goal.task not in {"both", victim.task}:
        raise ConfigError(
            f"the goal {type(attack.goal).__name__} is for {attack.goal.task}-label models,"
            f" this one is {victim.task}-label",
            "`emrobust list goals` names the others.",
        )
    waiting = iter(subjects)
    active: list[Attempt] = []
    while True:
        fresh = list(islice(waiting, pool - len(active)))
        for started in _begin(attack, victim, fresh, seed):
            if isinstance(started, Outcome):
                yield started
            else:
                active.append(started)
        if not active and not fresh:
            return
        _round(attack, victim, [attempt for attempt in active if not attempt.ended])
        yield from (attempt.outcome() for attempt in active if attempt.ended)
        active = [attempt for attempt in active if not attempt.ended]


def _begin(
    attack: Attack, victim: Victim, subjects: Sequence[Subject], seed: int
) -> Iterator[Attempt | Outcome]:
    """An attempt for each record; its outcome at once where there is nothing to gain."""
    answers = victim.exact([subject.text for subject in subjects])
    for subject, answer, decided in zip(subjects, answers, victim.decide(answers), strict=True):
        case = Case(victim.names, subject.truth, answer, decided, victim.thresholds)
        if not attack.goal.attackable(case):
            yield Outcome(subject.record_id, "skipped", 1, (), answer, answer)
            continue
        derived = rng.derive(seed, "attack", subject.record_id)
        random = Random(derived)  # noqa: S311 - no secret hangs on it
        yield Attempt(
            subject,
            case,
            attack.units(subject.text, random),
            attack.search,
            attack.goal,
            budget=attack.budget,
            random=random,
        )


def _round(attack: Attack, victim: Victim, active: Sequence[Attempt]) -> None:
    """Answer what every attempt asks for."""
    wanted = [attempt.trials() for attempt in active]
    fair = _allowed(attack.constraints, active, wanted)
    asked = [of.ask(trials, may) for of, trials, may in zip(active, wanted, fair, strict=True)]
    for attempt, texts, answers in zip(active, asked, victim.quick(asked), strict=True):
        attempt.learn(texts, answers)
    while hits := [(of, trial) for of in active if (trial := of.hit()) is not None]:
        exact = victim.exact([trial.edited for _, trial in hits])
        for (attempt, trial), answer in zip(hits, exact, strict=True):
            attempt.confirm(trial, answer)
    for attempt in active:
        attempt.advance()


def _allowed(
    constraints: Sequence[Constraint], active: Sequence[Attempt], wanted: Sequence[list[Trial]]
) -> list[list[bool]]:
    """What the constraints say of every trial; probes are free, since nobody adopts them."""
    fair = [[attempt.probes] * len(trials) for attempt, trials in zip(active, wanted, strict=True)]
    open_places = [(i, j) for i, of in enumerate(fair) for j, free in enumerate(of) if not free]
    for constraint in constraints:
        verdicts = constraint.allows([wanted[i][j] for i, j in open_places])
        open_places = _kept(open_places, verdicts)
    for i, j in open_places:
        fair[i][j] = True
    return fair


T = TypeVar("T")


def _kept(values: Sequence[T], verdicts: Sequence[bool]) -> list[T]:
    return [value for value, kept in zip(values, verdicts, strict=True) if kept]
