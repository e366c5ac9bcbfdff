"""What alembic runs: the migrations, inside the transaction that `migrate` has begun."""

from __future__ import annotations

from alembic import context

from emrobust.serve.store.schema import TABLES, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=TABLES,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
