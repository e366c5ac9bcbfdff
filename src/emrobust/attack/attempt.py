"""One record under attack: what has been asked, what was found, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal, NamedTuple

import numpy as np

from emrobust.attack.constraint import Trial
from emrobust.attack.goal import Case, Floats, Goal
from emrobust.attack.search import REFUSED, Ask, Search
from emrobust.attack.units import Unit
from emrobust.perturb import Edit
from emrobust.perturb.edits import join

State = Literal["success", "failure", "skipped"]


class Subject(NamedTuple):
    """A record to attack.

    Attributes:
        record_id: its number; its randomness hangs on it.
        text: as the model is given it.
        truth: bool [K], its labels in the model's order.
    """

    record_id: str
    text: str
    truth: np.ndarray


class Outcome(NamedTuple):
    """What became of a record.

    Attributes:
        record_id: its number.
        state: ``skipped`` where there was nothing to gain.
        queries: texts that the model was asked about, the original included.
        edits: that reach the goal; none unless it is a success.
        before: the model's probabilities [K] of the original.
        after: of the attacked text; those of the original unless it is a success.
        tried: whether any change was allowed, so that the model was put to a test.
    """

    record_id: str
    state: State
    queries: int
    edits: tuple[Edit, ...]
    before: np.ndarray
    after: np.ndarray
    tried: bool = True


class Known(NamedTuple):
    """What the model's answer for a text is worth.

    Attributes:
        score: of the goal.
        hit: whether it reaches the goal.
    """

    score: float
    hit: bool


class Attempt:
    """A search on one record, driven from outside in rounds.

    A round is: `trials`, `ask` with what the constraints say of them, `learn` the model's answers,
    `hit` and `confirm` until there is none left, `advance`.

    Args:
        subject: the record.
        case: what the model says of it.
        units: that may be changed.
        search: how.
        goal: what for.
        budget: most queries; the original counts as one.
        random: of this record.
    """

    def __init__(
        self,
        subject: Subject,
        case: Case,
        units: list[Unit],
        search: Search,
        goal: Goal,
        *,
        budget: int,
        random: Random,
    ) -> None:
        self.subject = subject
        self.case = case
        self.goal = goal
        self.budget = budget
        self.ended = False
        self.tried = False
        self._found: tuple[Trial, Floats] | None = None
        self._known: dict[str, Known] = {}
        self._now: list[tuple[Trial, bool]] = []
        self.learn([subject.text], case.probability[None])
        self._steps = search.steps(units, self._known[subject.text].score, random)
        self._wants = Ask([])
        self._next(None)

    @property
    def queries(self) -> int:
        """Different texts asked so far."""
        return len(self._known)

    @property
    def probes(self) -> bool:
        """Whether the search only measures importance now."""
        return self._wants.probe

    def trials(self) -> list[Trial]:
        """The texts that the search wants."""
        return [make_trial(self.subject.text, edits) for edits in self._wants.trials]

    def ask(self, trials: list[Trial], allowed: list[bool]) -> list[str]:
        """Those to ask the model about: allowed, not known yet, and as many as the budget has.

        Measuring importance takes half of what is left at most, or nothing would be left to try.

        Args:
            trials: as `trials` gave them.
            allowed: what the constraints say of each.
        """
        self._now = list(zip(trials, allowed, strict=True))
        texts = dict.fromkeys(
            trial.edited for trial, fair in self._now if fair and trial.edited not in self._known
        )
        left = self.budget - self.queries
        if self.probes:
            left //= 2
        else:
            self.tried |= any(allowed)
        return list(texts)[:left]

    def learn(self, texts: list[str], answers: Floats) -> None:
        """Note the model's answers [n, K] for these texts."""
        if texts:
            scores = self.goal.score(self.case, answers).tolist()
            reached = self.goal.reached(self.case, answers).tolist()
            self._known.update(zip(texts, map(Known, scores, reached), strict=True))

    def hit(self) -> Trial | None:
        """The best of this round's texts that reach the goal, if any does."""
        if self.ended or self.probes:
            return None
        hits = [
            trial
            for trial, fair in self._now
            if fair and (known := self._known.get(trial.edited)) and known.hit
        ]
        return max(hits, key=lambda trial: self._known[trial.edited].score, default=None)

    def confirm(self, trial: Trial, answer: Floats) -> None:
        """Take the model's exact answer [K] for a hit: a success, or no hit after all."""
        self.learn([trial.edited], answer[None])
        if self._known[trial.edited].hit:
            self._found = (trial, answer)
            self._end()

    def advance(self) -> None:
        """Give the search its scores and let it go on, unless the queries are spent."""
        if self.ended:
            return
        if self.queries >= self.budget:
            self._end()
            return
        self._next(
            [
                self._known[trial.edited].score if fair and trial.edited in self._known else REFUSED
                for trial, fair in self._now
            ]
        )

    def outcome(self) -> Outcome:
        """What became of it."""
        before = self.case.probability
        if self._found is None:
            return Outcome(
                self.subject.record_id, "failure", self.queries, (), before, before, self.tried
            )
        trial, after = self._found
        return Outcome(self.subject.record_id, "success", self.queries, trial.edits, before, after)

    def _next(self, scores: list[float] | None) -> None:
        try:
            self._wants = next(self._steps) if scores is None else self._steps.send(scores)
        except StopIteration:
            self.ended = True

    def _end(self) -> None:
        self._steps.close()
        self.ended = True


def make_trial(text: str, edits: Sequence[Edit]) -> Trial:
    """The text after edits that are in order of place and do not overlap."""
    return Trial(text, tuple(edits), join(text, edits))
