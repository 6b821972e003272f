"""Run by Alembic: migrations happen inside the transaction that ``upgrade`` has opened."""

from __future__ import annotations

from alembic import context

from node.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
