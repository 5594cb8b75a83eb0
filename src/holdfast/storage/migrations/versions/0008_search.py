"""an index of what search compares of a run"""

from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        op.f("ix_run_workspace_id_run_no_name_run_id"), "run", ["workspace_id", "run_no", "name", "run_id"]
    )
