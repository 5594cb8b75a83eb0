"""The nouns of serving: deployments, the desired state that replicas follow, and what replicas report."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.audit.rotation import Rotation
from holdfast.chunks import TreeFile
from holdfast.predictions.records import Deployed

__all__ = [
    "INFERENCE_PERMISSIONS",
    "Authorization",
    "DeployRequest",
    "Deployment",
    "DesiredEndpoint",
    "DesiredState",
    "EndpointReport",
    "Heartbeat",
    "Replica",
    "ServingStatus",
    "SignedState",
]


INFERENCE_PERMISSIONS = ("predictions:infer", "predictions:replay", "serving:read")
"""The permissions that an inference server asks for."""


class DeployRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to serve where: `model` is `NAME`, `NAME@ALIAS` or `NAME/VERSION`; the rest sets the endpoint's monitor."""

    name: str
    model: str
    clock: str | None = None
    window: str | None = None
    task: str | None = None
    target: str | None = None


class Deployment(msgspec.Struct, frozen=True):
    """One model version behind one endpoint.

    `state` is `preparing` (its deployable digest does not exist yet), `active` (in the desired state), `superseded`,
    `failed` (its version can't be served) or `deleted`.
    """

    deployment_id: str
    endpoint_id: str
    endpoint: str
    model: str
    version: int
    deployable_digest: str | None
    runtime: str | None
    state: str
    message: str
    deployed: Deployed
    requested_at: int
    activated_at: int | None


class DesiredEndpoint(msgspec.Struct, frozen=True):
    """One endpoint as replicas are to serve it. `name` is the name in inference URLs."""

    name: str
    endpoint_id: str
    workspace: str
    clock: str
    deployment_id: str
    model: str
    version: int
    deployable_digest: str
    runtime: str
    files: list[TreeFile]
    signature: dict[str, Any]


class DesiredState(msgspec.Struct, frozen=True):
    """Everything that replicas are to serve, of every workspace. A higher generation replaces a lower one, never back."""

    generation: int
    endpoints: list[DesiredEndpoint]


class SignedState(msgspec.Struct, frozen=True):
    """A desired state as it travels: canonical JSON, its Ed25519 signature and the public key, each in base64; and the
    statements by which the key follows from earlier ones."""

    document: str
    signature: str
    public_key: str
    rotations: list[Rotation] = []


class Authorization(msgspec.Struct, frozen=True):
    """What a caller of the inference server may do: permissions by workspace. Empty for an unknown credential."""

    workspaces: dict[str, list[str]]
    problem: str = ""
    """Why the credential is worth nothing."""


class EndpointReport(msgspec.Struct, frozen=True):
    """How a replica stands with one endpoint's deployment: `state` is loading, live or failed."""

    deployment_id: str
    state: str
    message: str = ""
    live_version: int | None = None


class Heartbeat(msgspec.Struct, frozen=True):
    """What a replica says of itself."""

    url: str
    generation: int
    status: str
    endpoints: dict[str, EndpointReport]


class Replica(msgspec.Struct, frozen=True):
    """A replica by its last heartbeat. `is_alive`: that was at most 15 s ago."""

    replica: str
    url: str
    generation: int
    status: str
    endpoints: dict[str, EndpointReport]
    seen_at: int
    is_alive: bool = False


class ServingStatus(msgspec.Struct, frozen=True):
    """Where inference answers (None when no replica is alive), and the replicas."""

    inference_url: str | None
    generation: int
    replicas: list[Replica]
