"""first schema"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('attribute_key',
    sa.Column('key_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=250), nullable=False),
    sa.PrimaryKeyConstraint('key_id', name=op.f('pk_attribute_key')),
    sa.UniqueConstraint('workspace_id', 'name', name=op.f('uq_attribute_key_workspace_id_name'))
    )
    op.create_table('audit_head',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('peaks', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_head'))
    )
    op.create_table('audit_leaf',
    sa.Column('idx', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('leaf', sa.LargeBinary(), nullable=False),
    sa.Column('leaf_hash', sa.LargeBinary(), nullable=False),
    sa.Column('object', sa.String(length=600), nullable=False),
    sa.Column('actor_name', sa.String(length=200), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('salt', sa.LargeBinary(), nullable=True),
    sa.Column('before', sa.LargeBinary(), nullable=True),
    sa.Column('after', sa.LargeBinary(), nullable=True),
    sa.PrimaryKeyConstraint('idx', name=op.f('pk_audit_leaf'))
    )
    op.create_index('ix_audit_leaf_workspace_id_idx', 'audit_leaf', ['workspace_id', 'idx'], unique=False)
    op.create_index('ix_audit_leaf_workspace_id_object_idx', 'audit_leaf', ['workspace_id', 'object', 'idx'], unique=False)
    op.create_table('audit_node',
    sa.Column('level', sa.Integer(), nullable=False),
    sa.Column('idx', sa.BigInteger(), nullable=False),
    sa.Column('hash', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('level', 'idx', name=op.f('pk_audit_node'))
    )
    op.create_table('deployment',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('deployment_id', sa.String(length=64), nullable=False),
    sa.Column('endpoint_id', sa.String(length=64), nullable=False),
    sa.Column('endpoint', sa.String(length=63), nullable=False),
    sa.Column('model', sa.String(length=256), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.Column('deployable_digest', sa.String(length=64), nullable=True),
    sa.Column('runtime', sa.String(length=16), nullable=True),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('deployed', sa.Text(), nullable=False),
    sa.Column('requested_at', sa.BigInteger(), nullable=False),
    sa.Column('activated_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('workspace_id', 'deployment_id', name=op.f('pk_deployment'))
    )
    op.create_index('ix_deployment_endpoint_id_state', 'deployment', ['workspace_id', 'endpoint_id', 'state'], unique=False)
    op.create_index('ix_deployment_state', 'deployment', ['state'], unique=False)
    op.create_table('endpoint',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('endpoint_id', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=63), nullable=False),
    sa.Column('name_key', sa.String(length=64), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('clock', sa.String(length=8), nullable=False),
    sa.Column('window', sa.String(length=8), nullable=False),
    sa.Column('task', sa.String(length=16), nullable=False),
    sa.Column('target', sa.String(length=500), nullable=False),
    sa.Column('positive', sa.String(length=256), nullable=True),
    sa.Column('classes', sa.Text(), nullable=False),
    sa.Column('model', sa.String(length=256), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=True),
    sa.Column('deployable_digest', sa.String(length=64), nullable=True),
    sa.Column('live_version', sa.BigInteger(), nullable=True),
    sa.Column('status', sa.String(length=16), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('signature', sa.Text(), nullable=True),
    sa.Column('reference', sa.Text(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('updated_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'endpoint_id', name=op.f('pk_endpoint')),
    sa.UniqueConstraint('workspace_id', 'name_key', name=op.f('uq_endpoint_workspace_id_name_key'))
    )
    op.create_table('experiment',
    sa.Column('experiment_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=500), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('experiment_id', name=op.f('pk_experiment')),
    sa.UniqueConstraint('workspace_id', 'name', name=op.f('uq_experiment_workspace_id_name')),
    sqlite_autoincrement=True
    )
    op.create_table('label_batch',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('endpoint_id', sa.String(length=64), nullable=False),
    sa.Column('seq', sa.BigInteger(), nullable=False),
    sa.Column('batch_id', sa.String(length=64), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('rows', sa.BigInteger(), nullable=False),
    sa.Column('received_at', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('matched', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('workspace_id', 'endpoint_id', 'seq', name=op.f('pk_label_batch'))
    )
    op.create_index('ix_label_batch_state', 'label_batch', ['state', 'endpoint_id'], unique=False)
    op.create_table('lease',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('owner', sa.String(length=64), nullable=False),
    sa.Column('token', sa.BigInteger(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'name', name=op.f('pk_lease'))
    )
    op.create_table('logged_model',
    sa.Column('model_no', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('model_id', sa.String(length=64), nullable=False),
    sa.Column('run_id', sa.String(length=256), nullable=True),
    sa.Column('experiment_id', sa.BigInteger(), nullable=True),
    sa.Column('name', sa.String(length=250), nullable=False),
    sa.Column('status', sa.String(length=16), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=True),
    sa.PrimaryKeyConstraint('model_no', name=op.f('pk_logged_model')),
    sa.UniqueConstraint('workspace_id', 'model_id', name=op.f('uq_logged_model_workspace_id_model_id'))
    )
    op.create_index('ix_logged_model_workspace_id_run_id', 'logged_model', ['workspace_id', 'run_id'], unique=False)
    op.create_table('metric_batch',
    sa.Column('batch_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('run_no', sa.BigInteger(), nullable=False),
    sa.Column('body_sha256', sa.String(length=64), nullable=False),
    sa.Column('received_at', sa.BigInteger(), nullable=False),
    sa.Column('points', sa.Integer(), nullable=False),
    sa.Column('blob', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('batch_id', name=op.f('pk_metric_batch')),
    sa.UniqueConstraint('workspace_id', 'run_no', 'body_sha256', name=op.f('uq_metric_batch_workspace_id_run_no_body_sha256')),
    sqlite_autoincrement=True
    )
    op.create_table('metric_summary',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('run_no', sa.BigInteger(), nullable=False),
    sa.Column('key_id', sa.BigInteger(), nullable=False),
    sa.Column('last', sa.Float(), nullable=True),
    sa.Column('last_step', sa.BigInteger(), nullable=False),
    sa.Column('last_time', sa.BigInteger(), nullable=False),
    sa.Column('min', sa.Float(), nullable=True),
    sa.Column('max', sa.Float(), nullable=True),
    sa.Column('count', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'run_no', 'key_id', name=op.f('pk_metric_summary'))
    )
    op.create_index('ix_metric_summary_workspace_id_key_id_last_run_no', 'metric_summary', ['workspace_id', 'key_id', 'last', 'run_no'], unique=False)
    op.create_table('model_alias',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=250), nullable=False),
    sa.Column('alias', sa.String(length=255), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('since', sa.BigInteger(), nullable=False),
    sa.Column('by', sa.String(length=200), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'name', 'alias', name=op.f('pk_model_alias'))
    )
    op.create_table('model_alias_change',
    sa.Column('change_no', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=250), nullable=False),
    sa.Column('alias', sa.String(length=255), nullable=False),
    sa.Column('version', sa.Integer(), nullable=True),
    sa.Column('time', sa.BigInteger(), nullable=False),
    sa.Column('by', sa.String(length=200), nullable=False),
    sa.PrimaryKeyConstraint('change_no', name=op.f('pk_model_alias_change')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_model_alias_change_workspace_id_name_alias', 'model_alias_change', ['workspace_id', 'name', 'alias', 'change_no'], unique=False)
    op.create_table('model_version',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=250), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('version_id', sa.String(length=64), nullable=False),
    sa.Column('model_id', sa.String(length=64), nullable=False),
    sa.Column('run_id', sa.String(length=256), nullable=True),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('created_by', sa.String(length=200), nullable=False),
    sa.Column('description', sa.Text(), nullable=False),
    sa.Column('status', sa.String(length=16), nullable=False),
    sa.Column('deployable_digest', sa.String(length=64), nullable=True),
    sa.Column('runtime', sa.String(length=16), nullable=True),
    sa.Column('parity', sa.Text(), nullable=True),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('prepared_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('workspace_id', 'name', 'version', name=op.f('pk_model_version')),
    sa.UniqueConstraint('workspace_id', 'version_id', name=op.f('uq_model_version_workspace_id_version_id'))
    )
    op.create_index('ix_model_version_status', 'model_version', ['status'], unique=False)
    op.create_index('ix_model_version_workspace_id_run_id', 'model_version', ['workspace_id', 'run_id'], unique=False)
    op.create_table('monitor_alert',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('alert_id', sa.BigInteger(), nullable=False),
    sa.Column('endpoint_id', sa.String(length=64), nullable=False),
    sa.Column('endpoint', sa.String(length=63), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.String(length=8), nullable=False),
    sa.Column('raised_at', sa.BigInteger(), nullable=False),
    sa.Column('ended_at', sa.BigInteger(), nullable=True),
    sa.Column('recovered_at', sa.BigInteger(), nullable=True),
    sa.Column('body', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'alert_id', name=op.f('pk_monitor_alert'))
    )
    op.create_index('ix_monitor_alert_endpoint_id', 'monitor_alert', ['workspace_id', 'endpoint_id', 'alert_id'], unique=False)
    op.create_table('monitor_bucket',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('endpoint_id', sa.String(length=64), nullable=False),
    sa.Column('start', sa.BigInteger(), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.Column('reference_id', sa.String(length=64), nullable=False),
    sa.Column('rows', sa.BigInteger(), nullable=False),
    sa.Column('failures', sa.BigInteger(), nullable=False),
    sa.Column('labelled', sa.BigInteger(), nullable=False),
    sa.Column('judged', sa.BigInteger(), nullable=False),
    sa.Column('errors', sa.BigInteger(), nullable=False),
    sa.Column('last_event', sa.BigInteger(), nullable=False),
    sa.Column('last_label', sa.BigInteger(), nullable=True),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'endpoint_id', 'start', 'version', name=op.f('pk_monitor_bucket'))
    )
    op.create_table('monitor_reference',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('endpoint_id', sa.String(length=64), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'endpoint_id', 'version', name=op.f('pk_monitor_reference'))
    )
    op.create_table('monitor_state',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('endpoint_id', sa.String(length=64), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'endpoint_id', name=op.f('pk_monitor_state'))
    )
    op.create_table('prediction_change',
    sa.Column('change_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('endpoint_id', sa.String(length=64), nullable=False),
    sa.Column('first_day', sa.BigInteger(), nullable=False),
    sa.Column('last_day', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('change_id', name=op.f('pk_prediction_change')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_prediction_change_endpoint_id_change_id', 'prediction_change', ['workspace_id', 'endpoint_id', 'change_id'], unique=False)
    op.create_table('prediction_segment',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('endpoint_id', sa.String(length=64), nullable=False),
    sa.Column('replica', sa.String(length=64), nullable=False),
    sa.Column('boot', sa.String(length=64), nullable=False),
    sa.Column('seq', sa.BigInteger(), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('received_at', sa.BigInteger(), nullable=False),
    sa.Column('rows', sa.BigInteger(), nullable=False),
    sa.Column('damage', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'endpoint_id', 'replica', 'boot', 'seq', name=op.f('pk_prediction_segment'))
    )
    op.create_index('ix_prediction_segment_state', 'prediction_segment', ['state', 'endpoint_id'], unique=False)
    op.create_table('registered_model',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=250), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('last_version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'name', name=op.f('pk_registered_model'))
    )
    op.create_table('replica',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('replica', sa.String(length=64), nullable=False),
    sa.Column('url', sa.String(length=500), nullable=False),
    sa.Column('generation', sa.BigInteger(), nullable=False),
    sa.Column('status', sa.String(length=32), nullable=False),
    sa.Column('endpoints', sa.Text(), nullable=False),
    sa.Column('seen_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'replica', name=op.f('pk_replica'))
    )
    op.create_table('run',
    sa.Column('run_no', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('run_id', sa.String(length=256), nullable=False),
    sa.Column('experiment_id', sa.BigInteger(), nullable=False),
    sa.Column('name', sa.String(length=250), nullable=False),
    sa.Column('status', sa.String(length=16), nullable=False),
    sa.Column('start_time', sa.BigInteger(), nullable=False),
    sa.Column('end_time', sa.BigInteger(), nullable=True),
    sa.Column('user', sa.String(length=200), nullable=False),
    sa.Column('recipe', sa.Text(), nullable=True),
    sa.Column('exit_code', sa.Integer(), nullable=True),
    sa.Column('digest', sa.String(length=64), nullable=True),
    sa.PrimaryKeyConstraint('run_no', name=op.f('pk_run')),
    sa.UniqueConstraint('workspace_id', 'run_id', name=op.f('uq_run_workspace_id_run_id')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_run_workspace_id_experiment_id_run_no', 'run', ['workspace_id', 'experiment_id', 'run_no'], unique=False)
    op.create_table('run_param',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('run_no', sa.BigInteger(), nullable=False),
    sa.Column('key_id', sa.BigInteger(), nullable=False),
    sa.Column('value', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'run_no', 'key_id', name=op.f('pk_run_param'))
    )
    op.create_index('ix_run_param_workspace_id_key_id_run_no', 'run_param', ['workspace_id', 'key_id', 'run_no'], unique=False)
    op.create_table('run_tag',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('run_no', sa.BigInteger(), nullable=False),
    sa.Column('key_id', sa.BigInteger(), nullable=False),
    sa.Column('value', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'run_no', 'key_id', name=op.f('pk_run_tag'))
    )
    op.create_index('ix_run_tag_workspace_id_key_id_run_no', 'run_tag', ['workspace_id', 'key_id', 'run_no'], unique=False)
    op.create_table('serving_generation',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('generation', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', name=op.f('pk_serving_generation'))
    )
    op.create_table('tree_file',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('owner_kind', sa.String(length=32), nullable=False),
    sa.Column('owner_id', sa.String(length=64), nullable=False),
    sa.Column('path', sa.String(length=1024), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'owner_kind', 'owner_id', 'path', name=op.f('pk_tree_file'))
    )
    op.create_index('ix_tree_file_sha256', 'tree_file', ['sha256'], unique=False)
    op.create_table('tree_seal',
    sa.Column('workspace_id', sa.String(length=64), nullable=False),
    sa.Column('owner_kind', sa.String(length=32), nullable=False),
    sa.Column('owner_id', sa.String(length=64), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.PrimaryKeyConstraint('workspace_id', 'owner_kind', 'owner_id', name=op.f('pk_tree_seal'))
    )


def downgrade() -> None:
    raise RuntimeError("Going back is done by restoring a backup.")
