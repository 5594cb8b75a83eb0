"""objects"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('chunk',
    sa.Column('chunk_id', sa.LargeBinary(length=32), nullable=False),
    sa.Column('pack_id', sa.String(length=64), nullable=False),
    sa.Column('start', sa.BigInteger(), nullable=False),
    sa.Column('stored', sa.BigInteger(), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('codec', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('chunk_id', name=op.f('pk_chunk'))
    )
    op.create_index('ix_chunk_pack_id', 'chunk', ['pack_id'], unique=False)
    op.create_table('object',
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('object_key', sa.String(length=100), nullable=True),
    sa.Column('chunks', sa.LargeBinary(), nullable=True),
    sa.Column('lasting', sa.Boolean(), nullable=False),
    sa.Column('touched_at', sa.BigInteger(), nullable=False),
    sa.Column('marked_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('sha256', name=op.f('pk_object'))
    )
    op.create_index('ix_object_object_key', 'object', ['object_key'], unique=True)
    op.create_index('ix_object_touched_at', 'object', ['touched_at'], unique=False)
    op.create_table('pack',
    sa.Column('pack_id', sa.String(length=64), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('touched_at', sa.BigInteger(), nullable=False),
    sa.Column('suspect_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('pack_id', name=op.f('pk_pack'))
    )
    op.create_index('ix_label_batch_sha256', 'label_batch', ['sha256'], unique=False)
    op.create_index('ix_prediction_segment_sha256', 'prediction_segment', ['sha256'], unique=False)


def downgrade() -> None:
    raise RuntimeError("Going back is done by restoring a backup.")
