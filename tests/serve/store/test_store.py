import os
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from emrobust.deid.key import make_key
from emrobust.errors import (
    ConfigError,
    InputError,
    NotFoundError,
    StorageError,
    StoreError,
    UnavailableError,
)
from emrobust.serve import store as room
from emrobust.serve.store import database, migrate, schema

CANARY = "金丝雀"


def everything(of):
    """All that is in all tables, as one text."""
    with of.read() as connection:
        rows = [
            repr(connection.execute(sa.select(table)).all())
            for table in schema.TABLES.sorted_tables
        ]
    return "".join(rows)


def test_predictions_and_feedback_come_back_as_they_were(opened, prediction):
    made = [prediction(number, seconds=0.01, uncertain=("冠心病　不稳定",)) for number in range(30)]
    for future in [opened.submit(entry) for entry in made]:
        future.result()
    said = room.Feedback(actor="dr", prediction=made[3].id, verdict="changed", labels=("J06",))
    opened.record(said)
    row = opened.prediction(made[3].id)
    assert (row["record_id"], row["model"], row["actor"]) == ("V3", "zh@1", "k1")
    assert '"冠心病　不稳定"' in row["result"]
    assert '"急性支气管炎":0.3333333333333333' in row["result"]
    assert {found["id"] for found in opened.predictions()} == {entry.id for entry in made}
    assert opened.feedback()[0]["labels"] == '["J06"]'
    log = opened.audit()
    assert [row["seq"] for row in log] == list(range(1, 32))
    assert [row["action"] for row in log] == ["predicted"] * 30 + ["feedback"]
    verified = room.verify(opened.database)
    assert (verified.rows, verified.kept, verified.removed) == (31, 31, 0)


def test_without_a_key_no_text_is_anywhere(opened, prediction):
    made = prediction(text=CANARY * 50)
    opened.record(made)
    comment = room.Feedback(actor="dr", prediction=made.id, verdict="rejected", comment=CANARY)
    opened.record(comment)
    assert not opened.keeps_text
    assert CANARY not in everything(opened.database)
    assert CANARY not in repr(made) + repr(comment)
    with pytest.raises(StoreError, match="switched off"):
        opened.text(made.id, "dr")


def test_with_a_key_texts_are_sealed_and_reading_is_logged(url, prediction, tmp_path):
    make_key(tmp_path / "text.key")
    settings = room.StoreSettings(url=url, text_key=tmp_path / "text.key")
    with room.open_store(settings) as opened:
        made, other = prediction(text=CANARY), prediction(text="b")
        opened.record(made)
        opened.record(other)
        assert CANARY not in everything(opened.database)
        assert opened.text(made.id, "auditor") == CANARY
        assert [row["action"] for row in opened.audit()][-1] == "text read"
        with opened.database.write() as connection:  # another record's text in its place
            sealed = connection.execute(
                sa.select(schema.TEXTS.c.sealed).where(schema.TEXTS.c.id == other.id)
            ).scalar()
            connection.execute(
                sa.update(schema.TEXTS).where(schema.TEXTS.c.id == made.id).values(sealed=sealed)
            )
        with pytest.raises(StoreError, match="cannot be opened"):
            opened.text(made.id, "auditor")


def test_a_record_s_texts_and_comments_are_erased_and_nothing_else(url, prediction, tmp_path):
    make_key(tmp_path / "text.key")
    with room.open_store(room.StoreSettings(url=url, text_key=tmp_path / "text.key")) as opened:
        made, other = (prediction(text=CANARY, record_id=of) for of in ("V1", "V2"))
        said = room.Feedback(actor="a", prediction=made.id, verdict="rejected", comment=CANARY)
        for entry in (made, other, said):
            opened.record(entry)
        assert room.erase(opened.database, "V1", "auditor") == 2
        assert room.erase(opened.database, "V1", "auditor") == 0
        for gone in (made, said):
            with pytest.raises(NotFoundError):
                opened.text(gone.id, "auditor")
        assert opened.text(other.id, "auditor") == CANARY
        assert opened.prediction(made.id)["record_id"] == "V1"
        told = [row["record_id"] for row in opened.audit() if row["action"] == "texts erased"]
        assert told == ["V1"]
        room.verify(opened.database)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("record_id", "患者三天前受凉后出现咳嗽" * 20),
        ("record_id", "a\nb"),
        ("actor", ""),
        ("model", "\ud800"),
        ("probabilities", {"I20": float("nan")}),
        ("probabilities", {"x" * 201: 0.5}),
        ("chosen", ("line\n",)),
        ("actor", "nul\0"),
        ("task", "second\u2028line"),
    ],
)
def test_what_is_no_name_is_refused_without_being_repeated(opened_file, prediction, field, value):
    with pytest.raises(InputError) as caught:
        opened_file.submit(prediction(**{field: value}))
    assert "咳嗽" not in str(caught.value)


def test_one_bad_entry_of_a_group_leaves_the_others(opened_file, prediction):
    """All wait behind one lock, so that they are one group."""
    with opened_file.database.write():
        first = opened_file.submit(prediction(0))
        orphan = opened_file.submit(room.Feedback(actor="a", prediction="no", verdict="accepted"))
        second = prediction(1)
        again = [opened_file.submit(second), opened_file.submit(second)]
        taken = opened_file.submit(prediction(2, id=second.id))
        of_group = opened_file.submit(
            room.Feedback(actor="a", prediction=second.id, verdict="accepted")
        )
    for future in (first, of_group, *again):
        future.result()
    with pytest.raises(NotFoundError):
        orphan.result()
    with pytest.raises(StoreError, match="taken"):
        taken.result()
    opened_file.submit(second).result()  # later, too: the same again is no error
    assert room.verify(opened_file.database).kept == 3


def test_writers_of_several_stores_keep_one_chain(url, prediction):
    stores = [room.open_store(room.StoreSettings(url=url, group=7)) for _ in range(3)]
    with ThreadPoolExecutor(9) as pool:
        list(pool.map(lambda n: stores[n % 3].record(prediction(n)), range(90)))
    assert room.verify(stores[0].database).rows == 90
    for opened in stores:
        opened.close()


def test_a_full_queue_refuses_and_closing_writes_what_waits(sqlite_url, prediction):
    settings = room.StoreSettings(url=sqlite_url, waiting=5, group=1)
    opened = room.open_store(settings)
    with opened.database.write():
        accepted = []
        with pytest.raises(UnavailableError, match="5 entries wait"):
            accepted.extend(opened.submit(prediction(number)) for number in range(9))
    opened.close()
    assert all(future.done() and future.exception() is None for future in accepted)
    with pytest.raises(UnavailableError, match="closed"):
        opened.submit(prediction())
    with room.open_store(settings) as again:
        assert len(again.predictions()) == len(accepted)


def test_a_full_disk_is_told_and_over_when_there_is_room(opened_file, prediction):
    opened_file.record(prediction())
    engine = opened_file.database.engine
    limit = [0]
    # SQLite's own limit fails as a full disk does (SQLITE_FULL).
    sa.event.listen(
        engine,
        "begin",
        lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={limit[0]}"),
        insert=True,
    )
    with engine.connect() as connection:
        limit[0] = connection.exec_driver_sql("PRAGMA page_count").scalar()
    labels = {f"label {number:03}": 0.1 for number in range(900)}
    with pytest.raises(StorageError, match="store.db cannot be written: its disk is full"):
        for number in range(9):
            opened_file.record(prediction(number, probabilities=labels))
    kept = len(opened_file.predictions())
    limit[0] = 1_000_000
    opened_file.record(prediction(99, probabilities=labels))
    assert len(opened_file.predictions()) == kept + 1
    room.verify(opened_file.database)


@pytest.fixture
def opened_file(sqlite_url):
    with room.open_store(room.StoreSettings(url=sqlite_url, patience=0.5)) as opened:
        yield opened


def test_a_database_that_is_busy_too_long_refuses_then_goes_on(sqlite_url, prediction, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.02)
    with room.open_store(room.StoreSettings(url=sqlite_url, patience=0.3)) as opened:
        with opened.database.write(), pytest.raises(UnavailableError, match=r"store\.db is busy"):
            opened.record(prediction())
        with opened.database.write():
            patient = opened.submit(prediction())
            time.sleep(0.1)
        patient.result()
        assert len(opened.predictions()) == 1


@pytest.mark.postgres
def test_a_server_that_drops_all_connections_loses_nothing(postgres_url, prediction):
    settings = room.StoreSettings(url=postgres_url, patience=30)
    kick = sa.text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    done = threading.Event()

    def interrupt():
        server = room.connect(postgres_url)
        while not done.wait(0.3):
            with server.read() as connection:
                connection.execute(kick)
        server.close()

    with room.open_store(settings) as opened:
        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            futures = []
            for number in range(900):
                futures.append(opened.submit(prediction(number)))
                time.sleep(0.0003)
            for future in futures:
                future.result()
        finally:
            done.set()
            thread.join()
        assert room.verify(opened.database).kept == 900


@pytest.mark.postgres
def test_a_server_that_is_away_refuses_and_comes_back(postgres, postgres_url, prediction):
    def admit(wanted):
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE store ALLOW_CONNECTIONS {wanted}")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'store'"
            )

    settings = room.StoreSettings(url=postgres_url, patience=0.2)
    try:
        with room.open_store(settings) as opened:
            opened.record(prediction(0))
            admit("false")
            with pytest.raises(UnavailableError, match="127.0.0.1/store (does not answer|is away)"):
                opened.record(prediction(1))
            with pytest.raises(UnavailableError):
                room.open_store(settings)
            admit("true")
            opened.record(prediction(2))
        patient = room.StoreSettings(url=postgres_url, patience=30)
        with room.open_store(patient) as opened:
            admit("false")
            waiting = opened.submit(prediction(3))
            time.sleep(0.3)
            assert not waiting.done()
            admit("true")
            waiting.result()
            assert [row["record_id"] for row in opened.predictions()] == ["V0", "V2", "V3"]
            room.verify(opened.database)
    finally:
        admit("true")


def test_wrong_urls_are_explained_without_the_password(tmp_path, monkeypatch):
    monkeypatch.setenv("EMROBUST_TEST_PASSWORD", "hunter2")
    named = "${EMROBUST_TEST_PASSWORD}"
    cases = {
        f"postgresql://u:{named}@127.0.0.1:1/d": (UnavailableError, "127.0.0.1/d does not answer"),
        f"postgresql://u:{named}@127.0.0.1:x/d": (StoreError, "cannot be understood"),
        f"postgresql://u:{named}@127.0.0.1:1/d?nonsense=hunter2": (StoreError, "."),
        f"postgres:u:{named}@h/d": (StoreError, "cannot be understood"),
        f"mysql://u:{named}@h/d": (StoreError, "cannot be in mysql"),
        "sqlite://": (StoreError, "in memory"),
        "postgresql://u:${EMROBUST_ABSENT}@h/d": (ConfigError, "EMROBUST_ABSENT"),
        "/proc/nothing/store.db": (StorageError, "cannot be made"),
    }
    for url, (kind, message) in cases.items():
        with pytest.raises(kind, match=message) as caught:
            room.open_store(room.StoreSettings(url=url, patience=0))
        assert "hunter2" not in str(caught.value)


@pytest.mark.postgres
def test_a_wrong_password_and_a_missing_database_are_told_at_once(postgres):
    base = sa.make_url(postgres)
    cases = {
        base.set(password="hunter2"): "refuses this user or password",
        base.set(database="absent"): "no such database",
        base.set(username="absent"): "refuses this user or password",
    }
    for url, message in cases.items():
        with pytest.raises(StoreError, match=message) as caught:
            room.open_store(room.StoreSettings(url=url.render_as_string(hide_password=False)))
        assert "hunter2" not in str(caught.value)
        assert str(base.password) not in str(caught.value)


def test_migrations_make_what_the_code_reads(url):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    made = room.connect(url)
    assert room.upgrade(made)
    assert not room.upgrade(made)
    with made.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, schema.TABLES) == []
    assert ScriptDirectory(str(migrate.SCRIPTS)).get_heads() == [schema.VERSION]
    made.close()


def test_an_older_store_is_brought_up_to_date_with_what_it_holds(url, prediction):
    from alembic import command
    from alembic.config import Config

    made = room.connect(url)
    given = Config()
    given.set_main_option("script_location", str(migrate.SCRIPTS))
    given.set_main_option("path_separator", "os")
    with made.write() as connection:
        given.attributes["connection"] = connection
        command.upgrade(given, "0001")
    kept = prediction()
    with room.open_store(room.StoreSettings(url=url, upgrade=True)) as store:
        store.record(kept)
        assert store.prediction(kept.id)["record_id"] == kept.record_id
    assert room.verify(made).kept == 1
    migrate.require(made)
    made.close()


def test_two_that_start_at_once_migrate_once(url):
    with ThreadPoolExecutor(3) as pool:
        databases = [room.connect(url) for _ in range(3)]
        assert sorted(pool.map(room.upgrade, databases)) == [False, False, True]
    for made in databases:
        made.close()


def test_a_store_of_another_version_or_of_others_is_refused(sqlite_url, tmp_path):
    made = room.connect(sqlite_url)
    with pytest.raises(StoreError, match=r"is empty.*needs version 0002"):
        migrate.require(made)
    room.upgrade(made)
    with made.write() as connection:
        connection.exec_driver_sql("UPDATE store_version SET version_num = '0999'")
    for check in (migrate.require, room.upgrade):
        with pytest.raises(StoreError, match=r"0999; this program knows versions up to 0002"):
            check(made)
    made.close()
    other = room.connect(str(tmp_path / "other.db"))
    with other.write() as connection:
        connection.exec_driver_sql("CREATE TABLE jobs (title TEXT)")
    with pytest.raises(StoreError, match="other tables under the store's names: jobs"):
        room.upgrade(other)
    other.close()
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at" * 30)
    with pytest.raises(StoreError, match="is no store, or is damaged"):
        room.open_store(room.StoreSettings(url=str(tmp_path / "text.db")))


@pytest.mark.skipif(os.name != "posix", reason="rights of files are those of POSIX")
def test_the_file_is_its_owners_alone(opened_file, prediction, sqlite_url):
    opened_file.record(prediction())
    for suffix in ("", "-wal", "-shm"):
        assert stat.S_IMODE(Path(sqlite_url + suffix).stat().st_mode) == 0o600


def test_acknowledged_means_flushed(opened):
    with opened.database.read() as connection:
        if opened.database.dialect == "sqlite":
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        else:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
