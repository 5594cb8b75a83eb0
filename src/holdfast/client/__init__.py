"""The Python client: what a training job, a notebook or a script says to a holdfast server, over HTTP alone.

`client` has the verbs, `session` the module-level ones (`holdfast.start_run`, `holdfast.log_metric`, ...),
`transport` and `api` the HTTP below them, `journal` the background delivery. Pure Python; it imports the
kernel and no server room. Not here: the command line (`cli`).
"""

from holdfast.client.active import ActiveRun
from holdfast.client.client import Client
from holdfast.client.records import (
    Activity,
    Artifact,
    AuditEntry,
    AuditReport,
    Channel,
    Comment,
    Endpoint,
    Experiment,
    LoggedModel,
    MetricHistory,
    MetricSummary,
    ModelVersion,
    Notification,
    Predictions,
    RegisteredModel,
    Run,
    ServingStatus,
    Thread,
)
from holdfast.client.webhooks import verify_webhook
from holdfast.kernel.structs import prepare_structs

__all__ = [
    "ActiveRun",
    "Activity",
    "Artifact",
    "AuditEntry",
    "AuditReport",
    "Channel",
    "Client",
    "Comment",
    "Endpoint",
    "Experiment",
    "LoggedModel",
    "MetricHistory",
    "MetricSummary",
    "ModelVersion",
    "Notification",
    "Predictions",
    "RegisteredModel",
    "Run",
    "ServingStatus",
    "Thread",
    "verify_webhook",
]

prepare_structs()
