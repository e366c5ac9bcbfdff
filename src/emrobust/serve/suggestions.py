"""A diagnosis as hospital systems are told it: labels in words, with codes; for cards and FHIR."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

from emrobust.labels.aggregate import OTHER
from emrobust.package import Package
from emrobust.package.diagnosis import Diagnosis
from emrobust.serve.consultation import Consultation


@dataclass(frozen=True)
class Suggestion:
    """One label.

    Attributes:
        label: its name, as feedback calls it.
        words: its title in the model's language, else its name.
        codes: of ICD-10; several where a class gathers several.
        probability: calibrated.
        chosen: whether the model decides for it.
        inside: whether it is in the prediction set.
    """

    label: str
    words: str
    codes: tuple[str, ...]
    probability: float
    chosen: bool
    inside: bool

    @property
    def is_diagnosis(self) -> bool:
        """Whether it names something; the class of all other diagnoses does not."""
        return self.label != OTHER


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What a model says of a note.

    Attributes:
        prediction: id that feedback names.
        model: ``name@version``.
        language: of the words.
        task: ``single`` where labels exclude each other.
        suggestions: the likeliest first.
        at: when, as FHIR's dateTime.
        coverage: of the prediction set; None where there is none.
        reasons: why the model is not sure, as codes; empty where it is.
        warnings: what is odd about the text, as codes.
    """

    prediction: str
    model: str
    language: str
    task: str
    suggestions: tuple[Suggestion, ...]
    at: str
    coverage: float | None = None
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def name(self, suggestion: Suggestion) -> str:
        """The UUID of one of the suggestions."""
        return suggestion_id(self.prediction, suggestion.label)


def suggestion_id(prediction: str, label: str) -> str:
    """The UUID of a prediction's label, the same whenever it is asked for, so none is stored."""
    return str(uuid.uuid5(uuid.UUID(prediction), label))


def advise(found: Consultation, most: int) -> Advice:
    """Put a consultation into words.

    Args:
        found: the answer.
        most: labels, beside those that are chosen or in the set.
    """
    package, diagnosis = found.served.package, found.diagnosis
    return Advice(
        prediction=found.id,
        model=found.served.full_name,
        language=str(package.facts["language"]),
        task=package.task,
        suggestions=rank(package, diagnosis, most),
        at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        coverage=diagnosis.coverage,
        reasons=diagnosis.reasons,
        warnings=found.reading.warnings,
    )


def rank(package: Package, found: Diagnosis, most: int) -> tuple[Suggestion, ...]:
    """The likeliest labels first: all that are chosen or in the set, and others up to ``most``.

    Args:
        package: whose labels they are; titles are in its language.
        found: what the model says; the set counts where the model does not abstain.
        most: labels.
    """
    language = str(package.facts["language"])
    kept = found.chosen.copy()
    kept[found.ranked()[:most]] = True
    if found.inside is not None and not found.abstained:
        kept |= found.inside
    return tuple(
        Suggestion(
            label=(label := package.labels[k]["name"]),
            words=package.labels[k]["titles"].get(language) or label,
            codes=tuple(package.labels[k]["codes"]),
            probability=float(found.probability[k]),
            chosen=bool(found.chosen[k]),
            inside=found.inside is not None and bool(found.inside[k]),
        )
        for k in found.ranked()
        if kept[k]
    )


def percent(probability: float, digits: int = 0) -> str:
    """As the page shows it: nothing is certain, and nothing impossible."""
    least = 10.0 ** -(digits + 2)
    if 0 < probability < least:
        return f"<{least:.{digits}%}"
    if 1 - least < probability < 1:
        return f">{1 - least:.{digits}%}"
    return f"{probability:.{digits}%}"
