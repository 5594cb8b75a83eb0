"""What tracking does: every rule of experiments, runs and their artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from holdfast.audit import service as audit
from holdfast.chunks import TreeFile, check_path, read_bundle
from holdfast.identity.service import require
from holdfast.kernel.errors import Conflict, InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.kernel.matching import Found, Wanted
from holdfast.kernel.paging import Items, decode_number, encode_token
from holdfast.kernel.principal import Caller
from holdfast.kernel.times import parse_time
from holdfast.storage import Objects, Storage, Tx, lock, trees
from holdfast.tracking.batches import check_batch, summarise
from holdfast.tracking.names import invent_name
from holdfast.tracking.points import decode_points, encode_points, history_of
from holdfast.tracking.records import (
    Batch,
    Experiment,
    MetricHistory,
    Recipe,
    Run,
    RunStatus,
    UploadedBundle,
)
from holdfast.tracking.seal import RUN_TREE, seal_of
from holdfast.tracking.search import search_tracking
from holdfast.tracking.store import metrics as metric_store
from holdfast.tracking.store import runs as run_store

__all__ = ["ARTIFACT_LIMIT", "DEFAULT_EXPERIMENT", "RUN_TREE", "Tracking"]

DEFAULT_EXPERIMENT = "Default"
DEFAULT_NUMBER = "0"
"""What MLflow's clients call the default experiment of their workspace; the numbers of others are the deployment's."""
ARTIFACT_LIMIT = 5 * 1024**3
_NAME_LIMIT, _USER_LIMIT = 250, 200
_INT64 = 2**63


class Tracking:
    """Experiments and runs over the metadata database and the object store."""

    def __init__(self, storage: Storage, objects: Objects) -> None:
        self._storage = storage
        self._objects = objects

    # Experiments

    def create_experiment(self, caller: Caller, name: str) -> Experiment:
        """A new experiment. Raises Conflict when the name is taken."""
        require(caller, "tracking:write")
        _check_name("experiment", name, 500)

        def fn(tx: Tx) -> Experiment:
            if run_store.experiment_number(tx, caller.workspace, name) is not None:
                raise Conflict(
                    f"There is an experiment {name!r} already.",
                    hint="Log your runs to it, or choose another name.",
                )
            return _insert_experiment(tx, caller, name)

        return self._storage.write(fn)

    def list_experiments(self, caller: Caller) -> Items[Experiment]:
        """All experiments, the newest first."""
        require(caller, "tracking:read")
        return Items(self._storage.read(lambda tx: run_store.list_experiments(tx, caller.workspace)))

    def get_experiment(self, caller: Caller, experiment: str | int) -> Experiment:
        """One experiment by id (int, or a text of digits) or by name. Raises NotFound."""
        require(caller, "tracking:read")
        return self._storage.read(lambda tx: _find_experiment(tx, caller, experiment))

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
        name: str = "",
        recipe: Recipe | None = None,
        user: str = "",
    ) -> Run:
        """A new running run; the experiment is made when its name is new."""
        require(caller, "tracking:write")
        experiment = DEFAULT_EXPERIMENT if experiment == DEFAULT_NUMBER else experiment
        _check_name("experiment", experiment, 500)
        if name:
            _check_name("run", name, _NAME_LIMIT)
        if user:
            _check_name("user", user, _USER_LIMIT)
        run_id, name = new_id(), name or invent_name()

        def fn(tx: Tx) -> Run:
            number = run_store.experiment_number(tx, caller.workspace, experiment)
            if number is None:
                number = _insert_experiment(tx, caller, experiment).experiment_id
            run = Run(
                run_id=run_id,
                experiment_id=number,
                name=name,
                status="running",
                start_time=caller.time_ms,
                end_time=None,
                user=user or caller.principal.name,
                params={},
                tags={},
                metrics={},
                recipe=recipe,
                exit_code=None,
                digest=None,
            )
            run_store.insert_run(tx, caller.workspace, run)
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
                None if experiment is None else _find_experiment(tx, caller, experiment).experiment_id
            )
            return run_store.list_runs(tx, caller.workspace, experiment_id, below, limit + 1)

        found = self._storage.read(fn)
        more = len(found) > limit
        return Items([run for _, run in found[:limit]], encode_token(found[limit - 1][0]) if more else None)

    def log_batch(self, caller: Caller, run_id: str, batch: Batch, body_sha256: str) -> None:
        """Write metrics, params and tags of a run, all or nothing.

        A body with metrics that was accepted for this run before (same SHA-256) changes nothing, so retries are
        safe. Params are written once: another value for a key raises InvalidInput, the same value again is fine.
        """
        require(caller, "tracking:write")
        check_batch(batch)
        columns, blob = encode_points(batch.metrics, caller.time_ms)
        news = summarise(columns)

        def fn(tx: Tx) -> None:
            run_no = _hold_run(tx, caller, run_id)
            if batch.metrics and metric_store.has_batch(tx, caller.workspace, run_no, body_sha256):
                return
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
        require(caller, "tracking:write")
        if status == "running":
            raise InvalidInput(
                "A run can't be finished with the status 'running'.", hint="Use finished, failed or killed."
            )
        if end_time is not None:
            parse_time(end_time, "end_time")
        if exit_code is not None and not -(2**31) <= exit_code < 2**31:
            raise InvalidInput(f"The exit code {exit_code} is beyond 32 bits.")

        def fn(tx: Tx) -> Run:
            run_no = _hold_run(tx, caller, run_id)
            run = _find_run(tx, caller, run_id)
            same = (
                status == run.status
                and end_time in (None, run.end_time)
                and exit_code in (None, run.exit_code)
            )
            if run.digest is not None and same:
                return run
            ended = run.end_time if run.digest is not None else caller.time_ms
            seal = seal_of(tx, caller.workspace, run_no, msgspec.structs.replace(run, status=status))
            values = {
                "status": status,
                "end_time": ended if end_time is None else end_time,
                "exit_code": exit_code if exit_code is not None else run.exit_code,
                "digest": seal.digest,
            }
            run_store.update_run(tx, caller.workspace, run_no, values)
            audit.append(
                tx, caller, action="run.finish", object=f"run:{run_id}", digest=seal.digest, after=seal.parts
            )
            return msgspec.structs.replace(run, **values)

        return self._storage.write(fn)

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


def _check_name(kind: str, name: str, most: int) -> None:
    if not name.strip() or len(name) > most or any(ord(char) < 32 for char in name):
        raise InvalidInput(
            f"{name[:80]!r} is not a name for an {kind}."
            if kind == "experiment"
            else f"{name[:80]!r} is not a name for a {kind}.",
            hint=f"Use 1 to {most} characters, no control characters.",
        )


def _insert_experiment(tx: Tx, caller: Caller, name: str) -> Experiment:
    experiment = run_store.insert_experiment(tx, caller.workspace, name, caller.time_ms)
    audit.append(
        tx,
        caller,
        action="experiment.create",
        object=f"experiment:{experiment.experiment_id}",
        after={"name": name},
    )
    return experiment


def _find_experiment(tx: Tx, caller: Caller, experiment: str | int) -> Experiment:
    """By number or name; `0` is the workspace's default experiment, as MLflow's clients take it to be."""
    found = None
    if str(experiment) == DEFAULT_NUMBER:
        experiment = DEFAULT_EXPERIMENT
    if isinstance(experiment, int) or (
        experiment.isascii() and experiment.isdigit() and len(experiment) < 18
    ):
        found = run_store.find_experiment(tx, caller.workspace, experiment_id=int(experiment))
    if found is None and isinstance(experiment, str):
        found = run_store.find_experiment(tx, caller.workspace, name=experiment)
    if found is None:
        names = [one.name for one in run_store.list_experiments(tx, caller.workspace)]
        raise NotFound(f"There is no experiment {str(experiment)[:80]!r}.", details={"known": names[:50]})
    return found


def _find_run(tx: Tx, caller: Caller, run_id: str) -> Run:
    run = run_store.find_run(tx, caller.workspace, run_id)
    if run is None:
        raise _no_run(run_id)
    return run


def _no_run(run_id: str) -> NotFound:
    return NotFound(f"There is no run {run_id[:80]!r}.", hint="List runs with: holdfast runs list")


def _run_number(tx: Tx, caller: Caller, run_id: str) -> int:
    run_no = run_store.run_number(tx, caller.workspace, run_id)
    if run_no is None:
        raise _no_run(run_id)
    return run_no


def _hold_run(tx: Tx, caller: Caller, run_id: str) -> int:
    """The run's number, with its lock: nobody else changes the run until the transaction ends."""
    lock(tx, "run", caller.workspace, run_id)
    return _run_number(tx, caller, run_id)


def _unseal(tx: Tx, caller: Caller, run_id: str, run_no: int) -> None:
    """Before a change: a sealed run is open again."""
    if run_store.is_sealed(tx, caller.workspace, run_no):
        run_store.update_run(tx, caller.workspace, run_no, {"digest": None})
        audit.append(tx, caller, action="run.reopen", object=f"run:{run_id}")


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
            )
    return {key: value for key, value in params.items() if key not in existing}


def _new_tags(tx: Tx, caller: Caller, run_no: int, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that the run has not yet, or with another value."""
    existing = run_store.load_values(tx, caller.workspace, run_no, "tags") if tags else {}
    return {key: value for key, value in tags.items() if existing.get(key) != value}
