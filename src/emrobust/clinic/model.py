"""The generative model: P(diagnoses | covariates) and P(findings | diagnoses), as arrays.

A visit is drawn in this order, and every step is a product that `ceiling` can compute:

1. primary class d₀ ∝ weight · sex · age · season · site · drift;
2. every other class c joins with κ(d₀, c) · fit(c; sex, age), given that at most three do;
3. a finding f is recorded with 1 − (1 − λ_f) ∏_{d ∈ S} (1 − r · p_df), a noisy-OR over the
   classes S of the visit, where r is the site's recording rate;
4. what is not recorded is denied with q_f(d₀), higher for what belongs to the primary's
   body system, else it is not mentioned;
   (a finding that does not fit the patient's sex and age is neither);
5. the duration comes from the primary's course;
6. each class is coded; a wrong code replaces it at a stated rate.

The wording depends on the findings' states and the site only, never on the classes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emrobust.clinic import tables
from emrobust.clinic.style import Rates, Style, load_style
from emrobust.clinic.tables import Medicine

MOST_COMORBID = 3
YEARS = (2019, 2020, 2021, 2022)
SEASON_OF_MONTH = np.array([3, 3, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3])


@dataclass(frozen=True, eq=False)
class Clinic:
    """Medicine, style and rates, with the probabilities they make.

    K classes, F findings, S sites.

    Attributes:
        prior: [2, 5, 4, S, 4, K] log P(primary | sex, age band, season, site, year).
        kappa: [K, K] P(comorbid | primary) where age and sex fit best.
        fit: [2, 5, K] how much of κ(·, c) holds at this sex and age.
        absent: [S, K, F] log(1 − r · p), what one class leaves unexplained.
        quiet: [F] log(1 − λ).
        fits: [2, 5, F] 1 where a finding can occur at this sex and age, else 0: then it is
            neither recorded nor denied.
        denied, silent: [K, F] log q and log(1 − q) by primary.
        course: [K, 6] log P(duration | primary).
        coded: [K, K] P(observed class | true class), the wrong-code channel.
    """

    medicine: Medicine
    style: Style
    rates: Rates
    prior: np.ndarray
    kappa: np.ndarray
    fit: np.ndarray
    absent: np.ndarray
    quiet: np.ndarray
    fits: np.ndarray
    denied: np.ndarray
    silent: np.ndarray
    course: np.ndarray
    coded: np.ndarray


@functools.lru_cache(maxsize=8)
def build(rates: Rates | None = None, folder: Path = tables.FOLDER) -> Clinic:
    """The clinic of these tables; ``rates`` defaults to the tuned ones of ``rates.toml``.

    Raises:
        ConfigError: a table or the style is wrong.
    """
    medicine, style = tables.load(folder), load_style()
    style.check_names(medicine)
    rates = rates or style.rates
    deny = np.clip(_deny(medicine, rates), 1e-9, 0.9)
    recording = np.array([site.recording for site in style.sites]) * rates.recording
    link = np.minimum(recording[:, None, None] * sharpen(medicine.link, rates.sharpness), 0.98)
    return Clinic(
        medicine=medicine,
        style=style,
        rates=rates,
        prior=_prior(medicine, style),
        kappa=np.minimum(medicine.comorbid * rates.comorbidity, 0.95) * (1 - np.eye(len(deny))),
        fit=_fit(medicine),
        absent=np.log1p(-link),
        quiet=np.log1p(-np.clip(medicine.leak * rates.leak, 1e-9, 0.5)),
        fits=np.array([f.fits for f in medicine.findings], dtype=float).transpose(1, 2, 0),
        denied=np.log(deny),
        silent=np.log1p(-deny),
        course=np.log(np.maximum(medicine.course, 1e-9)),
        coded=_channel(medicine, rates.wrong_code),
    )


def sharpen(probability: np.ndarray, sharpness: float) -> np.ndarray:
    """Push probabilities away from ½ (sharpness > 1) or towards it, odds to a power."""
    yes, no = probability**sharpness, (1 - probability) ** sharpness
    return yes / (yes + no)


def at_most(kappa: np.ndarray, most: int = MOST_COMORBID) -> float:
    """P(no more than ``most`` of these independent classes join)."""
    counts = np.zeros(most + 1)
    counts[0] = 1.0
    for probability in kappa[kappa > 0]:
        counts[1:] = counts[1:] * (1 - probability) + counts[:-1] * probability
        counts[0] *= 1 - probability
    return float(counts.sum())


def _prior(medicine: Medicine, style: Style) -> np.ndarray:
    site = np.array([site.multipliers(medicine) for site in style.sites])
    drift = style.drift_of(medicine)[None, :] * (np.arange(len(YEARS)) - 1.5)[:, None]
    weight = (
        medicine.weight
        * medicine.sex[:, None, None, None, None]
        * medicine.age[None, :, None, None, None]
        * medicine.season[None, None, :, None, None]
        * site[None, None, None, :, None]
        * np.exp(drift)[None, None, None, None]
    )
    share = np.maximum(weight / weight.sum(axis=-1, keepdims=True), 1e-12)
    logs: np.ndarray = np.log(share)
    return logs


def _fit(medicine: Medicine) -> np.ndarray:
    age = medicine.age / np.maximum(medicine.age.max(axis=0), 1e-9)
    sex = medicine.sex / np.maximum(medicine.sex.max(axis=0), 1e-9)
    fit: np.ndarray = np.sqrt(sex[:, None, :] * age[None, :, :])
    return fit


def _deny(medicine: Medicine, rates: Rates) -> np.ndarray:
    """[K, F] P(denied | absent): what belongs to the primary's body systems is asked for."""
    groups = sorted(set().union(*(finding.groups for finding in medicine.findings)))
    member = np.array([[group in f.groups for group in groups] for f in medicine.findings])
    own = (medicine.link > rates.own_link).astype(float) @ member > 0
    asked = own.astype(float) @ member.T > 0
    return medicine.deny * np.where(asked, rates.deny_own, rates.deny_other)


def _channel(medicine: Medicine, wrong: float) -> np.ndarray:
    """[K, K] P(observed | true): a wrong code is a confusable class, the commoner the likelier.

    A class without a confusable one slips to any class by its weight.
    """
    weight = np.tile(medicine.weight, (len(medicine.classes), 1))
    named = medicine.confusable * np.sqrt(weight)
    slips = np.where(named.sum(axis=1, keepdims=True) > 0, named, weight)
    slips = slips * (1 - np.eye(len(slips)))
    slips = slips / slips.sum(axis=1, keepdims=True)
    channel: np.ndarray = wrong * slips + (1 - wrong) * np.eye(len(slips))
    return channel
