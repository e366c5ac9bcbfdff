"""The command line: quick help, exit codes, one clear message, and never a record's text."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emrobust import cli
from emrobust.errors import SourceError, StorageError

EMROBUST = Path(sys.executable).with_name("emrobust")


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run([EMROBUST, *arguments], capture_output=True, text=True, cwd=cwd)


def test_help_imports_neither_torch_nor_anything_heavy():
    script = """
import sys
sys.argv = ["emrobust", "--help"]
try:
    from emrobust.cli import main
    main()
except SystemExit as stop:
    assert stop.code == 0, stop.code
heavy = {"torch", "transformers", "sklearn", "polars", "pyarrow", "matplotlib", "sqlalchemy"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "train" in done.stdout


def test_version_and_list():
    assert run("--version").stdout.startswith("emrobust 0.")
    listed = run("list", "models").stdout
    assert all(name in listed for name in ("tfidf", "textcnn", "bilstm", "transformer"))
    settings = run("list", "models", "textcnn").stdout
    assert "dropout = 0.4\n" in settings
    assert run("list", "recipes").stdout.startswith("zh_homophone_glyph")
    assert run("list", "recipes", "en_typo").stdout.startswith("[en_typo]\n")
    assert run("list", "goals", "label_dropped").stdout == "label_dropped has no settings\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("train", "absent.toml", "--out", "r"), "absent.toml does not exist"),
        (("evaluate", "absent", "--out", "r"), "absent"),
        (("list", "modles"), "Did you mean `models`?"),
        (("trian",), "No such command"),
        (("clinic", "--records", "0", "--out", "x"), "--records"),
    ],
)
def test_bad_input_ends_with_2_and_one_message(tmp_path, arguments, says):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (SourceError("row 7 is odd", "Mend it."), 2, "row 7 is odd\n  Mend it."),
        (StorageError("the disk is full"), 1, "the disk is full"),
        (ValueError("患者张三，咳嗽"), 1, "unforeseen ValueError"),
    ],
)
def test_every_error_becomes_a_message_and_an_exit_code(monkeypatch, capsys, error, code, says):
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr().err
    assert stop.value.code == code
    assert says in said
    assert "张三" not in said


def test_ctrl_c_ends_with_130_and_one_message(tmp_path):
    # Where a shell made this process ignore the signal, its children would inherit that.
    script = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from emrobust.cli import main
main()
"""
    words = ["clinic", "--records", "1000000", "--workers", "1", "--out", str(tmp_path / "c")]
    with subprocess.Popen(
        [sys.executable, "-c", script, *words], stderr=subprocess.PIPE, text=True
    ) as process:
        while not list(tmp_path.iterdir()):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.endswith("stopped; the same command goes on where it was\n")
    assert "Traceback" not in said
