"""The ceiling is the exact posterior: against full enumeration and against what happens."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from emrobust.clinic.ceiling import Pruning, ceiling, posterior, read_evidence
from emrobust.clinic.chart import write_block
from emrobust.clinic.model import MOST_COMORBID, at_most, build, sharpen
from emrobust.errors import RunError
from emrobust.records import indicator

FULL = Pruning(gap=1e9, comorbid=99, mass=0.0)


@pytest.fixture(scope="module")
def clinic():
    return build()


@pytest.fixture(scope="module")
def truth(clinic):
    return pa.Table.from_batches([write_block(clinic, 3, number).truth for number in range(2)])


def by_hand(clinic, visit, classes):
    """The posterior over a few classes, by the formulas of the model, in plain loops."""
    sex, band, _, site, _ = visit.covariates
    fits = clinic.fits[sex, band] > 0
    joint = {}
    for primary in classes:
        others = [c for c in classes if c != primary]
        kappa = {c: clinic.kappa[primary, c] * clinic.fit[sex, band, c] for c in others}
        within = at_most(np.array(list(kappa.values())))
        for size in range(MOST_COMORBID + 1):
            for joined in itertools.combinations(others, size):
                chance = np.exp(
                    clinic.prior[visit.covariates][primary] + clinic.course[primary, visit.duration]
                )
                for c in others:
                    chance *= kappa[c] if c in joined else 1 - kappa[c]
                for finding in np.flatnonzero(fits):
                    absent = np.exp(clinic.quiet[finding])
                    for c in (primary, *joined):
                        absent *= np.exp(clinic.absent[site, c, finding])
                    denied = np.exp(clinic.denied[primary, finding])
                    if finding in visit.present:
                        chance *= 1 - absent
                    else:
                        chance *= absent * (denied if finding in visit.denied else 1 - denied)
                joint[primary, joined] = chance / within
    total = sum(joint.values())
    found = np.zeros(len(clinic.medicine.classes))
    for (primary, joined), chance in joint.items():
        missed = np.prod([1 - clinic.coded[c] for c in (primary, *joined)], axis=0)
        found += chance / total * (1 - missed)
    return found


def test_posterior_equals_enumeration_by_hand_on_a_small_model(clinic, truth):
    from dataclasses import replace

    kept = [0, 1, 2, 5]
    outside = np.setdiff1d(np.arange(len(clinic.medicine.classes)), kept)
    prior, kappa = clinic.prior.copy(), clinic.kappa.copy()
    prior[..., outside] = -600.0
    kappa[:, outside] = 0.0
    small = replace(clinic, prior=prior, kappa=kappa)
    visits = list(read_evidence(clinic, truth.slice(0, 400)))
    several = [v for v in visits if len(v.present) > 4 and len(v.denied) > 1][:4]
    for visit in several:
        np.testing.assert_allclose(
            posterior(small, visit, FULL), by_hand(small, visit, kept), atol=1e-9
        )


def test_pruning_changes_next_to_nothing(clinic, truth):
    for visit in itertools.islice(read_evidence(clinic, truth), 60):
        pruned, full = posterior(clinic, visit), posterior(clinic, visit, FULL)
        np.testing.assert_allclose(pruned, full, atol=1e-3)


def test_ceiling_is_calibrated_and_beats_its_own_prior(clinic, truth):
    names = clinic.medicine.classes
    probabilities = ceiling(truth.slice(0, 2500), names)
    observed = indicator(truth["observed"].slice(0, 2500), names)
    for low, high in ((0.02, 0.1), (0.1, 0.4), (0.4, 0.8), (0.8, 0.99)):
        near = (probabilities > low) & (probabilities <= high)
        expected, happened = probabilities[near].mean(), observed[near].mean()
        spread = np.sqrt(expected * (1 - expected) / near.sum())
        assert abs(expected - happened) < 4.5 * spread, (low, high, expected, happened)
    base = observed.mean(axis=0)
    better = np.mean((probabilities - observed) ** 2)
    assert better < 0.3 * np.mean((base - observed) ** 2)


def test_names_choose_and_order_the_columns(clinic, truth):
    names = clinic.medicine.classes
    some = truth.slice(7, 20)
    both = ceiling(some, [names[5], names[0]])
    np.testing.assert_array_equal(both, ceiling(some, names)[:, [5, 0]])


def test_tables_of_others_and_unknown_classes_are_refused(clinic, truth):
    with pytest.raises(RunError, match="not the truth"):
        ceiling(truth.replace_schema_metadata({}), clinic.medicine.classes)
    with pytest.raises(RunError, match="no class 'nothing'"):
        ceiling(truth, ["nothing"])


def test_sharpening_keeps_a_half_and_the_ends():
    grid = np.array([0.0, 0.2, 0.5, 0.8, 1.0])
    np.testing.assert_allclose(sharpen(grid, 1.0), grid)
    np.testing.assert_allclose(sharpen(grid, 2.0)[[0, 2, 4]], [0, 0.5, 1])
    assert sharpen(grid, 2.0)[3] > 0.8 > sharpen(grid, 0.5)[3]
