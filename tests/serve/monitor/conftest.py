"""A store, filled with predictions as of a model that draws its answers."""

from __future__ import annotations

import numpy as np
import pytest

from emrobust.serve import store as room


@pytest.fixture
def store(tmp_path):
    with room.open_store(room.StoreSettings(url=str(tmp_path / "store.db"))) as made:
        yield made


@pytest.fixture
def fill(store):
    """Predict and answer: truth is drawn from ``true(p)`` where the model says p."""

    def predict(rows, true=lambda p: p, model="m@1", seed=0, answered=1.0):
        random = np.random.default_rng(seed)
        waiting = []
        for _ in range(rows):
            p = random.uniform(0.1, 0.9)
            made = room.Prediction(
                actor="a", task="diagnose", model=model, probabilities={"x": p, "y": 0.01},
                chosen=("x",) if p > 0.5 else (), abstained=bool(p < 0.15), seconds=0.01,
            )  # fmt: skip
            waiting.append(store.submit(made))
            if random.random() >= answered:
                continue
            right = random.random() < true(p)
            same = right == (p > 0.5)
            verdict = "accepted" if same else ("changed" if right else "rejected")
            waiting.append(
                store.submit(
                    room.Feedback(
                        actor="b", prediction=made.id, verdict=verdict,
                        labels=("x",) if verdict == "changed" else (),
                    )
                )
            )  # fmt: skip
        for future in waiting:
            future.result()

    return predict
