"""Who gets what, how often."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from emrobust.augment.shares import OF_TEXTS, PLAIN, Lots, probabilities, share_out
from emrobust.errors import ConfigError

STATED = {"rules": 0.4, "back_translation": 0.2, "masked_lm": 0.2, "mixup": 0.2}
ROWS, BATCH, EPOCHS = 6400, 16, 10


@pytest.mark.parametrize("probability", [1.0, 0.5])
def test_every_component_has_its_share_of_the_records(probability):
    lots = Lots(STATED, np.full(ROWS, probability), 2, seed=1)
    counts = dict.fromkeys([*STATED, "plain"], 0)
    steps = ROWS // BATCH
    for epoch in range(EPOCHS):
        component = lots.draw(epoch).component.reshape(steps, BATCH)
        mixed = np.array([lots.mixes(epoch * steps + step) for step in range(steps)])
        counts["mixup"] += int(mixed.sum()) * BATCH
        for number, name in enumerate(OF_TEXTS):
            counts[name] += int((component[~mixed] == number).sum())
        counts["plain"] += int((component[~mixed] == PLAIN).sum())
    expected = {name: probability * share for name, share in STATED.items()}
    expected["plain"] = 1 - probability
    # Whole batches are mixed, so their number varies as that of so many draws.
    batches = [counts["mixup"] / BATCH, steps * EPOCHS - counts["mixup"] / BATCH]
    share = expected["mixup"]
    assert chisquare(batches, [share * steps * EPOCHS, (1 - share) * steps * EPOCHS]).pvalue > 0.01
    seen = [counts[name] for name in [*OF_TEXTS, "plain"] if expected[name]]
    wanted = np.array([expected[name] for name in [*OF_TEXTS, "plain"] if expected[name]])
    assert chisquare(seen, wanted / wanted.sum() * sum(seen)).pvalue > 0.01


def test_draws_depend_on_seed_and_epoch_and_nothing_else():
    def draw(seed: int, epoch: int) -> np.ndarray:
        return Lots(STATED, np.full(100, 1.0), 2, seed).draw(epoch).component

    assert (draw(1, 0) == draw(1, 0)).all()
    assert (draw(1, 0) != draw(1, 1)).any()
    assert (draw(1, 0) != draw(2, 0)).any()


def test_rare_labels_are_augmented_by_inverse_frequency():
    targets = np.zeros((100, 3), int)
    targets[:80, 0] = 1
    targets[70:90, 1] = 1  # ten of them with the common label too
    targets[90:95, 2] = 1
    found = probabilities(targets, 0.1, 1.0)
    # The median record's rarest label is on 80 records.
    assert found[0] == pytest.approx(0.1)
    assert found[75] == found[85] == pytest.approx(0.4)
    assert found[92] == 1.0
    assert found[99] == pytest.approx(0.1)  # no label
    assert (probabilities(targets, 0.1, 0.0) == 0.1).all()
    assert probabilities(targets, 0.1, 0.5)[85] == pytest.approx(0.2)


def test_a_missing_component_is_an_error_or_is_made_up_for():
    missing = {"back_translation": "no model is given"}
    with pytest.raises(ConfigError, match="redistribute") as caught:
        share_out(STATED, missing, redistribute=False)
    assert "no model is given" in str(caught.value)
    found = share_out(STATED, missing, redistribute=True)
    assert found == pytest.approx(
        {"rules": 0.5, "back_translation": 0.0, "masked_lm": 0.25, "mixup": 0.25}
    )
    # A component that nobody asked for may be missing.
    assert share_out({**STATED, "back_translation": 0.0}, missing, redistribute=False) == found
    with pytest.raises(ConfigError, match="no component"):
        share_out(dict.fromkeys(STATED, 0.0), {}, redistribute=True)
