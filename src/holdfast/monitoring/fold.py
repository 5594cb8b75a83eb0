"""Folding: the days of the prediction log that changed become buckets again, then the alert rule looks at them.

A day is always counted whole, and its buckets replace those before, in one transaction with the alerts and the
cursor in the log's changes (a very large fold writes days before, the cursor last). So a fold that is killed is
simply done again, and no row counts twice.

Runs in a short-lived child (Polars).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import polars

from holdfast.audit.service import append
from holdfast.identity.service import system_caller
from holdfast.kernel.principal import Caller
from holdfast.kernel.times import DAY_MS, parse_window
from holdfast.monitoring import store
from holdfast.monitoring.alerts import describe_alert
from holdfast.monitoring.buckets import merge_days
from holdfast.monitoring.counting import Counter, count_frame
from holdfast.monitoring.decide import Ended, Raised, count_windows, judge
from holdfast.monitoring.draft import MOST_BUCKETS, Draft
from holdfast.monitoring.profile import (
    LEARNING_ROWS,
    Profile,
    grain_of,
    main_version,
    reference_identity,
    with_errors_of,
)
from holdfast.monitoring.records import Alert, Bucket, FoldOutcome, PredictionSource, Progress
from holdfast.monitoring.reference import build_reference, read_reference
from holdfast.predictions.records import Endpoint
from holdfast.storage import Objects, Storage, Tx

__all__ = ["fold_endpoint"]

_MOST_DAYS = 64
_MANY_ROWS = 200_000


def fold_endpoint(
    storage: Storage, objects: Objects, source: PredictionSource, endpoint: Endpoint, now_ms: int
) -> FoldOutcome:
    """Fold what changed in the endpoint's log since the last fold, and raise or end its alerts.

    Rows are counted anew when their reference or the size of the buckets changed. Raises Conflict when another
    fold of this endpoint ran meanwhile; calling it again is always right.
    """
    fold = _Fold(storage, objects, source, endpoint, now_ms)
    fold.prepare()
    outcome = fold.count()
    if fold.learn():
        outcome = fold.count()
    return fold.decide(outcome)


class _Fold:
    """One run over one endpoint."""

    def __init__(
        self, storage: Storage, objects: Objects, source: PredictionSource, endpoint: Endpoint, now_ms: int
    ) -> None:
        self.storage, self.objects, self.source = storage, objects, source
        self.endpoint, self.now_ms = endpoint, now_ms
        self.owner = (endpoint.workspace_id, endpoint.endpoint_id)
        self.draft = Draft(storage, *self.owner)
        self.cursor = self.draft.state.cursor

    def prepare(self) -> None:
        """Make the main version's reference and the size of buckets what the endpoint record says."""
        version, identity = main_version(self.endpoint), reference_identity(self.endpoint)
        known = self.draft.profiles.get(version)
        if known is None or known.identity != identity:
            built = self._build(identity)
            self.draft.put_profile(version, built if known is None else with_errors_of(built, known))
        if self.draft.state.grain_ms != grain_of(self.endpoint):
            self.draft.wipe(grain_of(self.endpoint))

    def _build(self, identity: str) -> Profile:
        endpoint, given = self.endpoint, self.endpoint.reference
        if given.source == "learning" or not given.sha256:
            return self._learning(identity)
        return build_reference(
            read_reference(self.objects.get(given.sha256)),
            endpoint.signature,
            endpoint.target,
            endpoint.positive,
            task=endpoint.task,
            classes=endpoint.classes,
            source=given.source,
            identity=identity,
        )

    def _learning(self, identity: str) -> Profile:
        return Profile(identity, "learning", self.endpoint.task or "multiclass", self.endpoint.positive)

    def count(self) -> FoldOutcome:
        """Count every day that changed or whose buckets are stale."""
        self.cursor, changed = self.source.changes_since(*self.owner, self.draft.state.cursor)
        stale = [(day, day) for day in self.draft.stale_days()]
        counters: dict[int, Counter] = {}
        days = rows = 0
        for first, last, frame in self._chunks(merge_days([*changed, *stale])):
            buckets = count_frame(
                frame, self.draft.state.grain_ms, lambda version: self._counter(version, counters)
            )
            days += (last - first) // DAY_MS + 1
            rows += sum(bucket.rows for bucket in buckets)
            if self.draft.is_large:
                self.draft.write(self.draft.state)
            self.draft.put_days(first, last, buckets)
        return FoldOutcome(days, rows)

    def _chunks(self, runs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, polars.DataFrame]]:
        """Runs of days with their rows; more days at a time while they hold few rows."""
        most = min(_MOST_DAYS, max(1, MOST_BUCKETS * self.draft.state.grain_ms // DAY_MS))
        size = 1
        for first, last in runs:
            while first <= last:
                end = min(first + (size - 1) * DAY_MS, last)
                frame = self._read(first, end)
                yield first, end, frame
                size = min(size * 2, most) if frame.height < _MANY_ROWS else max(1, size // 2)
                first = end + DAY_MS

    def _read(self, first_day: int, last_day: int) -> polars.DataFrame:
        """Days of the log. Rows without a version are version 0's; so are all of an external endpoint."""
        frame = self.source.read_days(self.endpoint.endpoint_id, first_day, last_day)
        version = frame["version"].fill_null(0)
        return frame.with_columns(version if self.endpoint.kind == "served" else version * 0)

    def _counter(self, version: int, counters: dict[int, Counter]) -> Counter:
        if version not in self.draft.profiles:
            self.draft.put_profile(version, self._learning(""))
        if version not in counters:
            profile = self.draft.profiles[version]
            counters[version] = Counter(profile, store.profile_id(profile))
        return counters[version]

    def learn(self) -> bool:
        """Make the first rows of versions without a reference their reference; whether there were enough."""
        buckets, learned = self.draft.buckets(), False
        for version, profile in list(self.draft.profiles.items()):
            own = [bucket for bucket in buckets if bucket.version == version]
            is_waiting = profile.source == "learning" and not profile.rows
            if is_waiting and sum(bucket.rows for bucket in own) >= LEARNING_ROWS:
                self.draft.put_profile(version, self._learned(version, profile, own))
                learned = True
        return learned

    def _learned(self, version: int, profile: Profile, buckets: Sequence[Bucket]) -> Profile:
        columns: dict[str, list[object]] = {}
        taken = 0
        for day in dict.fromkeys(bucket.start // DAY_MS * DAY_MS for bucket in buckets):
            frame = self._read(day, day)
            own = frame.filter((frame["status"] == 200) & (frame["version"] == version))
            own = own.head(LEARNING_ROWS - taken)
            for name in own.columns:
                if name in ("prediction", "score") or name.startswith(("in_", "score_")):
                    values = columns.setdefault(name.removeprefix("in_"), [None] * taken)
                    values.extend([None] * (taken - len(values)) + own[name].to_list())
            taken += own.height
            if taken >= LEARNING_ROWS:
                break
        return build_reference(
            {name: values + [None] * (taken - len(values)) for name, values in columns.items()},
            self.endpoint.signature,
            task=self.endpoint.task,
            positive=self.endpoint.positive,
            classes=self.endpoint.classes,
            source="learning",
            identity=profile.identity,
        )

    def decide(self, outcome: FoldOutcome) -> FoldOutcome:
        """Run the alert rule on every version; write buckets, alerts, cursor and progress in one transaction."""
        buckets, window = self.draft.buckets(), parse_window(self.endpoint.window)
        label_watermark = max((b.last_label for b in buckets if b.last_label is not None), default=None)
        watermark = max((bucket.last_event for bucket in buckets), default=0)
        now = watermark if self.endpoint.clock == "event" else self.now_ms
        windows = count_windows(buckets, window, now, label_watermark)
        open_alerts = self.storage.read(lambda tx: store.open_alerts(tx, *self.owner))
        progress, steps = dict(self.draft.state.progress), []
        for version, profile in sorted(self.draft.profiles.items()):
            if profile.tolerated is None:
                continue
            own = [bucket for bucket in buckets if bucket.version == version]
            alert = open_alerts.get(version)
            raised_in = None if alert is None else alert.detected_at - 1
            before = progress.get(version, Progress())
            progress[version], found = judge(own, windows, window, profile.tolerated, before, raised_in)
            steps.append((alert, [self._describe(version, profile, own, step) for step in found]))
        state = msgspec.structs.replace(
            self.draft.state, cursor=self.cursor, folded_at=self.now_ms, progress=progress
        )
        caller = system_caller(self.endpoint.workspace_id, self.now_ms)
        self.draft.write(state, lambda tx: _write_steps(tx, self.owner, caller, steps))
        made = [step for _, found in steps for step in found]
        raised = sum(isinstance(step, Alert) for step in made)
        return msgspec.structs.replace(outcome, raised=raised, ended=len(made) - raised)

    def _describe(
        self, version: int, profile: Profile, own: Sequence[Bucket], step: Raised | Ended
    ) -> Alert | Ended:
        if isinstance(step, Ended):
            return step
        first = parse_window(self.endpoint.window).start_of(step.since)
        span = [bucket for bucket in own if first <= bucket.start <= step.detected]
        bodies = self.draft.bodies(first, step.detected)
        grain_ms = self.draft.state.grain_ms
        return describe_alert(self.endpoint, version, profile, span, bodies, step, grain_ms, self.now_ms)


def _write_steps(
    tx: Tx,
    owner: tuple[str, str],
    caller: Caller,
    steps: Sequence[tuple[Alert | None, Sequence[Alert | Ended]]],
) -> None:
    """Write alerts that began and ended, in order, then their audit entries."""
    leaves: list[tuple[str, Alert]] = []
    for alert, found in steps:
        for step in found:
            if isinstance(step, Alert):
                alert = store.insert_alert(tx, *owner, step)
                leaves.append(("alert.raise", alert))
            elif alert is not None:
                store.end_alert(tx, caller.workspace, alert.id, caller.time_ms, step.recovered_at)
                leaves.append(("alert.end", msgspec.structs.replace(alert, recovered_at=step.recovered_at)))
    for action, alert in leaves:
        append(tx, caller, action=action, object=f"endpoint:{alert.endpoint}", after=_said(alert))


def _said(alert: Alert) -> dict[str, object]:
    """What the audit entry of an alert holds; shares as text, because canonical JSON has no floats."""
    return {
        "alert": alert.id,
        "version": alert.version,
        "since": alert.since,
        "detected_at": alert.detected_at,
        "recovered_at": alert.recovered_at,
        "rows": alert.rows,
        "error": f"{alert.error:.6f}",
        "alert_above": f"{alert.alert_above:.6f}",
    }
