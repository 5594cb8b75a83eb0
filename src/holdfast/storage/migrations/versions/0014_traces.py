"""LLM traces"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("trace",
    sa.Column("trace_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
    sa.Column("workspace_id", sa.String(length=64), nullable=False),
    sa.Column("trace_id", sa.String(length=256), nullable=False),
    sa.Column("experiment_id", sa.BigInteger(), nullable=False),
    sa.Column("state", sa.String(length=20), nullable=False),
    sa.Column("start_time", sa.BigInteger(), nullable=False),
    sa.Column("duration", sa.BigInteger(), nullable=True),
    sa.Column("client_request_id", sa.Text(), nullable=True),
    sa.Column("request", sa.Text(), nullable=True),
    sa.Column("response", sa.Text(), nullable=True),
    sa.Column("is_told", sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.PrimaryKeyConstraint("trace_no", name=op.f("pk_trace")),
    sa.UniqueConstraint("workspace_id", "trace_id", name=op.f("uq_trace_workspace_id_trace_id")),
    sqlite_autoincrement=True
    )
    op.create_index("ix_trace_workspace_id_experiment_id_start_time", "trace", ["workspace_id", "experiment_id", "start_time"])
    for name in ("trace_tag", "trace_metadata"):
        op.create_table(name,
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("trace_no", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "trace_no", "key", name=op.f(f"pk_{name}"))
        )
    op.create_table("trace_assessment",
    sa.Column("workspace_id", sa.String(length=64), nullable=False),
    sa.Column("trace_no", sa.BigInteger(), nullable=False),
    sa.Column("assessment_id", sa.String(length=64), nullable=False),
    sa.Column("body", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("workspace_id", "trace_no", "assessment_id", name=op.f("pk_trace_assessment"))
    )
    op.create_table("trace_span",
    sa.Column("workspace_id", sa.String(length=64), nullable=False),
    sa.Column("trace_no", sa.BigInteger(), nullable=False),
    sa.Column("span_id", sa.String(length=16), nullable=False),
    sa.Column("parent_id", sa.String(length=16), nullable=False),
    sa.Column("name", sa.Text(), nullable=False),
    sa.Column("type", sa.Text(), nullable=False),
    sa.Column("status", sa.String(length=16), nullable=False),
    sa.Column("start_ns", sa.BigInteger(), nullable=False),
    sa.Column("end_ns", sa.BigInteger(), nullable=True),
    sa.Column("content", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("workspace_id", "trace_no", "span_id", name=op.f("pk_trace_span"))
    )
