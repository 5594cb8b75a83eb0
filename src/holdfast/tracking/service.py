"""What tracking does: every rule of runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from holdfast.audit import service as audit
from holdfast.identity.service import require
from holdfast.kernel.errors import Conflict, InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.kernel.matching import Found, Wanted
from holdfast.kernel.paging import Items, decode_number, encode_token
from holdfast.kernel.principal import Caller
from holdfast.kernel.times import parse_time
from holdfast.storage import Objects, Storage, Tx, lock
from holdfast.tracking.artifacts import RunArtifacts
from holdfast.tracking.batches import check_batch, check_links
from holdfast.tracking.columns import RunColumn
from holdfast.tracking.experiments import (
    DEFAULT_EXPERIMENT,
    DEFAULT_NUMBER,
    find_experiment,
    number_of,
    number_of_id,
)
from holdfast.tracking.grouping import Gathered, check_keys
from holdfast.tracking.held import find_run, hold_run, model_number, unseal
from holdfast.tracking.index import RunIndexes
from holdfast.tracking.metrics import Metrics
from holdfast.tracking.names import check_given_id, check_name, invent_name
from holdfast.tracking.query import Filter, Order
from holdfast.tracking.records import (
    Batch,
    Recipe,
    Run,
    RunColumns,
    RunLinks,
    RunStatus,
)
from holdfast.tracking.seal import RUN_TREE, sealed_values
from holdfast.tracking.search import search_tracking
from holdfast.tracking.store import attributes
from holdfast.tracking.store import inputs as input_store
from holdfast.tracking.store import runs as run_store

__all__ = ["RUN_TREE", "Tracking"]

_NAME_LIMIT, _USER_LIMIT = 250, 200
_AT_ONCE, _ALL = 500, 2**31
_GOING = ("running", "scheduled")


class Tracking:
    """Runs over the metadata database and the object store, with their metrics and artifacts."""

    def __init__(self, storage: Storage, objects: Objects) -> None:
        self._storage = storage
        self.metrics = Metrics(storage)
        self.artifacts = RunArtifacts(storage, objects)
        self._indexes = RunIndexes()

    def search(self, caller: Caller, wanted: Wanted, limit: int) -> Found:
        """The best experiments and runs for the words, so many of each; bounded in time: see `tracking.search`."""
        require(caller, "tracking:read")
        return self._storage.read(lambda tx: search_tracking(tx, caller.workspace, wanted, limit))

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
        run_id: str | None = None,
    ) -> Run:
        """A new running run; the experiment is made when its name is new, and must exist when its id is given.

        `start_time` (ms UTC) is the present by default. `run_id`: 32 hex digits that the client chose, so that it can
        name the run before it is here; asked again, it gives the run that is there. Raises Conflict for a deleted
        experiment or run.
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
        if run_id is not None:
            check_given_id("run", run_id)
        new, name = run_id or new_id(), name or invent_name()

        def fn(tx: Tx) -> Run:
            if run_id is not None and (there := _given_run(tx, caller, run_id)):
                return there
            number = (
                number_of(tx, caller, experiment)
                if experiment_id is None
                else number_of_id(tx, caller, experiment_id)
            )
            run = Run(
                run_id=new,
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
                attributes.upsert_values(tx, caller.workspace, run_no, "tags", batch.tags)
            return run

        return self._storage.write(fn)

    def get_run(self, caller: Caller, run_id: str) -> Run:
        """One run with params, tags and metric summaries. Raises NotFound."""
        require(caller, "tracking:read")
        return self._storage.read(lambda tx: find_run(tx, caller, run_id))

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
        return self._find(caller, experiments, where, order, deleted, offset, limit)[0]

    def iterate_runs(
        self,
        caller: Caller,
        experiments: Sequence[int],
        where: Filter,
        order: Sequence[Order],
        *,
        deleted: bool | None = False,
    ) -> Iterator[Run]:
        """All that `find_runs` would give, of which those that were purged meanwhile are left out.

        Which runs, and their order, are those of one moment; what is read of each is as it is then.
        """
        require(caller, "tracking:read")
        workspace = caller.workspace
        index = self._indexes.of(workspace)
        self.metrics.settle(workspace)
        with index.lock:
            numbers, _ = self._storage.read(
                lambda tx: index.find(tx, experiments, where, order, deleted, 0, _ALL)
            )
        for at in range(0, len(numbers), _AT_ONCE):
            part = numbers[at : at + _AT_ONCE]
            yield from self._storage.read(lambda tx, part=part: run_store.load_runs(tx, workspace, part))  # type: ignore[misc]

    def count_runs(
        self, caller: Caller, experiments: Sequence[int], where: Filter, *, deleted: bool | None = False
    ) -> int:
        """How many runs `find_runs` would give without a limit."""
        require(caller, "tracking:read")
        return self._find(caller, experiments, where, [], deleted, 0, 0)[1]

    def _find(
        self,
        caller: Caller,
        experiments: Sequence[int],
        where: Filter,
        order: Sequence[Order],
        deleted: bool | None,
        offset: int,
        limit: int,
    ) -> tuple[list[Run], int]:
        """One page, and how many there are."""
        workspace = caller.workspace
        index = self._indexes.of(workspace)
        self.metrics.settle(workspace)

        def fn(tx: Tx) -> tuple[list[Run], int]:
            numbers, total = index.find(tx, experiments, where, order, deleted, offset, limit)
            found = run_store.load_runs(tx, workspace, numbers)
            if len(found) < len(numbers):  # some were purged
                index.forget()
                numbers, total = index.find(tx, experiments, where, order, deleted, offset, limit)
                found = run_store.load_runs(tx, workspace, numbers)
            return found, total

        # Held from before the transaction begins: no search may see an older state than the one before it.
        with index.lock:
            return self._storage.read(fn)

    def group_runs(
        self,
        caller: Caller,
        experiments: Sequence[int],
        where: Filter,
        by: Sequence[RunColumn],
        columns: Sequence[RunColumn],
        *,
        deleted: bool | None = False,
    ) -> Gathered:
        """The runs that `find_runs` would give in groups that share the values `by`, with the figures of metrics.

        Raises InvalidInput for what runs can't be grouped by, for a column that is no metric, and for too many groups.
        """
        require(caller, "tracking:read")
        check_keys(by, columns)
        index = self._indexes.of(caller.workspace)
        self.metrics.settle(caller.workspace)
        with index.lock:
            return self._storage.read(lambda tx: index.group(tx, experiments, where, by, columns, deleted))

    def list_columns(self, caller: Caller, experiments: Sequence[int]) -> RunColumns:
        """The names of the metrics, params and tags that runs of some experiments have or had, by name."""
        require(caller, "tracking:read")
        self.metrics.settle(caller.workspace)
        return self._storage.read(lambda tx: attributes.list_columns(tx, caller.workspace, experiments))

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
            state = hold_run(tx, caller, run_id)
            run = find_run(tx, caller, run_id)
            values: dict[str, Any] = {}
            if name is not None and name != run.name:
                values["name"] = name
            if status in _GOING:
                if status != run.status:
                    unseal(tx, caller, run_id, state)
                    values |= {"status": status, "digest": None, "end_time": end_time}
            elif status is not None:
                values |= sealed_values(tx, caller, run, state.run_no, status, end_time, exit_code)
            elif end_time is not None:
                values["end_time"] = end_time
            if not values:
                return run
            run_store.update_run(tx, caller.workspace, state.run_no, values)
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
            state = hold_run(tx, caller, run_id, even_deleted=True)
            if state.is_deleted == is_deleted:
                return
            values = {"deleted_at": caller.time_ms if is_deleted else None}
            run_store.update_run(tx, caller.workspace, state.run_no, values)
            audit.append(tx, caller, action=action, object=f"run:{run_id}")

        self._storage.write(fn)

    def delete_tag(self, caller: Caller, run_id: str, key: str) -> None:
        """Take a tag off a run. Raises NotFound when it has none of the key."""
        require(caller, "tracking:write")

        def fn(tx: Tx) -> None:
            state = hold_run(tx, caller, run_id)
            unseal(tx, caller, run_id, state)
            if not attributes.remove_tag(tx, caller.workspace, state.run_no, key):
                raise NotFound(f"The run {run_id} has no tag {key[:250]!r}.")

        self._storage.write(fn)

    def add_links(self, caller: Caller, run_id: str, links: RunLinks) -> None:
        """Note what a run used and put out; noting it again changes nothing. Raises NotFound for an unknown model."""
        require(caller, "tracking:write")
        check_links(links)

        def fn(tx: Tx) -> None:
            state = hold_run(tx, caller, run_id)
            experiment_id = find_run(tx, caller, run_id).experiment_id
            for link in (*links.models_in, *links.models_out):
                model_number(tx, caller, link.model_id)
            input_store.put_datasets(tx, caller.workspace, experiment_id, state.run_no, links.datasets)
            input_store.put_links(tx, caller.workspace, state.run_no, "in", links.models_in)
            input_store.put_links(tx, caller.workspace, state.run_no, "out", links.models_out)

        self._storage.write(fn)

    def update_recipe(self, caller: Caller, run_id: str, recipe: Recipe) -> None:
        """Set the recipe of a running run."""
        require(caller, "tracking:write")

        def fn(tx: Tx) -> None:
            state = hold_run(tx, caller, run_id)
            unseal(tx, caller, run_id, state)
            run_store.update_run(
                tx, caller.workspace, state.run_no, {"recipe": msgspec.json.encode(recipe).decode()}
            )

        self._storage.write(fn)


def _given_run(tx: Tx, caller: Caller, run_id: str) -> Run | None:
    """The run of an id that the client chose, when it is there already. Raises Conflict for a deleted one."""
    lock(tx, "run", caller.workspace, run_id)
    state = run_store.state_of(tx, caller.workspace, run_id)
    if state is not None and state.is_deleted:
        raise Conflict(f"The run {run_id} is deleted.", hint="Restore it, or start another.")
    return None if state is None else find_run(tx, caller, run_id)
