"""Monitors and alerts over HTTP. Setting a monitor is a route of `predictions`, whose record it changes."""

from __future__ import annotations

from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.paging import Items, parse_limit
from holdfast.kernel.times import parse_time
from holdfast.monitoring.records import Alert, FeatureShape, MonitorReport, Summary
from holdfast.monitoring.service import MOST_WINDOWS, Monitor
from holdfast.web import Call, Route

__all__ = ["routes"]


def routes(monitor: Monitor) -> list[Route]:
    """The routes of this room."""

    def show(call: Call) -> MonitorReport:
        limit = parse_limit(call.query.get("limit"), default=MOST_WINDOWS, most=10_000)
        return monitor.show(call.caller, call.path["name"], call.query.get("window") or None, limit)

    def summary(call: Call) -> Summary:
        return monitor.summary(call.caller, call.path["name"])

    def feature(call: Call) -> FeatureShape:
        at = parse_time(call.query.get("at"), "at")
        window = call.query.get("window") or None
        return monitor.show_feature(call.caller, call.path["name"], call.path["feature"], at, window)

    def list_alerts(call: Call) -> Items[Alert]:
        return monitor.list_alerts(
            call.caller,
            call.query.get("endpoint") or None,
            call.query.get("state") or None,
            limit=parse_limit(call.query.get("limit")),
            page_token=call.query.get("page_token", ""),
        )

    def get_alert(call: Call) -> Alert:
        text = call.path["alert_id"]
        if not text.isascii() or not text.isdigit() or len(text) > 15:
            raise InvalidInput(
                f"{text[:40]!r} is not the number of an alert.", hint="holdfast alert list shows them."
            )
        return monitor.get_alert(call.caller, int(text))

    base, read = "/api/v1/endpoints/{name}/monitor", "monitoring:read"
    return [
        Route(
            "GET", base, show, read, summary="An endpoint's windows, drift and alerts", result=MonitorReport
        ),
        Route("GET", base + "/summary", summary, read, summary="An endpoint in one line", result=Summary),
        Route(
            "GET",
            base + "/features/{feature:path}",
            feature,
            read,
            summary="One column's distribution in a window and in the reference",
            result=FeatureShape,
        ),
        Route("GET", "/api/v1/alerts", list_alerts, read, summary="List alerts", result=Items[Alert]),
        Route("GET", "/api/v1/alerts/{alert_id}", get_alert, read, summary="Read an alert", result=Alert),
    ]
