"""collaboration"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('audit_follower',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=64), nullable=False),
    sa.Column('position', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'name', name=op.f('pk_audit_follower'))
    )
    op.create_table('channel',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('channel_id', sa.String(length=40), nullable=False),
    sa.Column('name', sa.String(length=64), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('target', sa.String(length=500), nullable=False),
    sa.Column('sealed', sa.Text(), nullable=False),
    sa.Column('match', sa.Text(), nullable=False),
    sa.Column('state', sa.String(length=8), nullable=False),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('created_by', sa.String(length=200), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'channel_id', name=op.f('pk_channel')),
    sa.UniqueConstraint('workspace_id', 'name', name=op.f('uq_channel_workspace_id_name'))
    )
    op.create_table('comment',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('comment_id', sa.String(length=40), nullable=False),
    sa.Column('object', sa.String(length=600), nullable=False),
    sa.Column('parent_id', sa.String(length=40), nullable=True),
    sa.Column('author_id', sa.String(length=64), nullable=False),
    sa.Column('author', sa.String(length=200), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('mentions', sa.Text(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('edited_at', sa.BigInteger(), nullable=True),
    sa.Column('deleted_at', sa.BigInteger(), nullable=True),
    sa.Column('deleted_by', sa.String(length=200), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'comment_id', name=op.f('pk_comment'))
    )
    op.create_index('ix_comment_object', 'comment', ['workspace_id', 'object', 'comment_id'], unique=False)
    op.create_index('ix_comment_parent_id', 'comment', ['workspace_id', 'parent_id', 'comment_id'], unique=False)
    op.create_table('comment_revision',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('comment_id', sa.String(length=40), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('written_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'comment_id', 'number', name=op.f('pk_comment_revision'))
    )
    op.create_table('delivery',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('delivery_id', sa.String(length=80), nullable=False),
    sa.Column('channel_id', sa.String(length=40), nullable=False),
    sa.Column('event', sa.BigInteger(), nullable=False),
    sa.Column('type', sa.String(length=64), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('due_at', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('ended_at', sa.BigInteger(), nullable=True),
    sa.Column('error', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'delivery_id', name=op.f('pk_delivery'))
    )
    op.create_index('ix_delivery_channel_id', 'delivery', ['workspace_id', 'channel_id', 'created_at'], unique=False)
    op.create_index('ix_delivery_due_at', 'delivery', ['state', 'due_at'], unique=False)
    op.create_table('delivery_attempt',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('delivery_id', sa.String(length=80), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('started_at', sa.BigInteger(), nullable=False),
    sa.Column('ended_at', sa.BigInteger(), nullable=False),
    sa.Column('status', sa.Integer(), nullable=True),
    sa.Column('error', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'delivery_id', 'number', name=op.f('pk_delivery_attempt'))
    )
    op.create_table('notification',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('principal_id', sa.String(length=64), nullable=False),
    sa.Column('event', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('object', sa.String(length=600), nullable=False),
    sa.Column('actor_id', sa.String(length=64), nullable=False),
    sa.Column('actor', sa.String(length=200), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('address', sa.String(length=2000), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('read_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('workspace_id', 'principal_id', 'event', name=op.f('pk_notification'))
    )
    op.create_index('ix_notification_actor_id', 'notification', ['actor_id'], unique=False)
    op.create_index('ix_notification_read_at', 'notification', ['workspace_id', 'principal_id', 'read_at', 'event'], unique=False)
    op.create_table('subscription',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('object', sa.String(length=600), nullable=False),
    sa.Column('principal_id', sa.String(length=64), nullable=False),
    sa.Column('reason', sa.String(length=16), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'object', 'principal_id', name=op.f('pk_subscription'))
    )
    op.create_index('ix_subscription_principal_id', 'subscription', ['workspace_id', 'principal_id', 'object'], unique=False)


def downgrade() -> None:
    raise RuntimeError("Going back is done by restoring a backup.")
