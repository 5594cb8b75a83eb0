"""Preparing a model version for serving: in a sandbox, the model is loaded, scored, converted and compared.

Orchestration alone: bytes in by path, files out by path; the caller stores them and writes the rows.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from holdfast.chunks import check_path
from holdfast.jobs.records import Executor, Limits, Result, Task
from holdfast.kernel.errors import HoldfastError, InvalidInput, Unavailable
from holdfast.runtimes.environment import python_for
from holdfast.runtimes.files import DEPLOYABLE_FILE, MODEL_FILE, ONNX_FILE, read_model
from holdfast.runtimes.process_runtime import PROGRAM
from holdfast.runtimes.records import (
    Deployable,
    ModelDescription,
    Output,
    Parity,
    RuntimeKind,
    Scalar,
    Signature,
)

__all__ = ["PREPARE_LIMITS", "SCORED_FILE", "Prepared", "prepare_version"]

SCORED_FILE = "reference-scored.json.gz"
PREPARE_LIMITS = Limits(wall_s=900.0, memory_bytes=8 * 1024**3, processes=64, file_bytes=2 * 1024**3)
_MOST_JSON_BYTES = 4_000_000
_SHOWN = 4_000

T = TypeVar("T")


class Prepared(msgspec.Struct, frozen=True):
    """What preparing gave.

    deployable_files: to add to the model's own files in the deployable (path to file on disk).
    beside_files: kept with the version, outside the deployable. message: why it failed, or why it is not served
    from ONNX; empty when it is.
    """

    status: Literal["ready", "failed"]
    runtime: RuntimeKind | None
    parity: Parity | None
    deployable_files: dict[str, Path]
    beside_files: dict[str, Path]
    message: str


class _Facts(msgspec.Struct, frozen=True):
    """`prepared.json` of the program."""

    classes: tuple[Scalar, ...] | None
    gives_probabilities: bool
    parity: Parity


class _Failure(msgspec.Struct, frozen=True):
    """`failed.json` of the program. `traceback` is empty when nothing was raised but the answers can't be right."""

    stage: str
    error: str
    traceback: str


def prepare_version(
    files: Mapping[str, Path],
    work: Path,
    executor: Executor,
    environments: Path,
    *,
    limits: Limits = PREPARE_LIMITS,
) -> Prepared:
    """Prepare the model whose files are given by their paths in its tree.

    work: an empty folder for the copies and the results, which stay there until the caller removes it.
    environments: where built environments are kept. A model that can't be served gives a Prepared with status
    `failed` and a message that says what to do. Raises Unavailable when nothing can be run here now.
    """
    model_folder, out = work.resolve() / "model", work.resolve() / "out"
    _lay_out(files, model_folder)
    out.mkdir()
    try:
        model = read_model(_read_json(model_folder / MODEL_FILE))
        python = python_for(model_folder, model.python, executor, environments)
    except Unavailable:
        raise
    except HoldfastError as error:
        return _failed(str(error))
    program = str(PROGRAM / "__main__.py")
    task = Task(
        command=(str(python), "-I", "-B", program, "prepare", str(model_folder), str(out)),
        scratch=out,
        inputs=(PROGRAM, model_folder),
        limits=limits,
    )
    result = executor.run(task)
    try:
        return _collect(result, out, work.resolve(), model)
    except InvalidInput as error:
        return _failed(str(error))


def _lay_out(files: Mapping[str, Path], folder: Path) -> None:
    """Copies of the model's files under their paths: nothing that the model does reaches the stored ones."""
    for path, source in files.items():
        target = folder / check_path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _collect(result: Result, out: Path, work: Path, model: ModelDescription) -> Prepared:
    """The program's results as a Prepared. Raises InvalidInput when they are not what they should be."""
    if (out / "failed.json").exists():
        failure = _decode(out / "failed.json", _Failure)
        return _failed(_explain(failure))
    if not result.ok:
        return _failed(_explain_end(result))
    facts = _decode(out / "prepared.json", _Facts)
    signature, classes = _actual(model, facts)
    runtime: RuntimeKind = "onnx" if facts.parity.agrees else "process"
    deployable = Deployable(
        1, runtime, facts.parity, signature, model.task, classes, model.positive if classes else None
    )
    (work / DEPLOYABLE_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(deployable), indent=2))
    added = {DEPLOYABLE_FILE: work / DEPLOYABLE_FILE}
    if runtime == "onnx":
        added[ONNX_FILE] = _regular(out / ONNX_FILE)
    beside = {SCORED_FILE: _regular(out / SCORED_FILE)} if os.path.lexists(out / SCORED_FILE) else {}
    return Prepared("ready", runtime, facts.parity, added, beside, facts.parity.reason)


def _actual(model: ModelDescription, facts: _Facts) -> tuple[Signature, tuple[Scalar, ...] | None]:
    """The signature's outputs and the classes as the loaded model has them."""
    classes = facts.classes if model.task != "regression" else None
    if model.task != "regression" and classes is None:
        classes = model.classes
    if model.positive is not None and model.positive not in (classes or ()):
        raise InvalidInput(
            f"The positive class {model.positive!r} is not one of the model's classes {list(classes or ())!r}.",
            hint="Log the model again with one of its classes as positive.",
        )
    outputs = [output for output in model.signature.outputs if output.name == "label"] or [_label(classes)]
    if facts.gives_probabilities and classes:
        outputs.append(Output("probabilities", "double", (-1, len(classes))))
    return Signature(model.signature.inputs, tuple(outputs)), classes


def _label(classes: tuple[Scalar, ...] | None) -> Output:
    kinds = {type(label) for label in classes or ()}
    if kinds == {str}:
        return Output("label", "string")
    if kinds == {bool}:
        return Output("label", "boolean")
    return Output("label", "long" if kinds == {int} else "double")


def _explain(failure: _Failure) -> str:
    """The model's own words, where they come from, and what to do."""
    text = f"The model does not {failure.stage}: {failure.error}"
    if "No module named" in failure.error:
        hint = "Its environment lock lacks that module's package: import it before log_model, or install it."
    elif "__main__" in failure.error:
        hint = "Install cloudpickle where the model is fitted, or define the class in an installed module."
    elif not failure.traceback:
        hint = "Mend its predict or predict_proba, or fit it again, and log it again."
    else:
        hint = "Log the model again from an environment in which it loads from its pickle."
    return f"{text}\n{hint}\n\n{failure.traceback.strip()[-_SHOWN:]}".rstrip()


def _explain_end(result: Result) -> str:
    """How a program ended that wrote no result."""
    said = result.stderr.strip()[-_SHOWN:]
    limits = {
        "time": "it took too long to load, score and convert",
        "memory": "it needed more memory than a model may have",
        "processes": "it started more processes than a model may have",
    }
    how = (
        limits[result.killed_by]
        if result.killed_by
        else f"its process ended with exit code {result.exit_code}"
    )
    return f"The model could not be prepared: {how}.\nRun its pickle where it was fitted.\n\n{said}".rstrip()


def _failed(message: str) -> Prepared:
    return Prepared("failed", None, None, {}, {}, message)


def _decode(path: Path, record: type[T]) -> T:
    try:
        return msgspec.json.decode(_read_json(path), type=record)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"The sandbox gave a {path.name} that is not valid: {error}") from None


def _read_json(path: Path) -> bytes:
    if not os.path.lexists(path):
        raise InvalidInput(f"There is no {path.name}.", hint="Log the model with log_model.")
    size = _regular(path).stat().st_size
    if size > _MOST_JSON_BYTES:
        raise InvalidInput(f"{path.name} has {size} bytes; the limit is {_MOST_JSON_BYTES}.")
    return path.read_bytes()


def _regular(path: Path) -> Path:
    """The path when it is a regular file: what runs in the sandbox could leave a link to a file of the server."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        raise InvalidInput(f"The sandbox gave no {path.name}.") from None
    if not stat.S_ISREG(mode):
        raise InvalidInput(f"The sandbox gave a {path.name} that is not a regular file.")
    return path
