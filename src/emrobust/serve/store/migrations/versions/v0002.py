"""What monitoring keeps: sums over many records by hour, and which alarms are on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NAME = sa.String(200)
_TIME = sa.String(27)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "sketches",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("hour", _TIME, nullable=False, index=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("sums", sa.Text, nullable=False),
    )
    op.create_table(
        "alarms",
        sa.Column("model", _NAME, primary_key=True),
        sa.Column("name", _NAME, primary_key=True),
        sa.Column("level", sa.String(7), nullable=False),
        sa.Column("since", _TIME, nullable=False),
    )
