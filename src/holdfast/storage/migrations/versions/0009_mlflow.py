"""what the MLflow protocol knows of experiments, runs, logged models and registered models"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("experiment", sa.Column("updated_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("experiment", sa.Column("deleted_at", sa.BigInteger(), nullable=True))
    op.add_column("experiment", sa.Column("location", sa.Text(), nullable=False, server_default=""))
    op.execute("UPDATE experiment SET updated_at = created_at")
    op.create_table("experiment_tag",
    sa.Column("workspace_id", sa.String(length=64), nullable=False),
    sa.Column("experiment_id", sa.BigInteger(), nullable=False),
    sa.Column("key", sa.String(length=250), nullable=False),
    sa.Column("value", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("workspace_id", "experiment_id", "key", name=op.f("pk_experiment_tag"))
    )
    op.add_column("run", sa.Column("deleted_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_run_workspace_id_experiment_id_start_time", "run", ["workspace_id", "experiment_id", "start_time"])
    op.create_table("logged_dataset",
    sa.Column("dataset_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
    sa.Column("workspace_id", sa.String(length=64), nullable=False),
    sa.Column("experiment_id", sa.BigInteger(), nullable=False),
    sa.Column("name", sa.String(length=500), nullable=False),
    sa.Column("digest", sa.String(length=36), nullable=False),
    sa.Column("source_type", sa.String(length=500), nullable=False),
    sa.Column("source", sa.Text(), nullable=False),
    sa.Column("schema", sa.Text(), nullable=False),
    sa.Column("profile", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("dataset_no", name=op.f("pk_logged_dataset")),
    sa.UniqueConstraint("workspace_id", "experiment_id", "name", "digest", name=op.f("uq_logged_dataset_workspace_id_experiment_id_name_digest")),
    sqlite_autoincrement=True
    )
    op.create_table("run_dataset",
    sa.Column("workspace_id", sa.String(length=64), nullable=False),
    sa.Column("run_no", sa.BigInteger(), nullable=False),
    sa.Column("dataset_no", sa.BigInteger(), nullable=False),
    sa.Column("context", sa.Text(), nullable=True),
    sa.Column("tags", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("workspace_id", "run_no", "dataset_no", name=op.f("pk_run_dataset"))
    )
    op.create_table("run_model",
    sa.Column("workspace_id", sa.String(length=64), nullable=False),
    sa.Column("run_no", sa.BigInteger(), nullable=False),
    sa.Column("direction", sa.String(length=3), nullable=False),
    sa.Column("model_id", sa.String(length=64), nullable=False),
    sa.Column("step", sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint("workspace_id", "run_no", "direction", "model_id", name=op.f("pk_run_model"))
    )
    op.create_index("ix_run_model_workspace_id_model_id", "run_model", ["workspace_id", "model_id"])
    op.add_column("logged_model", sa.Column("type", sa.String(length=500), nullable=False, server_default=""))
    op.add_column("logged_model", sa.Column("updated_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("logged_model", sa.Column("deleted_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE logged_model SET updated_at = created_at")
    op.create_index("ix_logged_model_workspace_id_experiment_id", "logged_model", ["workspace_id", "experiment_id", "created_at"])
    for name in ("logged_model_param", "logged_model_tag"):
        op.create_table(name,
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("model_no", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "model_no", "key", name=op.f(f"pk_{name}"))
        )
    op.create_table("logged_model_metric",
    sa.Column("workspace_id", sa.String(length=64), nullable=False),
    sa.Column("model_no", sa.BigInteger(), nullable=False),
    sa.Column("key", sa.String(length=250), nullable=False),
    sa.Column("run_id", sa.String(length=256), nullable=False),
    sa.Column("time", sa.BigInteger(), nullable=False),
    sa.Column("step", sa.BigInteger(), nullable=False),
    sa.Column("value", sa.Float(), nullable=True),
    sa.Column("dataset_name", sa.String(length=500), nullable=False),
    sa.Column("dataset_digest", sa.String(length=36), nullable=False),
    sa.PrimaryKeyConstraint("workspace_id", "model_no", "key", "time", "step", "run_id", name=op.f("pk_logged_model_metric"))
    )
    op.add_column("registered_model", sa.Column("updated_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("registered_model", sa.Column("note", sa.Text(), nullable=False, server_default=""))
    op.execute("UPDATE registered_model SET updated_at = created_at")
    op.create_table("registered_model_tag",
    sa.Column("workspace_id", sa.String(length=64), nullable=False),
    sa.Column("name", sa.String(length=250), nullable=False),
    sa.Column("key", sa.String(length=250), nullable=False),
    sa.Column("value", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("workspace_id", "name", "key", name=op.f("pk_registered_model_tag"))
    )
    op.add_column("model_version", sa.Column("updated_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("model_version", sa.Column("note", sa.Text(), nullable=False, server_default=""))
    op.add_column("model_version", sa.Column("source", sa.Text(), nullable=False, server_default=""))
    op.add_column("model_version", sa.Column("link", sa.Text(), nullable=False, server_default=""))
    op.add_column("model_version", sa.Column("archived_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE model_version SET updated_at = created_at, source = 'models:/' || model_id")
    op.create_index("ix_model_version_workspace_id_model_id", "model_version", ["workspace_id", "model_id"])
    op.create_table("model_version_tag",
    sa.Column("workspace_id", sa.String(length=64), nullable=False),
    sa.Column("name", sa.String(length=250), nullable=False),
    sa.Column("version", sa.Integer(), nullable=False),
    sa.Column("key", sa.String(length=250), nullable=False),
    sa.Column("value", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("workspace_id", "name", "version", "key", name=op.f("pk_model_version_tag"))
    )
