"""The end of the demo: a table of months and the pages that show the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from holdfast.client import Client, Endpoint
from holdfast.kernel.errors import NotFound
from holdfast.kernel.times import iso

__all__ = ["closing_table", "pages_text"]


def closing_table(months: Sequence[Mapping[str, Any]]) -> Table:
    """One row per month of the monitor's document."""
    table = Table(title="What the monitor saw, month by month")
    for head in (
        "month",
        "predictions",
        "p50 ms",
        "p99 ms",
        "error",
        "AUC",
        "Brier",
        "drifted inputs",
        "alerts",
    ):
        table.add_column(head, justify="left" if head in ("month", "drifted inputs", "alerts") else "right")
    reference: dict[str, str] = {}
    for month in months:
        for name in ("error", "auc", "brier"):
            reference[name] = _figure(month, name, "reference") or reference.get(name, "")
        table.add_row(
            iso(month["start"])[:7], f"{month['rows']:,}", _milliseconds(month, "p50"), _milliseconds(month, "p99"),
            _figure(month, "error"), _figure(month, "auc"), _figure(month, "brier"), _drifted(month), _alerts(month),
        )  # fmt: skip
    table.add_section()
    table.add_row(
        "reference", "", "", "", *(reference.get(name, "") for name in ("error", "auc", "brier")), "", ""
    )
    return table


def pages_text(client: Client, endpoint: Endpoint) -> str:
    """The address of each page that shows what happened, one per line."""
    version = endpoint.live_version or endpoint.version
    name = endpoint.model.partition("@")[0].partition("/")[0]
    pages = [("every endpoint", "/")]
    if version is not None:
        found = client.get_version(name, version)
        pages.append(("the experiment", f"/experiments/{_experiment_of(client, found.run_id)}"))
        if found.run_id:
            pages.append(("the training run", f"/runs/{found.run_id}"))
        pages.append(("the model version", f"/models/{name}/{version}"))
    pages.append(("the endpoint, by month", f"/endpoints/{endpoint.name}?window=1mo"))
    alerts = client.list_alerts(endpoint=endpoint.name)
    pages += [(f"alert {item['id']}", f"/incidents/{item['id']}") for item in reversed(alerts)]
    pages.append(("every change", "/audit"))
    width = max(len(title) for title, _ in pages)
    return "\n".join(f"{title.ljust(width)}  {client.url}{path}" for title, path in pages)


def _experiment_of(client: Client, run_id: str | None) -> int | str:
    try:
        return client.get_run(run_id).experiment_id if run_id else ""
    except NotFound:
        return ""


def _figure(month: Mapping[str, Any], name: str, kind: str = "realised") -> str:
    value = (month.get("metrics", {}).get(name) or {}).get(kind)
    return "" if value is None else f"{value:.3f}"


def _milliseconds(month: Mapping[str, Any], name: str) -> str:
    value = (month.get("operations") or {}).get(f"{name}_us")
    return "" if value is None else f"{value / 1000:.1f}"


def _drifted(month: Mapping[str, Any]) -> str:
    """The names of the inputs that drifted."""
    inputs = (month.get("drift") or {}).get("inputs") or {}
    return ", ".join(name for name, found in inputs.items() if found.get("drifted"))


def _alerts(month: Mapping[str, Any]) -> str:
    return ", ".join(f"{alert['id']} since {iso(alert['since'])[:10]}" for alert in month.get("alerts", []))
