"""A search on a small clinic: it goes on after a kill, and what it finds can be trained."""

from __future__ import annotations

import json

import numpy as np
import optuna
import pytest

from emrobust import clinic, config
from emrobust.errors import ConfigError, RunError
from emrobust.pipeline import search as searching
from emrobust.pipeline.prepare import prepare
from emrobust.pipeline.search import BEST, FOUND, PLOT, STORAGE, TRIALS, draw, search
from emrobust.train import estimators
from emrobust.train.search import change, find_space, score

SMALL = [
    "model.name=textcnn", "model.width=8", "model.filters=4", "train.epochs=1",
    "train.adversary.name=fgm", "train.adversary.warmup_steps=0",
]  # fmt: skip


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hospital")
    clinic.generate(folder, 600, 5, workers=1, formats=("csv", "sqlite"))
    prepare(config.load(folder / clinic.PROJECT), folder / "prepared")
    return folder


@pytest.fixture
def project(hospital):
    return config.load(hospital / clinic.PROJECT, SMALL)


def trials(folder) -> list[dict]:
    return json.loads((folder / FOUND).read_text())["trials"]


def test_a_search_goes_on_and_its_best_can_be_trained(hospital, project, tmp_path):
    data = hospital / "prepared"
    first = search(project, tmp_path, 2, data)
    begun = trials(tmp_path)
    assert begun[0]["settings"]["train.adversary.epsilon"] == 0.5
    assert begun[0]["macro_f1"] == first.own
    # Killed within a trial: it stands there as running, and is taken up again.
    storage = f"sqlite:///{tmp_path / STORAGE}"
    study = optuna.load_study(study_name="search", storage=storage)
    space = find_space(project)
    killed = study.ask({setting.key: searching._distribution(setting) for setting in space})
    found = search(project, tmp_path, 3, data)
    ended = trials(tmp_path)
    assert ended[:2] == begun
    assert [trial["settings"] for trial in ended[2:]] == [killed.params]
    assert found.trials == 3
    assert found.macro_f1 == max(trial["macro_f1"] for trial in ended)
    best = config.load(tmp_path / BEST)
    assert best == change(project, found.settings)
    estimators.build(best, ["a"])
    assert (tmp_path / PLOT).read_text().startswith("<svg")
    assert not list((tmp_path / TRIALS).iterdir())
    with pytest.raises(RunError, match="other settings"):
        search(project.model_copy(update={"seed": 1}), tmp_path, 3, data)


def test_the_space_follows_the_project(project):
    space = {setting.key: setting for setting in find_space(project)}
    rate = space["train.learning_rate"]
    assert (rate.own, rate.low, rate.high) == pytest.approx((3e-3, 6e-4, 1.5e-2))
    assert "cross_entropy" not in space["train.loss"].choices
    assert "train.adversary.alpha" in space
    plain = project.model_copy(update={"train": config.Train()})
    assert not any("adversary" in setting.key for setting in find_space(plain))
    usual = plain.model_copy(update={"model": config.Model(name="transformer")})
    assert "train.adversary.epsilon" in [setting.key for setting in find_space(usual)]
    nearer = change(usual, {"train.adversary.epsilon": 0.5, "train.adversary.alpha": 0.25})
    assert nearer.train.adversary.model_dump() == {"name": "freelb", "epsilon": 0.5, "alpha": 0.25}
    off = usual.model_copy(update={"train": config.Train(adversary="none")})
    assert not any("adversary" in setting.key for setting in find_space(off))
    assert change(off, {"train.loss": "focal"}).train.adversary.name == "none"
    changed = change(project, {"train.loss": "focal", "train.adversary.alpha": 0.25})
    assert changed.train.loss.name == "focal"
    assert changed.train.adversary.settings() == {"warmup_steps": 0, "alpha": 0.25}
    for wrong in (["model.name=tfidf"], ["split.folds=3"]):
        values = project.public()
        for override in wrong:
            section, key = override.split("=")[0].split(".")
            values[section] = {key: json.loads(f'"{override.split("=")[1]}"')}
        with pytest.raises(ConfigError, match="search"):
            find_space(config.parse({**values, "train": {}}))


def test_thresholds_are_scored_on_rows_that_did_not_tune_them(project):
    random = np.random.default_rng(0)
    truth = random.random((400, 8)) < 0.05
    chances = random.random((400, 8))  # tells nothing
    both = {
        kind: score(change(project, {"train.thresholds": kind}), truth, chances)
        for kind in ("global", "label")
    }
    assert both["label"] <= both["global"] + 0.03
    assert score(project, truth, truth.astype(float)) == 1.0


def test_a_plot_leaves_out_trials_without_a_score():
    assert draw([0.2, None, 0.5]).count("<circle") == draw([0.2, 0.5]).count("<circle")
