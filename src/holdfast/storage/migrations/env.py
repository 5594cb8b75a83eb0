"""Alembic's environment: run the migrations on the database that `holdfast.storage.migrate` names, in one transaction."""

from alembic import context
from sqlalchemy import create_engine, event

path = context.config.attributes["path"]
# Without isolation_level None, sqlite3 commits each CREATE TABLE by itself.
engine = create_engine(f"sqlite:///{path}", connect_args={"isolation_level": None, "timeout": 10})


@event.listens_for(engine, "connect")
def configure(connection, _record):  # type: ignore[no-untyped-def]
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


@event.listens_for(engine, "begin")
def start(connection):  # type: ignore[no-untyped-def]
    connection.exec_driver_sql("BEGIN IMMEDIATE")


with engine.connect() as connection:
    context.configure(connection=connection, transactional_ddl=True, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
