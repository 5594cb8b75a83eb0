"""Answers requests for a model on stdin and stdout, one JSON object per line.

First line out: {"ready": true} or {"error", "traceback"}. Then per line in, {"id", "columns": {name: [...]}}, one
line out: {"id", "label": [...], "probabilities": [[...]] | null}, {"id", "error"} when the model raises, or {"id", "fault"}
when its answer can't be right. Ends at the end of stdin.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

from .faults import find_fault
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
    fault = find_fault(answer, model.classes)
    if fault:
        return {"id": request["id"], "fault": fault}
    probabilities = None if answer.probabilities is None else answer.probabilities.tolist()
    return {"id": request["id"], "label": plain(answer.label), "probabilities": probabilities}


def _send(pipe: BinaryIO, message: dict[str, Any]) -> None:
    pipe.write(json.dumps(message, allow_nan=False).encode() + b"\n")
    pipe.flush()
