"""From the files of a deployable to a runtime that answers."""

from __future__ import annotations

from pathlib import Path

from holdfast.jobs.records import Executor
from holdfast.kernel.errors import InvalidInput
from holdfast.runtimes.environment import python_for
from holdfast.runtimes.files import MODEL_FILE, ONNX_FILE, read_model
from holdfast.runtimes.process_runtime import ProcessRuntime
from holdfast.runtimes.records import Deployable, Runtime

__all__ = ["load_runtime"]


def load_runtime(
    folder: Path, deployable: Deployable, executor: Executor, *, environments: Path, deadline_s: float = 10.0
) -> Runtime:
    """The loaded model of a deployable tree in `folder`, whose digest the caller has verified.

    environments: where built environments are kept. deadline_s: longest wait for one answer of a process. Blocks:
    an ONNX model loads in milliseconds, a process in seconds, in minutes when its environment must be built.
    Raises InvalidInput when the model does not load, Unavailable when it can't be run here.
    """
    if deployable.runtime == "onnx":
        # numpy and onnxruntime: 60 MB that a server without ONNX endpoints does not pay
        from holdfast.runtimes.onnx_runtime import OnnxRuntime

        return OnnxRuntime(_read(folder / ONNX_FILE), deployable)
    model = read_model(_read(folder / MODEL_FILE))
    python = python_for(folder, model.python, executor, environments)
    return ProcessRuntime(folder, deployable, executor, python, deadline_s=deadline_s)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"The deployable has no readable {path.name}: {error.strerror}.") from None
