"""``emrobust store``, ``audit`` and ``keys``, and the guide that shows them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from emrobust.cli import app
from emrobust.errors import ChainError, InputError, StoreError
from emrobust.serve import store
from emrobust.serve.store import keys

GUIDE = Path(__file__).parents[2] / "docs" / "store.md"


def run(*words):
    done = CliRunner().invoke(app, words)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_every_command_of_the_guide_runs(tmp_path, monkeypatch, commands):
    monkeypatch.chdir(tmp_path)
    token = ""
    for command in commands(GUIDE):
        # Which prefix a key gets is not known when the guide is written.
        program, *words = shlex.split(command.replace("PREFIX", token[4:16]))
        assert program == "emrobust"
        said = run(*words)
        token = said.splitlines()[0] if words[:2] == ["keys", "add"] else token
    with store.open_store(store.StoreSettings(url="store.db")) as opened:
        assert [key.state() for key in keys.every(opened.database)] == ["revoked"]
    assert Path("anchors/audit.json").is_file()
    assert Path("keys/text.key").is_file()


def test_the_guide_explains_every_setting():
    text = GUIDE.read_text(encoding="utf-8")
    for name in store.StoreSettings.model_fields:
        assert f"| `{name}` |" in text, name


def test_keys_are_made_listed_and_revoked(tmp_path):
    url = str(tmp_path / "s.db")
    run("store", "upgrade", url)
    token = run(
        "keys", "add", url, "--name", "ward 3", "--role", "reviewer", "--days", "30"
    ).strip()
    assert re.fullmatch(r"emr_[0-9a-f]{12}_[\w-]{43}", token)
    listed = run("keys", "list", url)
    assert "reviewer" in listed
    assert "valid" in listed
    assert token.split("_", 2)[2] not in listed
    run("keys", "revoke", url, token[4:16])
    assert "revoked" in run("keys", "list", url)
    assert "2 rows, none changed" in run("audit", "verify", url)


def test_a_changed_log_and_an_absent_store_are_told(tmp_path):
    url = str(tmp_path / "s.db")
    with pytest.raises(StoreError, match="does not exist"):
        run("audit", "verify", url)
    assert not Path(url).exists()
    run("store", "upgrade", url)
    run("keys", "add", url, "--name", "a")
    database = store.connect(url)
    with database.write() as connection:
        connection.execute(sa.text("DROP TRIGGER audit_no_update"))
        connection.execute(sa.text("UPDATE audit SET actor = 'nobody'"))
    database.close()
    with pytest.raises(ChainError, match="row 1 of the audit log") as caught:
        run("audit", "verify", url)
    assert caught.value.exit_code == 1


def test_an_anchor_follows_its_log_and_outlives_one_that_was_cut(tmp_path):
    url, anchor = str(tmp_path / "s.db"), tmp_path / "anchor.json"
    daily = ("audit", "verify", url, "--write-anchor", str(anchor))
    run("store", "upgrade", url)
    run("keys", "add", url, "--name", "a")
    assert "the first there" in run(*daily)
    run("keys", "add", url, "--name", "b")
    assert "the first there" not in run(*daily)
    assert store.read_anchor(anchor).rows == 2
    database = store.connect(url)
    with database.write() as connection:
        connection.execute(sa.text("DROP TRIGGER audit_no_delete"))
        connection.execute(sa.text("DELETE FROM audit WHERE seq = 2"))
    database.close()
    run("audit", "verify", url)  # the chain alone cannot know
    with pytest.raises(ChainError, match="ends at row 1; its anchor knows 2 rows"):
        run(*daily)
    assert store.read_anchor(anchor).rows == 2
    anchor.write_text("a file of something else", encoding="utf-8")
    with pytest.raises(InputError):
        run(*daily)
    assert anchor.read_text(encoding="utf-8") == "a file of something else"
