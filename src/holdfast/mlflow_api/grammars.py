"""What MLflow's clients may search each kind of thing by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.mlflow_api.entities import MODEL_STATUS, RUN_NAME_TAG, RUN_STATUS
from holdfast.tracking.query import Clause, Grammar, Order, parse_filter, parse_order

__all__ = [
    "EXPERIMENTS",
    "LOGGED_MODELS",
    "MODELS",
    "PROMPT_TAG",
    "RUNS",
    "TRACES",
    "VERSIONS",
    "read_filter",
    "read_order",
]

PROMPT_TAG = "mlflow.prompt.is_prompt"
_ATTRIBUTES = dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute")
_METRICS = {"metric": "metric", "metrics": "metric"}
_SUMMARIES = {name: name for name in ("min", "max", "count")}
"""Ours: `min.loss`, `max.loss`, `count.loss`. To MLflow they are errors."""
_PARAMS = dict.fromkeys(("param", "params", "parameter", "parameters"), "param")
_TAGS = {"tag": "tag", "tags": "tag"}
_DATASETS = {"dataset": "dataset", "datasets": "dataset"}

RUNS = Grammar(
    "runs",
    {**_ATTRIBUTES, **_METRICS, **_SUMMARIES, **_PARAMS, **_TAGS, **_DATASETS},
    {
        "run_id": "listed",
        "run_name": "text",
        "status": "text",
        "artifact_uri": "text",
        "user_id": "text",
        "start_time": "number",
        "end_time": "number",
    },
    aliases={
        "run name": "run_name",
        "Run name": "run_name",
        "Run Name": "run_name",
        "created": "start_time",
        "Created": "start_time",
    },
    nulls=frozenset({"param", "tag"}),
    inner={"dataset": frozenset({"name", "digest", "context"})},
)
EXPERIMENTS = Grammar(
    "experiments",
    {**_ATTRIBUTES, **_TAGS},
    {"name": "text", "experiment_id": "listed", "creation_time": "number", "last_update_time": "number"},
    nulls=frozenset({"tag"}),
)
LOGGED_MODELS = Grammar(
    "logged models",
    {"attributes": "attribute", "metrics": "metric", "params": "param", "tags": "tag"},
    {
        "name": "listed",
        "model_id": "listed",
        "model_type": "listed",
        "status": "listed",
        "source_run_id": "listed",
        "creation_timestamp": "number",
        "last_updated_timestamp": "number",
    },
    aliases={"creation_time": "creation_timestamp"},
)
MODELS = Grammar(
    "registered models",
    {**_ATTRIBUTES, **_TAGS},
    {"name": "listed"},
    aliases={"timestamp": "last_updated_timestamp"},
    orders=frozenset({"name", "creation_timestamp", "last_updated_timestamp"}),
)
VERSIONS = Grammar(
    "model versions",
    {**_ATTRIBUTES, **_TAGS},
    {
        "name": "listed",
        "run_id": "listed",
        "source_path": "text",
        "version_number": "number",
        "creation_timestamp": "number",
        "last_updated_timestamp": "number",
    },
)
TRACES = Grammar(
    "traces",
    {
        **dict.fromkeys(("attribute", "attributes", "trace"), "attribute"),
        **_TAGS,
        **dict.fromkeys(("metadata", "request_metadata"), "metadata"),
        "span": "span",
    },
    {
        **dict.fromkeys(("request_id", "client_request_id", "name", "run_id", "status"), "listed"),
        "text": "text",
        **dict.fromkeys(("timestamp_ms", "execution_time_ms", "end_time_ms"), "number"),
    },
    aliases={
        "timestamp": "timestamp_ms",
        "execution_time": "execution_time_ms",
        "end_time": "end_time_ms",
        "trace_id": "request_id",
        "state": "status",
    },
    orders=frozenset({"experiment_id"}),
    nulls=frozenset({"tag", "metadata"}),
    inner={"span": frozenset({"name", "type", "status", "content"})},
)
_OF_TRACES = {
    "name": ("tag", "mlflow.traceName"),
    "run_id": ("metadata", "mlflow.sourceRun"),
    "text": ("span", "content"),
}
"""Attributes of traces that stand elsewhere."""
_SORTABLE = {
    RUNS.what: ("attribute", "metric", "min", "max", "count", "param", "tag"),
    LOGGED_MODELS.what: ("attribute", "metric"),
}
_Part = TypeVar("_Part", Clause, Order)
_RUN_STATES = {name: ours for ours, name in RUN_STATUS.items()}
_MODEL_STATES = {name: ours for ours, name in MODEL_STATUS.items()}


def read_filter(text: str, grammar: Grammar) -> list[Clause]:
    """The clauses of a filter, with MLflow's words for states as ours. Raises InvalidInput."""
    if grammar is TRACES:
        return [_moved(clause) for clause in parse_filter(text, grammar)]
    return [_translated(clause, grammar) for clause in parse_filter(text, grammar)]


def read_order(texts: Sequence[str], grammar: Grammar) -> list[Order]:
    """The orders. Raises InvalidInput."""
    orders = parse_order(texts, grammar)
    sortable = _SORTABLE.get(grammar.what, ("attribute",))
    wrong = next((one for one in orders if one.entity not in sortable), None)
    if wrong is not None:
        raise InvalidInput(
            f"{grammar.what.capitalize()} can't be ordered by the {wrong.entity} {wrong.key[:80]!r}.",
            hint=f"Order by: {', '.join(sortable)}.",
            details={"order_entity": wrong.entity},
        )
    return [_moved(one) if grammar is TRACES else _named(one) for one in orders]


def _moved(part: _Part) -> _Part:
    place = _OF_TRACES.get(part.key) if part.entity == "attribute" else None
    return part if place is None else msgspec.structs.replace(part, entity=place[0], key=place[1])


def _named(order: Order) -> Order:
    is_name = (order.entity, order.key) == ("tag", RUN_NAME_TAG)
    return Order("attribute", "run_name", order.descending) if is_name else order


def _translated(clause: Clause, grammar: Grammar) -> Clause:
    if (clause.entity, clause.key) == ("tag", RUN_NAME_TAG) and grammar is RUNS and clause.value is not None:
        return msgspec.structs.replace(clause, entity="attribute", key="run_name")
    if (clause.entity, clause.key) != ("attribute", "status"):
        return clause
    states = _RUN_STATES if grammar is RUNS else _MODEL_STATES

    def ours(value: str) -> str:
        return states.get(value.upper(), value.lower() if grammar is RUNS else value)

    value = tuple(map(ours, clause.value)) if isinstance(clause.value, tuple) else ours(str(clause.value))
    return msgspec.structs.replace(clause, value=value)
