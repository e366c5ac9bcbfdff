"""What all notes of a clinic have in common, compiled once: words, sentences, templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from emrobust.clinic import wording
from emrobust.clinic.model import YEARS, Clinic
from emrobust.clinic.page import Clause, compile_clause
from emrobust.clinic.style import Site
from emrobust.clinic.tables import FOLDER, KINDS, rows
from emrobust.clinic.wording import Reading, Word

# slots filled from the findings' states; `sentences.csv` names the other optional ones
LISTS = ("main", "more", "trigger", "denied", "exam", "labs", "histories", "unhistories")

Words = tuple[tuple[Word, ...], ...]  # by register


class Sentence(NamedTuple):
    """One of a group's sentences, and when it may not be used.

    Attributes:
        clause: the sentence.
        until: the group's weights up to this sentence.
        blocks: findings that would contradict it.
        ages: youngest and oldest patient it fits.
    """

    clause: Clause
    until: float
    blocks: frozenset[int]
    ages: tuple[float, float]


class Hand(NamedTuple):
    """How one site writes.

    Attributes:
        site: its settings.
        templates: of the three fields.
        registers: for each year, cumulative shares of formal and colloquial wordings.
        content: optional slots and how often they are filled.
        typos: P(typing error) in a word.
    """

    site: Site
    templates: tuple[tuple[tuple[Clause, ...], ...], ...]
    registers: tuple[tuple[float, float], ...]
    content: tuple[tuple[str, float], ...]
    typos: float


class Library(NamedTuple):
    """Words by finding, sentences by group, hands by site.

    Attributes:
        names, kinds, sided: by finding.
        told: findings of the history that are told with the present illness.
        symptoms: by sex and age band, the symptoms that somebody can have.
        present, denied: wordings by finding and register.
        readings: of each vital sign.
        sentences: by group.
        hands: by site.
    """

    names: tuple[str, ...]
    kinds: tuple[int, ...]
    sided: tuple[bool, ...]
    told: frozenset[int]
    symptoms: tuple[tuple[tuple[int, ...], ...], ...]
    present: tuple[Words, ...]
    denied: tuple[Words, ...]
    readings: tuple[tuple[Reading, ...], ...]
    sentences: Mapping[str, tuple[Sentence, ...]]
    hands: tuple[Hand, ...]


def compile_library(clinic: Clinic, leaves: frozenset[str]) -> Library:
    """Compile everything; ``leaves`` are the slots that are never empty.

    Raises:
        ConfigError: a table or a template is wrong.
    """
    findings = clinic.medicine.findings
    lexicon = wording.load_lexicon()
    words = [wording.finding_words(finding, lexicon.drug_names) for finding in findings]
    place = {finding.name: row for row, finding in enumerate(findings)}
    sentences = _sentences(place, leaves)
    optional = frozenset(sentences) | frozenset(LISTS)
    return Library(
        names=tuple(finding.name for finding in findings),
        kinds=tuple(KINDS.index(finding.kind) for finding in findings),
        sided=tuple(finding.sided for finding in findings),
        told=frozenset(place[name] for name in lexicon.in_present if name in place),
        symptoms=_symptoms(clinic),
        present=tuple(present for present, _ in words),
        denied=tuple(denied for _, denied in words),
        readings=wording.load_readings(clinic.medicine),
        sentences=sentences,
        hands=tuple(_hand(clinic, site, optional, leaves) for site in clinic.style.sites),
    )


def _symptoms(clinic: Clinic) -> tuple[tuple[tuple[int, ...], ...], ...]:
    is_symptom = np.array([f.kind == "symptom" for f in clinic.medicine.findings])
    return tuple(
        tuple(tuple(np.flatnonzero(fits * is_symptom).tolist()) for fits in of_sex)
        for of_sex in clinic.fits
    )


def _sentences(place: Mapping[str, int], leaves: frozenset[str]) -> dict[str, tuple[Sentence, ...]]:
    found: dict[str, list[Sentence]] = {}
    for row in rows(FOLDER / "sentences.csv"):
        of_group = found.setdefault(row.text("group"), [])
        before = of_group[-1].until if of_group else 0.0
        blocks = filter(None, row.text("blocks").split("|"))
        sentence = Sentence(
            clause=compile_clause(row.text("text"), frozenset(), leaves),
            until=before + row.number("weight"),
            blocks=frozenset(place[name] for name in blocks if name in place),
            ages=(row.number("age_from"), row.number("age_to")),
        )
        of_group.append(sentence)
    return {group: tuple(sentences) for group, sentences in found.items()}


def _hand(clinic: Clinic, site: Site, optional: frozenset[str], leaves: frozenset[str]) -> Hand:
    rates = {**clinic.style.content, **site.content}
    for name in clinic.style.planted:
        rates[name] = min(1.0, rates[name] * clinic.rates.identity)
    return Hand(
        site=site,
        templates=tuple(
            tuple(
                tuple(compile_clause(clause, optional, leaves) for clause in template)
                for template in templates
            )
            for templates in (site.chief, site.present, site.past)
        ),
        registers=tuple(_registers(site, year) for year in range(len(YEARS))),
        content=tuple(rates.items()),
        typos=site.typos * clinic.rates.typos,
    )


def _registers(site: Site, year: int) -> tuple[float, float]:
    """Cumulative shares of formal and colloquial wordings: abbreviations gain each year."""
    formal, colloquial, abbreviated = site.registers
    total = formal + colloquial + abbreviated + site.drift * year
    return formal / total, (formal + colloquial) / total
