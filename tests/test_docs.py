"""The guides are true: every command runs, every example is valid, every key is explained."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from emrobust import config
from emrobust.cli import app
from emrobust.pipeline.pretrain import Architecture
from emrobust.serve import settings
from emrobust.train.pretraining import Recipe

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture
def follow(commands) -> Callable[[Path], None]:
    """Runs every command of a guide in this process, since every start of Python costs a second."""

    def run(guide: Path) -> None:
        for command in commands(guide):
            program, *words = shlex.split(command)
            assert program == "emrobust"
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, f"{command}\n{done.output}\n{done.exception}"

    return run


def test_every_command_of_the_guide_to_deidentification_runs(tmp_path, monkeypatch, blocks, follow):
    guide = ROOT / "docs" / "deid.md"
    monkeypatch.chdir(tmp_path)
    (project,) = blocks(guide, "toml")
    Path("hospital.toml").write_text(project, encoding="utf-8")
    marked = {"name": "chief_complaint", "spans": [[0, 2, "date", "right"]], "missed": []}
    reviewed = [{"row": 1, "reviewed": True, "fields": [marked]}]
    Path("corrections.json").write_text(
        json.dumps({"version": 1, "sheet": "a", "documents": reviewed}), encoding="utf-8"
    )
    follow(guide)
    for name in ("treated/deid_report.html", "table.deid_report.html", "sheet.html",
                 "decisions.csv", "keys/table.mapping", "treated/local.json"):  # fmt: skip
        assert Path(name).stat().st_size > 0, name


@pytest.mark.slow
def test_every_command_of_the_guide_to_packages_runs(tmp_path, monkeypatch, follow):
    monkeypatch.chdir(tmp_path)
    follow(ROOT / "docs" / "package.md")
    assert Path("predictions.csv").stat().st_size > 0


@pytest.mark.slow
def test_every_command_of_the_guide_to_evidence_runs(tmp_path, monkeypatch, follow):
    monkeypatch.chdir(tmp_path)
    follow(ROOT / "docs" / "evidence.md")
    for name in ("quality/quality.html", "report/report.html", "report/attack.html",
                 "cases/cases.html", "card/model_card.html"):  # fmt: skip
        assert (Path("evidence") / name).stat().st_size > 0, name
    transfer = json.loads(Path("evidence/transfer/metrics.json").read_text(encoding="utf-8"))
    assert "attack-first-zh_combined" in transfer["evidence"]["suites"]


def test_both_readmes_have_the_same_commands(blocks):
    english, chinese = ROOT / "README.md", ROOT / "README.zh-CN.md"
    for language in ("bash", "python"):
        assert blocks(english, language) == blocks(chinese, language)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_python_examples_run(document, tmp_path, blocks):
    for block in blocks(document, "python"):
        done = subprocess.run(
            [sys.executable, "-c", block], capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, f"{block}\n{done.stderr[-2000:]}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_project_files_in_the_documents_are_valid(document, tmp_path, blocks):
    for block in blocks(document, "toml"):
        path = tmp_path / "project.toml"
        path.write_text(block, encoding="utf-8")
        (settings.load if document.name == "operations.md" else config.load)(path)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_links_between_documents_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (document.parent / target).exists(), target


def keys(section: type[BaseModel], prefix: str = "") -> list[str]:
    found = []
    for name, field in section.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found += keys(annotation, f"{prefix}{name}.")
        else:
            found.append(prefix + name)
    return found


def test_every_key_of_the_project_file_is_explained():
    text = (ROOT / "docs" / "project-file.md").read_text(encoding="utf-8")
    for key in keys(config.Project):
        assert f"| `{key}` |" in text, key


def test_every_key_of_the_service_is_explained():
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for key in keys(settings.ServeSettings):
        assert f"| `{key}` |" in text, key


@pytest.mark.parametrize("kind", [Recipe, Architecture])
def test_every_setting_of_pretraining_is_explained_with_its_default(kind):
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(\w+)` \| ?`?([^|;`]*?)`?(?:;[^|]*)? ?\|", text, re.MULTILINE))
    for key, field in kind.model_fields.items():
        default = "" if field.default is None else field.default
        assert told.get(key) == (default if isinstance(default, str) else f"{default:g}"), key


def test_nothing_of_this_machine_is_committed():
    places = [f"{folder}/" for folder in (ROOT.parent, Path.home()) if len(folder.parts) > 1]
    patterns = [part for place in places for part in ("-e", place)]
    listed = subprocess.run(
        ["git", "grep", "-lIF", *patterns], cwd=ROOT, capture_output=True, text=True
    )
    assert not listed.stdout
