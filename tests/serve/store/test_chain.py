import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from emrobust.errors import ChainError, InputError, StoreError
from emrobust.serve import store as room
from emrobust.serve.store import chain
from emrobust.serve.store.schema import AUDIT, FEEDBACK, PREDICTIONS

ROWS = 9


@pytest.fixture
def filled(opened, prediction):
    return fill(opened, prediction)


@pytest.fixture
def filled_file(sqlite_url, prediction):
    with room.open_store(room.StoreSettings(url=sqlite_url)) as opened:
        yield fill(opened, prediction)


def fill(opened, prediction):
    for number in range(ROWS - 1):
        opened.record(prediction(number))
    opened.record(
        room.Feedback(
            actor="dr", prediction=opened.predictions()[0]["id"], verdict="changed", labels=("J06",)
        )
    )
    return opened.database


def past_the_triggers(database, statement):
    """What somebody does who has the database's own rights."""
    with database.write() as connection:
        if database.dialect == "sqlite":
            for name in connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            ).scalars():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            for table in ("audit", "predictions", "feedback"):
                connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        connection.execute(statement)


def test_the_database_itself_refuses_changes(filled):
    for statement in (
        sa.update(AUDIT).values(actor="nobody"),
        sa.delete(AUDIT).where(AUDIT.c.seq == ROWS),
        sa.delete(AUDIT).where(AUDIT.c.seq == 2),
        sa.update(PREDICTIONS).values(result="{}"),
        sa.update(FEEDBACK).values(verdict="accepted"),
        sa.text(
            "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE seq = 3"
            if filled.dialect == "sqlite"
            else "TRUNCATE audit"
        ),
    ):
        with pytest.raises(StoreError, match="may not be changed"), filled.write() as connection:
            connection.execute(statement)
    assert room.verify(filled).rows == ROWS


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (sa.update(AUDIT).where(AUDIT.c.seq == 4).values(actor="x"), "^row 4 of"),
        (sa.update(AUDIT).where(AUDIT.c.seq == 9).values(record_id=None, digest=None), "^row 9 of"),
        (sa.update(AUDIT).where(AUDIT.c.seq == 1).values(hash="0" * 64), "^row 1 of"),
        (sa.delete(AUDIT).where(AUDIT.c.seq == 5), "^row 5 of the audit log is missing"),
        (sa.update(PREDICTIONS).where(PREDICTIONS.c.record_id == "V3").values(result="{}"),
         "^predictions: .* is not what was written"),
        (sa.update(FEEDBACK).values(verdict="accepted", labels="[]"), "^feedback: .* is not what"),
        (sa.update(FEEDBACK).values(id="other"), "^feedback: the audit log knows nothing of other"),
    ],
)  # fmt: skip
def test_the_first_tampered_row_is_named(filled_file, statement, message):
    room.verify(filled_file)
    past_the_triggers(filled_file, statement)
    with pytest.raises(ChainError, match=message):
        room.verify(filled_file)


def test_predictions_may_be_deleted_and_are_counted(filled):
    with filled.write() as connection:
        connection.execute(sa.delete(PREDICTIONS).where(PREDICTIONS.c.record_id.in_(["V1", "V2"])))
    verified = room.verify(filled)
    assert (verified.rows, verified.kept, verified.removed) == (ROWS, ROWS - 2, 2)


def test_an_anchor_shows_a_log_that_was_cut_off_or_written_anew(filled, tmp_path):
    room.write_anchor(tmp_path / "anchor.json", room.verify(filled).anchor())
    anchor = room.read_anchor(tmp_path / "anchor.json")
    assert room.verify(filled, anchor).rows == ROWS
    past_the_triggers(filled, sa.delete(AUDIT).where(AUDIT.c.seq >= ROWS - 2))
    with filled.write() as connection:
        connection.execute(sa.delete(PREDICTIONS))
        connection.execute(sa.delete(FEEDBACK))
    room.verify(filled)  # the chain alone cannot know
    with pytest.raises(ChainError, match=f"ends at row {ROWS - 3}; its anchor knows {ROWS} rows"):
        room.verify(filled, anchor)
    with filled.write() as connection:
        again = [{**row(n), "event": str(n)} for n in range(5)]
        chain.append(filled, connection, again)
    with pytest.raises(ChainError, match=f"rows 1 to {ROWS} .* not those of the anchor"):
        room.verify(filled, anchor)


def test_what_is_no_anchor_is_told(tmp_path):
    (tmp_path / "a.json").write_text('{"rows": 1}')
    with pytest.raises(InputError, match="no anchor"):
        room.read_anchor(tmp_path / "a.json")
    with pytest.raises(InputError, match="does not exist"):
        room.read_anchor(tmp_path / "b.json")


def row(number):
    return {
        "event": str(number), "at": "t", "actor": "a", "action": "x", "model": None,
        "record_id": None, "detail": "{}", "digest": None,
    }  # fmt: skip


@given(
    st.integers(2, 12).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, n - 1), st.integers(0, n - 1))
    ),
    st.sampled_from(["event", "at", "actor", "action", "detail", "swap", "drop", "double"]),
)
def test_any_change_of_any_row_is_found_at_its_place(places, change):
    rows, where, other = places
    made, previous = [], chain.START
    for number in range(rows):
        placed = {**row(number), "seq": number + 1}
        previous = chain.link(placed, previous)
        made.append({**placed, "hash": previous})
    assert chain.follow(made) == (rows, previous)
    first = where
    if change == "swap":
        made[where], made[other] = made[other], made[where]
        first = min(where, other)
    elif change == "drop":
        del made[where]
    elif change == "double":
        made.insert(where + 1, made[where])
        first = where + 1
    else:
        made[where] = {**made[where], change: made[where][change] + " "}
    if (change == "drop" and where == rows - 1) or (change == "swap" and where == other):
        chain.follow(made)
    else:
        with pytest.raises(ChainError, match=f"^row {first + 1} of"):
            chain.follow(made)
