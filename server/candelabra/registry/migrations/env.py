"""What Alembic runs: the migrations, in the transaction that `registry/migrate.py` began."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
