"""Changes of the registry that a webhook tells of: `python mlflow_hooked.py URL`, the receiver's address in RECEIVER."""

from __future__ import annotations

import json
import os
import sys

from mlflow.tracking import MlflowClient


def main(url: str) -> dict[str, bool]:
    client = MlflowClient(url)
    hook = client.create_webhook(
        "ci",
        os.environ["RECEIVER"],
        ["registered_model.created", "model_version_alias.created"],
        secret="s3cr3t",
    )
    tested = client.test_webhook(hook.webhook_id)
    client.create_registered_model("flights")
    version = client.create_model_version("flights", "s3://bucket/model", run_id="r1")
    client.set_registered_model_alias("flights", "best", version.version)
    return {"tested": bool(tested.success)}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
