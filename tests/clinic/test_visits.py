"""Blocks are pure functions of the seed, and single visits follow the model exactly."""

import numpy as np
import pytest

from emrobust.clinic.model import SEASON_OF_MONTH, build
from emrobust.clinic.visits import BLOCK, draw_block


@pytest.fixture(scope="module")
def clinic():
    return build()


@pytest.fixture(scope="module")
def blocks(clinic):
    return [draw_block(clinic, 1, number) for number in range(6)]


def column(blocks, name):
    return np.concatenate([getattr(block, name) for block in blocks])


def test_blocks_repeat_and_differ(clinic, blocks):
    again = draw_block(clinic, 1, 2)
    np.testing.assert_array_equal(again.present, blocks[2].present)
    np.testing.assert_array_equal(again.time, blocks[2].time)
    assert not np.array_equal(blocks[1].primary, blocks[2].primary)


def test_patients_come_one_to_six_times_at_every_site_in_every_year(blocks):
    visits = np.bincount(blocks[0].patient)
    assert visits.min() == 1
    assert visits.max() == 6
    assert all(len(block.time) == BLOCK for block in blocks)
    assert set(column(blocks, "year")) == {0, 1, 2, 3}
    share = np.bincount(column(blocks, "site")) / (BLOCK * len(blocks))
    np.testing.assert_allclose(share, [0.5, 0.3, 0.2], atol=0.02)
    assert column(blocks, "age").min() >= 0


def test_labels_are_one_to_four_with_the_primary_among_them(blocks):
    sizes = column(blocks, "classes").sum(axis=1)
    assert sizes.min() == 1
    assert sizes.max() == 4
    for block in blocks:
        assert block.classes[np.arange(BLOCK), block.primary].all()


def test_a_primary_is_as_common_as_its_prior_although_visits_share_their_noise(clinic, blocks):
    covariates = tuple(
        np.concatenate(part)
        for part in zip(
            *((b.sex[b.patient], b.band, SEASON_OF_MONTH[b.month], b.site, b.year) for b in blocks),
            strict=True,
        )
    )
    expected = np.exp(clinic.prior[covariates]).sum(axis=0)
    happened = np.bincount(column(blocks, "primary"), minlength=len(expected))
    # Repeated reasons of one patient widen the spread beyond the binomial.
    assert (np.abs(happened - expected) < 6 * np.sqrt(expected) + 3).all()


def test_visits_of_one_patient_are_more_alike_than_of_two(blocks):
    block = blocks[0]
    order = np.lexsort((block.time, block.patient))
    patient, primary = block.patient[order], block.primary[order]
    same = patient[1:] == patient[:-1]
    agree = primary[1:] == primary[:-1]
    assert agree[same].mean() > agree[~same].mean() + 0.1


def test_codes_are_wrong_at_the_stated_rate(clinic, blocks):
    true = column(blocks, "classes")
    rows, classes = np.nonzero(true)
    wrong = (column(blocks, "observed")[rows, classes] != classes).mean()
    assert abs(wrong - clinic.rates.wrong_code) < 0.004


def test_findings_fit_sex_and_age(clinic, blocks):
    for block in blocks[:2]:
        fits = clinic.fits[block.sex[block.patient], block.band] > 0
        assert not (block.present & ~fits).any()
        assert not (block.denied & ~fits).any()
        assert not (block.present & block.denied).any()


def test_the_long_tail_of_labels(blocks):
    count = column(blocks, "classes").sum(axis=0) / (BLOCK * len(blocks))
    common = np.argsort(-count)[:10]
    assert column(blocks, "classes")[:, common].any(axis=1).mean() > 0.6
    assert np.bincount(column(blocks, "primary"), minlength=len(count)).min() < 0.002 * BLOCK * 6
    assert count.min() < 0.002
