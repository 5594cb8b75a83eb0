"""The end of the demo: a table of months and the pages that show the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from holdfast.client import Client, Endpoint
from holdfast.kernel.errors import NotFound

__all__ = ["alerts_text", "closing_table", "pages_text"]

_METRICS = ("error", "auc", "brier")


def closing_table(report: Mapping[str, Any]) -> Table:
    """One row per month of the monitor's document, and the reference below."""
    table = Table(
        title="What the monitor saw, month by month (UTC)",
        caption="Latency: of requests of up to 1,000 flights. Error: share of wrong answers.",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for head in ("month", "predictions", "p50 ms", "p99 ms", "error", "AUC", "Brier"):
        table.add_column(head, justify="left" if head == "month" else "right", no_wrap=True)
    table.add_column("drifted inputs")
    table.add_column("alerts")
    for month in report["windows"]:
        operations = month["operations"]
        table.add_row(
            month["start"][:7], f"{month['rows']:,}", _milliseconds(operations["p50_ms"]),
            _milliseconds(operations["p99_ms"]), *(_figure(month["metrics"], name, "realised") for name in _METRICS),
            _drifted(month["drift"]), _alerts(month["alerts"]),
        )  # fmt: skip
    table.add_section()
    reference = report["reference"]
    figures = (_figure(reference["metrics"], name, "value") for name in _METRICS)
    table.add_row("reference", f"{reference['rows']:,}", "", "", *figures, "", "")
    return table


def alerts_text(report: Mapping[str, Any]) -> str:
    """Each alert of the monitor's document in a sentence; empty without one."""
    alerts = [alert for month in report["windows"] for alert in month["alerts"]]
    return "\n".join(f"Alert {alert['id']}, since {alert['since'][:10]}: {alert['text']}" for alert in alerts)


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


def _figure(metrics: Mapping[str, Any], name: str, kind: str) -> str:
    value = (metrics.get(name) or {}).get(kind)
    return "" if value is None else f"{value:.3f}"


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _drifted(drift: Mapping[str, Any]) -> str:
    """How many inputs drifted, and the one that drifted most."""
    inputs = [
        (found["psi"], name) for name, found in drift.items() if found["drifted"] and name != "prediction"
    ]
    return f"{len(inputs)}: {max(inputs)[1]}" if inputs else "none"


def _alerts(alerts: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(str(alert["id"]) for alert in alerts)
