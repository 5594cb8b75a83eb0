"""Uploads a file that its client sends in parts: `python mlflow_large.py URL`; prints its size on the server."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

# Before the import: the client reads them then.
os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = "true"
os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] = str(2**20)
os.environ["MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE"] = str(2**20)

import mlflow
from mlflow.tracking import MlflowClient


def main(url: str) -> None:
    mlflow.set_tracking_uri(url)
    Path("large.bin").write_bytes(bytes(range(256)) * 4096 * 3 + b"end")
    with mlflow.start_run() as run:
        mlflow.log_artifact("large.bin", "weights")
    (file,) = MlflowClient().list_artifacts(run.info.run_id, "weights")
    there = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=file.path)
    same = Path(there).read_bytes() == Path("large.bin").read_bytes()
    print(json.dumps({"size": file.file_size, "same": same}))


main(sys.argv[1])
