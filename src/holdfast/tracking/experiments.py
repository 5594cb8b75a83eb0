"""What is done with experiments: making, finding, renaming, tagging, deleting and restoring them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from holdfast.audit import service as audit
from holdfast.identity.service import require
from holdfast.kernel.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from holdfast.kernel.paging import Items
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage, Tx, lock
from holdfast.tracking.batches import check_value
from holdfast.tracking.names import check_name
from holdfast.tracking.query import Filter, Order
from holdfast.tracking.records import Experiment
from holdfast.tracking.store import experiments as store
from holdfast.tracking.store import find, inputs

__all__ = [
    "DEFAULT_EXPERIMENT",
    "DEFAULT_NUMBER",
    "Experiments",
    "find_experiment",
    "number_of",
    "number_of_id",
]

DEFAULT_EXPERIMENT = "Default"
DEFAULT_NUMBER = "0"
"""What MLflow's clients call the default experiment of their workspace; the numbers of others are the deployment's."""
_DEFAULT_WORKSPACE = "default"
_VALUE_LIMIT, _LOCATION_LIMIT = 20_000, 2048


class Experiments:
    """Experiments over the metadata database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def create_experiment(
        self, caller: Caller, name: str, *, location: str = "", tags: Mapping[str, str] | None = None
    ) -> Experiment:
        """A new experiment. Raises AlreadyExists when the name is taken, also by a deleted one."""
        require(caller, "tracking:write")
        check_name("experiment", name, 500)
        if len(location) > _LOCATION_LIMIT:
            raise InvalidInput(f"The artifact location has more than {_LOCATION_LIMIT} characters.")
        for key, value in (tags or {}).items():
            check_value("tag", key, value, _VALUE_LIMIT)

        def fn(tx: Tx) -> Experiment:
            lock(tx, "experiment", caller.workspace, name)
            _refuse_taken(tx, caller, name)
            number = _insert(tx, caller, name, location, tags or {})
            return find_experiment(tx, caller, number)

        return self._storage.write(fn)

    def list_experiments(self, caller: Caller) -> Items[Experiment]:
        """All experiments that are not deleted, the newest first."""
        require(caller, "tracking:read")
        return Items(self._storage.read(lambda tx: store.list_experiments(tx, caller.workspace)))

    def get_experiment(self, caller: Caller, experiment: str | int) -> Experiment:
        """One experiment by id (int, or a text of digits) or by name, deleted or not. Raises NotFound."""
        require(caller, "tracking:read")
        return self._storage.read(lambda tx: find_experiment(tx, caller, experiment))

    def get_by_name(self, caller: Caller, name: str) -> Experiment:
        """One experiment by its name alone, deleted or not. Raises NotFound."""
        require(caller, "tracking:read")
        found = self._storage.read(lambda tx: store.find_experiment(tx, caller.workspace, name=name))
        if found is None:
            raise NotFound(f"There is no experiment {name[:80]!r}.")
        return found

    def default_number(self, caller: Caller) -> int:
        """The id of the workspace's default experiment; it is made when it is not there yet, by whoever asks first."""
        require(caller, "tracking:read")
        known = self._storage.read(
            lambda tx: store.experiment_number(tx, caller.workspace, DEFAULT_EXPERIMENT)
        )
        if known is not None:
            return known[0]
        return self._storage.write(lambda tx: number_of(tx, caller, DEFAULT_EXPERIMENT))

    def find_experiments(
        self,
        caller: Caller,
        where: Filter,
        order: list[Order],
        *,
        deleted: bool | None,
        offset: int,
        limit: int,
    ) -> list[Experiment]:
        """Experiments that match, in the order asked for; `deleted`: only such, only others, or (None) both."""
        require(caller, "tracking:read")
        return self._storage.read(
            lambda tx: find.find_experiments(tx, caller.workspace, where, order, deleted, offset, limit)
        )

    def locations(self, caller: Caller, numbers: Iterable[int]) -> dict[int, str]:
        """Where clients put the artifacts of experiments, by id; empty where that is this server."""
        require(caller, "tracking:read")
        wanted = list(numbers)
        return self._storage.read(lambda tx: store.locations(tx, caller.workspace, wanted))

    def numbers(self, caller: Caller, texts: Iterable[str]) -> list[int]:
        """The ids of experiments as MLflow's clients name them; what names none is left out."""
        require(caller, "tracking:read")
        found = {int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 18}
        if 0 in found:
            found.discard(0)
            found.add(self.default_number(caller))
        return sorted(found)

    def datasets_of(self, caller: Caller, numbers: Sequence[int]) -> list[tuple[int, str, str, str | None]]:
        """(experiment id, name, digest, context) of the data sets that runs of some experiments used."""
        require(caller, "tracking:read")
        return self._storage.read(lambda tx: inputs.list_datasets(tx, caller.workspace, numbers))

    def rename_experiment(self, caller: Caller, experiment: str | int, name: str) -> Experiment:
        """Give it another name. Raises AlreadyExists when that is taken, Conflict for a deleted one. Audited."""
        require(caller, "tracking:write")
        check_name("experiment", name, 500)

        def fn(tx: Tx) -> Experiment:
            lock(tx, "experiment", caller.workspace, name)
            found = _held(tx, caller, experiment)
            if found.name == name:
                return found
            _refuse_taken(tx, caller, name)
            store.update_experiment(
                tx, caller.workspace, found.experiment_id, {"name": name, "updated_at": caller.time_ms}
            )
            _record(tx, caller, "experiment.rename", found, before={"name": found.name}, after={"name": name})
            return find_experiment(tx, caller, found.experiment_id)

        return self._storage.write(fn)

    def delete_experiment(self, caller: Caller, experiment: str | int) -> None:
        """Delete it with its runs; both can be restored. Audited. Raises NotFound for one that is deleted."""
        require(caller, "tracking:write")

        def fn(tx: Tx) -> None:
            found = _held(tx, caller, experiment, gone=True)
            now_ms = caller.time_ms
            store.update_experiment(
                tx, caller.workspace, found.experiment_id, {"deleted_at": now_ms, "updated_at": now_ms}
            )
            store.mark_runs(tx, caller.workspace, found.experiment_id, before=None, after=now_ms)
            _record(tx, caller, "experiment.delete", found)

        self._storage.write(fn)

    def restore_experiment(self, caller: Caller, experiment: str | int) -> None:
        """Take it back, with the runs that were deleted with it. Audited. Raises NotFound for one not deleted."""
        require(caller, "tracking:write")

        def fn(tx: Tx) -> None:
            found = _locked(tx, caller, experiment)
            if found.deleted_at is None:
                raise NotFound(
                    f"The experiment {found.name!r} is not deleted.",
                    details={"experiment": str(found.experiment_id)},
                )
            store.update_experiment(
                tx,
                caller.workspace,
                found.experiment_id,
                {"deleted_at": None, "updated_at": caller.time_ms},
            )
            store.mark_runs(tx, caller.workspace, found.experiment_id, before=found.deleted_at, after=None)
            _record(tx, caller, "experiment.restore", found)

        self._storage.write(fn)

    def set_tags(self, caller: Caller, experiment: str | int, tags: Mapping[str, str]) -> None:
        """Write tags; an existing key gets the new value. Raises Conflict for a deleted experiment."""
        require(caller, "tracking:write")
        for key, value in tags.items():
            check_value("tag", key, value, _VALUE_LIMIT)

        def fn(tx: Tx) -> None:
            found = _held(tx, caller, experiment)
            store.put_tags(tx, caller.workspace, found.experiment_id, tags)
            store.update_experiment(tx, caller.workspace, found.experiment_id, {"updated_at": caller.time_ms})

        self._storage.write(fn)

    def delete_tag(self, caller: Caller, experiment: str | int, key: str) -> None:
        """Take a tag off. Raises NotFound when it has none of the key."""
        require(caller, "tracking:write")

        def fn(tx: Tx) -> None:
            found = _held(tx, caller, experiment)
            if not store.remove_tag(tx, caller.workspace, found.experiment_id, key):
                raise NotFound(
                    f"The experiment {found.name!r} has no tag {key[:250]!r}.",
                    details={"experiment": str(found.experiment_id), "tag": key[:250]},
                )

        self._storage.write(fn)


def number_of(tx: Tx, caller: Caller, experiment: str) -> int:
    """The id of the experiment of a name or number for new runs; a new name makes one.

    Raises Conflict for a deleted one.
    """
    name = DEFAULT_EXPERIMENT if experiment == DEFAULT_NUMBER else experiment
    known = store.experiment_number(tx, caller.workspace, name)
    if known is None:
        lock(tx, "experiment", caller.workspace, name)
        known = store.experiment_number(tx, caller.workspace, name)
    if known is None:
        return _insert(tx, caller, name, "", {})
    number, is_deleted = known
    if is_deleted:
        raise _deleted(name, number)
    return number


def number_of_id(tx: Tx, caller: Caller, experiment_id: int) -> int:
    """The id of an existing experiment for new runs, the default one's for 0. Raises NotFound or Conflict."""
    if str(experiment_id) == DEFAULT_NUMBER:
        return number_of(tx, caller, DEFAULT_NUMBER)
    found = store.state_of(tx, caller.workspace, experiment_id)
    if found is None:
        raise NotFound(f"There is no experiment {experiment_id}.", details={"experiment": str(experiment_id)})
    name, is_deleted = found
    if is_deleted:
        raise _deleted(name, experiment_id)
    return experiment_id


def _insert(tx: Tx, caller: Caller, name: str, location: str, tags: Mapping[str, str]) -> int:
    is_first = name == DEFAULT_EXPERIMENT and caller.workspace == _DEFAULT_WORKSPACE
    wanted = 0 if is_first and store.state_of(tx, caller.workspace, 0) is None else -1
    now_ms = caller.time_ms
    new = Experiment(wanted, name, now_ms, updated_at=now_ms, location=location, tags=dict(tags))
    number = store.insert_experiment(tx, caller.workspace, new)
    _record(
        tx,
        caller,
        "experiment.create",
        msgspec.structs.replace(new, experiment_id=number),
        after={"name": name},
    )
    return number


def _record(
    tx: Tx,
    caller: Caller,
    action: str,
    experiment: Experiment,
    before: Mapping[str, str] | None = None,
    after: Mapping[str, str] | None = None,
) -> None:
    thing = f"experiment:{experiment.experiment_id}"
    audit.append(tx, caller, action=action, object=thing, before=before, after=after)


def _refuse_taken(tx: Tx, caller: Caller, name: str) -> None:
    known = store.experiment_number(tx, caller.workspace, name)
    if known is None:
        return
    _, is_deleted = known
    raise AlreadyExists(
        f"There is an experiment {name!r} already{', which is deleted' if is_deleted else ''}.",
        hint="Restore it, or choose another name."
        if is_deleted
        else "Log your runs to it, or choose another name.",
        details={"experiment_name": name, **({"is_deleted": True} if is_deleted else {})},
    )


def _held(tx: Tx, caller: Caller, experiment: str | int, *, gone: bool = False) -> Experiment:
    """The experiment, held and not deleted. Raises Conflict for a deleted one, or with `gone` NotFound."""
    found = _locked(tx, caller, experiment)
    if found.deleted_at is not None:
        number = found.experiment_id
        raise (
            NotFound(
                f"The experiment {found.name!r} is deleted already.", details={"experiment": str(number)}
            )
            if gone
            else _deleted(found.name, number)
        )
    return found


def _locked(tx: Tx, caller: Caller, experiment: str | int) -> Experiment:
    number = find_experiment(tx, caller, experiment).experiment_id
    lock(tx, "experiment-state", caller.workspace, str(number))
    return find_experiment(tx, caller, number)


def _deleted(name: str, number: int) -> Conflict:
    return Conflict(
        f"The experiment {name!r} is deleted.",
        hint="Restore it, or use another.",
        details={"deleted": f"experiment {number}"},
    )


def find_experiment(tx: Tx, caller: Caller, experiment: str | int) -> Experiment:
    """By number or name; `0` is the workspace's default experiment, as MLflow's clients take it to be."""
    found = None
    if str(experiment) == DEFAULT_NUMBER:
        experiment = DEFAULT_EXPERIMENT
    if isinstance(experiment, int) or (
        experiment.isascii() and experiment.isdigit() and len(experiment) < 18
    ):
        found = store.find_experiment(tx, caller.workspace, experiment_id=int(experiment))
    if found is None and isinstance(experiment, str):
        found = store.find_experiment(tx, caller.workspace, name=experiment)
    if found is None:
        names = [one.name for one in store.list_experiments(tx, caller.workspace)]
        raise NotFound(
            f"There is no experiment {str(experiment)[:80]!r}.",
            details={"experiment": str(experiment)[:80], "known": names[:50]},
        )
    return found
