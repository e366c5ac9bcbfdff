"""Folders are whole or absent; stages run again only when something changed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from emrobust import runs
from emrobust.errors import RunError, StorageError


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    runs.write_json(path, {"old": 1})
    with pytest.raises(RuntimeError), runs.atomic_file(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert runs.read_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "run"
    for content in ("one", "two"):
        with runs.atomic_folder(target) as partial:
            (partial / content).write_text(content)
    assert [p.name for p in target.iterdir()] == ["two"]
    with pytest.raises(RuntimeError), runs.atomic_folder(target) as partial:
        (partial / "three").write_text("x")
        raise RuntimeError
    assert [p.name for p in target.iterdir()] == ["two"]


def test_killed_while_writing_a_folder_nothing_is_half_written(tmp_path):
    script = """
import sys, pathlib
from emrobust import runs
target = pathlib.Path(sys.argv[1])
with runs.atomic_folder(target) as partial:
    (partial / "big").write_bytes(b"x" * 1_000_000)
    print("writing", flush=True)
    sys.stdin.read()
"""
    target = tmp_path / "run"
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"writing\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdin.close()
    child.stdout.close()
    assert not target.exists()
    with runs.atomic_folder(target) as partial:  # the leftover is no obstacle
        (partial / "small").write_text("x")
    assert [p.name for p in target.iterdir()] == ["small"]


def test_a_changed_file_is_named(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.txt").write_text("b")
    runs.write_manifest(tmp_path, {"seed": 1})
    assert runs.verify_manifest(tmp_path) == {"seed": 1}
    (tmp_path / "sub" / "b.txt").write_text("c")
    with pytest.raises(RunError, match=r"sub/b\.txt was changed"):
        runs.verify_manifest(tmp_path)
    (tmp_path / "sub" / "b.txt").unlink()
    with pytest.raises(RunError, match="incomplete"):
        runs.verify_manifest(tmp_path)


class Letters(BaseModel):
    letter: str = "a"
    table: Path | None = None


def copy(settings: Letters, source: Path, target: Path) -> runs.Summary:
    (target / "out.txt").write_text(settings.letter + source.read_text())
    return runs.Summary(rows_in=1, rows_out=1)


def test_a_folder_that_is_not_there_says_so_and_names_one_like_it(tmp_path):
    (tmp_path / "run-tfidf").mkdir()
    (tmp_path / "notes").write_text("x")
    runs.need_folder(tmp_path / "run-tfidf")
    for name, says in [
        ("run-tfdif", f"does not exist\n  Did you mean `{tmp_path / 'run-tfidf'}`?"),
        ("elsewhere/run", "does not exist\n  Is the path right?"),
        ("notes", "is a file"),
    ]:
        with pytest.raises(RunError) as caught:
            runs.need_folder(tmp_path / name)
        assert says in str(caught.value)


def test_a_stage_runs_again_only_when_something_changed(tmp_path):
    source, target = tmp_path / "in.txt", tmp_path / "out"
    source.write_text("1")
    ran = lambda settings: runs.run_stage(copy, settings, source, target)[1]  # noqa: E731 - short
    assert ran(Letters())
    assert not ran(Letters())
    assert ran(Letters(letter="b"))
    source.write_text("2")
    assert ran(Letters(letter="b"))
    assert (target / "out.txt").read_text() == "b2"
    table = tmp_path / "table.csv"
    table.write_text("1")
    assert ran(Letters(letter="b", table=table))
    assert not ran(Letters(letter="b", table=table))
    table.write_text("2")
    assert ran(Letters(letter="b", table=table))
    (target / "out.txt").write_text("meddled")
    assert ran(Letters(letter="b", table=table))
    assert (target / "out.txt").read_text() == "b2"


def test_an_unwritable_folder_and_a_full_disk_say_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(StorageError, match="--out"),
        runs.atomic_file(tmp_path / "file" / "out.json") as path,
    ):
        path.write_text("x")
    with (
        pytest.raises(StorageError, match="no folder can be made"),
        runs.atomic_folder(Path("/proc/emrobust/out")),
    ):
        pass
    with (
        pytest.raises(StorageError, match="disk is full"),
        runs.atomic_file(tmp_path / "out.json"),
        Path("/dev/full").open("w") as full,
    ):
        full.write("x")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
