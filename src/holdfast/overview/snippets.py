"""Code to try an endpoint, filled with a row of its own reference."""

from __future__ import annotations

import json
import shlex
from typing import Any

from holdfast.predictions.records import Endpoint

__all__ = ["write_snippets"]

_EXAMPLES: dict[str, Any] = {
    "double": 1.5, "long": 1, "string": "text", "boolean": True, "datetime": "2026-01-31T12:00:00Z",
}  # fmt: skip


def write_snippets(
    endpoint: Endpoint, url: str, inference_url: str | None, example: dict[str, Any]
) -> list[tuple[str, str]]:
    """(title, code) of requests to `endpoint` with the row `example`; missing inputs get a value of their type."""
    name = shlex.quote(endpoint.name)
    feedback = f"export HOLDFAST_URL={url}\nholdfast feedback {name} labels.csv   # columns: key or prediction_id, label"
    if endpoint.kind == "external" or not endpoint.signature:
        return [("labels", feedback)]
    row = {
        str(column["name"]): example.get(str(column["name"]), _EXAMPLES.get(str(column["type"]), 1))
        for column in endpoint.signature.get("inputs", [])
    }
    base = inference_url or "INFERENCE_URL"
    return [
        ("curl", _curl(f"{base}/invocations/{endpoint.model_name}", row)),
        ("Python", _python(endpoint.name, url, row)),
        ("files", f"export HOLDFAST_URL={url}\nholdfast predict {name} rows.csv\n" + feedback.split("\n")[1]),
    ]


def _curl(address: str, row: dict[str, Any]) -> str:
    body = {
        "dataframe_split": {"columns": list(row), "data": [list(row.values())]},
        "params": {"key": ["row-1"]},
    }
    text = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
    return f"curl -s {address} \\\n  -H 'Content-Type: application/json' \\\n  -d '{text}'"


def _python(name: str, url: str, row: dict[str, Any]) -> str:
    return (
        "import holdfast\n\n"
        f"client = holdfast.Client({url!r})\n"
        f"row = {row!r}\n"
        f"answer = client.predict({name!r}, [row], keys=['row-1'])\n"
        "print(answer.labels, answer.probabilities)\n"
        f"client.feedback({name!r}, labels=[answer.labels[0]], keys=['row-1'])   # once the truth is known"
    )
