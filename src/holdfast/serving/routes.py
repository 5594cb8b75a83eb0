"""Deploying over HTTP, and the plane that inference servers use."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Annotated, BinaryIO

import msgspec

from holdfast.identity.admission import Identity
from holdfast.identity.records import SERVING_PLANE
from holdfast.kernel.paging import Items
from holdfast.predictions.records import Endpoint
from holdfast.serving.records import (
    INFERENCE_PERMISSIONS,
    Authorization,
    Deployment,
    DeployRequest,
    Heartbeat,
    Replica,
    ServingStatus,
    SignedState,
)
from holdfast.serving.service import Serving
from holdfast.web import Call, Route, Stream

__all__ = ["routes"]

_BLOCK = 1 << 20


class StateQuery(msgspec.Struct, frozen=True):
    """The generation that is known already, and how long to wait for another."""

    after: Annotated[int, msgspec.Meta(ge=0, lt=10**15)] = 0
    wait_s: Annotated[int, msgspec.Meta(ge=0, lt=10**15)] = 0


def routes(serving: Serving, identity: Identity) -> list[Route]:
    """The routes of this room; reading endpoints is `predictions`'."""

    def deploy(call: Call) -> Endpoint:
        return serving.deploy(call.caller, call.body)

    def delete(call: Call) -> None:
        serving.delete(call.caller, call.path["name"])

    def deployments(call: Call) -> Items[Deployment]:
        return Items(serving.list_deployments(call.caller, call.path["name"]))

    def desired_state(call: Call) -> SignedState:
        return serving.desired_state(call.caller, call.params.after, float(call.params.wait_s))

    def file(call: Call) -> Stream:
        file = serving.open_file(call.caller, call.path["sha256"])
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        return Stream(_blocks(file), headers={"content-length": str(size)})

    def report(call: Call) -> Replica:
        return serving.report(call.caller, call.path["replica"], call.body)

    def authorize(call: Call) -> Authorization:
        held, problem = identity.permissions_by_workspace(call.path["sha256"], INFERENCE_PERMISSIONS)
        return Authorization(held, problem)

    def status(call: Call) -> ServingStatus:
        return serving.status(call.caller)

    endpoints, plane = "/api/v1/endpoints", "/api/v1/serving"
    return [
        Route(
            "POST",
            endpoints,
            deploy,
            "serving:write",
            DeployRequest,
            "Deploy a model version",
            result=Endpoint,
        ),
        Route("DELETE", endpoints + "/{name}", delete, "serving:write", summary="Stop serving an endpoint"),
        Route(
            "GET",
            endpoints + "/{name}/deployments",
            deployments,
            "serving:read",
            summary="What was deployed at an endpoint",
            result=Items[Deployment],
        ),
        Route("GET", plane, status, "serving:read", summary="Where inference answers", result=ServingStatus),
        Route(
            "GET",
            plane + "/desired-state",
            desired_state,
            SERVING_PLANE,
            summary="The signed desired state; waits for a newer one",
            result=SignedState,
            query=StateQuery,
        ),
        Route(
            "GET",
            plane + "/authorizations/{sha256}",
            authorize,
            SERVING_PLANE,
            summary="What a caller of an inference server may do, by the SHA-256 of its token",
            result=Authorization,
        ),
        Route("GET", plane + "/files/{sha256}", file, SERVING_PLANE, summary="A file of a deployed model"),
        Route(
            "PUT",
            plane + "/replicas/{replica}",
            report,
            SERVING_PLANE,
            Heartbeat,
            "Heartbeat of an inference server",
            result=Replica,
        ),
    ]


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK):
            yield block
