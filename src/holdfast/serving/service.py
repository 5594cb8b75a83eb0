"""The rules of deployments: deploy, activate once prepared, delete; the signed desired state; replicas' reports."""

from __future__ import annotations

import base64
import re
import threading
from functools import partial
from typing import Any, BinaryIO

import msgspec

from holdfast.audit.keys import Keys
from holdfast.audit.service import append
from holdfast.identity.records import SERVING_PLANE
from holdfast.identity.service import may, require, system_caller
from holdfast.identity.workspaces import open_workspaces
from holdfast.kernel.errors import Conflict, InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.kernel.principal import Caller
from holdfast.predictions.labels import canonical_label
from holdfast.predictions.records import Deployed, Endpoint, MonitorFields, Reference, model_name
from holdfast.predictions.service import close_endpoint, deploy_endpoint, find_endpoint, set_status
from holdfast.registry.changes import BESIDE_TREE
from holdfast.registry.records import ModelVersion
from holdfast.registry.service import REFERENCE_FILE, Registry
from holdfast.serving import store
from holdfast.serving.records import (
    Deployment,
    DeployRequest,
    DesiredEndpoint,
    DesiredState,
    EndpointReport,
    Heartbeat,
    Replica,
    ServingStatus,
    SignedState,
)
from holdfast.serving.signing import sign_state
from holdfast.storage import Objects, Storage, Tx, trees

__all__ = ["Serving", "restate"]

_ALIVE_MS = 15_000
_POLL_S = 0.25
_MOST_WAIT_S = 30.0
_REPLICA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_URL = re.compile(r"https?://[^\s/]{1,300}")


def restate(tx: Tx) -> int:
    """Have replicas fetch the desired state again: inside a transaction that changes which workspaces are served."""
    return store.next_generation(tx)


class Serving:
    """Deployments over the metadata database. `keys` hold the signing key; `closing` ends waiting polls."""

    def __init__(
        self, storage: Storage, objects: Objects, registry: Registry, keys: Keys, closing: threading.Event
    ) -> None:
        self._storage = storage
        self._objects = objects
        self._registry = registry
        self._keys = keys
        self._closing = closing
        self._changed = threading.Condition()
        self._signed: tuple[int, SignedState, frozenset[str]] | None = None

    def deploy(self, caller: Caller, request: DeployRequest) -> Endpoint:
        """Serve a model version at an endpoint, new or not; the version that answers now does so until the new one can.

        When the version is not prepared yet, the deployment waits for it (`activate_prepared`). Audited. Raises
        NotFound for an unknown model, alias or version, Conflict for a version that can't be served.
        """
        require(caller, "serving:write")
        version = self._registry.resolve_version(caller, request.model)
        if version.status == "failed":
            reference = f"{version.name}/{version.version}"
            why = version.message.partition("\n\n")[0]  # a traceback may follow
            raise Conflict(
                f"The model version {reference} can't be served: {why}",
                hint=f"All that is known: holdfast model show {reference}. Repair the model and log it again.",
            )
        fields = MonitorFields(request.clock, request.window, request.task, request.target)
        described = _describe(version, request)
        endpoint_id, deployment_id = new_id("e"), new_id("d")

        def fn(tx: Tx) -> Endpoint:
            store.hold(tx)
            reference = _reference(tx, caller.workspace, version)
            deployed = msgspec.structs.replace(described, reference=reference)
            before, after = deploy_endpoint(
                tx, caller.workspace, request.name, deployed, fields, endpoint_id, caller.time_ms
            )
            store.end_deployments(tx, caller.workspace, after.endpoint_id, ("preparing",), "superseded")
            deployment = _new_deployment(deployment_id, after, deployed, caller.time_ms)
            store.insert_deployment(tx, caller.workspace, deployment)
            if version.status == "ready":
                after = _activate(tx, caller, deployment, version)
            append(
                tx,
                caller,
                action="endpoint.deploy",
                object=f"endpoint:{request.name}",
                digest=version.deployable_digest or version.digest,
                before=None if before is None else {"model": before.model, "version": before.version},
                after={"model": version.name, "version": version.version, "deployment": deployment_id},
            )
            return after

        endpoint = self._storage.write(fn)
        self._wake()
        return endpoint

    def activate_prepared(self, now_ms: int) -> int:
        """Put deployments into the desired state whose version has become ready, end those whose version failed.

        For the worker, after it has prepared versions; cheap when nothing waits. Gives how many moved.
        """
        moved = 0
        for workspace, waiting in self._storage.read(store.waiting_deployments):
            caller = system_caller(workspace, now_ms)
            version = self._registry.get_version(caller, waiting.model, waiting.version)
            if version.status == "pending":
                continue
            moved += self._storage.write(partial(_settle, caller, waiting, version))
        if moved:
            self._wake()
        return moved

    def delete(self, caller: Caller, name: str) -> None:
        """Stop serving an endpoint and free its name; its predictions stay. Audited."""
        require(caller, "serving:write")

        def fn(tx: Tx) -> None:
            store.hold(tx)
            closed = close_endpoint(tx, caller.workspace, name, caller.time_ms)
            store.end_deployments(
                tx, caller.workspace, closed.endpoint_id, ("preparing", "active"), "deleted"
            )
            store.next_generation(tx)
            append(
                tx,
                caller,
                action="endpoint.delete",
                object=f"endpoint:{name}",
                digest=closed.deployable_digest,
                before={"model": closed.model, "version": closed.version},
            )

        self._storage.write(fn)
        self._wake()

    def list_deployments(self, caller: Caller, name: str) -> list[Deployment]:
        """What was deployed at an endpoint, the newest first."""
        require(caller, "serving:read")

        def fn(tx: Tx) -> list[Deployment]:
            endpoint = find_endpoint(tx, caller.workspace, name)
            return store.deployments_in(tx, caller.workspace, endpoint.endpoint_id)

        return self._storage.read(fn)

    def desired_state(self, caller: Caller, after: int, wait_s: float) -> SignedState:
        """The signed desired state; waits up to `wait_s` (at most 30) for a generation above `after`."""
        require(caller, SERVING_PLANE)
        left = min(max(wait_s, 0.0), _MOST_WAIT_S)
        with self._changed:
            while left > 0 and not self._closing.is_set():
                if self._storage.read(store.generation) > after:
                    break
                # The worker activates deployments in a process of its own: look again now and then.
                self._changed.wait(_POLL_S)
                left -= _POLL_S
        return self._sign(caller.time_ms)[1]

    def _sign(self, now_ms: int) -> tuple[int, SignedState, frozenset[str]]:
        """(generation, the signed state, the digests of its files), made once per generation."""
        number, active = self._storage.read(_snapshot)
        known, key = self._signed, self._keys.signing_key("serving")
        public = base64.b64encode(key.public).decode()
        if known is not None and known[0] == number and known[1].public_key == public:
            return known
        endpoints = [
            self._desired(system_caller(workspace, now_ms), deployment, clock)
            for workspace, deployment, clock in active
        ]
        signed = sign_state(DesiredState(number, endpoints), key, self._keys.rotations("serving"))
        digests = frozenset(file.sha256 for endpoint in endpoints for file in endpoint.files)
        self._signed = (number, signed, digests)
        return self._signed

    def _desired(self, caller: Caller, deployment: Deployment, clock: str) -> DesiredEndpoint:
        assert deployment.deployable_digest is not None
        name, workspace = deployment.endpoint, caller.workspace
        return DesiredEndpoint(
            name=model_name(workspace, name),
            endpoint_id=deployment.endpoint_id,
            workspace=workspace,
            clock=clock,
            deployment_id=deployment.deployment_id,
            model=deployment.model,
            version=deployment.version,
            deployable_digest=deployment.deployable_digest,
            runtime=deployment.runtime or "",
            files=self._registry.list_files(caller, deployment.model, deployment.version).items,
            signature=deployment.deployed.signature or {},
        )

    def open_file(self, caller: Caller, sha256: str) -> BinaryIO:
        """A file of a deployed tree, opened for reading. Raises NotFound for any other object, stored or not."""
        require(caller, SERVING_PLANE)
        if sha256 not in self._sign(caller.time_ms)[2]:
            raise NotFound(f"No deployed model has a file {sha256[:80]!r}.")
        return self._objects.open(sha256)

    def report(self, caller: Caller, replica: str, heartbeat: Heartbeat) -> Replica:
        """Take a replica's heartbeat, and from it how the endpoints' deployments go."""
        require(caller, SERVING_PLANE)
        if _REPLICA.fullmatch(replica) is None:
            raise InvalidInput(f"{replica[:80]!r} is not a name for a replica.")
        if _URL.fullmatch(heartbeat.url) is None:
            raise InvalidInput(f"{heartbeat.url[:80]!r} is not the address of a replica.")
        reports = {report.deployment_id: report for report in heartbeat.endpoints.values()}
        seen = Replica(replica, **msgspec.structs.asdict(heartbeat), seen_at=caller.time_ms, is_alive=True)

        def fn(tx: Tx) -> Replica:
            store.hold(tx)
            store.put_replica(tx, seen)
            for workspace in open_workspaces(tx):
                local = msgspec.structs.replace(caller, workspace=workspace)
                for deployment in store.active_deployments(tx, workspace):
                    if deployment.deployment_id in reports:
                        _apply_report(tx, local, deployment, reports[deployment.deployment_id])
            return seen

        return self._storage.write(fn)

    def status(self, caller: Caller) -> ServingStatus:
        """Where inference answers, and the replicas with how they stand with the workspace's endpoints."""
        require(caller, "serving:read")

        def fn(tx: Tx) -> tuple[int, list[Replica], set[str]]:
            own = {one.deployment_id for one in store.active_deployments(tx, caller.workspace)}
            return store.generation(tx), store.list_replicas(tx), own

        number, found, own = self._storage.read(fn)
        replicas = [
            msgspec.structs.replace(
                _alive(r, caller.time_ms),
                endpoints={name: e for name, e in r.endpoints.items() if e.deployment_id in own},
            )
            for r in found
        ]
        url = next((replica.url for replica in replicas if replica.is_alive), None)
        return ServingStatus(url, number, replicas)

    def users_of(self, caller: Caller, model: str, version: int | None) -> list[str]:
        """Which endpoints are served, or about to be, by a version of a model, or by any of it.

        Their names are for who may read them; others learn that there are some.
        """
        used = self._storage.read(lambda tx: store.deployments_of(tx, caller.workspace, model))
        named = may(caller.principal, "serving:read")
        return sorted(
            {
                f"endpoint {one.endpoint}" if named else "an endpoint"
                for one in used
                if version is None or one.version == version
            }
        )

    def replicas(self, now_ms: int) -> list[Replica]:
        """Every replica with all its endpoints, for the operator; the one heard of last first."""
        return [_alive(replica, now_ms) for replica in self._storage.read(store.list_replicas)]

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _describe(version: ModelVersion, request: DeployRequest) -> Deployed:
    described = version.description
    if described is None:
        raise Conflict(
            f"{version.name}/{version.version} can't be served: {version.message}",
            hint="Log the model with holdfast.log_model and register that.",
        )
    if request.task and described.task and request.task != described.task:
        raise InvalidInput(
            f"The task {request.task[:40]!r} does not fit {version.name}/{version.version}: its task is "
            f"{described.task}.",
            hint="Leave the task out: the model says what it is.",
        )
    return Deployed(
        model=version.name,
        version=version.version,
        task=request.task or described.task,
        target=request.target or described.target,
        positive=None if described.positive is None else canonical_label(described.positive),
        classes=[canonical_label(name) for name in described.classes or ()],
        signature=msgspec.to_builtins(described.signature),
    )


def _new_deployment(deployment_id: str, endpoint: Endpoint, deployed: Deployed, now_ms: int) -> Deployment:
    return Deployment(
        deployment_id=deployment_id,
        endpoint_id=endpoint.endpoint_id,
        endpoint=endpoint.name,
        model=deployed.model,
        version=deployed.version,
        deployable_digest=None,
        runtime=None,
        state="preparing",
        message="",
        deployed=deployed,
        requested_at=now_ms,
        activated_at=None,
    )


def _activate(tx: Tx, caller: Caller, deployment: Deployment, version: ModelVersion) -> Endpoint:
    """Replace the endpoint's active deployment by this one and count the generation up."""
    workspace = caller.workspace
    store.end_deployments(tx, workspace, deployment.endpoint_id, ("active",), "superseded")
    active = msgspec.structs.replace(
        deployment,
        state="active",
        deployable_digest=version.deployable_digest,
        runtime=version.runtime,
        activated_at=caller.time_ms,
        deployed=msgspec.structs.replace(deployment.deployed, reference=_reference(tx, workspace, version)),
    )
    store.update_deployment(tx, workspace, active)
    store.next_generation(tx)
    endpoint = set_status(
        tx,
        workspace,
        deployment.endpoint_id,
        caller.time_ms,
        status="starting",
        deployable_digest=version.deployable_digest,
    )
    assert endpoint is not None
    return endpoint


def _reference(tx: Tx, workspace: str, version: ModelVersion) -> Reference:
    """The rows that the version carries, scored when it was prepared; without them the endpoint has to learn."""
    for file in trees.list_files(tx, workspace, BESIDE_TREE, version.version_id):
        if file.path == REFERENCE_FILE:
            return Reference("model", file.sha256, version.parity.rows if version.parity else 0)
    return Reference("learning")


def _settle(caller: Caller, waiting: Deployment, version: ModelVersion, tx: Tx) -> bool:
    """Activate or end a deployment that waited; False when it does not wait any more."""
    store.hold(tx)
    current = {d.deployment_id: d for d in store.deployments_in(tx, caller.workspace, waiting.endpoint_id)}
    if current[waiting.deployment_id].state != "preparing":
        return False
    after: dict[str, Any] = {
        "model": waiting.model,
        "version": waiting.version,
        "deployment": waiting.deployment_id,
    }
    if version.status == "ready":
        _activate(tx, caller, waiting, version)
        action = "endpoint.activate"
    else:
        failed = msgspec.structs.replace(waiting, state="failed", message=version.message)
        store.update_deployment(tx, caller.workspace, failed)
        set_status(
            tx,
            caller.workspace,
            waiting.endpoint_id,
            caller.time_ms,
            status="failed",
            message=version.message,
        )
        action = "endpoint.fail"
    append(
        tx,
        caller,
        action=action,
        object=f"endpoint:{waiting.endpoint}",
        digest=version.deployable_digest,
        after=after,
    )
    return True


def _apply_report(tx: Tx, caller: Caller, deployment: Deployment, reported: EndpointReport) -> None:
    waiting = any(
        other.state == "preparing"
        for other in store.deployments_in(tx, caller.workspace, deployment.endpoint_id)
    )
    if waiting:  # the endpoint's status tells of the newer deployment
        return
    status = {"live": "live", "failed": "failed"}.get(reported.state, "starting")
    live = deployment.deployed if reported.state == "live" else None
    set_status(
        tx,
        caller.workspace,
        deployment.endpoint_id,
        caller.time_ms,
        status=status,
        message=reported.message,
        live=live,
    )


def _snapshot(tx: Tx) -> tuple[int, list[tuple[str, Deployment, str]]]:
    """(generation, (workspace, deployment, its endpoint's clock) of all that is to be served)."""
    # The generation first: a change that comes between is signed again under its own, higher one.
    number = store.generation(tx)
    active = [
        (workspace, deployment, find_endpoint(tx, workspace, deployment.endpoint).clock)
        for workspace in open_workspaces(tx)
        for deployment in store.active_deployments(tx, workspace)
    ]
    return number, active


def outrun_replicas(tx: Tx, now_ms: int) -> None:
    """Make the generation higher than any that replicas may have seen: inside the restoring of a backup.

    They refuse one that is lower. A deployment counts up less than once in a millisecond, so the time is higher.
    """
    store.raise_generation(tx, now_ms)


def _alive(replica: Replica, now_ms: int) -> Replica:
    """The replica with whether it is alive at this time."""
    # Heard of in the future: a clock ran ahead then, and it has not been heard of since.
    is_alive = abs(now_ms - replica.seen_at) <= _ALIVE_MS and replica.status != "stopped"
    return msgspec.structs.replace(replica, is_alive=is_alive)
