"""What tracking does: every rule of runs and their artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from holdfast.audit import service as audit
from holdfast.chunks import TreeFile, check_path, read_bundle
from holdfast.identity.service import require
from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.kernel.matching import Found, Wanted
from holdfast.kernel.paging import Items, decode_number, encode_token
from holdfast.kernel.principal import Caller
from holdfast.kernel.times import parse_time
from holdfast.storage import Objects, Storage, Tx, lock, trees
from holdfast.tracking.batches import check_batch, check_links, summarise
from holdfast.tracking.experiments import (
    DEFAULT_EXPERIMENT,
    DEFAULT_NUMBER,
    find_experiment,
    number_of,
    number_of_id,
)
from holdfast.tracking.names import check_name, invent_name
from holdfast.tracking.points import (
    Points,
    decode_points,
    encode_points,
    history_of,
    known_points,
    points_of,
)
from holdfast.tracking.query import Filter, Order
from holdfast.tracking.records import (
    Batch,
    MetricHistory,
    MetricPoint,
    ModelMetric,
    Recipe,
    Run,
    RunLinks,
    RunStatus,
    UploadedBundle,
)
from holdfast.tracking.seal import RUN_TREE, seal_of
from holdfast.tracking.search import search_tracking
from holdfast.tracking.store import find
from holdfast.tracking.store import inputs as input_store
from holdfast.tracking.store import metrics as metric_store
from holdfast.tracking.store import models as model_store
from holdfast.tracking.store import runs as run_store

__all__ = ["ARTIFACT_LIMIT", "RUN_TREE", "Tracking"]

ARTIFACT_LIMIT = 5 * 1024**3
_NAME_LIMIT, _USER_LIMIT = 250, 200
_GOING = ("running", "scheduled")
_INT64 = 2**63


class Tracking:
    """Runs over the metadata database and the object store."""

    def __init__(self, storage: Storage, objects: Objects) -> None:
        self._storage = storage
        self._objects = objects

    def search(self, caller: Caller, wanted: Wanted, limit: int) -> Found:
        """The best experiments and runs for the words, so many of each; bounded in time: see `tracking.search`."""
        require(caller, "tracking:read")
        return self._storage.read(lambda tx: search_tracking(tx, caller.workspace, wanted, limit))

    # Runs

    def create_run(
        self,
        caller: Caller,
        *,
        experiment: str = DEFAULT_EXPERIMENT,
        experiment_id: int | None = None,
        name: str = "",
        recipe: Recipe | None = None,
        user: str = "",
        start_time: int | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Run:
        """A new running run; the experiment is made when its name is new, and must exist when its id is given.

        `start_time` (ms UTC) is the present by default. Raises Conflict for a deleted experiment.
        """
        require(caller, "tracking:write")
        if experiment_id is None:
            experiment = DEFAULT_EXPERIMENT if experiment == DEFAULT_NUMBER else experiment
            check_name("experiment", experiment, 500)
        if name:
            check_name("run", name, _NAME_LIMIT)
        if user:
            check_name("user", user, _USER_LIMIT)
        if start_time is not None:
            parse_time(start_time, "start_time")
        batch = Batch(tags=dict(tags or {}))
        check_batch(batch)
        run_id, name = new_id(), name or invent_name()

        def fn(tx: Tx) -> Run:
            number = (
                number_of(tx, caller, experiment)
                if experiment_id is None
                else number_of_id(tx, caller, experiment_id)
            )
            run = Run(
                run_id=run_id,
                experiment_id=number,
                name=name,
                status="running",
                start_time=caller.time_ms if start_time is None else start_time,
                end_time=None,
                user=user or caller.principal.name,
                params={},
                tags=batch.tags,
                metrics={},
                recipe=recipe,
                exit_code=None,
                digest=None,
            )
            run_no = run_store.insert_run(tx, caller.workspace, run)
            if batch.tags:
                run_store.upsert_values(tx, caller.workspace, run_no, "tags", batch.tags)
            return run

        return self._storage.write(fn)

    def get_run(self, caller: Caller, run_id: str) -> Run:
        """One run with params, tags and metric summaries. Raises NotFound."""
        require(caller, "tracking:read")
        return self._storage.read(lambda tx: _find_run(tx, caller, run_id))

    def list_runs(
        self, caller: Caller, *, experiment: str | int | None = None, limit: int = 100, page_token: str = ""
    ) -> Items[Run]:
        """Runs, the newest first, of one experiment when it is named."""
        require(caller, "tracking:read")
        below = decode_number(page_token) if page_token else None

        def fn(tx: Tx) -> list[tuple[int, Run]]:
            experiment_id = (
                None if experiment is None else find_experiment(tx, caller, experiment).experiment_id
            )
            return run_store.list_runs(tx, caller.workspace, experiment_id, below, limit + 1)

        found = self._storage.read(fn)
        more = len(found) > limit
        return Items([run for _, run in found[:limit]], encode_token(found[limit - 1][0]) if more else None)

    def find_runs(
        self,
        caller: Caller,
        experiments: Sequence[int],
        where: Filter,
        order: Sequence[Order],
        *,
        deleted: bool | None = False,
        offset: int = 0,
        limit: int = 100,
    ) -> list[Run]:
        """Runs of some experiments that match every clause, in the order asked for, then the newest start first.

        deleted: only deleted ones, only others, or (None) both.
        """
        require(caller, "tracking:read")
        return self._storage.read(
            lambda tx: find.find_runs(tx, caller.workspace, experiments, where, order, deleted, offset, limit)
        )

    def log_batch(
        self,
        caller: Caller,
        run_id: str,
        batch: Batch,
        body_sha256: str,
        *,
        of_models: Mapping[str, Sequence[ModelMetric]] | None = None,
    ) -> None:
        """Write metrics, params and tags of a run, all or nothing; `of_models`: metrics of logged models beside it.

        A body with metrics that was accepted for this run before (same SHA-256) changes nothing, so retries are
        safe. Params are written once: another value for a key raises InvalidInput, the same value again is fine.
        """
        require(caller, "tracking:write")
        check_batch(batch)
        if of_models:
            batch = msgspec.structs.replace(batch, metrics=self._new_points(caller, run_id, batch.metrics))
        columns, blob = encode_points(batch.metrics, caller.time_ms)
        news = summarise(columns)

        def fn(tx: Tx) -> None:
            run_no = _hold_run(tx, caller, run_id)
            if batch.metrics and metric_store.has_batch(tx, caller.workspace, run_no, body_sha256):
                return
            for model_id, measured in (of_models or {}).items():
                model_store.add_metrics(tx, caller.workspace, _model_number(tx, caller, model_id), measured)
            params = _new_params(tx, caller, run_id, run_no, batch.params)
            tags = _new_tags(tx, caller, run_no, batch.tags)
            if not (batch.metrics or params or tags):
                return
            _unseal(tx, caller, run_id, run_no)
            for kind, values in (("params", params), ("tags", tags)):
                if values:
                    run_store.upsert_values(tx, caller.workspace, run_no, kind, values)
            if batch.metrics:
                metric_store.insert_batch(
                    tx, caller.workspace, run_no, body_sha256, caller.time_ms, len(batch.metrics), blob
                )
                ids = run_store.key_ids(tx, caller.workspace, columns.keys)
                metric_store.merge_summaries(tx, caller.workspace, run_no, ids, news)

        self._storage.write(fn)

    def _new_points(self, caller: Caller, run_id: str, points: Sequence[MetricPoint]) -> list[MetricPoint]:
        """The points that the run has not yet: clients log a metric again when they learn what model it is of."""

        def fn(tx: Tx) -> list[bytes]:
            run_no = run_store.run_number(tx, caller.workspace, run_id)
            return [] if run_no is None else metric_store.load_batches(tx, caller.workspace, run_no)

        batches = [decode_points(blob) for blob in self._storage.read(fn)]
        known = {key: known_points(key, batches) for key in {point.key for point in points}}
        return [one for one in points if (one.step, one.time, repr(float(one.value))) not in known[one.key]]

    def finish_run(
        self,
        caller: Caller,
        run_id: str,
        status: RunStatus,
        *,
        end_time: int | None = None,
        exit_code: int | None = None,
    ) -> Run:
        """End a run and seal the digests of its params, metrics and artifacts in one audit leaf.

        Finishing again with nothing changed since gives the same run; a write after the end unseals it, and the
        next finish seals anew. `end_time` (ms UTC) is the present by default.
        """
        if status in _GOING:
            raise InvalidInput(
                f"A run can't be finished with the status {status!r}.", hint="Use finished, failed or killed."
            )
        return self.update_run(caller, run_id, status=status, end_time=end_time, exit_code=exit_code)

    def update_run(
        self,
        caller: Caller,
        run_id: str,
        *,
        name: str | None = None,
        status: RunStatus | None = None,
        end_time: int | None = None,
        exit_code: int | None = None,
    ) -> Run:
        """Rename a run and set its status; a status of the end seals it as `finish_run` does, another opens it."""
        require(caller, "tracking:write")
        if name is not None:
            check_name("run", name, _NAME_LIMIT)
        if end_time is not None:
            parse_time(end_time, "end_time")
        if exit_code is not None and not -(2**31) <= exit_code < 2**31:
            raise InvalidInput(f"The exit code {exit_code} is beyond 32 bits.")

        def fn(tx: Tx) -> Run:
            run_no = _hold_run(tx, caller, run_id)
            run = _find_run(tx, caller, run_id)
            values: dict[str, Any] = {}
            if name is not None and name != run.name:
                values["name"] = name
            if status in _GOING:
                if status != run.status:
                    _unseal(tx, caller, run_id, run_no)
                    values |= {"status": status, "digest": None, "end_time": end_time}
            elif status is not None:
                values |= _sealed_values(tx, caller, run, run_no, status, end_time, exit_code)
            elif end_time is not None:
                values["end_time"] = end_time
            if not values:
                return run
            run_store.update_run(tx, caller.workspace, run_no, values)
            return msgspec.structs.replace(run, **values)

        return self._storage.write(fn)

    def delete_run(self, caller: Caller, run_id: str) -> None:
        """Delete a run; it can be restored. Deleting it again changes nothing. Audited. Raises NotFound."""
        self._mark(caller, run_id, "run.delete", is_deleted=True)

    def restore_run(self, caller: Caller, run_id: str) -> None:
        """Take a deleted run back; one that is not deleted stays as it is. Audited. Raises NotFound."""
        self._mark(caller, run_id, "run.restore", is_deleted=False)

    def _mark(self, caller: Caller, run_id: str, action: str, *, is_deleted: bool) -> None:
        require(caller, "tracking:write")

        def fn(tx: Tx) -> None:
            run_no = _hold_run(tx, caller, run_id, even_deleted=True)
            _, was_deleted = run_store.state_of(tx, caller.workspace, run_no)
            if was_deleted == is_deleted:
                return
            values = {"deleted_at": caller.time_ms if is_deleted else None}
            run_store.update_run(tx, caller.workspace, run_no, values)
            audit.append(tx, caller, action=action, object=f"run:{run_id}")

        self._storage.write(fn)

    def delete_tag(self, caller: Caller, run_id: str, key: str) -> None:
        """Take a tag off a run. Raises NotFound when it has none of the key."""
        require(caller, "tracking:write")

        def fn(tx: Tx) -> None:
            run_no = _hold_run(tx, caller, run_id)
            _unseal(tx, caller, run_id, run_no)
            if not run_store.remove_tag(tx, caller.workspace, run_no, key):
                raise NotFound(f"The run {run_id} has no tag {key[:250]!r}.")

        self._storage.write(fn)

    def add_links(self, caller: Caller, run_id: str, links: RunLinks) -> None:
        """Note what a run used and put out; noting it again changes nothing. Raises NotFound for an unknown model."""
        require(caller, "tracking:write")
        check_links(links)

        def fn(tx: Tx) -> None:
            run_no = _hold_run(tx, caller, run_id)
            experiment_id = _find_run(tx, caller, run_id).experiment_id
            for link in (*links.models_in, *links.models_out):
                _model_number(tx, caller, link.model_id)
            input_store.put_datasets(tx, caller.workspace, experiment_id, run_no, links.datasets)
            input_store.put_links(tx, caller.workspace, run_no, "in", links.models_in)
            input_store.put_links(tx, caller.workspace, run_no, "out", links.models_out)

        self._storage.write(fn)

    def update_recipe(self, caller: Caller, run_id: str, recipe: Recipe) -> None:
        """Set the recipe of a running run."""
        require(caller, "tracking:write")

        def fn(tx: Tx) -> None:
            run_no = _hold_run(tx, caller, run_id)
            _unseal(tx, caller, run_id, run_no)
            run_store.update_run(
                tx, caller.workspace, run_no, {"recipe": msgspec.json.encode(recipe).decode()}
            )

        self._storage.write(fn)

    def get_points(self, caller: Caller, run_id: str, key: str) -> Points | None:
        """Every point of a metric in order of (time, step, value), exact duplicates dropped; None when there is no
        such run or metric.
        """
        require(caller, "tracking:read")

        def fn(tx: Tx) -> list[bytes]:
            run_no = run_store.run_number(tx, caller.workspace, run_id)
            return [] if run_no is None else metric_store.load_batches(tx, caller.workspace, run_no)

        return points_of(key, [decode_points(blob) for blob in self._storage.read(fn)])

    def get_history(
        self,
        caller: Caller,
        run_id: str,
        key: str,
        *,
        points: int = 1000,
        from_step: int = -_INT64,
        to_step: int = _INT64 - 1,
    ) -> MetricHistory:
        """A metric's points, at most `points`, of the steps `from_step` to `to_step` (inclusive).

        Raises NotFound for an unknown run or metric.
        """
        require(caller, "tracking:read")
        if not 2 <= points <= 100_000:
            raise InvalidInput(f"points={points} is not from 2 to 100000.")

        def fn(tx: Tx) -> list[bytes]:
            return metric_store.load_batches(tx, caller.workspace, _run_number(tx, caller, run_id))

        batches = [decode_points(blob) for blob in self._storage.read(fn)]
        history = history_of(key, batches, points, from_step, to_step)
        if history is None:
            raise NotFound(f"The run {run_id} has no metric {key[:250]!r}.")
        return history

    # Artifacts

    def put_artifact(self, caller: Caller, run_id: str, path: str, blocks: Iterator[bytes]) -> TreeFile:
        """Store an artifact; durable before the answer. The same path again replaces it; the same bytes again
        change nothing."""
        require(caller, "tracking:write")
        check_path(path)
        self.get_run(caller, run_id)
        blob = self._objects.put_stream(blocks, ARTIFACT_LIMIT)

        file = TreeFile(path, blob.sha256, blob.size)

        def fn(tx: Tx) -> TreeFile:
            run_no = _hold_run(tx, caller, run_id)
            if trees.holds_file(tx, caller.workspace, RUN_TREE, run_id, file):
                return file
            _unseal(tx, caller, run_id, run_no)
            return trees.put_file(tx, caller.workspace, RUN_TREE, run_id, path, blob.sha256, blob.size)

        return self._storage.write(fn)

    def put_artifacts(self, caller: Caller, run_id: str, blocks: Iterable[bytes]) -> UploadedBundle:
        """Store the files of a bundle as artifacts, all or none; durable before the answer. As `put_artifact` for each.

        Raises InvalidInput for what is no bundle and for a path that no tree may hold.
        """
        require(caller, "tracking:write")
        self.get_run(caller, run_id)
        paths: list[str] = []

        def contents() -> Iterator[bytes | memoryview]:
            for path, data in read_bundle(blocks):
                paths.append(path)
                yield data

        blobs = self._objects.put_batch(contents())
        given = [TreeFile(path, b.sha256, b.size) for path, b in zip(paths, blobs, strict=True)]

        def fn(tx: Tx) -> UploadedBundle:
            run_no = _hold_run(tx, caller, run_id)
            if trees.put_files(tx, caller.workspace, RUN_TREE, run_id, given):
                _unseal(tx, caller, run_id, run_no)
            return UploadedBundle(len(given), sum(file.size for file in given))

        return self._storage.write(fn)

    def list_artifacts(self, caller: Caller, run_id: str) -> Items[TreeFile]:
        """A run's artifacts by path."""
        require(caller, "tracking:read")
        self.get_run(caller, run_id)
        return Items(self._storage.read(lambda tx: trees.list_files(tx, caller.workspace, RUN_TREE, run_id)))

    def find_artifact(self, caller: Caller, run_id: str, path: str) -> TreeFile:
        """One artifact's digest and size. Raises NotFound."""
        require(caller, "tracking:read")
        self.get_run(caller, run_id)
        return self._storage.read(lambda tx: trees.find_file(tx, caller.workspace, RUN_TREE, run_id, path))

    def delete_artifact(self, caller: Caller, run_id: str, path: str) -> None:
        """Take an artifact out of a run. Raises NotFound."""
        require(caller, "tracking:write")
        check_path(path)

        def fn(tx: Tx) -> None:
            _unseal(tx, caller, run_id, _hold_run(tx, caller, run_id))
            trees.remove_file(tx, caller.workspace, RUN_TREE, run_id, path)

        self._storage.write(fn)

    def delete_artifacts(self, caller: Caller, run_id: str, path: str) -> None:
        """Take an artifact, or everything below a folder, out of a run. Raises NotFound."""
        require(caller, "tracking:write")
        check_path(path)

        def fn(tx: Tx) -> None:
            _unseal(tx, caller, run_id, _hold_run(tx, caller, run_id))
            trees.remove_below(tx, caller.workspace, RUN_TREE, run_id, path)

        self._storage.write(fn)


def _find_run(tx: Tx, caller: Caller, run_id: str) -> Run:
    run = run_store.find_run(tx, caller.workspace, run_id)
    if run is None:
        raise _no_run(run_id)
    return run


def _no_run(run_id: str) -> NotFound:
    return NotFound(
        f"There is no run {run_id[:80]!r}.",
        hint="List runs with: holdfast runs list",
        details={"run": run_id[:80]},
    )


def _run_number(tx: Tx, caller: Caller, run_id: str) -> int:
    run_no = run_store.run_number(tx, caller.workspace, run_id)
    if run_no is None:
        raise _no_run(run_id)
    return run_no


def _hold_run(tx: Tx, caller: Caller, run_id: str, *, even_deleted: bool = False) -> int:
    """The run's number, with its lock: nobody else changes the run until the transaction ends."""
    lock(tx, "run", caller.workspace, run_id)
    run_no = _run_number(tx, caller, run_id)
    if not even_deleted and run_store.state_of(tx, caller.workspace, run_no)[1]:
        raise InvalidInput(
            f"The run {run_id} must be in the 'active' state, and it is deleted.", hint="Restore it first."
        )
    return run_no


def _model_number(tx: Tx, caller: Caller, model_id: str) -> int:
    number = model_store.model_number(tx, caller.workspace, model_id)
    if number is None:
        raise NotFound(f"There is no logged model {model_id[:80]!r}.")
    return number


def _unseal(tx: Tx, caller: Caller, run_id: str, run_no: int) -> None:
    """Before a change: a sealed run is open again."""
    if run_store.state_of(tx, caller.workspace, run_no)[0]:
        run_store.update_run(tx, caller.workspace, run_no, {"digest": None})
        audit.append(tx, caller, action="run.reopen", object=f"run:{run_id}")


def _sealed_values(
    tx: Tx,
    caller: Caller,
    run: Run,
    run_no: int,
    status: RunStatus,
    end_time: int | None,
    exit_code: int | None,
) -> dict[str, Any]:
    """The columns of a run that ends, sealed by an audit leaf; none when nothing has changed since it was."""
    same = status == run.status and end_time in (None, run.end_time) and exit_code in (None, run.exit_code)
    if run.digest is not None and same:
        return {}
    ended = run.end_time if run.digest is not None else caller.time_ms
    seal = seal_of(tx, caller.workspace, run_no, msgspec.structs.replace(run, status=status))
    audit.append(
        tx, caller, action="run.finish", object=f"run:{run.run_id}", digest=seal.digest, after=seal.parts
    )
    return {
        "status": status,
        "end_time": ended if end_time is None else end_time,
        "exit_code": exit_code if exit_code is not None else run.exit_code,
        "digest": seal.digest,
    }


def _new_params(
    tx: Tx, caller: Caller, run_id: str, run_no: int, params: Mapping[str, str]
) -> dict[str, str]:
    """The params that the run has not yet. Raises InvalidInput when one has another value."""
    existing = run_store.load_values(tx, caller.workspace, run_no, "params") if params else {}
    for key, value in params.items():
        if existing.get(key, value) != value:
            raise InvalidInput(
                f"The param {key!r} of the run {run_id} is {existing[key][:80]!r} already and can't become {value[:80]!r}.",
                hint="Params are written once; log a metric or a tag, or start another run.",
                details={"param": key, "value": existing[key], "asked": value},
            )
    return {key: value for key, value in params.items() if key not in existing}


def _new_tags(tx: Tx, caller: Caller, run_no: int, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that the run has not yet, or with another value."""
    existing = run_store.load_values(tx, caller.workspace, run_no, "tags") if tags else {}
    return {key: value for key, value in tags.items() if existing.get(key) != value}
