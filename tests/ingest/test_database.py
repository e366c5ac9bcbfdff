import sqlite3
import time

import psycopg
import pytest
import sqlalchemy as sa

from emrobust import ingest as room
from emrobust.config import Columns, Source
from emrobust.errors import ConfigError, SourceError
from emrobust.ingest import database

CANARY = "金丝雀"
SMALL = Columns(record_id="id", text=("text", "note"))


@pytest.fixture
def sqlite_file(tmp_path):
    path = tmp_path / "hospital.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE visits (ID INTEGER, text TEXT, note, photo BLOB)")
    rows = [(1, "咳嗽", None, b"\xff"), (2, "头晕", 1.5, b"\xff"), (3, b"\xff\xfe", "x", None)]
    connection.executemany("INSERT INTO visits VALUES (?, ?, ?, ?)", rows)
    connection.execute("CREATE VIEW recent AS SELECT * FROM visits WHERE ID > 1")
    connection.commit()
    connection.close()
    return path


def test_sqlite_by_path_needs_a_table_where_there_are_several(sqlite_file, read):
    with pytest.raises(SourceError, match="2 tables and views: recent, visits"):
        read(sqlite_file, SMALL)
    with pytest.raises(SourceError, match="no table `visit`.\n  Did you mean `visits`"):
        read(sqlite_file, SMALL, table="visit")
    assert read(sqlite_file, SMALL, table="recent")[1]["record_id"].to_pylist() == ["2"]


def test_sqlite_values_become_cells_and_broken_text_a_refusal(sqlite_file, read):
    _, table, refused = read(sqlite_file, SMALL, table="visits")
    assert table["record_id"].to_pylist() == ["1", "2"]
    assert table["text_note"].to_pylist() == ["", "1.5"]
    assert [(r["row"], r["record_id"], r["column"]) for r in refused] == [("3", "3", "text")]


def test_a_query_is_sent_as_it_is(sqlite_file, read):
    query = "SELECT ID AS id, text, '8:30 :x 100%' AS note FROM visits WHERE text LIKE '%嗽'"
    for settings in ({"path": sqlite_file}, {"path": None, "url": f"sqlite:///{sqlite_file}"}):
        _, table, _ = read(columns=SMALL, query=query, **settings)
        assert table["text_note"].to_pylist() == ["8:30 :x 100%"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT id FROM nowhere", "no such table: nowhere"),
        ("DELETE FROM visits", "cannot be read|gives no rows"),
        ("SELECT 1 AS id", "`text` is missing"),
    ],
)
def test_a_wrong_query_is_explained_and_changes_nothing(sqlite_file, read, query, message):
    before = sqlite_file.read_bytes()
    with pytest.raises(SourceError, match=message):
        read(sqlite_file, SMALL, query=query)
    assert sqlite_file.read_bytes() == before


def test_what_is_no_database_is_told(write_csv, read, tmp_path):
    with pytest.raises(SourceError, match="file is not a database"):
        read(write_csv(f"{CANARY}\n" * 100, "t.db"), SMALL, table="x")
    url = f"sqlite:///{tmp_path}/absent.db"
    with pytest.raises(SourceError, match="absent.db does not exist"):
        read(None, SMALL, url=url, table="x")
    assert not (tmp_path / "absent.db").exists()


def test_wrong_urls_are_explained_without_the_password(read, monkeypatch):
    monkeypatch.setattr(database, "PAUSES", ())
    cases = {
        "nonsense": "cannot be understood",
        "oracle+nothing://u:hunter2@h/d": "no driver for oracle",
        "postgresql://u:hunter2@127.0.0.1:1/d": "no connection to the database 127.0.0.1/d",
    }
    for url, message in cases.items():
        with pytest.raises(SourceError, match=message) as caught:
            read(None, SMALL, url=url, table="t")
        assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigError, match="EMROBUST_ABSENT"):
        read(None, SMALL, url="postgresql://u:${EMROBUST_ABSENT}@h/d", table="t")


@pytest.fixture
def hospital(postgres):
    """A PostgreSQL table of 60,000 visits in a schema of its own; the URL."""
    with psycopg.connect(postgres) as connection:
        connection.execute("DROP SCHEMA IF EXISTS his CASCADE")
        connection.execute("CREATE SCHEMA his")
        connection.execute(
            "CREATE TABLE his.visits AS SELECT n AS id, %s || n AS text, repeat('x', 200) AS note, "
            "timestamptz '2021-03-05 08:20:00+08' + n * interval '1 minute' AS at, "
            "ARRAY['J06.9', 'I10'] AS codes, 45.0::numeric AS age "
            "FROM generate_series(1, 60000) AS n",
            [CANARY],
        )
    return postgres


@pytest.mark.postgres
def test_postgres_is_read_by_table_and_by_query(hospital, read, monkeypatch):
    url = sa.make_url(hospital)
    monkeypatch.setenv("EMROBUST_TEST_PASSWORD", str(url.password))
    columns = SMALL.model_copy(update={"visit_time": "at", "labels": ("codes",), "age": "age"})
    # The password comes from the environment, as a hospital would have it.
    safe = hospital.replace(str(url.password), "${EMROBUST_TEST_PASSWORD}")
    summary, table, _ = read(None, columns, url=safe, table="his.visits")
    assert summary.rows_out == 60_000
    first = table.slice(0, 1).to_pylist()[0]
    assert (first["record_id"], first["age"]) == ("1", 45.0)
    assert first["labels"] == ["J06.9", "I10"]
    assert str(url.password) not in str(summary)
    query = "SELECT id::int % 7 || '-' || id AS id, text, note FROM his.visits WHERE text LIKE '%1'"
    assert read(None, SMALL, url=safe, query=query)[0].rows_out == 6000


@pytest.mark.postgres
def test_postgres_rows_are_streamed_by_a_cursor_of_the_server(hospital):
    settings = Source(url=hospital, table="his.visits", columns=SMALL)
    stream = room.batches(settings)
    assert next(stream).num_rows < 60_000
    with psycopg.connect(hospital) as connection:
        running = connection.execute("SELECT query FROM pg_stat_activity").fetchall()
    assert any(query.startswith("FETCH FORWARD") for (query,) in running if query)
    stream.close()


@pytest.mark.postgres
def test_a_dropped_connection_gives_one_message_with_the_row(hospital):
    settings = Source(url=hospital, table="his.visits", columns=SMALL)
    stream = room.batches(settings)
    next(stream)
    with psycopg.connect(hospital) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    with pytest.raises(SourceError, match=r"dropped the connection after row \d+") as caught:
        list(stream)
    assert "starting the same command again is safe" in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("change", "table", "message"),
    [
        ({"password": "hunter2"}, "his.visits", "password authentication failed"),
        ({"database": "absent"}, "his.visits", 'database "absent" does not exist'),
        ({}, "his.visit", "no table `his.visit`"),
    ],
)
def test_postgres_refusals_are_told_at_once_without_the_password(
    hospital, read, change, table, message
):
    url = sa.make_url(hospital).set(**change).render_as_string(hide_password=False)
    start = time.monotonic()
    with pytest.raises(SourceError, match=message) as caught:
        read(None, SMALL, url=url, table=table)
    assert time.monotonic() - start < sum(database.PAUSES), "a refusal is not tried again"
    assert "hunter2" not in str(caught.value)
    assert str(sa.make_url(hospital).password) not in str(caught.value)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT nothing FROM his.visits", 'column "nothing" does not exist'),
        ("SELECT text::int AS id, text, note FROM his.visits", "InvalidTextRepresentation 22P02"),
    ],
)
def test_postgres_queries_that_fail_never_quote_a_record(hospital, read, query, message):
    with pytest.raises(SourceError, match=message) as caught:
        read(None, SMALL, url=hospital, query=query)
    assert CANARY not in str(caught.value)


def test_a_database_that_starts_late_is_waited_for(monkeypatch, sqlite_file):
    monkeypatch.setattr(database, "PAUSES", (0.0, 0.0))
    attempts = []

    def connect():
        attempts.append(1)
        if len(attempts) < 3:
            raise sqlite3.OperationalError("starting up")
        return sqlite3.connect(sqlite_file)

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.NullPool)
    with database._connect(engine, "d", "") as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM visits")).scalar() == 3
    assert len(attempts) == 3
