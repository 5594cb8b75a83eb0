"""The pages that compose several rooms."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from typing import Any

import msgspec

from holdfast.audit.service import AuditLog
from holdfast.collaboration.panel import PanelOf
from holdfast.identity.records import SIGNED_IN
from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from holdfast.kernel.times import parse_time
from holdfast.monitoring.records import MonitorReport
from holdfast.monitoring.service import Monitor
from holdfast.overview.drift import ShapeView, build_shape, latest_rows
from holdfast.overview.endpoint import build_endpoint
from holdfast.overview.fleet import build_fleet
from holdfast.overview.health import Health, judge, needs_attention
from holdfast.overview.incidents import build_incident, build_incidents
from holdfast.overview.search import Search, describe_answer
from holdfast.overview.snippets import write_snippets
from holdfast.predictions.records import Endpoint
from holdfast.predictions.service import Predictions
from holdfast.registry.service import Registry
from holdfast.serving.service import Serving
from holdfast.web import Call, Page, Route
from holdfast.web.wording import plural

__all__ = ["pages"]

_MOST = 1000
_HITS = 50
"""The hits that the search page shows."""
_MOST_SHAPES = 4
_RECENT = 60
_WINDOWS, _MOST_WINDOWS = 90, 400
_STATES = ("", "open", "ended")


class EndpointRow(msgspec.Struct, frozen=True):
    """One endpoint of the list."""

    e: Endpoint
    kind: str
    word: str


def pages(
    predictions: Predictions,
    serving: Serving,
    monitor: Monitor,
    registry: Registry,
    audit: AuditLog,
    panel_of: PanelOf,
    search: Search,
) -> list[Route]:
    """`/`, `/search`, `/endpoints`, `/endpoints/{name}`, `/incidents` and `/incidents/{id}`."""

    examples = _Examples(registry)

    def judged(caller: Caller) -> list[tuple[Endpoint, Health]]:
        found = predictions.list_endpoints(caller, limit=_MOST).items
        return [(endpoint, judge(endpoint, monitor.summary(caller, endpoint.name))) for endpoint in found]

    def live_since(caller: Caller, endpoints: Sequence[Endpoint]) -> dict[str, int]:
        found: dict[str, int] = {}
        for endpoint in endpoints:
            if endpoint.kind == "served":
                for deployment in serving.list_deployments(caller, endpoint.name):
                    if deployment.state == "active" and deployment.activated_at is not None:
                        found[endpoint.name] = deployment.activated_at
        return found

    def show_fleet(call: Call) -> Page:
        endpoints = predictions.list_endpoints(call.caller, limit=_MOST).items
        summaries = {one.name: monitor.summary(call.caller, one.name) for one in endpoints}
        entries = audit.list_entries(call.caller, limit=_RECENT).items
        fleet = build_fleet(endpoints, summaries, live_since(call.caller, endpoints), entries)
        return Page("overview/fleet.html", {"fleet": fleet}, "Fleet")

    def show_search(call: Call) -> Page:
        answer = search.find(call.caller, call.query.get("q", ""), _HITS)
        kind, sentence = describe_answer(answer)
        context = {"answer": answer, "kind": kind, "sentence": sentence}
        return Page("overview/search.html", context, "Search")

    def show_endpoints(call: Call) -> Page:
        found = judged(call.caller)
        needy = sum(needs_attention(health) for _, health in found)
        rows = [EndpointRow(endpoint, health.kind, health.word) for endpoint, health in found]
        kind = "harm" if any(row.kind == "harm" for row in rows) else "attention" if needy else "ok"
        sentence = (
            f"{needy} of {plural(len(rows), 'endpoint')} {'needs' if needy == 1 else 'need'} attention."
        )
        context = {"rows": rows, "kind": kind, "sentence": sentence}
        return Page("overview/endpoints.html", context, "Endpoints")

    def show_endpoint(call: Call) -> Page:
        name = call.path["name"]
        endpoint = predictions.get_endpoint(call.caller, name)
        limit = _MOST_WINDOWS if call.query.get("all") else _WINDOWS
        report = monitor.show(call.caller, name, call.query.get("window") or None, limit)
        alerts = monitor.list_alerts(call.caller, name, limit=_MOST).items
        view = build_endpoint(
            endpoint, report, alerts, call.query.get("metric", ""), bool(call.query.get("all")), limit
        )
        example = examples.row_for(call.caller, endpoint)
        snippets = write_snippets(endpoint, call.url, serving.status(call.caller).inference_url, example)
        shape = _shape(monitor, call, name, report)
        panel = panel_of(call, f"endpoint:{name}")
        context = {
            "view": view,
            "query": dict(call.query),
            "snippets": snippets,
            "shape": shape,
            "panel": panel,
        }
        return Page("overview/endpoint.html", context, name)

    def show_incidents(call: Call) -> Page:
        state = call.query.get("state", "")
        if state not in _STATES:
            raise InvalidInput(
                f"The state {state[:40]!r} is not open or ended.", hint="See /incidents for all."
            )
        kind, sentence, rows = build_incidents(monitor.list_alerts(call.caller, limit=_MOST).items)
        shown = [row for row in rows if state in ("", row.alert.state)]
        context = {
            "rows": shown,
            "kind": kind,
            "sentence": sentence,
            "state": state,
            "query": dict(call.query),
        }
        return Page("overview/incidents.html", context, "Incidents")

    def show_incident(call: Call) -> Page:
        alert = monitor.get_alert(call.caller, _alert_id(call.path["id"]))
        report = monitor.show(call.caller, alert.endpoint, None, _MOST_WINDOWS)
        same = monitor.list_alerts(call.caller, alert.endpoint, limit=_MOST).items
        view = build_incident(alert, report, same)
        window = latest_rows(report, alert.detected_at - 1)
        moved = [change.feature for change in alert.inputs if change.drifted][:_MOST_SHAPES] if window else []
        shapes = [
            build_shape(
                monitor.show_feature(call.caller, alert.endpoint, name, alert.detected_at - 1), window
            )
            for name in moved
            if window is not None
        ]
        context = {"view": view, "shapes": shapes, "panel": panel_of(call, f"alert:{alert.id}")}
        return Page("overview/incident.html", context, view.title)

    read = "monitoring:read"
    return [
        Route("GET", "/", show_fleet, read, summary="The fleet"),
        Route("GET", "/search", show_search, SIGNED_IN, summary="Search"),
        Route("GET", "/endpoints", show_endpoints, read, summary="Endpoints"),
        Route("GET", "/endpoints/{name}", show_endpoint, read, summary="An endpoint"),
        Route("GET", "/incidents", show_incidents, read, summary="Incidents"),
        Route("GET", "/incidents/{id}", show_incident, read, summary="An incident"),
    ]


def _shape(monitor: Monitor, call: Call, name: str, report: MonitorReport) -> ShapeView | None:
    """The distribution that the address asks for by `feature` and `at`."""
    feature = call.query.get("feature")
    if not feature:
        return None
    at = parse_time(call.query["at"], "at") if call.query.get("at") else None
    window = latest_rows(report, at)
    if window is None:
        return None
    start = parse_time(window.start)
    return build_shape(monitor.show_feature(call.caller, name, feature, start, report.window), window)


def _alert_id(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise NotFound(f"There is no incident {text[:40]!r}.", hint="See /incidents for all.")
    return int(text)


class _Examples:
    """A row of each version's own reference. Versions never change, so a row is read once."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._rows: dict[tuple[str, str, int], dict[str, Any]] = {}

    def row_for(self, caller: Caller, endpoint: Endpoint) -> dict[str, Any]:
        """Empty when the model carries no reference."""
        version = endpoint.live_version or endpoint.version
        if not endpoint.model or version is None:
            return {}
        key = (caller.workspace, endpoint.model, version)
        if key not in self._rows:
            data = self._registry.scored_reference(caller, endpoint.model, version)
            if data is None:
                return {}
            columns: dict[str, list[Any]] = msgspec.json.decode(gzip.decompress(data))["columns"]
            self._rows[key] = {name: values[0] for name, values in columns.items() if values}
        return self._rows[key]
