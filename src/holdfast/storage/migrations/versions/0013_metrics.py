"""summaries that follow their batches, compacted points, and what changed since"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("changed", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("run", sa.Column("compacted_to", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("ix_run_workspace_id_changed", "run", ["workspace_id", "changed"])
    op.create_index("ix_metric_batch_workspace_id_run_no_batch_id", "metric_batch", ["workspace_id", "run_no", "batch_id"])
    op.create_table("metric_pending",
    sa.Column("workspace_id", sa.String(length=64), nullable=False),
    sa.Column("run_no", sa.BigInteger(), nullable=False),
    sa.Column("first_batch", sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint("workspace_id", "run_no", name=op.f("pk_metric_pending"))
    )
    op.create_table("metric_segment",
    sa.Column("segment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
    sa.Column("workspace_id", sa.String(length=64), nullable=False),
    sa.Column("run_no", sa.BigInteger(), nullable=False),
    sa.Column("key", sa.String(length=250), nullable=False),
    sa.Column("points", sa.Integer(), nullable=False),
    sa.Column("blob", sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint("segment_id", name=op.f("pk_metric_segment")),
    sqlite_autoincrement=True
    )
    op.create_index("ix_metric_segment_workspace_id_run_no_key", "metric_segment", ["workspace_id", "run_no", "key"])
