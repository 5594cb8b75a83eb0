"""The Python client: what a training job, a notebook or a script says to a holdfast server, over HTTP alone.

`client` has the verbs, `session` the module-level ones (`holdfast.start_run`, `holdfast.log_metric`, ...),
`transport` and `api` the HTTP below them, `sender` the background delivery. Pure Python; it imports the
kernel and no server room. Not here: the command line (`cli`).
"""

from holdfast.client.active import ActiveRun
from holdfast.client.client import Client
from holdfast.client.records import (
    Artifact,
    AuditEntry,
    AuditReport,
    Endpoint,
    Experiment,
    LoggedModel,
    MetricHistory,
    MetricSummary,
    ModelVersion,
    Predictions,
    RegisteredModel,
    Run,
    ServingStatus,
)

__all__ = [
    "ActiveRun",
    "Artifact",
    "AuditEntry",
    "AuditReport",
    "Client",
    "Endpoint",
    "Experiment",
    "LoggedModel",
    "MetricHistory",
    "MetricSummary",
    "ModelVersion",
    "Predictions",
    "RegisteredModel",
    "Run",
    "ServingStatus",
]
