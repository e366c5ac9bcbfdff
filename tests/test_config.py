"""The project file: every problem at once, suggestions, overrides, and a faithful round trip."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust import config
from emrobust.errors import ConfigError

GOOD = """
name = "测试"
[source]
path = "visits.csv"
[source.columns]
record_id = "就诊号"
text = ["主诉", "现病史"]
labels = ["诊断"]
[model]
name = "textcnn"
filters = 64
"""


@pytest.fixture
def project_file(tmp_path: Path) -> Path:
    path = tmp_path / "project.toml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_paths_are_relative_to_the_file(project_file):
    project = config.load(project_file)
    assert project.source.path == project_file.parent / "visits.csv"
    assert project.model.settings() == {"filters": 64}


def test_paths_of_components_are_too(project_file):
    perturbations = '["glyph", { name = "synonym", vectors = "w.txt", lexicon = "own" }]'
    with project_file.open("a", encoding="utf-8") as file:
        file.write(f"[augment]\nperturbations = {perturbations}\n")
    glyph, synonym = config.load(project_file).augment.perturbations
    assert glyph.settings() == {}
    folder = project_file.parent
    assert synonym.settings() == {"vectors": str(folder / "w.txt"), "lexicon": str(folder / "own")}


def test_a_copy_elsewhere_names_the_same_files(project_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    project = config.load(Path("project.toml"), ["evaluate.truth=truth.parquet"])
    copy = tmp_path / "run" / "project.toml"
    copy.parent.mkdir()
    copy.write_text(config.dump(project), encoding="utf-8")
    assert config.load(copy) == project


def test_overrides_win_and_are_typed(project_file):
    project = config.load(
        project_file,
        [
            "train.epochs=3",
            "model.name=tfidf",
            "source.path=other.csv",
            "split.test_sites=['东院']",
        ],
    )
    assert project.train.epochs == 3
    assert project.model.name == "tfidf"
    assert project.source.path == Path("other.csv").absolute()
    assert project.split.test_sites == ("东院",)


@pytest.mark.parametrize("day", ['"2025-05-01"', "2025-05-01"])
def test_a_day_may_stand_in_quotes_or_without(project_file, day):
    project = config.load(project_file, [f"split.validation_from={day}"])
    assert project.split.validation_from == "2025-05-01"


def test_every_problem_is_reported_at_once(project_file):
    with pytest.raises(ConfigError) as caught:
        config.load(
            project_file,
            ["train.epoch=3", "train.learning_rate=-1", "sorce.path=x", "labels.level=chapter"],
        )
    message = str(caught.value)
    assert "Did you mean `epochs`?" in message
    assert "Did you mean `source`?" in message
    assert "train.learning_rate" in message
    assert "labels.level" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[source", "not TOML"),
        ("", "`source` is missing"),
        ('[source]\npath="a"\nurl="b"\n[source.columns]\nrecord_id="a"\ntext=["b"]', "not both"),
        ('[source]\nurl="b"\n[source.columns]\nrecord_id="a"\ntext=["b"]', "query or table"),
        ('[source]\npath="a"\n[source.columns]\nrecord_id="a"\ntext=[]', "source.columns.text"),
    ],
)
def test_wrong_files_say_what_is_wrong(tmp_path, text, says):
    path = tmp_path / "p.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="problem|TOML") as caught:
        config.load(path)
    assert says in str(caught.value)


def test_a_file_as_notepad_saves_it(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text(GOOD, encoding="utf-8-sig")
    assert config.load(path).name == "测试"
    path.write_text(GOOD, encoding="gb18030")
    with pytest.raises(ConfigError, match=r"not UTF-8\n  Save it as UTF-8"):
        config.load(path)


def test_a_missing_file_and_a_malformed_override(tmp_path, project_file):
    with pytest.raises(ConfigError, match="does not exist"):
        config.load(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        config.load(project_file, ["epochs"])


def test_a_password_is_never_written_down(monkeypatch):
    values = {
        "source": {
            "url": "postgresql+psycopg://reader:geheim@db/his",
            "table": "visits",
            "columns": {"record_id": "id", "text": ["note"]},
        }
    }
    project = config.parse(values)
    assert "geheim" not in config.dump(project)
    assert "geheim" in project.source.connection()
    values["source"]["url"] = "postgresql://reader:${EMR_TEST_PASSWORD}@db/his"
    with pytest.raises(ConfigError, match="EMR_TEST_PASSWORD"):
        config.parse(values).source.connection()
    monkeypatch.setenv("EMR_TEST_PASSWORD", "offen")
    assert config.parse(values).source.connection() == "postgresql://reader:offen@db/his"


@given(
    name=st.text(min_size=1, max_size=20),
    rate=st.floats(1e-6, 1.0),
    seed=st.integers(0, 2**31),
    columns=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4),
)
def test_a_dumped_project_is_read_back(tmp_path_factory, name, rate, seed, columns):
    project = config.parse(
        {
            "name": name,
            "seed": seed,
            "source": {"path": "/x.csv", "columns": {"record_id": "id", "text": columns}},
            "train": {"learning_rate": rate},
            "model": {"name": "textcnn", "widths": [2, 3]},
        }
    )
    path = tmp_path_factory.mktemp("p") / "p.toml"
    path.write_text(config.dump(project), encoding="utf-8")
    assert config.load(path).public() == project.public()


@pytest.mark.parametrize("path", sorted(Path("configs").glob("*.toml")), ids=lambda p: p.stem)
def test_every_config_in_the_repository_is_valid(path):
    config.load(path)
