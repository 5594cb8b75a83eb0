"""MLflow's protocol over HTTP: every call of its classic clients."""

from __future__ import annotations

from holdfast.collaboration.hooks import Hooks
from holdfast.identity.records import PUBLIC
from holdfast.mlflow_api.artifacts import ArtifactCalls, artifact_routes
from holdfast.mlflow_api.assessments import assessment_routes
from holdfast.mlflow_api.experiments import experiment_routes
from holdfast.mlflow_api.histories import HistoryCalls, history_routes
from holdfast.mlflow_api.logged_models import ModelCalls, model_routes
from holdfast.mlflow_api.registry import RegistryCalls, registry_routes
from holdfast.mlflow_api.runs import RunCalls, run_routes
from holdfast.mlflow_api.traces import TraceCalls, trace_routes
from holdfast.mlflow_api.webhooks import WebhookCalls, webhook_routes
from holdfast.mlflow_api.wire import answer
from holdfast.registry.service import Registry
from holdfast.storage import Objects
from holdfast.tracking.experiments import Experiments
from holdfast.tracking.folder import SharedFolder
from holdfast.tracking.models import LoggedModels
from holdfast.tracking.multipart import MultipartUploads
from holdfast.tracking.service import Tracking
from holdfast.tracking.traces import Traces
from holdfast.web import Call, Raw, Route

__all__ = ["routes"]


def routes(
    experiments: Experiments,
    tracking: Tracking,
    models: LoggedModels,
    folder: SharedFolder,
    uploads: MultipartUploads,
    registry: Registry,
    objects: Objects,
    traces: Traces,
    hooks: Hooks,
) -> list[Route]:
    """The routes under /api/2.0 and /api/3.0."""
    runs = RunCalls(experiments, tracking)
    return [
        Route("GET", "/api/3.0/mlflow/server-info", _server_info, PUBLIC, summary="What this server can do"),
        *experiment_routes(experiments),
        *run_routes(runs),
        *history_routes(HistoryCalls(tracking)),
        *model_routes(ModelCalls(experiments, models, registry)),
        *registry_routes(RegistryCalls(registry, experiments, models, hooks)),
        *artifact_routes(ArtifactCalls(runs, tracking, models, registry, folder, uploads, objects)),
        *trace_routes(TraceCalls(experiments, traces)),
        *assessment_routes(traces),
        *webhook_routes(WebhookCalls(hooks)),
    ]


def _server_info(_call: Call) -> Raw:
    return answer(
        {
            "store_type": "SqlStore",
            "workspaces_enabled": True,
            "artifact_serving_enabled": True,
            "multipart_uploads_enabled": False,
            "multipart_downloads_enabled": False,
            "artifacts_presigned_only": False,
            "trace_archival_enabled": False,
        }
    )
