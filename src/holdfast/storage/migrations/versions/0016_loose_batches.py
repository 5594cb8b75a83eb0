"""runs with batches to compact, and overviews of segments"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("metric_loose",
    sa.Column("workspace_id", sa.String(length=64), nullable=False),
    sa.Column("run_no", sa.BigInteger(), nullable=False),
    sa.Column("batches", sa.BigInteger(), nullable=False),
    sa.Column("newest_at", sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint("workspace_id", "run_no", name=op.f("pk_metric_loose"))
    )
    op.add_column("metric_segment", sa.Column("overview", sa.LargeBinary()))
    op.create_index("ix_metric_loose_batches", "metric_loose", ["batches"])
    op.execute(
        "INSERT INTO metric_loose (workspace_id, run_no, batches, newest_at) "
        "SELECT workspace_id, run_no, count(*), max(received_at) FROM metric_batch GROUP BY workspace_id, run_no"
    )
