"""Answers requests for a model on stdin and stdout, one JSON object per line.

First line out: {"ready": true} or {"error", "traceback"}. Then per line in, {"id", "columns": {name: [...]}}, one
line out: {"id", "label": [...], "probabilities": [[...]] | null} or {"id", "error"}. Ends at the end of stdin.
"""

from __future__ import annotations

import json
import math
import os
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

from .model import Model, Refusal, plain

__all__ = ["main"]


def main(arguments: list[Path]) -> int:
    """Serve the model in the folder; exit code 3 when it does not load."""
    requests, answers = _take_over_pipes()
    try:
        model = Model(arguments[0])
    except Exception as error:
        _send(
            answers,
            {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()[-4000:]},
        )
        return 3
    _send(answers, {"ready": True})
    for line in requests:
        _send(answers, _answer(model, json.loads(line)))
    return 0


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The request and answer pipes, moved away from file descriptors 0 and 1.

    What the model or a native library prints goes to stderr; what it reads from stdin is empty.
    """
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = sys.stderr
    return os.fdopen(requests, "rb"), os.fdopen(answers, "wb")


def _answer(model: Model, request: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = model.predict(model.typed(request["columns"]))
    except Refusal as refusal:
        return {"id": request["id"], "error": str(refusal)}
    probabilities = None if answer.probabilities is None else answer.probabilities.tolist()
    return {"id": request["id"], "label": plain(answer.label), "probabilities": probabilities}


def _send(pipe: BinaryIO, message: dict[str, Any]) -> None:
    try:
        text = json.dumps(message, allow_nan=False)
    except ValueError:
        text = json.dumps(_without_nan(message), allow_nan=False)
    pipe.write(text.encode() + b"\n")
    pipe.flush()


def _without_nan(value: Any) -> Any:
    """The same with null for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
