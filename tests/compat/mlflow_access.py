"""Makes an experiment as whoever the environment names; prints what became of it, as JSON."""

from __future__ import annotations

import json
import os
import sys

os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

if __name__ == "__main__":
    try:
        MlflowClient(sys.argv[1]).create_experiment(os.environ["NAME"])
        print(json.dumps({"made": True}))
    except MlflowException as error:
        print(json.dumps({"made": False, "code": error.error_code, "message": str(error)[:300]}))
