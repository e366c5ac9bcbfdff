"""Small real runs, and their packages."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from emrobust import config
from emrobust.pipeline.export import export
from emrobust.pipeline.prepare import prepare
from emrobust.pipeline.train import train

ROWS = 700
NAMES = ("cold", "stomach", "heart", "skin")


def write_table(path, texts, labels) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["visit", "patient", "note", "diagnosis"])
        writer.writerows(
            [f"v{row}", f"p{row}", text, label]
            for row, (text, label) in enumerate(zip(texts, labels, strict=True))
        )
    return path


@pytest.fixture(scope="session")
def project(tmp_path_factory, easy, bert):
    """A function that gives the project with overrides."""
    folder = tmp_path_factory.mktemp("table")
    texts, _, matrix = easy(ROWS)
    names = [";".join(n for n, on in zip(NAMES, row, strict=True) if on) for row in matrix]
    table = write_table(folder / "notes.csv", texts, names)
    values = {
        "name": "easy",
        "source": {
            "path": str(table),
            "columns": {
                "record_id": "visit", "patient_id": "patient", "text": ["note"],
                "labels": ["diagnosis"],
            },
        },
        "labels": {"kind": "plain"},
        "train": {"epochs": 2, "learning_rate": 5e-3, "max_length": 64},
        "evaluate": {"bootstrap": 0},
    }  # fmt: skip
    models = {
        "tfidf": {"name": "tfidf", "longest": 2},
        "textcnn": {"name": "textcnn", "width": 16, "filters": 16},
        "bilstm": {"name": "bilstm", "width": 16, "hidden": 16},
        "transformer": {"name": "transformer", "checkpoint": str(bert)},
    }

    def make(model, **sections):
        merged = {key: {**dict(values.get(key, {})), **given} for key, given in sections.items()}
        return config.parse({**values, "model": models[model], **merged})

    return make


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, project):
    folder = tmp_path_factory.mktemp("prepared")
    prepare(project("tfidf"), folder)
    return folder


@pytest.fixture(scope="session")
def runs_of(tmp_path_factory, project, prepared):
    """A run of each model, trained when it is asked for."""
    made = {}

    def run_of(model):
        if model not in made:
            sections = {"normalize": {"width": True}} if model == "textcnn" else {}
            made[model] = train(
                project(model, **sections), tmp_path_factory.mktemp("run") / model, prepared
            )
        return made[model]

    return run_of


@pytest.fixture(scope="session")
def packages(tmp_path_factory, runs_of):
    """The package of each model, and what its export said."""
    made = {}

    def package_of(model):
        if model not in made:
            made[model] = export(runs_of(model).folder, tmp_path_factory.mktemp("package") / model)
        return made[model]

    return package_of
