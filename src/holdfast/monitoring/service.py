"""What the monitor knows: windows, alerts, a summary per endpoint; and what waits to be folded."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.audit.words import object_address
from holdfast.identity.service import require
from holdfast.identity.workspaces import open_workspaces
from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import HoldfastError, InvalidInput, NotFound
from holdfast.kernel.matching import Found, Hit, Wanted, fit
from holdfast.kernel.paging import Items, decode_number, encode_token
from holdfast.kernel.principal import Caller
from holdfast.kernel.times import DAY_MS, Window, iso, parse_window
from holdfast.monitoring import store
from holdfast.monitoring.profile import grain_of, main_version, reference_identity
from holdfast.monitoring.records import (
    Alert,
    FeatureShape,
    FoldOutcome,
    FoldState,
    MonitorReport,
    PredictionSource,
    Summary,
    WindowReport,
)
from holdfast.monitoring.report import Timeline, make_report, state_of, window_reports, worst_drift
from holdfast.monitoring.windows import feature_shape
from holdfast.monitoring.wording import state_text
from holdfast.predictions.records import Endpoint
from holdfast.storage import Objects, Storage, Tx

__all__ = ["MOST_WINDOWS", "Monitor"]

MOST_WINDOWS = 2_000
"""So many of the newest windows are shown when no other number is asked for."""
_TRAFFIC = 30
_STATES = ("open", "ended")
_NOUNS = ("incident", "incidents", "alert", "alerts")


class Monitor:
    """Windows and alerts of every endpoint, and the folding that makes them."""

    def __init__(
        self,
        storage: Storage,
        objects: Objects,
        predictions: PredictionSource,
        clock: Clock,
    ) -> None:
        self._storage = storage
        self._objects = objects
        self._predictions = predictions
        self._clock = clock

    def has_pending(self) -> bool:
        """Whether there is anything to fold. Cheap: for the worker's every round."""
        return any(self._pending(self._clock.now_ms()))

    def waiting(self) -> list[str]:
        """The names of the endpoints that wait to be folded, for the operator."""
        return [endpoint.name for endpoint in self._pending(self._clock.now_ms())]

    def fold_pending(self) -> list[FoldOutcome]:
        """Fold every endpoint that waits, and raise or end their alerts. For a short-lived child: loads Polars.

        One endpoint's failure does not keep the others waiting; the first is raised when all have had their turn.
        """
        from holdfast.monitoring.fold import fold_endpoint  # Polars: 80 MB

        outcomes, failures = [], []
        now_ms = self._clock.now_ms()
        for endpoint in self._pending(now_ms):
            try:
                found = fold_endpoint(self._storage, self._objects, self._predictions, endpoint, now_ms)
                outcomes.append(found)
            except HoldfastError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return outcomes

    def _pending(self, now_ms: int) -> Iterator[Endpoint]:
        """Endpoints with changed days, another reference or bucket size, or a window ended by the wall clock."""
        for workspace in self._storage.read(open_workspaces):
            for endpoint in self._predictions.active_endpoints(workspace):
                if self._is_pending(endpoint, now_ms):
                    yield endpoint

    def _is_pending(self, endpoint: Endpoint, now_ms: int) -> bool:
        owner = (endpoint.workspace_id, endpoint.endpoint_id)
        state, profiles, counted = self._storage.read(
            lambda tx: (
                store.load_state(tx, *owner),
                store.load_profiles(tx, *owner),
                store.reference_ids(tx, *owner),
            )
        )
        _, changed = self._predictions.changes_since(*owner, state.cursor)
        if changed:
            return True
        if not state.cursor:
            return False
        profile = profiles.get(main_version(endpoint))
        is_new = profile is None or profile.identity != reference_identity(endpoint)
        known = {(version, store.profile_id(one)) for version, one in profiles.items()}
        return (
            is_new
            or not counted <= known
            or state.grain_ms != grain_of(endpoint)
            or _window_ended(endpoint, state, now_ms)
        )

    def show(
        self, caller: Caller, endpoint: str, window: str | None = None, limit: int = MOST_WINDOWS
    ) -> MonitorReport:
        """The document of an endpoint with its newest `limit` windows, oldest first.

        `window` is the endpoint's when None. Raises NotFound; InvalidInput for a window finer than its buckets.
        """
        require(caller, "monitoring:read")
        found = self._predictions.get_endpoint(caller, endpoint)

        def fn(tx: Tx) -> tuple[Timeline, list[WindowReport], int]:
            timeline = self._timeline(tx, found, window, caller.time_ms)
            starts = timeline.starts()
            shown = starts[-limit:]
            return timeline, self._reports(tx, found, timeline, shown), len(starts) - len(shown)

        timeline, windows, earlier = self._storage.read(fn)
        return make_report(found, timeline, main_version(found), windows, earlier)

    def _timeline(self, tx: Tx, endpoint: Endpoint, window: str | None, now_ms: int) -> Timeline:
        owner = (endpoint.workspace_id, endpoint.endpoint_id)
        state = store.load_state(tx, *owner)
        size = parse_window(window or endpoint.window)
        _check_window(size, endpoint)
        return Timeline(
            endpoint, size, state, store.list_buckets(tx, *owner), store.load_profiles(tx, *owner), now_ms
        )

    def _reports(
        self, tx: Tx, endpoint: Endpoint, timeline: Timeline, starts: list[int]
    ) -> list[WindowReport]:
        if not starts:
            return []
        owner = (endpoint.workspace_id, endpoint.endpoint_id)
        bodies = store.load_bodies(tx, *owner, starts[0], timeline.window.next(starts[-1]) - 1)
        alerts = store.list_alerts(tx, endpoint.workspace_id, endpoint_id=endpoint.endpoint_id)
        return window_reports(timeline, starts, bodies, list(reversed(alerts)))

    def show_feature(
        self, caller: Caller, endpoint: str, feature: str, at_ms: int, window: str | None = None
    ) -> FeatureShape:
        """One column's distribution in the window that holds `at_ms`, and in the reference. Raises NotFound."""
        require(caller, "monitoring:read")
        found = self._predictions.get_endpoint(caller, endpoint)

        def fn(tx: Tx) -> FeatureShape | None:
            timeline = self._timeline(tx, found, window, caller.time_ms)
            start = timeline.window.start_of(at_ms)
            owner = (found.workspace_id, found.endpoint_id)
            bodies = store.load_bodies(tx, *owner, start, timeline.window.next(start) - 1)
            sums = timeline.sums([start], bodies)
            return feature_shape(sums[start], feature) if start in sums else None

        shape = self._storage.read(fn)
        if shape is None:
            raise NotFound(
                f"The endpoint {endpoint!r} has no window at {iso(at_ms)} with a watched column {feature[:80]!r}.",
                hint=f"holdfast monitor show {endpoint} lists windows and columns.",
            )
        return shape

    def summary(self, caller: Caller, endpoint: str) -> Summary:
        """The endpoint in one line: state, traffic, the latest judged window, the open alert."""
        require(caller, "monitoring:read")
        found = self._predictions.get_endpoint(caller, endpoint)

        def fn(tx: Tx) -> Summary:
            timeline = self._timeline(tx, found, None, caller.time_ms)
            alerts = store.open_alerts(tx, found.workspace_id, found.endpoint_id)
            starts = _latest_judged(timeline)
            reports = self._reports(tx, found, timeline, starts)
            return _summary(found, timeline, reports[0] if reports else None, list(alerts.values()))

        return self._storage.read(fn)

    def search(self, caller: Caller, wanted: Wanted, limit: int) -> Found:
        """The newest alerts for the words: `incident 4`, `4`, an endpoint's name, `incident open`."""
        require(caller, "monitoring:read")
        rest = wanted.without(*_NOUNS)
        found = self._storage.read(lambda tx: store.search_alerts(tx, caller.workspace, rest, limit))
        return Found([_hit(wanted, rest, alert) for alert in found])

    def list_alerts(
        self,
        caller: Caller,
        endpoint: str | None = None,
        state: str | None = None,
        *,
        limit: int = 100,
        page_token: str = "",
    ) -> Items[Alert]:
        """Alerts, newest first, of one endpoint and in one state (`open`, `ended`) when they are named.

        Raises NotFound for an endpoint that is unknown and has no alerts.
        """
        require(caller, "monitoring:read")
        if state is not None and state not in _STATES:
            raise InvalidInput(f"The state {state[:40]!r} is not one of {', '.join(_STATES)}.")
        below = decode_number(page_token) if page_token else None
        found = self._storage.read(
            lambda tx: store.list_alerts(
                tx, caller.workspace, endpoint=endpoint, state=state, below=below, limit=limit + 1
            )
        )
        if endpoint is not None and not found:  # a deleted endpoint's alerts are listed by its name
            self._predictions.get_endpoint(caller, endpoint)
        more = len(found) > limit
        return Items(found[:limit], encode_token(found[limit - 1].id) if more else None)

    def get_alert(self, caller: Caller, alert_id: int) -> Alert:
        """One alert. Raises NotFound."""
        require(caller, "monitoring:read")
        found = self._storage.read(lambda tx: store.load_alert(tx, caller.workspace, alert_id))
        if found is None:
            raise NotFound(
                f"There is no alert {alert_id} in the workspace {caller.workspace!r}.",
                hint="holdfast alert list shows them.",
            )
        return found


def _window_ended(endpoint: Endpoint, state: FoldState, now_ms: int) -> bool:
    size = parse_window(endpoint.window)
    start = size.start_of(state.folded_at)  # a clock that went back ends a window too
    return endpoint.clock == "wall" and not start <= now_ms < size.next(start)


def _check_window(size: Window, endpoint: Endpoint) -> None:
    if size.is_under_a_day and grain_of(endpoint) >= DAY_MS:
        raise InvalidInput(
            f"The endpoint {endpoint.name!r} is counted by day, so it has no windows of {size.text}.",
            hint=f"Set a finer window first: holdfast monitor set {endpoint.name} --window {size.text}.",
        )


def _latest_judged(timeline: Timeline) -> list[int]:
    """The start of the newest complete window with labels, else of the newest with rows; one or none."""
    held = [count for count in timeline.counts.values() if count.rows]
    judged = [count.start for count in held if count.status == "complete" and count.judged]
    return (judged or [count.start for count in held])[-1:]


def _summary(
    endpoint: Endpoint, timeline: Timeline, latest: WindowReport | None, alerts: list[Alert]
) -> Summary:
    main = main_version(endpoint)
    profile = timeline.profiles.get(main)
    rows = sum(bucket.rows for bucket in timeline.buckets)
    seen = sum(bucket.rows for bucket in timeline.buckets if bucket.version == main)
    state = state_of(timeline, profile)
    worst, psi = (None, None) if latest is None else worst_drift(latest)
    starts = timeline.starts()[-_TRAFFIC:]
    return Summary(
        endpoint=endpoint.name,
        state=state,
        message=state_text(state, profile, seen),
        watermark=None if timeline.watermark is None else iso(timeline.watermark),
        rows=rows,
        labelled=sum(bucket.labelled for bucket in timeline.buckets),
        failures=sum(bucket.failures for bucket in timeline.buckets),
        label_delay_ms=None if latest is None else latest.label_delay_ms,
        traffic=[timeline.counts[start].rows if start in timeline.counts else 0 for start in starts],
        latest=latest,
        worst_input=worst,
        worst_psi=psi,
        alert=max(alerts, key=lambda alert: alert.id, default=None),
    )


def _hit(wanted: Wanted, rest: Wanted, alert: Alert) -> Hit:
    name = f"Incident {alert.id}"
    is_number = rest.number() == alert.id
    context = f"{alert.state} · {alert.endpoint} version {alert.version}"
    address = object_address(f"alert:{alert.id}")
    return Hit("incident", name, address, context, 4 if is_number else fit(wanted, name), alert.raised_at)
