import os
import sqlite3
import subprocess
import sys
import textwrap

import pyarrow as pa
import pytest

from emrobust import ingest as room
from emrobust import runs
from emrobust.config import Columns, Source
from emrobust.errors import SourceError, StorageError
from emrobust.rejects import Rejects

CANARY = "金丝雀"
COLUMNS = Columns(
    record_id="id", patient_id="patient", age="age", labels=("code",), text=("text", "note")
)
BAD = (
    "id,patient,age,code,text,note\n"
    f"V1,P1,45,I10,{CANARY},x\n"
    f"V2,,45,I10,{CANARY},x\n"  # no patient
    f"V3,P1,45,I10, ,NULL\n"  # no text
    f",P1,45,I10,{CANARY},x\n"  # no number
    f"V1,P2,45,I10,{CANARY},x\n"  # twice
    f"V4,P1,45,I10,{CANARY}\n"  # too few fields
    f"V5,P1,45,I10,{CANARY},x,{CANARY}\n"  # too many
    f"V6,P1,{CANARY},,{CANARY}\x07{CANARY},x\n"  # a control character, an age that is none
    f"{CANARY} {CANARY},,1,,x,x\n"  # text in the place of the number, and no patient
)


def test_every_fault_is_counted_and_written_without_text(write_csv, read, caplog, capsys, tmp_path):
    data = BAD.encode() + b"V7,P1,1,,\xff\xfe,x\n"
    summary, table, refused = read(write_csv(data), COLUMNS, encoding="utf-8")
    assert table["record_id"].to_pylist() == ["V1", "V6"]
    assert {(r["row"], r["record_id"], r["column"]) for r in refused} == {
        ("2", "V2", "patient"), ("3", "V3", "text"), ("4", "", "id"), ("5", "V1", "id"),
        ("6", "", ""), ("7", "", ""), ("9", "", "patient"), ("10", "V7", "text"),
    }  # fmt: skip
    assert summary.rejected == {
        "wrong number of fields": 2,
        "patient number missing": 2,
        "all text fields are empty": 1,
        "record number missing": 1,
        "record number was there before": 1,
        "bytes that are not of the encoding": 1,
    }
    assert (summary.rows_in, summary.rows_out) == (10, 2)
    assert summary.notes["control_characters"] == 1
    assert summary.notes["unread"] == {"age": 1}
    assert summary.notes["unlabelled"] == 1
    said = capsys.readouterr()
    for where in ((tmp_path / "target/rejects.csv").read_text(), caplog.text, said.out, said.err):
        assert CANARY not in where
    assert CANARY not in str(summary)


def test_a_record_that_was_refused_does_not_hide_a_later_one(write_csv, read, small):
    _, table, _ = read(write_csv("id,text,note\n1,,\n1,a,b\n1,c,d\n"), small)
    assert table["text_text"].to_pylist() == ["a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,text,note\n", "has a header but no rows"),
        (
            f"id,text,note\n1,{CANARY}\n2\n3,,\n",
            "none of the 3 .* 2 of them .*number of fields",
        ),
        (f"id,text,note\n,{CANARY},x\n", "none of the 1 rows .*record number missing"),
        (f"id,text,text,note\n1,{CANARY},x,y\n", "`text` is there 2 times"),
        (f"id,texts,note\n1,{CANARY},x\n", "`text` is missing. Did you mean `texts`"),
        ("", "is empty"),
    ],
)
def test_a_table_without_use_gives_one_message(write_csv, read, small, content, message):
    with pytest.raises(SourceError, match=message) as caught:
        read(write_csv(content), small)
    assert CANARY not in str(caught.value)
    assert caught.value.hint


def test_a_missing_file_a_folder_and_an_unknown_kind(tmp_path, write_csv, read, small):
    write_csv("id,text,note\n1,a,b\n", "visits_2021.csv")
    with pytest.raises(SourceError, match="does not exist\n  Did you mean `visits_2021.csv`"):
        read(tmp_path / "visits_2022.csv", small)
    with pytest.raises(SourceError, match="is a folder"):
        read(tmp_path, small)
    with pytest.raises(SourceError, match="no known kind\n  Known suffixes are .csv"):
        read(write_csv("x", "t.docx"), small)
    with pytest.raises(SourceError, match="not a Parquet file"):
        read(write_csv("x", "t.parquet"), small)


def test_the_stage_runs_once_and_again_when_the_file_changes(write_csv, tmp_path, small):
    path = write_csv("id,text,note\n1,a,b\n")
    settings = Source(path=path, columns=small)
    assert runs.run_stage(room.ingest, settings, path, tmp_path / "out")[1]
    assert not runs.run_stage(room.ingest, settings, path, tmp_path / "out")[1]
    write_csv("id,text,note\n1,a,b\n2,c,d\n")
    summary, ran = runs.run_stage(room.ingest, settings, path, tmp_path / "out")
    assert ran
    assert summary.rows_out == 2


def test_a_database_is_read_again_and_its_password_not_written_down(tmp_path, small):
    path = tmp_path / "d.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE visits (id, text, note)")
    connection.execute("INSERT INTO visits VALUES (1, 'a', 'b')")
    connection.commit()
    connection.close()
    settings = Source(url=f"sqlite:///{path}", table="visits", columns=small)
    for _ in range(2):
        assert runs.run_stage(room.ingest, settings, tmp_path / "none", tmp_path / "out")[1]
    secret = settings.model_copy(update={"url": "postgresql://user:hunter2@host/d"})
    assert "hunter2" not in str(secret.model_dump(mode="json"))


def test_batches_stream_without_labels_for_prediction(write_csv, small):
    path = write_csv("id,text,note\n1,a,b\n,c,d\n")
    columns = small.model_copy(update={"labels": ("absent",)})
    settings = Source(path=path, columns=columns)
    with pytest.raises(SourceError, match="`absent` is missing"):
        room.batches(settings)
    kept: list[tuple[object, ...]] = []

    class Rows:
        def writerow(self, row):
            kept.append(row)

    refused = Rejects(Rows())
    table = pa.Table.from_batches(room.batches(settings, refused=refused, with_labels=False))
    assert table["record_id"].to_pylist() == ["1"]
    assert table["labels"].null_count == 1
    assert kept == [(2, "", "id", "record number missing")]


def test_a_prediction_does_without_all_but_the_number_and_the_texts(write_csv, small):
    named = small.model_copy(
        update={
            "patient_id": "patient", "age": "age", "labels": ("code",),
            "identifiers": {"patient_name": ("name", "alias")},
        }
    )  # fmt: skip
    settings = Source(path=write_csv("id,text,note,alias\n1,a,b,Lee\n"), columns=named)
    absent: list[str] = []
    batches = room.batches(settings, with_labels=False, with_known=True, absent=absent)
    (row,) = pa.Table.from_batches(batches).to_pylist()
    assert absent == ["patient", "age", "name"]
    assert (row["patient_id"], row["age"], row["labels"]) == ("1", None, None)
    assert {name: value for name, value in row.items() if name.startswith("known_")} == {
        "known_patient_name_0": "Lee"
    }
    write_csv("id,note\n1,b\n")
    with pytest.raises(SourceError, match="`text` is missing") as caught:
        room.batches(settings, with_labels=False, absent=[])
    assert "`age`" not in str(caught.value)


def test_preview_reads_a_few_rows_and_tells_no_text(write_csv):
    path = write_csv(
        BAD.replace("\x07", "") + f"V9,P9,1,,{CANARY},x\n" * 10_000, encoding="gb18030"
    )
    seen = room.preview(Source(path=path, columns=COLUMNS), rows=3)
    assert seen.facts == {"format": "delimited text", "encoding": "gb18030", "delimiter": "comma"}
    assert seen.columns["text"] == "text"
    assert seen.rows == 1
    assert sum(seen.rejected.values()) >= 2
    assert CANARY not in str(seen)


def test_memory_does_not_grow_with_the_table(tmp_path, small):
    """Ten times the rows in a child process cost hardly more memory."""
    code = """
        import resource, sys
        from pathlib import Path
        from emrobust.config import Columns, Source
        from emrobust.ingest import ingest
        path, target = Path(sys.argv[1]), Path(sys.argv[2])
        target.mkdir()
        columns = Columns(record_id="id", text=("text",))
        summary = ingest(Source(path=path, columns=columns), path, target)
        print(summary.rows_out, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    peaks = []
    for rows in (20_000, 200_000):
        path = tmp_path / f"{rows}.jsonl"
        with path.open("w") as out:
            out.writelines(f'{{"id": {n}, "text": "{n:x}{"cough " * 40}"}}\n' for n in range(rows))
        command = [sys.executable, "-c", textwrap.dedent(code), path, tmp_path / f"out{rows}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert int(done.stdout.split()[0]) == rows
        peaks.append(int(done.stdout.split()[1]) / 1024)
    assert peaks[1] - peaks[0] < 40, f"50 MB more of input took {peaks} MB"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KB, where the machine allows one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no right to mount a file system here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _large(write_csv):
    noise = "\n".join(f"{n},{os.urandom(60).hex()},x" for n in range(20_000))
    return write_csv("id,text,note\n" + noise)


def test_a_full_disk_leaves_nothing_and_says_so(small_disk, write_csv, small):
    path = _large(write_csv)
    with pytest.raises(StorageError, match="the disk is full"):
        runs.run_stage(room.ingest, Source(path=path, columns=small), path, small_disk / "out")
    assert list(small_disk.iterdir()) == []


def test_a_file_that_may_not_grow_counts_as_a_full_disk(write_csv, tmp_path, small):
    """As a quota would; needs no right to mount."""
    path = _large(write_csv)
    code = f"""
        import resource, signal
        from pathlib import Path
        from emrobust import runs
        from emrobust.config import Columns, Source
        from emrobust.errors import StorageError
        from emrobust.ingest import ingest
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        path = Path({str(path)!r})
        settings = Source(path=path, columns=Columns(record_id="id", text=("text", "note")))
        try:
            runs.run_stage(ingest, settings, path, Path({str(tmp_path / "out")!r}))
        except StorageError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "could not be written" in done.stdout, done.stderr
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_a_folder_that_cannot_be_written_is_named(write_csv, tmp_path, small):
    path = write_csv("id,text,note\n1,a,b\n")
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(StorageError, match="cannot be written"):
        runs.run_stage(room.ingest, Source(path=path, columns=small), path, blocked / "out")
