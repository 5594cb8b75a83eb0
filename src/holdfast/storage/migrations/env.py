"""Alembic's environment: run the migrations through the engine that `holdfast.storage.migrate` gives, in one transaction."""

from alembic import context

engine = context.config.attributes["engine"]
with engine.connect() as connection:
    context.configure(connection=connection, transactional_ddl=True, render_as_batch=True)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # Replicas that start together: the first migrates, the others find it done.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4815162342)")
        context.run_migrations()
