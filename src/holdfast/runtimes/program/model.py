"""The original model: unpickled, and asked for labels and probabilities."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .frames import to_frame, typed

__all__ = ["Answer", "Model", "Refusal", "plain"]


class Refusal(Exception):
    """The model raised on these rows; the text is for the caller."""


class Answer:
    """label: array of n. probabilities: array of (n, classes), or None."""

    def __init__(self, label: Any, probabilities: Any) -> None:
        self.label = label
        self.probabilities = probabilities


class Model:
    """A fitted estimator in the folder that `log_model` wrote, described by its `holdfast-model.json`."""

    def __init__(self, folder: Path) -> None:
        """Unpickle it; whatever that raises passes through."""
        self.description = json.loads((folder / "holdfast-model.json").read_text(encoding="utf-8"))
        inputs = self.description["signature"]["inputs"]
        self.types: dict[str, str] = {column["name"]: column["type"] for column in inputs}
        with (folder / self.description["file"]).open("rb") as file:
            self.estimator = pickle.load(file)
        _use_one_thread(self.estimator)
        names = getattr(self.estimator, "feature_names_in_", None)
        self.names = None if names is None else [str(name) for name in names]
        classifies = self.description["task"] != "regression"
        classes = getattr(self.estimator, "classes_", None) if classifies else None
        self.classes: list[Any] | None = None if classes is None else plain(classes)
        self.gives_probabilities = classifies and hasattr(self.estimator, "predict_proba")

    def typed(self, columns: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """The model's columns out of `columns`, values of the signature's types."""
        return {name: typed(columns[name], kind) for name, kind in self.types.items()}

    def predict(self, columns: Mapping[str, Sequence[Any]]) -> Answer:
        """The model's answer for typed columns. Raises Refusal with the model's own words when it raises."""
        rows = len(next(iter(columns.values())))
        try:
            frame = to_frame(columns, self.types, self.names)
            label = self.estimator.predict(frame)
            probabilities = self._probabilities(frame) if self.gives_probabilities else None
        except Exception as error:
            raise Refusal(f"{type(error).__name__}: {error}") from error
        if getattr(label, "ndim", 1) == 2 and label.shape[1] == 1:
            label = label[:, 0]
        if getattr(label, "shape", None) != (rows,):
            raise Refusal(
                f"predict gave the shape {getattr(label, 'shape', type(label))}, not one value per row"
            )
        return Answer(label, probabilities)

    def _probabilities(self, frame: Any) -> Any:
        import numpy  # here, as in to_frame

        return numpy.asarray(self.estimator.predict_proba(frame), dtype=float)


def plain(array: Any) -> list[Any]:
    """An array as JSON-ready Python values."""
    return [value.item() if hasattr(value, "item") else value for value in array.tolist()]


def _use_one_thread(estimator: Any) -> None:
    """Forests fitted with n_jobs=-1 would start threads for every row."""
    parameters = estimator.get_params(deep=True) if hasattr(estimator, "get_params") else {}
    jobs = {
        key: 1
        for key, value in parameters.items()
        if key.split("__")[-1] == "n_jobs" and value not in (None, 1)
    }
    if jobs:
        estimator.set_params(**jobs)
