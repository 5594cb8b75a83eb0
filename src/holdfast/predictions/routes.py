"""Endpoints, feedback and shipped log segments over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.identity.records import SERVING_PLANE
from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.paging import Items, PageQuery
from holdfast.predictions.lookup import look_up
from holdfast.predictions.records import (
    Endpoint,
    Feedback,
    FeedbackAnswer,
    LogStatus,
    MonitorFields,
    Segment,
    SegmentName,
)
from holdfast.predictions.service import Predictions
from holdfast.web import Call, Route, Upload

__all__ = ["routes"]

_SEGMENT_LIMIT = 64 << 20


class LookUpQuery(msgspec.Struct, frozen=True):
    """Which predictions: one by its id, or those of a key; one of the two."""

    prediction_id: str = ""
    key: str = ""


def routes(predictions: Predictions) -> list[Route]:
    """The routes of this room; deploying and deleting endpoints are `serving`'s."""

    def list_endpoints(call: Call) -> Items[Endpoint]:
        asked: PageQuery = call.params
        return predictions.list_endpoints(call.caller, limit=asked.limit, page_token=asked.page_token)

    def get_endpoint(call: Call) -> Endpoint:
        return predictions.get_endpoint(call.caller, call.path["name"])

    def set_monitor(call: Call) -> Endpoint:
        return predictions.set_monitor(call.caller, call.path["name"], call.body)

    def feedback(call: Call) -> FeedbackAnswer:
        return predictions.accept_feedback(call.caller, call.path["name"], call.body.columns)

    def log_status(call: Call) -> LogStatus:
        return predictions.log_status(call.caller, call.path["name"])

    def find(call: Call) -> Items[dict[str, Any]]:
        wanted = call.params.prediction_id or None, call.params.key or None
        return Items(look_up(predictions, call.caller, call.path["name"], *wanted))

    def put_segment(call: Call) -> Segment:
        seq = call.path["seq"]
        if not seq.isascii() or not seq.isdigit() or len(seq) > 15:
            raise InvalidInput(f"{seq[:40]!r} is not the number of a segment.")
        name = SegmentName(call.path["endpoint_id"], call.path["replica"], call.path["boot"], int(seq))
        return predictions.accept_segment(call.caller, name, b"".join(call.blocks))

    base = "/api/v1/endpoints"
    return [
        Route(
            "GET",
            base,
            list_endpoints,
            "serving:read",
            summary="List endpoints",
            result=Items[Endpoint],
            query=PageQuery,
        ),
        Route(
            "GET", base + "/{name}", get_endpoint, "serving:read", summary="Read an endpoint", result=Endpoint
        ),
        Route(
            "PUT",
            base + "/{name}/monitor",
            set_monitor,
            "monitoring:write",
            body=MonitorFields,
            summary="Set what monitoring needs; an unknown name becomes an external endpoint",
            max_body=64 << 20,
            result=Endpoint,
        ),
        Route(
            "POST",
            base + "/{name}/feedback",
            feedback,
            "predictions:feedback",
            body=Feedback,
            summary="Deliver true labels",
            max_body=64 << 20,
            result=FeedbackAnswer,
        ),
        Route(
            "GET",
            base + "/{name}/log",
            log_status,
            "predictions:read",
            summary="What an endpoint has logged, and what waits",
            result=LogStatus,
        ),
        Route(
            "GET",
            base + "/{name}/predictions",
            find,
            "predictions:read",
            summary="Look predictions up by prediction_id or key",
            result=Items[dict[str, Any]],
            query=LookUpQuery,
        ),
        Route(
            "PUT",
            "/api/v1/serving/segments/{endpoint_id}/{replica}/{boot}/{seq}",
            put_segment,
            SERVING_PLANE,
            body=Upload,
            summary="Ship a segment of the prediction log",
            max_body=_SEGMENT_LIMIT,
            result=Segment,
        ),
    ]
