"""Webhooks by the stock client; prints what it saw, as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from mlflow.entities.webhook import WebhookStatus
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient


def main(url: str) -> dict[str, Any]:
    client = MlflowClient(url)
    made = client.create_webhook(
        "ci", "https://192.0.32.10/hook", ["model_version.created", "model_version_alias.created"],
        description="for CI", secret="s3cr3t",
    )  # fmt: skip
    seen: dict[str, Any] = {"events": [str(event) for event in made.events], "status": str(made.status)}
    found = client.get_webhook(made.webhook_id)
    seen["read"] = [found.name, found.url, found.description]
    changed = client.update_webhook(
        made.webhook_id, name="cd", events=["registered_model.created"], status=WebhookStatus.DISABLED
    )
    seen["changed"] = [changed.name, [str(event) for event in changed.events], str(changed.status)]
    client.create_webhook("two", "https://192.0.32.10/hook", ["prompt.created"])
    seen["listed"] = [one.name for one in client.list_webhooks(max_results=1)]
    tested = client.test_webhook(made.webhook_id)
    seen["tested"] = [tested.success, bool(tested.error_message)]
    client.delete_webhook(made.webhook_id)
    seen["left"] = [one.name for one in client.list_webhooks()]
    try:
        client.get_webhook(made.webhook_id)
    except MlflowException as error:
        seen["gone"] = error.error_code
    return seen


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
