"""How an endpoint record comes to be and changes: pure functions from record to record."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.audit.words import object_address
from holdfast.kernel.errors import Conflict, InvalidInput
from holdfast.kernel.matching import Hit, Wanted, fit
from holdfast.kernel.times import parse_window
from holdfast.predictions.labels import LabelReader, canonical_label
from holdfast.predictions.records import CLOCKS, TASKS, Deployed, Endpoint, MonitorFields, Reference

__all__ = [
    "apply_deployment",
    "apply_fields",
    "apply_model",
    "check_reference_columns",
    "endpoint_hit",
    "external_endpoint",
]

_DEFAULT_WINDOW = "1d"
_MOST_TARGET = 500


def external_endpoint(workspace: str, name: str, endpoint_id: str, now_ms: int) -> Endpoint:
    """A new endpoint whose model runs elsewhere: clock `event`, status `external`."""
    return _new(workspace, name, endpoint_id, now_ms, kind="external", clock="event", status="external")


def apply_deployment(
    before: Endpoint | None,
    workspace: str,
    name: str,
    deployed: Deployed,
    fields: MonitorFields,
    endpoint_id: str,
    now_ms: int,
) -> Endpoint:
    """The endpoint once a deployment was asked for. What the caller set holds over what the model says.

    While another version answers, its signature and classes stay. Raises Conflict for an external endpoint.
    """
    if before is not None and before.kind != "served":
        raise Conflict(
            f"The endpoint {name!r} is external: its model runs elsewhere.", hint="Deploy under another name."
        )
    base = before or _new(
        workspace, name, endpoint_id, now_ms, kind="served", clock="wall", status="preparing"
    )
    changed = msgspec.structs.replace(
        base,
        model=deployed.model,
        version=deployed.version,
        deployable_digest=None,
        status="preparing",
        message="",
    )
    if base.live_version is None:
        changed = apply_model(changed, deployed)
    return apply_fields(changed, fields, None, now_ms)


def apply_model(endpoint: Endpoint, deployed: Deployed) -> Endpoint:
    """The endpoint with what a model version says of itself, once that version answers or none does yet.

    A reference given as a file goes when the version brings its own; one of another version goes in any case.
    """
    reference = deployed.reference
    if reference.source == "learning" and endpoint.reference.source == "file":
        reference = endpoint.reference
    return msgspec.structs.replace(
        endpoint,
        task=deployed.task or endpoint.task,
        target=deployed.target or endpoint.target,
        positive=deployed.positive,
        classes=deployed.classes,
        signature=deployed.signature,
        reference=reference,
    )


def apply_fields(
    endpoint: Endpoint, fields: MonitorFields, reference: Reference | None, now_ms: int
) -> Endpoint:
    """The endpoint with the given fields set. Raises InvalidInput naming the field and the value."""
    changes: dict[str, Any] = {"updated_at": now_ms}
    if fields.clock is not None:
        changes["clock"] = _one_of("clock", fields.clock, CLOCKS)
    if fields.window is not None:
        changes["window"] = parse_window(fields.window).text
    if fields.task is not None:
        changes["task"] = _check_task(endpoint, _one_of("task", fields.task, TASKS))
    if fields.target is not None:
        if not 1 <= len(fields.target) <= _MOST_TARGET:
            raise InvalidInput(f"The target {fields.target[:40]!r} is not the name of a column.")
        changes["target"] = fields.target
    if fields.positive is not None:
        given = fields.positive
        reader = LabelReader(endpoint.classes)
        changes["positive"] = reader.read(given) if endpoint.classes else canonical_label(given)
    if reference is not None:
        changes["reference"] = reference
    return msgspec.structs.replace(endpoint, **changes)


def _check_task(endpoint: Endpoint, task: str) -> str:
    """The task itself. Raises InvalidInput when the endpoint's classes are not of it."""
    count = len(endpoint.classes)
    if count and (task == "regression" or (task == "binary" and count != 2)):
        raise InvalidInput(
            f"The task {task!r} does not fit the endpoint {endpoint.name!r}: its model tells {count} classes apart.",
            hint="Leave the task out: the model says what it is.",
        )
    return task


def check_reference_columns(endpoint: Endpoint, fields: MonitorFields) -> None:
    """Raises InvalidInput when a reference lacks inputs of the endpoint's model, or the target given with it."""
    columns = (fields.reference or {}).get("columns")
    if not isinstance(columns, dict):
        return
    inputs = [item["name"] for item in (endpoint.signature or {}).get("inputs", [])]
    missing = [name for name in inputs if name not in columns]
    if missing:
        raise InvalidInput(
            f"The reference lacks the input {', '.join(map(repr, missing[:5]))} of {endpoint.name!r}.",
            hint=f"It has {', '.join(map(repr, list(columns)[:40]))}.",
        )
    if fields.target is not None and fields.target not in columns:
        raise InvalidInput(
            f"The reference has no column {fields.target[:80]!r}, which is the target.",
            hint=f"It has {', '.join(map(repr, list(columns)[:40]))}.",
        )


def _one_of(field: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise InvalidInput(f"The {field} {value[:40]!r} is not one of {', '.join(known)}.")
    return value


def _new(
    workspace: str, name: str, endpoint_id: str, now_ms: int, *, kind: str, clock: str, status: str
) -> Endpoint:
    return Endpoint(
        endpoint_id=endpoint_id,
        workspace_id=workspace,
        name=name,
        kind=kind,
        clock=clock,
        window=_DEFAULT_WINDOW,
        task="",
        target="",
        positive=None,
        classes=[],
        model="",
        version=None,
        deployable_digest=None,
        live_version=None,
        status=status,
        message="",
        signature=None,
        reference=Reference("learning"),
        state="active",
        created_at=now_ms,
        updated_at=now_ms,
    )


def endpoint_hit(wanted: Wanted, endpoint: Endpoint) -> Hit:
    """The endpoint as something found."""
    version = endpoint.live_version or endpoint.version
    serves = f"serves {endpoint.model} version {version}" if endpoint.model else "external"
    context = f"{serves} · target {endpoint.target}" if endpoint.target else serves
    address = object_address(f"endpoint:{endpoint.name}")
    return Hit("endpoint", endpoint.name, address, context, fit(wanted, endpoint.name), endpoint.updated_at)
