"""the names of params, tags and metrics by experiment"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("experiment_key",
    sa.Column("workspace_id", sa.String(length=64), nullable=False),
    sa.Column("experiment_id", sa.BigInteger(), nullable=False),
    sa.Column("kind", sa.String(length=8), nullable=False),
    sa.Column("key_id", sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint("workspace_id", "experiment_id", "kind", "key_id", name=op.f("pk_experiment_key"))
    )
    for kind, table in (("metrics", "metric_summary"), ("params", "run_param"), ("tags", "run_tag")):
        op.execute(
            "INSERT INTO experiment_key (workspace_id, experiment_id, kind, key_id) "
            f"SELECT DISTINCT a.workspace_id, r.experiment_id, '{kind}', a.key_id FROM {table} a "
            "JOIN run r ON r.workspace_id = a.workspace_id AND r.run_no = a.run_no"
        )
