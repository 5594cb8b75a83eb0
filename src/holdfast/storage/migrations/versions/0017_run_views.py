"""saved views of an experiment's runs"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("run_view",
    sa.Column("workspace_id", sa.String(length=64), nullable=False),
    sa.Column("view_id", sa.String(length=32), nullable=False),
    sa.Column("experiment_id", sa.BigInteger(), nullable=False),
    sa.Column("name", sa.String(length=100), nullable=False),
    sa.Column("query", sa.Text(), nullable=False),
    sa.Column("is_shared", sa.Boolean(), nullable=False),
    sa.Column("owner_id", sa.String(length=64), nullable=False),
    sa.Column("owner", sa.String(length=200), nullable=False),
    sa.Column("updated_at", sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint("workspace_id", "view_id", name=op.f("pk_run_view")),
    sa.UniqueConstraint(
        "workspace_id", "experiment_id", "owner_id", "name", name=op.f("uq_run_view_workspace_id_experiment_id_owner_id_name")
    )
    )
