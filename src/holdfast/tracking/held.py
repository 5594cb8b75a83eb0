"""What every change of a run begins with: the run held by its lock, and open."""

from __future__ import annotations

from holdfast.audit import service as audit
from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from holdfast.storage import Tx, lock
from holdfast.tracking.records import Run
from holdfast.tracking.store import models as model_store
from holdfast.tracking.store import runs as run_store

__all__ = ["find_run", "hold_run", "model_number", "no_model", "run_number", "unseal"]


def find_run(tx: Tx, caller: Caller, run_id: str) -> Run:
    """A run with its attributes. Raises NotFound."""
    run = run_store.find_run(tx, caller.workspace, run_id)
    if run is None:
        raise _no_run(run_id)
    return run


def run_number(tx: Tx, caller: Caller, run_id: str) -> int:
    """The integer id under which a run's rows stand. Raises NotFound."""
    state = run_store.state_of(tx, caller.workspace, run_id)
    if state is None:
        raise _no_run(run_id)
    return state.run_no


def hold_run(tx: Tx, caller: Caller, run_id: str, *, even_deleted: bool = False) -> run_store.RunState:
    """The run's number and state, with its lock: nobody else changes the run until the transaction ends.

    Raises NotFound, and InvalidInput for a deleted run unless `even_deleted`.
    """
    lock(tx, "run", caller.workspace, run_id)
    state = run_store.state_of(tx, caller.workspace, run_id)
    if state is None:
        raise _no_run(run_id)
    if state.is_deleted and not even_deleted:
        raise InvalidInput(
            f"The run {run_id} must be in the 'active' state, and it is deleted.",
            hint="Restore it first.",
            details={"deleted": f"run {run_id}"},
        )
    return state


def unseal(tx: Tx, caller: Caller, run_id: str, state: run_store.RunState) -> None:
    """Before a change: a sealed run is open again."""
    if state.is_sealed:
        run_store.update_run(tx, caller.workspace, state.run_no, {"digest": None})
        audit.append(tx, caller, action="run.reopen", object=f"run:{run_id}")


def model_number(tx: Tx, caller: Caller, model_id: str) -> int:
    """The integer id of a logged model. Raises NotFound."""
    number = model_store.model_number(tx, caller.workspace, model_id)
    if number is None:
        raise no_model(model_id)
    return number


def no_model(model_id: str) -> NotFound:
    """There is no such logged model."""
    return NotFound(f"There is no logged model {model_id[:80]!r}.", details={"logged_model": model_id[:80]})


def _no_run(run_id: str) -> NotFound:
    return NotFound(
        f"There is no run {run_id[:80]!r}.",
        hint="List runs with: holdfast runs list",
        details={"run": run_id[:80]},
    )
