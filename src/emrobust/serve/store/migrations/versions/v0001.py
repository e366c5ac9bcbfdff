"""The first schema: its tables are written out here, since `schema` moves on with later versions.

What was recorded is protected by the database too. The audit log takes rows at its end only;
predictions and feedback cannot be changed, but may be deleted when their retention is over.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.String(36)
_NAME = sa.String(200)
_TIME = sa.String(27)
_HASH = sa.String(64)
_PATH = sa.String(1000)

# SQLite's REPLACE deletes without a word, so the end is checked on the way in too.
_SQLITE = (
    (
        "CREATE TRIGGER audit_at_its_end BEFORE INSERT ON audit "
        "WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit) "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    ),
    (
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    ),
    (
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    ),
    (
        "CREATE TRIGGER predictions_no_update BEFORE UPDATE ON predictions "
        "BEGIN SELECT RAISE(ABORT, 'predictions are not changed'); END"
    ),
    (
        "CREATE TRIGGER feedback_no_update BEFORE UPDATE ON feedback "
        "BEGIN SELECT RAISE(ABORT, 'feedback is not changed'); END"
    ),
)
_POSTGRESQL = (
    (
        "CREATE FUNCTION store_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'what was recorded is not changed'; END $$"
    ),
    (
        "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit "
        "FOR EACH ROW EXECUTE FUNCTION store_refuse()"
    ),
    (
        "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION store_refuse()"
    ),
    (
        "CREATE TRIGGER predictions_no_update BEFORE UPDATE ON predictions "
        "FOR EACH ROW EXECUTE FUNCTION store_refuse()"
    ),
    (
        "CREATE TRIGGER feedback_no_update BEFORE UPDATE ON feedback "
        "FOR EACH ROW EXECUTE FUNCTION store_refuse()"
    ),
)


def upgrade() -> None:
    """Make the tables and the triggers."""
    _make_log()
    _make_records()
    _make_administration()
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE if sqlite else _POSTGRESQL:
        op.execute(statement)


def _make_log() -> None:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "audit",
        sa.Column("seq", number, primary_key=True, autoincrement=False),
        sa.Column("event", _ID, nullable=False, unique=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", _NAME, nullable=False),
        sa.Column("action", _NAME, nullable=False),
        sa.Column("model", _NAME),
        sa.Column("record_id", _NAME),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("digest", _HASH),
        sa.Column("hash", _HASH, nullable=False),
    )


def _make_records() -> None:
    op.create_table(
        "predictions",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("at", _TIME, nullable=False, index=True),
        sa.Column("actor", _NAME, nullable=False),
        sa.Column("task", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("record_id", _NAME, index=True),
        sa.Column("result", sa.Text, nullable=False),
    )
    op.create_table(
        "feedback",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("at", _TIME, nullable=False, index=True),
        sa.Column("actor", _NAME, nullable=False),
        sa.Column("prediction", _ID, nullable=False, index=True),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
    )
    op.create_table(
        "texts",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )


def _make_administration() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", _NAME, nullable=False),
        sa.Column("task", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("source", _PATH, nullable=False),
        sa.Column("target", _PATH, nullable=False),
        sa.Column("state", sa.String(9), nullable=False, index=True),
        sa.Column("total", sa.BigInteger),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("stalls", sa.Integer, nullable=False),
        sa.Column("worker", _NAME),
        sa.Column("lease", _TIME),
        sa.Column("finished", _TIME),
        sa.Column("reason", _PATH),
    )
    op.create_table(
        "api_keys",
        sa.Column("prefix", sa.String(16), primary_key=True),
        sa.Column("hash", _NAME, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("role", sa.String(13), nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("expires", _TIME),
        sa.Column("revoked", _TIME),
    )
    op.create_table(
        "model_versions",
        sa.Column("name", _NAME, primary_key=True),
        sa.Column("version", _NAME, primary_key=True),
        sa.Column("checksum", _HASH, nullable=False),
        sa.Column("path", _PATH, nullable=False),
        sa.Column("state", sa.String(7), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", _NAME, nullable=False),
    )
