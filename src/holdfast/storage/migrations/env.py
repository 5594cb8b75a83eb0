"""Alembic's environment: run the migrations on the connection that `holdfast.storage.migrate` gives, in its transaction."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transactional_ddl=True, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
