"""Saved views: what the page of an experiment shows, by a name, for oneself or for the workspace."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import msgspec

from holdfast.audit import service as audit
from holdfast.identity.service import may, require
from holdfast.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.kernel.paging import Items
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage, Tx, lock
from holdfast.tracking.experiments import find_experiment
from holdfast.tracking.names import check_name
from holdfast.tracking.records import View
from holdfast.tracking.store import views as store

__all__ = ["KEPT", "Views"]

KEPT = (
    "tab",
    "filter",
    "name",
    "status",
    "archived",
    "sort",
    "order",
    "columns",
    "group",
    "metrics",
    "x",
    "axes",
    "smooth",
    "px",
    "py",
)
"""What of the page's address a view keeps."""
_QUERY_LIMIT, _NAME_LIMIT, _MOST = 8000, 100, 500


class Views:
    """Saved views over the metadata database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def list_views(self, caller: Caller, experiment: str | int) -> Items[View]:
        """The views of an experiment: those that are shared, and the caller's own, by name."""
        require(caller, "tracking:read")

        def fn(tx: Tx) -> list[View]:
            number = find_experiment(tx, caller, experiment).experiment_id
            return store.list_views(tx, caller.workspace, number, caller.principal.id)

        return Items(self._storage.read(fn))

    def save_view(
        self, caller: Caller, experiment: str | int, name: str, query: str, *, is_shared: bool = False
    ) -> View:
        """Keep a view under a name; the caller's own of this name is replaced. `query` is the page's address after `?`.

        Raises InvalidInput for a bad name or query, Conflict beyond 500 views.
        """
        require(caller, "tracking:write")
        check_name("view", name, _NAME_LIMIT)
        query = _kept(query)

        def fn(tx: Tx) -> View:
            number = find_experiment(tx, caller, experiment).experiment_id
            owner = caller.principal
            lock(tx, "run-views", caller.workspace, str(number))
            old = store.find_own(tx, caller.workspace, number, owner.id, name)
            if old is not None:
                view = msgspec.structs.replace(
                    old, query=query, is_shared=is_shared, updated_at=caller.time_ms
                )
                store.update_view(tx, caller.workspace, view)
            else:
                if len(store.list_views(tx, caller.workspace, number, owner.id)) >= _MOST:
                    raise Conflict(f"There are {_MOST} views already.", hint="Delete some first.")
                view = View(new_id(), number, name, query, is_shared, owner.id, owner.name, caller.time_ms)
                store.insert_view(tx, caller.workspace, view)
            _record(tx, caller, "view.save", view, {"name": name, "query": query, "shared": is_shared})
            return view

        return self._storage.write(fn)

    def delete_view(self, caller: Caller, view_id: str) -> View:
        """Take away one's own view, or as an administrator a shared one. Audited. Raises NotFound and Forbidden."""
        require(caller, "tracking:write")

        def fn(tx: Tx) -> View:
            view = store.find_view(tx, caller.workspace, view_id)
            is_own = view is not None and view.owner_id == caller.principal.id
            if view is None or not (view.is_shared or is_own):
                raise NotFound(f"There is no view {view_id[:80]!r}.")
            if not is_own and not may(caller.principal, "tracking:purge"):
                raise Forbidden(
                    f"The view {view.name!r} is {view.owner}'s.",
                    hint="Its owner or an administrator deletes it.",
                )
            store.delete_view(tx, caller.workspace, view_id)
            _record(tx, caller, "view.delete", view, None)
            return view

        return self._storage.write(fn)


def _record(tx: Tx, caller: Caller, action: str, view: View, after: dict[str, str | bool] | None) -> None:
    audit.append(tx, caller, action=action, object=f"experiment:{view.experiment_id}", after=after)


def _kept(query: str) -> str:
    """The parts of an address that a view keeps, in their order."""
    if len(query) > _QUERY_LIMIT:
        raise InvalidInput(f"The view's query has {len(query)} characters, more than {_QUERY_LIMIT}.")
    given = dict(parse_qsl(query.removeprefix("?")))
    if any("\0" in value for value in given.values()):
        raise InvalidInput("The view's query holds a NUL character.")
    return urlencode({name: given[name] for name in KEPT if given.get(name)})
