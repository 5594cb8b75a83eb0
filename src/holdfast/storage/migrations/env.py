"""Alembic's environment: run the migrations on the database that `holdfast.storage.migrate` names."""

from alembic import context
from sqlalchemy import create_engine, event

path = context.config.attributes["path"]
engine = create_engine(f"sqlite:///{path}")


@event.listens_for(engine, "connect")
def configure(connection, _record):  # type: ignore[no-untyped-def]
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


with engine.connect() as connection:
    context.configure(connection=connection, transactional_ddl=True, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
