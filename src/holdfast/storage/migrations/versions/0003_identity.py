"""people, tokens, sessions, workspaces"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "principal",
        sa.Column("principal_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(63)),
        sa.Column("display_name", sa.String(200), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("password", sa.String(300)),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("issuer", sa.String(500)),
        sa.Column("subject", sa.String(255)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("principal_id", name=op.f("pk_principal")),
        sa.UniqueConstraint("name", name=op.f("uq_principal_name")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_principal_issuer_subject")),
    )
    op.create_table(
        "role_grant",
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("principal_id", sa.String(64), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "principal_id", "source", name=op.f("pk_role_grant")),
    )
    op.create_index("ix_role_grant_principal_id", "role_grant", ["principal_id"])
    op.create_table(
        "group_role",
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("group_name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "group_name", name=op.f("pk_group_role")),
    )
    op.create_table(
        "token",
        sa.Column("token_id", sa.String(64), nullable=False),
        sa.Column("principal_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("hint", sa.String(16), nullable=False),
        sa.Column("scope_workspace", sa.String(64)),
        sa.Column("scope_permissions", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("last_used_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_token")),
        sa.UniqueConstraint("sha256", name=op.f("uq_token_sha256")),
    )
    op.create_index("ix_token_principal_id", "token", ["principal_id"])
    op.create_table(
        "session",
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("principal_id", sa.String(64), nullable=False),
        sa.Column("auth", sa.String(16), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_session")),
        sa.UniqueConstraint("sha256", name=op.f("uq_session_sha256")),
    )
    op.create_index("ix_session_principal_id", "session", ["principal_id"])
    op.create_index("ix_session_expires_at", "session", ["expires_at"])
    op.create_table(
        "one_time_secret",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "sha256", name=op.f("pk_one_time_secret")),
    )
    op.create_index("ix_one_time_secret_expires_at", "one_time_secret", ["expires_at"])
    op.create_table(
        "login_attempt",
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_login_attempt")),
    )
    op.create_index("ix_login_attempt_since", "login_attempt", ["since"])
    op.create_table(
        "sign_on_provider",
        sa.Column("provider_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("issuer", sa.String(500), nullable=False),
        sa.Column("client_id", sa.String(500), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("scopes", sa.String(500), nullable=False),
        sa.Column("groups_claim", sa.String(100), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("provider_no", name=op.f("pk_sign_on_provider")),
    )
    workspaces = op.create_table(
        "workspace",
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("description", sa.String(500), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_workspace")),
    )
    op.bulk_insert(workspaces, [{"workspace_id": "default", "description": "", "created_at": 0}])
    # The desired state, and with it the replicas, are of the whole deployment from now on.
    op.execute(
        "INSERT INTO serving_generation (workspace_id, generation) "
        "SELECT '*', MAX(generation) + 1 FROM serving_generation HAVING MAX(generation) IS NOT NULL"
    )
    op.execute("DELETE FROM serving_generation WHERE workspace_id <> '*'")
    op.execute("DELETE FROM replica")


def downgrade() -> None:
    raise RuntimeError("Going back is done by restoring a backup.")
