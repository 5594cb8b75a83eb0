"""Saved views, and changes of many runs, over HTTP."""

from __future__ import annotations

import msgspec

from holdfast.kernel.paging import Items
from holdfast.tracking.changing import Changed, RunChange, RunChanges
from holdfast.tracking.records import View
from holdfast.tracking.views import Views
from holdfast.web import Call, Route

__all__ = ["view_routes"]


class SaveView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of PUT /experiments/{experiment}/views/{name}: the page's address after `?`."""

    query: str
    is_shared: bool = False


def view_routes(views: Views, changes: RunChanges) -> list[Route]:
    """The routes of saved views and of changes of many runs."""

    def listing(call: Call) -> Items[View]:
        return views.list_views(call.caller, call.path["experiment"])

    def save(call: Call) -> View:
        body: SaveView = call.body
        return views.save_view(
            call.caller, call.path["experiment"], call.path["name"], body.query, is_shared=body.is_shared
        )

    def delete(call: Call) -> View:
        return views.delete_view(call.caller, call.path["view_id"])

    def change(call: Call) -> Changed:
        return changes.change_runs(call.caller, call.body)

    base = "/api/v1/experiments/{experiment}/views"
    return [
        Route("GET", base, listing, "tracking:read", summary="List saved views", result=Items[View]),
        Route("PUT", base + "/{name}", save, "tracking:write", SaveView, "Save a view", result=View),
        Route(
            "DELETE",
            "/api/v1/views/{view_id}",
            delete,
            "tracking:write",
            summary="Delete a saved view",
            result=View,
        ),
        Route(
            "POST",
            "/api/v1/runs/change",
            change,
            "tracking:write",
            RunChange,
            "Tag, rename, archive or take back many runs",
            result=Changed,
        ),
    ]
