"""MLflow's calls on runs: params, metrics, tags, inputs and outputs, search."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.principal import Caller
from holdfast.mlflow_api.entities import (
    RUN_NAME_TAG,
    RUN_STATUS,
    run_entity,
    run_info,
    run_root,
)
from holdfast.mlflow_api.experiments import Pair, check_number, number_of_experiment, values_of, view_of
from holdfast.mlflow_api.grammars import RUNS, read_filter, read_order
from holdfast.mlflow_api.wire import (
    Message,
    MissingParameter,
    answer,
    decode_offset,
    encode_offset,
    limit_of,
    route,
    value_of,
)
from holdfast.tracking.experiments import Experiments
from holdfast.tracking.records import (
    Batch,
    DatasetInput,
    LoggedDataset,
    MetricPoint,
    ModelLink,
    ModelMetric,
    Run,
    RunLinks,
    RunStatus,
)
from holdfast.tracking.service import Tracking
from holdfast.web import Call, Raw, Route

__all__ = ["OfRun", "RunCalls", "run_of", "run_routes"]

_BASE = "/api/2.0/mlflow/runs"
_PARAM_LIMIT, _TAG_LIMIT = 6000, 8000
_MOST_METRICS, _MOST_PAIRS, _MOST_IN_ALL = 1000, 100, 1000
_MOST_RUNS = 50_000
_MODELS_TAG = "mlflow.log-model.history"
_NUMBERED: tuple[RunStatus, ...] = ("running", "scheduled", "finished", "failed", "killed")
_STATES: dict[str | int, RunStatus] = {
    **{RUN_STATUS[one]: one for one in _NUMBERED},
    **dict(enumerate(_NUMBERED, 1)),
}


class OfRun(msgspec.Struct):
    """What names a run."""

    run_id: str | None = None
    run_uuid: str | None = None


class _Create(msgspec.Struct):
    experiment_id: str | None = None
    user_id: str | None = None
    run_name: str | None = None
    start_time: int | None = None
    tags: list[Pair] | None = None


class _Update(OfRun):
    status: str | int | None = None
    end_time: int | None = None
    run_name: str | None = None


class _Metric(msgspec.Struct):
    key: str
    value: float
    timestamp: int
    step: int = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class _LogMetric(OfRun):
    key: str | None = None
    value: float | None = None
    timestamp: int | None = None
    step: int = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class _LogPair(OfRun):
    key: str | None = None
    value: str | None = None


class _LogBatch(OfRun):
    metrics: list[_Metric] | None = None
    params: list[Pair] | None = None
    tags: list[Pair] | None = None


class _LogModel(OfRun):
    model_json: str | None = None


class _Dataset(msgspec.Struct):
    name: str = ""
    digest: str = ""
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""


class _DatasetInput(msgspec.Struct):
    dataset: _Dataset | None = None
    tags: list[Pair] | None = None


class _Model(msgspec.Struct):
    model_id: str
    step: int = 0


class _LogInputs(OfRun):
    datasets: list[_DatasetInput] | None = None
    models: list[_Model] | None = None


class _Outputs(OfRun):
    models: list[_Model] | None = None


class _Search(msgspec.Struct):
    experiment_ids: list[str] | None = None
    filter: str = ""
    run_view_type: str | int | None = None
    max_results: int | None = None
    order_by: list[str] | None = None
    page_token: str = ""


_CREATE, _UPDATE, _OF_RUN = Message(_Create), Message(_Update), Message(OfRun)
_LOG_METRIC = Message(_LogMetric, "key", "value", "timestamp")
_LOG_PARAM, _SET_TAG = Message(_LogPair, "key"), Message(_LogPair, "key")
_LOG_BATCH, _LOG_MODEL = Message(_LogBatch), Message(_LogModel, "model_json")
_LOG_INPUTS, _OUTPUTS = Message(_LogInputs), Message(_Outputs, "models")
_SEARCH = Message(_Search)


class RunCalls:
    """The handlers."""

    def __init__(self, experiments: Experiments, tracking: Tracking) -> None:
        self._experiments = experiments
        self._tracking = tracking

    def create(self, call: Call) -> Raw:
        """createRun"""
        body = _CREATE.read(call)
        tags = values_of(body.tags, _TAG_LIMIT)
        named = tags.pop(RUN_NAME_TAG, "")
        if named and body.run_name and named != body.run_name:
            raise InvalidInput(
                f"Both 'run_name' argument and '{RUN_NAME_TAG}' tag are specified, but with different values "
                f"(run_name='{body.run_name[:250]}', {RUN_NAME_TAG}='{named[:250]}')."
            )
        run = self._tracking.create_run(
            call.caller,
            experiment_id=number_of_experiment(self._experiments, call.caller, body.experiment_id or "0"),
            name=body.run_name or named,
            user=body.user_id or "",
            start_time=body.start_time or None,
            tags=tags,
        )
        return answer({"run": self._entity(call.caller, run)})

    def _entity(self, caller: Caller, run: Run) -> dict[str, object]:
        return run_entity(run, self._locations(caller, [run])[run.experiment_id])

    def _locations(self, caller: Caller, runs: Sequence[Run]) -> dict[int, str]:
        return self._experiments.locations(caller, {run.experiment_id for run in runs})

    def get(self, call: Call) -> Raw:
        """getRun"""
        run = self._tracking.get_run(call.caller, run_of(_OF_RUN.read(call)))
        return answer({"run": self._entity(call.caller, run)})

    def update(self, call: Call) -> Raw:
        """updateRun"""
        body = _UPDATE.read(call)
        run = self._tracking.update_run(
            call.caller,
            run_of(body),
            name=body.run_name or None,
            status=None if body.status is None else _state(body.status),
            end_time=body.end_time or None,
        )
        return answer({"run_info": run_info(run, self._locations(call.caller, [run])[run.experiment_id])})

    def delete(self, call: Call) -> Raw:
        """deleteRun"""
        self._tracking.delete_run(call.caller, run_of(_OF_RUN.read(call)))
        return answer()

    def restore(self, call: Call) -> Raw:
        """restoreRun"""
        self._tracking.restore_run(call.caller, run_of(_OF_RUN.read(call)))
        return answer()

    # Logging

    def log_metric(self, call: Call) -> Raw:
        """logMetric"""
        body = _LOG_METRIC.read(call)
        metric = _Metric(
            str(body.key),
            float(body.value or 0.0),
            int(body.timestamp or 0),
            body.step,
            body.model_id,
            body.dataset_name,
            body.dataset_digest,
        )
        return self._log(call, run_of(body), [metric], {}, {})

    def log_param(self, call: Call) -> Raw:
        """logParam"""
        body = _LOG_PARAM.read(call)
        return self._log(call, run_of(body), [], {str(body.key): (body.value or "")[:_PARAM_LIMIT]}, {})

    def set_tag(self, call: Call) -> Raw:
        """setTag"""
        body = _SET_TAG.read(call)
        return self._log(call, run_of(body), [], {}, {str(body.key): (body.value or "")[:_TAG_LIMIT]})

    def delete_tag(self, call: Call) -> Raw:
        """deleteTag"""
        body = _SET_TAG.read(call)
        run_id, key = run_of(body), str(body.key)
        try:
            self._tracking.delete_tag(call.caller, run_id, key)
        except NotFound as error:
            if "run" in error.details:
                raise
            raise NotFound(f"No tag with name: {key[:250]} in run with id {run_id}") from None
        return answer()

    def log_batch(self, call: Call) -> Raw:
        """logBatch"""
        body = _LOG_BATCH.read(call)
        run_id = run_of(body)
        metrics, params, tags = body.metrics or [], body.params or [], body.tags or []
        for what, count, most in (
            ("metrics", len(metrics), _MOST_METRICS),
            ("params", len(params), _MOST_PAIRS),
            ("tags", len(tags), _MOST_PAIRS),
        ):
            _check_count(what, count, most)
        _check_count("metrics, params, and tags", len(metrics) + len(params) + len(tags), _MOST_IN_ALL)
        _refuse_two_values(params)
        return self._log(
            call,
            run_id,
            metrics,
            values_of(params, _PARAM_LIMIT),
            values_of(tags, _TAG_LIMIT),
            batch=body,
        )

    def _log(
        self,
        call: Call,
        run_id: str,
        metrics: Sequence[_Metric],
        params: dict[str, str],
        tags: dict[str, str],
        *,
        batch: _LogBatch | None = None,
    ) -> Raw:
        name = tags.pop(RUN_NAME_TAG, None)
        points = [MetricPoint(one.key, value_of(one.value), one.step, one.timestamp) for one in metrics]
        try:
            self._tracking.metrics.log_batch(
                call.caller,
                run_id,
                Batch(points, params, tags),
                sha256_hex(call.raw),
                of_models=_of_models(run_id, metrics),
            )
        except InvalidInput as error:
            raise _in_their_words(error, run_id, batch) from None
        if name:
            self._tracking.update_run(call.caller, run_id, name=name)
        return answer()

    def log_model(self, call: Call) -> Raw:
        """logModel: clients before MLflow 3 note a run's models in a tag."""
        body = _LOG_MODEL.read(call)
        run_id = run_of(body)
        try:
            added = msgspec.json.decode(str(body.model_json))
        except msgspec.DecodeError:
            raise InvalidInput("Malformed model info: it is not valid JSON.") from None
        lacking = {"artifact_path", "flavors", "utc_time_created", "run_id"} - set(
            added if isinstance(added, dict) else ()
        )
        if lacking:
            raise InvalidInput(f"Malformed model info: {sorted(lacking)} are missing.")
        before = self._tracking.get_run(call.caller, run_id).tags.get(_MODELS_TAG, "[]")
        tags = {_MODELS_TAG: msgspec.json.encode([*msgspec.json.decode(before), added]).decode()}
        return self._log(call, run_id, [], {}, tags)

    def log_inputs(self, call: Call) -> Raw:
        """logInputs"""
        body = _LOG_INPUTS.read(call)
        if body.datasets is None and body.models is None:
            run_of(body)
            raise MissingParameter("datasets")
        datasets = [
            DatasetInput(LoggedDataset(**msgspec.structs.asdict(one.dataset)), values_of(one.tags))
            for one in body.datasets or ()
            if one.dataset is not None
        ]
        used = [ModelLink(one.model_id) for one in body.models or ()]
        self._tracking.add_links(call.caller, run_of(body), RunLinks(datasets, used, []))
        return answer()

    def log_outputs(self, call: Call) -> Raw:
        """logOutputs"""
        body = _OUTPUTS.read(call)
        made = [ModelLink(one.model_id, one.step) for one in body.models or ()]
        self._tracking.add_links(call.caller, run_of(body), RunLinks([], [], made))
        return answer()

    # Finding

    def search(self, call: Call) -> Raw:
        """searchRuns"""
        body = _SEARCH.read(call)
        limit = limit_of(body.max_results, default=1000, most=_MOST_RUNS)
        where, order = read_filter(body.filter, RUNS), read_order(body.order_by or (), RUNS)
        deleted = view_of(body.run_view_type)
        bound = ("runs", body.experiment_ids, body.filter, body.order_by, deleted)
        offset = decode_offset(body.page_token, bound)
        for text in body.experiment_ids or ():
            check_number(text)
        numbers = self._experiments.numbers(call.caller, body.experiment_ids or ())
        found = self._tracking.find_runs(
            call.caller, numbers, where, order, deleted=deleted, offset=offset, limit=limit + 1
        )
        locations = self._locations(call.caller, found)
        more = encode_offset(offset + limit, bound) if len(found) > limit else None
        runs = [run_entity(run, locations[run.experiment_id]) for run in found[:limit]]
        return answer({"runs": runs or None, "next_page_token": more})

    def run_root(self, caller: Caller, run: Run) -> str:
        """Where a run's artifacts are."""
        return run_root(run, self._locations(caller, [run])[run.experiment_id])


def run_of(body: OfRun) -> str:
    """The run that a request names, by either of MLflow's names. Raises InvalidInput without one."""
    run_id = body.run_id or body.run_uuid
    if not run_id:
        raise MissingParameter("run_id")
    return run_id


def _state(value: str | int) -> RunStatus:
    key = int(value) if isinstance(value, str) and value.isdigit() else value
    if key not in _STATES:
        raise InvalidInput(f"Invalid value {str(value)[:80]} for parameter 'status' supplied.")
    return _STATES[key]


def _check_count(what: str, count: int, most: int) -> None:
    if count > most:
        raise InvalidInput(
            f"A batch logging request can contain at most {most} {what}. Got {count} {what}. "
            f"Please split up {what} across multiple requests and try again."
        )


def _refuse_two_values(params: Sequence[Pair]) -> None:
    seen: dict[str, str] = {}
    twice = [one.key[:250] for one in params if seen.setdefault(one.key, one.value) != one.value]
    if twice:
        raise InvalidInput(
            f"Duplicate parameter keys have been submitted: {sorted(set(twice))}. Please ensure the request contains "
            "only one param value per param key."
        )


def _of_models(run_id: str, metrics: Sequence[_Metric]) -> dict[str, list[ModelMetric]]:
    found: dict[str, list[ModelMetric]] = {}
    for one in metrics:
        if one.model_id:
            found.setdefault(one.model_id, []).append(
                ModelMetric(
                    one.key,
                    value_of(one.value),
                    one.timestamp,
                    one.step,
                    run_id,
                    one.dataset_name,
                    one.dataset_digest,
                )
            )
    return found


def _in_their_words(error: InvalidInput, run_id: str, batch: _LogBatch | None) -> InvalidInput:
    """MLflow's text for a param that has another value, and where in a batch a name stands that none may have."""
    details = error.details
    if batch is not None and {"name", "of"} <= details.keys():
        error.details["place"] = _place_of(details["of"], details["name"], batch)
    if "param" not in details:
        return error
    if batch is not None:
        clash = {
            "key": details["param"],
            "old_value": details["value"][:250],
            "new_value": details["asked"][:250],
        }
        return InvalidInput(
            f"Changing param values is not allowed. Params were already logged='[{clash}]' for run ID='{run_id}'."
        )
    return InvalidInput(
        f"Changing param values is not allowed. Param with key='{details['param']}' was already logged with "
        f"value='{details['value'][:250]}' for run ID='{run_id}'. Attempted logging new value "
        f"'{details['asked'][:250]}'."
    )


def _place_of(kind: str, name: str, batch: _LogBatch) -> str:
    """`metrics[3].name`: the first entry of a batch that has this name."""
    entries: Sequence[_Metric | Pair] | None = {
        "metric": batch.metrics,
        "param": batch.params,
        "tag": batch.tags,
    }[kind]
    at = next((at for at, one in enumerate(entries or ()) if one.key == name), 0)
    return f"{kind}s[{at}].{'name' if kind == 'metric' else 'key'}"


def run_routes(calls: RunCalls) -> list[Route]:
    """The routes of runs."""
    read, write = "tracking:read", "tracking:write"
    return [
        route("POST", f"{_BASE}/create", calls.create, write),
        route("POST", f"{_BASE}/update", calls.update, write),
        route("POST", f"{_BASE}/delete", calls.delete, write),
        route("POST", f"{_BASE}/restore", calls.restore, write),
        route("POST", f"{_BASE}/log-metric", calls.log_metric, write),
        route("POST", f"{_BASE}/log-parameter", calls.log_param, write),
        route("POST", f"{_BASE}/set-tag", calls.set_tag, write),
        route("POST", f"{_BASE}/delete-tag", calls.delete_tag, write),
        route("GET", f"{_BASE}/get", calls.get, read),
        route("POST", f"{_BASE}/search", calls.search, read),
        route("POST", f"{_BASE}/log-batch", calls.log_batch, write),
        route("POST", f"{_BASE}/log-model", calls.log_model, write),
        route("POST", f"{_BASE}/log-inputs", calls.log_inputs, write),
        route("POST", f"{_BASE}/outputs", calls.log_outputs, write),
    ]
