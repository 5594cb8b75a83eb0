"""The rules of endpoints, the prediction log and ground truth."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.audit.service import append
from holdfast.identity.records import SERVING_PLANE
from holdfast.identity.service import require
from holdfast.kernel.errors import Conflict, IntegrityError, InvalidInput, NotFound
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.ids import new_id
from holdfast.kernel.matching import Found, Wanted, best
from holdfast.kernel.paging import Items, decode_token, encode_token
from holdfast.kernel.principal import Caller
from holdfast.predictions import store
from holdfast.predictions.endpoints import (
    apply_deployment,
    apply_fields,
    apply_model,
    check_reference_columns,
    endpoint_hit,
    external_endpoint,
)
from holdfast.predictions.feedback import read_feedback
from holdfast.predictions.labels import LabelReader
from holdfast.predictions.records import (
    Backlog,
    Deployed,
    Endpoint,
    FeedbackAnswer,
    LabelBatch,
    LogStatus,
    MonitorFields,
    Reference,
    Segment,
    SegmentName,
)
from holdfast.predictions.reference import encode_reference
from holdfast.predictions.segments import scan_header
from holdfast.storage import Objects, Storage, Tx, lock

if TYPE_CHECKING:
    import polars

__all__ = ["Predictions", "close_endpoint", "deploy_endpoint", "find_endpoint", "set_status"]

_CANDIDATES = 4
"""So many times more endpoints are judged by their names than are answered."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_encode = msgspec.msgpack.Encoder().encode


def check_endpoint_name(name: str) -> str:
    """The name itself when an endpoint may have it: 1-63 of a-z, 0-9, - and _, the first a letter or digit."""
    if _NAME.fullmatch(name) is None:
        raise InvalidInput(
            f"{name[:80]!r} is not a name for an endpoint.",
            hint="Use up to 63 lower-case letters, digits, '-' and '_', beginning with a letter or digit.",
        )
    return name


def find_endpoint(tx: Tx, workspace: str, name: str, *, hold: bool = False) -> Endpoint:
    """The active endpoint of this name. Raises NotFound naming those that there are.

    With `hold`, nobody else changes it until the transaction ends.
    """
    found = store.find_endpoint(tx, workspace, name, hold=hold)
    if found is None:
        names = [endpoint.name for endpoint in store.list_endpoints(tx, workspace, limit=20)]
        hint = (
            f"There are: {', '.join(names)}."
            if names
            else "Deploy a model first: holdfast deploy MODEL --endpoint NAME."
        )
        raise NotFound(f"There is no endpoint {name[:80]!r} in the workspace {workspace!r}.", hint=hint)
    return found


def deploy_endpoint(
    tx: Tx,
    workspace: str,
    name: str,
    deployed: Deployed,
    fields: MonitorFields,
    new_endpoint_id: str,
    now_ms: int,
) -> tuple[Endpoint | None, Endpoint]:
    """Write a deployment into the endpoint `name`, made when it is new: (the record before, the record after).

    For `serving`, inside its transaction. The endpoint's status becomes `preparing`.
    """
    before = store.find_endpoint(tx, workspace, check_endpoint_name(name), hold=True)
    after = apply_deployment(before, workspace, name, deployed, fields, new_endpoint_id, now_ms)
    if before is None:
        store.insert_endpoint(tx, after)
    else:
        store.update_endpoint(tx, after)
    return before, after


def set_status(
    tx: Tx,
    workspace: str,
    endpoint_id: str,
    now_ms: int,
    *,
    status: str,
    message: str = "",
    deployable_digest: str | None = None,
    live: Deployed | None = None,
) -> Endpoint | None:
    """Write how the deployment goes into the endpoint; None when it is deleted. Nothing is written when all is equal.

    `live` is the version that answers now; None leaves it and `deployable_digest` as they are. For `serving`,
    inside its transaction.
    """
    before = store.endpoint_by_id(tx, workspace, endpoint_id, hold=True)
    if before is None or before.state != "active":
        return None
    after = msgspec.structs.replace(
        before,
        status=status,
        message=message,
        deployable_digest=deployable_digest or before.deployable_digest,
        live_version=before.live_version if live is None else live.version,
    )
    if live is not None and live.version != before.live_version:
        after = apply_model(after, live)
    if after == before:
        return before
    after = msgspec.structs.replace(after, updated_at=now_ms)
    store.update_endpoint(tx, after)
    return after


def close_endpoint(tx: Tx, workspace: str, name: str, now_ms: int) -> Endpoint:
    """Take an endpoint's name away; its log stays. For `serving`, inside its transaction."""
    found = find_endpoint(tx, workspace, name, hold=True)
    store.update_endpoint(
        tx, msgspec.structs.replace(found, state="deleted", status="deleted", updated_at=now_ms)
    )
    return found


class Predictions:
    """Endpoints, their prediction log and their labels.

    Delta tables stand in the object store at `predictions/<endpoint_id>` and `labels/<endpoint_id>`.
    """

    def __init__(self, storage: Storage, objects: Objects) -> None:
        self.storage = storage
        self.objects = objects

    def tables(self, endpoint_id: str) -> tuple[str, str]:
        """The addresses of an endpoint's two Delta tables: predictions, labels."""
        return self.objects.table("predictions", endpoint_id), self.objects.table("labels", endpoint_id)

    def get_endpoint(self, caller: Caller, name: str) -> Endpoint:
        """The active endpoint of this name. Raises NotFound."""
        require(caller, "serving:read")
        return self.storage.read(lambda tx: find_endpoint(tx, caller.workspace, name))

    def list_endpoints(self, caller: Caller, *, limit: int = 100, page_token: str = "") -> Items[Endpoint]:
        """The active endpoints by name."""
        require(caller, "serving:read")
        after = str(decode_token(page_token)) if page_token else ""
        found = self.storage.read(lambda tx: store.list_endpoints(tx, caller.workspace, after, limit + 1))
        more = len(found) > limit
        return Items(found[:limit], encode_token(found[limit - 1].name) if more else None)

    def search(self, caller: Caller, wanted: Wanted, limit: int) -> Found:
        """The best active endpoints for the words."""
        require(caller, "serving:read")
        found = self.storage.read(
            lambda tx: store.search_endpoints(tx, caller.workspace, wanted, limit * _CANDIDATES)
        )
        return Found(best((endpoint_hit(wanted, one) for one in found), limit))

    def set_monitor(self, caller: Caller, name: str, fields: MonitorFields) -> Endpoint:
        """Change what people may set; an unknown name becomes an external endpoint with clock `event`. Audited."""
        require(caller, "monitoring:write")
        check_endpoint_name(name)
        reference = self._store_reference(fields)
        made = external_endpoint(caller.workspace, name, new_id("e"), caller.time_ms)

        def fn(tx: Tx) -> Endpoint:
            before = store.find_endpoint(tx, caller.workspace, name, hold=True)
            check_reference_columns(before or made, fields)
            after = apply_fields(before or made, fields, reference, caller.time_ms)
            if before is None:
                store.insert_endpoint(tx, after)
            else:
                store.update_endpoint(tx, after)
            append(
                tx,
                caller,
                action="endpoint.monitor",
                object=f"endpoint:{name}",
                before=None if before is None else _settings(before),
                after=_settings(after),
            )
            return after

        return self.storage.write(fn)

    def _store_reference(self, fields: MonitorFields) -> Reference | None:
        if fields.reference is None:
            return None
        data, rows = encode_reference(fields.reference)
        return Reference("file", self.objects.put(data).sha256, rows)

    def accept_segment(self, caller: Caller, name: SegmentName, data: bytes) -> Segment:
        """Keep a log segment that a replica ships: durable, and known by name, before this returns. Idempotent.

        Raises InvalidInput when the bytes do not carry this name, NotFound for an unknown endpoint, Conflict when
        the name holds other bytes or a later segment of the same boot is in the table already.
        """
        require(caller, SERVING_PLANE)
        _check_segment_name(name, data)
        digest = sha256_hex(data)
        workspace = self.storage.read(lambda tx: store.workspace_of(tx, name.endpoint_id))
        if workspace is None:
            raise NotFound(f"There is no endpoint with the id {name.endpoint_id!r}.")
        found = self.storage.read(lambda tx: self._known_segment(tx, workspace, name, digest))
        if found is not None:
            return found
        blob = self.objects.put(data, lasting=False)
        segment = Segment(name, blob.sha256, blob.size, "pending", caller.time_ms)

        def fn(tx: Tx) -> Segment:
            lock(tx, "log", workspace, name.endpoint_id)
            known = self._known_segment(tx, workspace, name, digest)
            if known is None:
                store.insert_segment(tx, workspace, segment)
            return known or segment

        return self.storage.write(fn)

    @staticmethod
    def _known_segment(tx: Tx, workspace: str, name: SegmentName, digest: str) -> Segment | None:
        known = store.find_segment(tx, workspace, name)
        if known is not None and known.sha256 != digest:
            raise Conflict(f"The segment {name.app_id}/{name.seq} is here already with other bytes.")
        if known is None and store.last_compacted(tx, workspace, name) >= name.seq:
            raise Conflict(
                f"The segment {name.app_id}/{name.seq} comes after later ones of its boot are in the table."
            )
        return known

    def accept_feedback(self, caller: Caller, name: str, columns: dict[str, list[Any]]) -> FeedbackAnswer:
        """Keep a delivery of true labels: object, row and audit entry, durable before this returns.

        All rows are accepted or none. A corrected label is a later one: the one received last holds; a label
        without a prediction is kept and matched when the prediction arrives.
        """
        require(caller, "predictions:feedback")
        endpoint = self.storage.read(lambda tx: find_endpoint(tx, caller.workspace, name))
        rows = read_feedback(columns, LabelReader(endpoint.classes, endpoint.task))
        blob = self.objects.put(_encode(rows))
        batch_id, count = new_id("l"), len(rows.label)

        def fn(tx: Tx) -> FeedbackAnswer:
            lock(tx, "labels", caller.workspace, endpoint.endpoint_id)
            seq = store.next_batch(tx, caller.workspace, endpoint.endpoint_id)
            batch = LabelBatch(
                batch_id, endpoint.endpoint_id, seq, blob.sha256, count, caller.time_ms, "pending"
            )
            store.insert_batch(tx, caller.workspace, batch)
            append(
                tx,
                caller,
                action="endpoint.feedback",
                object=f"endpoint:{name}",
                digest=blob.sha256,
                after={"batch": batch_id, "rows": count},
            )
            return FeedbackAnswer(count, batch_id)

        return self.storage.write(fn)

    def log_status(self, caller: Caller, name: str) -> LogStatus:
        """How much an endpoint has logged and labelled, and what waits for compaction."""
        require(caller, "predictions:read")

        def fn(tx: Tx) -> LogStatus:
            return store.log_status(
                tx, caller.workspace, find_endpoint(tx, caller.workspace, name).endpoint_id
            )

        return self.storage.read(fn)

    def active_endpoints(self, workspace: str) -> list[Endpoint]:
        """Every active endpoint of a workspace, for background work."""
        return self.storage.read(lambda tx: store.list_endpoints(tx, workspace))

    def pending_endpoints(self) -> list[tuple[str, str]]:
        """(workspace, endpoint id) of the endpoints that wait for `compact.compact_endpoint`."""
        return self.storage.read(store.pending_endpoints)

    @staticmethod
    def endpoint_ids(tx: Tx) -> set[str]:
        """The endpoints of all workspaces, deleted ones too: those that may have tables."""
        return store.all_endpoint_ids(tx)

    def backlog(self) -> Backlog:
        """What waits for compaction at all endpoints, for the operator."""
        return self.storage.read(store.backlog)

    def changes_since(
        self, workspace: str, endpoint_id: str, cursor: int
    ) -> tuple[int, list[tuple[int, int]]]:
        """(the new cursor, the runs of event days that changed after `cursor`); days are UTC starts in ms, included.

        Begin with 0. Reading days after this call sees at least the changes that it gave.
        """
        changes = self.storage.read(lambda tx: store.list_changes(tx, workspace, endpoint_id, cursor))
        return (changes[-1].change_id if changes else cursor), [(c.first_day, c.last_day) for c in changes]

    def read_days(self, endpoint_id: str, first_day: int, last_day: int) -> polars.DataFrame:
        """The counted predictions of these event days with their labels: see `read.read_days`. In children only."""
        from holdfast.predictions.read import read_days  # Polars and Delta: 120 MB

        return read_days(*self.tables(endpoint_id), first_day, last_day)


def _settings(endpoint: Endpoint) -> dict[str, Any]:
    names = ("clock", "window", "task", "target", "positive", "kind")
    fields = {name: getattr(endpoint, name) for name in names}
    return {**fields, "reference": {"source": endpoint.reference.source, "sha256": endpoint.reference.sha256}}


def _check_segment_name(name: SegmentName, data: bytes) -> None:
    for part, text in (("replica", name.replica), ("boot", name.boot), ("endpoint id", name.endpoint_id)):
        if _PART.fullmatch(text) is None:
            raise InvalidInput(f"{text[:80]!r} is not a {part} of a segment.")
    try:
        header = scan_header(data)
    except IntegrityError as error:  # what was sent is no segment; nothing stored is damaged
        raise InvalidInput(error.message) from None
    said = SegmentName(header.endpoint_id, header.replica, header.boot, header.seq)
    if said != name or header.format != 1 or name.seq < 1:
        raise InvalidInput(
            f"The segment says that it is {said.app_id}/{said.seq}, not {name.app_id}/{name.seq}."
        )
