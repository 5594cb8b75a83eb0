"""The files of a logged model: the pickled model, its description, its environment lock and its reference."""

from __future__ import annotations

import gzip
import importlib.util
import pickle
import platform
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from holdfast.client.frames import infer_type, plain, typed_columns
from holdfast.client.lock import imported_distributions
from holdfast.kernel.errors import InvalidInput

__all__ = ["write_model"]

_PROBE_ROWS = 20
_TASKS = ("binary", "multiclass", "regression")

TypedColumns = dict[str, tuple[str, list[Any]]]


def write_model(
    model: Any, *, reference: Any, target: str | None = None, positive: Any = None, task: str | None = None
) -> dict[str, bytes]:
    """The files of the model by path. See `holdfast.log_model` for the arguments.

    Raises InvalidInput when the model has no predict, fails on the reference, or does not fit the target.
    """
    if not callable(getattr(model, "predict", None)):
        raise InvalidInput(f"A {type(model).__name__} has no predict method, so it cannot be served.")
    columns = typed_columns(reference)
    inputs = _inputs(model, columns, target)
    if not next(iter(columns.values()))[1]:
        raise InvalidInput("The reference has no rows.", hint="Give rows that the model was not fitted on.")
    predicted = _probe(model, reference, inputs)
    classes = _classes(model)
    chosen_task = _task(model, classes, task, predicted)
    if chosen_task == "regression":
        classes = None
    chosen_positive = _positive(chosen_task, classes, positive)
    _check_labels(columns, target, classes)
    description = {
        "format": 1,
        "flavor": "sklearn",
        "file": "model.pkl",
        "python": platform.python_version(),
        "task": chosen_task,
        "target": target or "",
        "classes": classes,
        "positive": chosen_positive,
        "signature": _signature(inputs, columns, classes, predicted, model),
    }
    kept = [*inputs, *([target] if target else [])]
    table = {"columns": {name: columns[name][1] for name in kept}}
    return {
        "holdfast-model.json": msgspec.json.format(msgspec.json.encode(description), indent=2),
        "model.pkl": _pickle(model),
        "requirements.txt": "".join(f"{line}\n" for line in imported_distributions()).encode(),
        "reference.json.gz": gzip.compress(msgspec.json.encode(table), compresslevel=6, mtime=0),
    }


def _inputs(model: Any, columns: TypedColumns, target: str | None) -> list[str]:
    """The names of the model's inputs: those it was fitted with when it knows them, else all but the
    target.
    """
    if target is not None and target not in columns:
        given = ", ".join(columns)
        raise InvalidInput(
            f"The reference has no column {target!r} for the target.", hint=f"Its columns: {given}."
        )
    fitted = getattr(model, "feature_names_in_", None)
    if fitted is None:
        return [name for name in columns if name != target]
    names = [str(name) for name in fitted]
    missing = [name for name in names if name not in columns]
    if missing:
        raise InvalidInput(
            f"The reference lacks the column {', '.join(map(repr, missing))} that the model was fitted with."
        )
    if target in names:
        raise InvalidInput(f"The target {target!r} is one of the columns that the model was fitted with.")
    return names


def _probe(model: Any, reference: Any, inputs: Sequence[str]) -> list[Any]:
    """What the model predicts for the first rows of the reference, as plain values."""
    try:
        head = _head(reference, inputs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the model warns of is no failure, even under -W error
            predicted = model.predict(head)
            if callable(getattr(model, "predict_proba", None)):
                model.predict_proba(head)
    except Exception as error:
        raise InvalidInput(
            f"The model fails on its own reference: {type(error).__name__}: {error}",
            hint="Give as reference a table with the columns and types that the model was fitted with.",
        ) from error
    values = [
        plain(value) for value in (predicted.tolist() if hasattr(predicted, "tolist") else list(predicted))
    ]
    if any(isinstance(value, (list, dict)) for value in values):
        raise InvalidInput("The model predicts more than one value per row, which cannot be served yet.")
    return values


def _head(reference: Any, inputs: Sequence[str]) -> Any:
    """The first rows of the reference with the inputs alone, in the reference's own kind of table."""
    if isinstance(reference, (Mapping, list)):
        columns = typed_columns(reference)
        return list(map(list, zip(*(columns[name][1][:_PROBE_ROWS] for name in inputs), strict=True)))
    frame = reference.collect() if hasattr(reference, "collect") else reference
    return frame[list(inputs)].head(_PROBE_ROWS)


def _classes(model: Any) -> list[Any] | None:
    classes = getattr(model, "classes_", None)
    if classes is None:
        return None
    return [plain(value) for value in (classes.tolist() if hasattr(classes, "tolist") else list(classes))]


def _task(model: Any, classes: list[Any] | None, given: str | None, predicted: Sequence[Any]) -> str:
    if given is not None and given not in _TASKS:
        raise InvalidInput(f"The task {given!r} is not one of {', '.join(_TASKS)}.")
    if classes is not None and given != "regression":
        found = "binary" if len(classes) == 2 else "multiclass"
        if given is not None and given != found:
            raise InvalidInput(f"The task {given!r} does not fit a model of {len(classes)} classes.")
        return found
    if given in ("binary", "multiclass"):
        raise InvalidInput(
            f"The task {given!r} needs a model with classes_, which this {type(model).__name__} lacks."
        )
    numeric = infer_type("prediction", predicted) in ("double", "long")
    if given == "regression" or (numeric and _is_regressor(model)):
        return "regression"
    raise InvalidInput(
        f"Whether the {type(model).__name__} classifies or regresses cannot be seen from it.",
        hint="Give log_model a task: binary, multiclass or regression.",
    )


def _is_regressor(model: Any) -> bool:
    if getattr(model, "_estimator_type", None) == "regressor":
        return True
    tags = getattr(model, "__sklearn_tags__", None)
    return tags is not None and getattr(tags(), "estimator_type", None) == "regressor"


def _positive(task: str, classes: list[Any] | None, given: Any) -> Any:
    if task != "binary" or classes is None:
        if given is not None:
            raise InvalidInput(
                f"A positive class ({given!r}) is for models of two classes; this task is {task}."
            )
        return None
    if given is None:
        return classes[1]
    if plain(given) not in classes:
        raise InvalidInput(f"The positive class {given!r} is not one of the model's classes {classes!r}.")
    return plain(given)


def _check_labels(columns: TypedColumns, target: str | None, classes: list[Any] | None) -> None:
    if target is None or classes is None:
        return
    unknown = sorted(
        {str(value) for value in columns[target][1] if value is not None and value not in classes}
    )
    if unknown:
        raise InvalidInput(
            f"The target {target!r} of the reference holds {', '.join(unknown[:5])},"
            f" which is none of the model's classes {classes!r}."
        )


def _signature(
    inputs: Sequence[str],
    columns: TypedColumns,
    classes: list[Any] | None,
    predicted: Sequence[Any],
    model: Any,
) -> dict[str, Any]:
    label_type = infer_type("label", classes if classes is not None else predicted)
    outputs: list[dict[str, Any]] = [{"name": "label", "type": "double" if classes is None else label_type}]
    if classes is not None and callable(getattr(model, "predict_proba", None)):
        outputs.append({"name": "probabilities", "type": "double", "shape": [-1, len(classes)]})
    return {"inputs": [{"name": name, "type": columns[name][0]} for name in inputs], "outputs": outputs}


def _pickle(model: Any) -> bytes:
    """The pickled model, by cloudpickle where it is installed: that also takes classes of the script."""
    if importlib.util.find_spec("cloudpickle") is None:
        return _pickle_with(pickle, model)
    import cloudpickle  # optional: not every training job has it

    local = _local_modules()
    for module in local:
        cloudpickle.register_pickle_by_value(module)
    try:
        return _pickle_with(cloudpickle, model)
    finally:
        for module in local:
            cloudpickle.unregister_pickle_by_value(module)


def _pickle_with(library: Any, model: Any) -> bytes:
    try:
        pickled: bytes = library.dumps(model)
    except Exception as error:
        raise InvalidInput(
            f"The model cannot be pickled: {type(error).__name__}: {error}",
            hint="Keep open files, locks and lambdas out of it, or install cloudpickle.",
        ) from error
    return pickled


def _local_modules() -> list[ModuleType]:
    """Modules of the training script's own folder: the server does not have them, so they travel in the
    pickle.
    """
    root = Path(sys.path[0] or ".").resolve()
    found: list[ModuleType] = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name == "__main__" or not file or name.partition(".")[0] == "holdfast":
            continue
        path = Path(file)
        if path.is_absolute() and path.is_relative_to(root) and "site-packages" not in path.parts:
            found.append(module)
    return found
