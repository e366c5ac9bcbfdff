"""The tables of the store, and the version of the schema that this code reads and writes.

Texts of records stand in ``texts`` alone, sealed, and only where the hospital switched them on;
deleting a row there leaves every other table and the audit log's chain whole. All times are text:
UTC with microseconds (`clock`), which sorts as time does and reads back the same everywhere.
A change here needs a migration in ``migrations/versions`` and a new `VERSION`.
"""

from __future__ import annotations

import sqlalchemy as sa

VERSION = "0002"
VERSION_TABLE = "store_version"

TABLES = sa.MetaData()

_ID = sa.String(36)
_NAME = sa.String(200)
_TIME = sa.String(27)
_HASH = sa.String(64)

AUDIT = sa.Table(
    "audit",
    TABLES,
    # 1, 2, 3 … without a gap; the number is part of what is hashed.
    sa.Column(
        "seq",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("event", _ID, nullable=False, unique=True),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("actor", _NAME, nullable=False),
    sa.Column("action", _NAME, nullable=False),
    sa.Column("model", _NAME),
    sa.Column("record_id", _NAME),
    sa.Column("detail", sa.Text, nullable=False),
    # Of the prediction or feedback whose id is `event`, so that its row cannot be changed either.
    sa.Column("digest", _HASH),
    sa.Column("hash", _HASH, nullable=False),
)

PREDICTIONS = sa.Table(
    "predictions",
    TABLES,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("at", _TIME, nullable=False, index=True),
    sa.Column("actor", _NAME, nullable=False),
    sa.Column("task", _NAME, nullable=False),
    sa.Column("model", _NAME, nullable=False),
    sa.Column("record_id", _NAME, index=True),
    sa.Column("result", sa.Text, nullable=False),
)

FEEDBACK = sa.Table(
    "feedback",
    TABLES,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("at", _TIME, nullable=False, index=True),
    sa.Column("actor", _NAME, nullable=False),
    sa.Column("prediction", _ID, nullable=False, index=True),
    sa.Column("verdict", sa.String(8), nullable=False),
    sa.Column("labels", sa.Text, nullable=False),
)

TEXTS = sa.Table(
    "texts",
    TABLES,
    sa.Column("id", _ID, primary_key=True),  # of the prediction or the feedback
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

JOBS = sa.Table(
    "jobs",
    TABLES,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("actor", _NAME, nullable=False),
    sa.Column("task", _NAME, nullable=False),
    sa.Column("model", _NAME, nullable=False),
    sa.Column("source", sa.String(1000), nullable=False),
    sa.Column("target", sa.String(1000), nullable=False),
    sa.Column("state", sa.String(9), nullable=False, index=True),
    sa.Column("total", sa.BigInteger),
    sa.Column("done", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("stalls", sa.Integer, nullable=False),
    sa.Column("worker", _NAME),
    sa.Column("lease", _TIME),
    sa.Column("finished", _TIME),
    sa.Column("reason", sa.String(1000)),
)

KEYS = sa.Table(
    "api_keys",
    TABLES,
    sa.Column("prefix", sa.String(16), primary_key=True),
    sa.Column("hash", _NAME, nullable=False),
    sa.Column("name", _NAME, nullable=False),
    sa.Column("role", sa.String(13), nullable=False),
    sa.Column("created", _TIME, nullable=False),
    sa.Column("expires", _TIME),
    sa.Column("revoked", _TIME),
)

MODELS = sa.Table(
    "model_versions",
    TABLES,
    sa.Column("name", _NAME, primary_key=True),
    sa.Column("version", _NAME, primary_key=True),
    sa.Column("checksum", _HASH, nullable=False),
    sa.Column("path", sa.String(1000), nullable=False),
    sa.Column("state", sa.String(7), nullable=False),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("actor", _NAME, nullable=False),
)

# Of at least ten records each, so that nothing in them is one record's.
SKETCHES = sa.Table(
    "sketches",
    TABLES,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("model", _NAME, nullable=False),
    sa.Column("hour", _TIME, nullable=False, index=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("sums", sa.Text, nullable=False),
)

ALARMS = sa.Table(
    "alarms",
    TABLES,
    sa.Column("model", _NAME, primary_key=True),
    sa.Column("name", _NAME, primary_key=True),
    sa.Column("level", sa.String(7), nullable=False),
    sa.Column("since", _TIME, nullable=False),
)
