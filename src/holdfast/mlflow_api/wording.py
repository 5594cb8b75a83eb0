"""MLflow's texts for our errors: its clients, and the programs around them, look for these words.

They are found by what an error tells in its details; one that says nothing there keeps its own words.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from holdfast.kernel.errors import AlreadyExists, Conflict, HoldfastError, InvalidInput, NotFound

__all__ = ["words_of"]

_Details = Mapping[str, Any]
_LONGEST_KEY = 250
_CHARACTERS = re.compile(r"[/\w.\- :]*")
_LENGTHS = {"metric": "Metric name", "param": "Param key"}
_OURS = frozenset({"min", "max", "count"})
"""Entities of filters that MLflow does not know."""
_THEIR_NAMES = {"param": "parameter"}


def words_of(error: HoldfastError) -> str:
    """The text; empty for what MLflow has no words of its own for."""
    found = error.details
    if isinstance(error, NotFound):
        return _first(found, _MISSING)
    if isinstance(error, AlreadyExists):
        return _first(found, _TAKEN)
    if isinstance(error, (InvalidInput, Conflict)):
        return _first(found, _WRONG)
    return ""


def _first(found: _Details, words: Mapping[tuple[str, ...], Callable[[_Details], str]]) -> str:
    return next((say(found) for keys, say in words.items() if all(key in found for key in keys)), "")


def _listed(values: Iterable[str]) -> str:
    return "{" + ", ".join(f"'{value}'" for value in values) + "}"


def _name(found: _Details) -> str:
    """Of a key that no metric, param or tag may have."""
    name, kind = found["name"], found["of"]
    if len(name) > _LONGEST_KEY:
        return f"'{_LENGTHS.get(kind, 'key')}' exceeds the maximum length of {_LONGEST_KEY} characters"
    place = found.get("place") or ("name" if kind == "metric" else "key")
    begin = f"Invalid value {json.dumps(name)} for parameter '{place}' supplied:"
    if not _CHARACTERS.fullmatch(name):
        return (
            f"{begin} Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), "
            "colon(:) and slashes (/)."
        )
    return (
        f"{begin} Names may be treated as files in certain cases, and must not resolve to other names when treated as "
        f"such. This name would resolve to {posixpath.normpath(name)!r}"
    )


def _value(found: _Details) -> str:
    """Of a value of the wrong kind in a filter."""
    entity, value = found["of"], found["value"]
    if found["wanted"] == "number":
        if entity == "attribute":
            return f"Expected numeric value type for numeric attribute: {found['key']}. Found {value}"
        return f"Expected numeric value type for {entity}. Found {value}"
    if entity == "attribute":
        return f"Expected a quoted string value for attributes. Got value {value}"
    name = _THEIR_NAMES.get(entity, entity)
    return f"Expected a quoted string value for {name} (e.g. 'my-value'). Got value {value}"


def _alias(found: _Details) -> str:
    alias = found["alias"]
    if alias.lower() == "latest":
        return f"'{alias}' alias name (case insensitive) is reserved."
    if re.fullmatch(r"[vV][0-9]+", alias):
        return f"Version alias name '{alias}' is reserved."
    if len(alias) > 255:
        return "'alias' exceeds the maximum length of 255 characters"
    if not alias:
        return "Registered model alias name cannot be empty."
    return f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."


def _entity(found: _Details) -> str:
    known = [_THEIR_NAMES.get(one, one) for one in found["entities"] if one not in _OURS]
    return f"Invalid entity type '{found['entity']}'. Valid values are {known}"


# The first of which all keys are there.
_MISSING: dict[tuple[str, ...], Callable[[_Details], str]] = {
    ("model", "version"): lambda d: f"Model Version (name={d['model']}, version={d['version']}) not found",
    ("model",): lambda d: f"Registered Model with name={d['model']} not found",
    ("run",): lambda d: f"Run with id={d['run']} not found",
    ("experiment", "tag"): lambda d: f"No tag with name: {d['tag']} in experiment with id {d['experiment']}",
    ("experiment",): lambda d: f"No Experiment with id={d['experiment']} exists",
    ("logged_model", "tag"): lambda d: (
        f"No tag with key '{d['tag']}' found for model with ID '{d['logged_model']}'."
    ),
    ("logged_model",): lambda d: f"Logged model with ID '{d['logged_model']}' not found.",
}
_TAKEN: dict[tuple[str, ...], Callable[[_Details], str]] = {
    ("model",): lambda d: f"Registered Model (name={d['model']}) already exists.",
    ("experiment_name", "is_deleted"): lambda d: (
        f"Experiment(name={d['experiment_name']}) already exists in deleted state. You can restore the experiment, or "
        "use a different name."
    ),
    ("experiment_name",): lambda d: f"Experiment(name={d['experiment_name']}) already exists.",
}
_WRONG: dict[tuple[str, ...], Callable[[_Details], str]] = {
    ("deleted",): lambda d: f"The {d['deleted']} must be in the 'active' state. Current state is deleted.",
    ("longer_than",): lambda d: f"'name' exceeds the maximum length of {d['longer_than']} characters",
    ("name", "of"): _name,
    ("alias",): _alias,
    ("model_name",): lambda d: f"Invalid model name '{d['model_name']}'. Names cannot contain '/' or ':'.",
    ("logged_model_name",): lambda d: (
        f"Invalid model name ({d['logged_model_name']!r}) provided. Model name must be a non-empty string and cannot "
        """contain the following characters: ('/', ':', '.', '%', '"', "'")"""
    ),
    ("page_token",): lambda d: "Invalid page token, could not base64-decode",
    ("clause",): lambda d: f"Invalid clause(s) in filter string: {d['clause']!r}",
    ("order",): lambda d: f"Invalid order_by clause '{d['order']}'. Could not be parsed.",
    ("order_entity",): lambda d: f"Invalid order_by entity: {d['order_entity']}",
    ("entity", "entities"): _entity,
    ("attribute", "attributes"): lambda d: (
        f"Invalid attribute key '{d['attribute']}' specified. Valid keys are '{_listed(d['attributes'])}'"
    ),
    ("key", "keys"): lambda d: (
        f"Invalid {d['of']} key '{d['key']}' specified. Valid keys are '{_listed(d['keys'])}'"
    ),
    ("operator", "operators"): lambda d: (
        f"Invalid comparator '{d['operator']}' not one of '{_listed(d['operators'])}'"
    ),
    ("value", "wanted"): _value,
}
