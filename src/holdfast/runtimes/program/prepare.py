"""Prepares a model for serving: scores the reference, converts to ONNX, compares the two.

Writes into the out folder `prepared.json`, `reference-scored.json.gz` where there is a reference, and `model.onnx`
where the converted model agrees; when the model does not load, does not score or gives answers that can't be right,
only `failed.json` and exit code 3.
"""

from __future__ import annotations

import gzip
import json
import math
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .convert import conversions, open_session, why_not_converted
from .faults import find_fault
from .model import Answer, Model, Refusal, plain
from .parity import ATOL, RTOL, Converted, Verdict, compare, probe

__all__ = ["main"]

_CONVERSION_S = 180


def main(arguments: list[Path]) -> int:
    """Prepare the model in the first folder; results into the second."""
    folder, out = arguments
    stage = "load"
    try:
        model = Model(folder)
        stage = "score the reference rows"
        reference = _read_reference(folder)
        columns = None if reference is None else _features(model, reference)
        answer = None if columns is None else model.predict(columns)
    except Exception as error:
        said = "".join(traceback.format_exception_only(type(error), error)).strip()
        text = str(error) if isinstance(error, Refusal) else said
        return _fail(out, stage, text[-2000:], traceback.format_exc()[-8000:])
    fault = "" if answer is None or model.classes is None else find_fault(answer, model.classes)
    if fault:
        return _fail(out, "answer its reference rows as a classifier does", fault)
    verdict, converted = _convert(model, columns, answer)
    if reference is not None and answer is not None:
        _write_scored(out / "reference-scored.json.gz", reference, model, answer)
    if not verdict.reason and converted is not None:
        (out / "model.onnx").write_bytes(converted)
    prepared = {
        "classes": model.classes,
        "gives_probabilities": model.gives_probabilities,
        "parity": {
            "agrees": not verdict.reason,
            "reason": verdict.reason,
            "rows": verdict.rows,
            "atol": ATOL,
            "rtol": RTOL,
            "max_abs_difference": verdict.differences,
            "label_mismatches": verdict.mismatches,
            "never_missing": verdict.never_missing,
        },
    }
    (out / "prepared.json").write_text(json.dumps(prepared, allow_nan=False), encoding="utf-8")
    return 0


def _fail(out: Path, stage: str, error: str, trace: str = "") -> int:
    failed = {"stage": stage, "error": error, "traceback": trace}
    (out / "failed.json").write_text(json.dumps(failed), encoding="utf-8")
    return 3


def _read_reference(folder: Path) -> dict[str, list[Any]] | None:
    path = folder / "reference.json.gz"
    if not path.exists():
        return None
    with gzip.open(path, "rt", encoding="utf-8") as file:
        columns: dict[str, list[Any]] = json.load(file)["columns"]
    return columns


def _features(model: Model, reference: dict[str, list[Any]]) -> dict[str, list[Any]] | None:
    """The model's columns of the reference, None when it has no rows."""
    missing = [name for name in model.types if name not in reference]
    if missing:
        raise ValueError(f"the reference lacks the columns {missing}")
    columns = model.typed(reference)
    return columns if any(len(values) for values in columns.values()) else None


def _convert(model: Model, columns: Any, answer: Answer | None) -> tuple[Verdict, bytes | None]:
    """The first conversion that agrees, else why the best one does not."""
    best = Verdict()
    if columns is None or answer is None:
        best.reason = "there are no reference rows to compare a converted model on"
        return best, None
    best.reason = "the signature has a type that is not converted"
    progress = -1
    try:
        with _no_longer_than(_CONVERSION_S):
            for name, converted in conversions(model):
                verdict = _judge(model, converted, columns, answer)
                if not verdict.reason:
                    return verdict, converted
                verdict.reason = f"{verdict.reason} (inputs declared as {name})"
                if verdict.rows + isinstance(converted, bytes) > progress:
                    best, progress = verdict, verdict.rows + isinstance(converted, bytes)
    except ImportError as error:
        best.reason = f"the model's environment has no converter: {error}"
    except _TooLongError:
        best.reason = f"it did not convert to ONNX within {_CONVERSION_S} s"
    return best, None


@contextmanager
def _no_longer_than(seconds: int) -> Iterator[None]:
    """Raises _TooLongError in the block after `seconds`: some converters search forever on some models."""

    def stop(*_: object) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _TooLongError(BaseException):
    """Not an Exception, so that no handler of a library takes it for its own."""


def _judge(model: Model, converted: Any, columns: Any, answer: Answer) -> Verdict:
    verdict = Verdict()
    if isinstance(converted, Exception):
        verdict.reason = f"it does not convert to ONNX: {why_not_converted(converted)}"
        return verdict
    try:
        runnable = Converted(open_session(converted), model)
        verdict = compare(answer, runnable.predict(columns), model.classes)
    except Exception as error:  # onnxruntime's classes share no base
        verdict.reason = f"the converted model does not run: {' '.join(str(error).split())[:300]}"
        return verdict
    if not verdict.reason:
        probe(model, runnable, columns, verdict)
    return verdict


def _write_scored(path: Path, reference: dict[str, list[Any]], model: Model, answer: Answer) -> None:
    """The reference with the columns `prediction` and `score_<class>`."""
    scored: dict[str, Any] = {**reference, "prediction": plain(answer.label)}
    if answer.probabilities is not None and model.classes is not None:
        for place, label in enumerate(model.classes):
            scored[f"score_{label}"] = answer.probabilities[:, place].tolist()
    clean = {name: [_finite(value) for value in values] for name, values in scored.items()}
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=5) as file:
        json.dump({"columns": clean}, file, allow_nan=False)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
