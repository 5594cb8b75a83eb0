"""MLflow's proxy over a bucket: files in parts, and addresses of single files in the bucket."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.app.compose import Composition, build_app
from holdfast.kernel.ids import new_id
from holdfast.settings import Settings

pytestmark = pytest.mark.database("sqlite")
PROXY = "/api/2.0/mlflow-artifacts"


@pytest.fixture
def http(
    rclone: str,
    s3_environment: Callable[[str], None],
    database: Any,
    tmp_path: Path,
    serve: Callable[[Any], Any],
) -> Iterator[Any]:
    s3_environment(rclone)
    data = tmp_path / "data"
    data.mkdir()
    settings = Settings(data=data, database_url=str(database), objects_url=f"s3://bucket/{new_id()}")
    opened = Composition(settings)
    yield serve(build_app(opened))
    opened.close()


def test_a_file_in_parts_is_downloaded_from_the_bucket_itself(http: Any) -> None:
    parts = [b"a" * 6_000_000, b"b" * 6_000_000, b"end"]
    plan = {"path": "/home/ada/model.bin", "num_parts": len(parts)}
    begun = http.post(f"{PROXY}/mpu/create/shared", json=plan).json()
    sent = [
        {
            "part_number": one["part_number"],
            "etag": http.put(one["url"], content=parts[one["part_number"] - 1]).headers["etag"],
        }
        for one in begun["credentials"]
    ]
    whole = {"path": plan["path"], "upload_id": begun["upload_id"], "parts": sent}
    assert http.post(f"{PROXY}/mpu/complete/shared", json=whole).status_code == 200
    assert http.get(f"{PROXY}/artifacts/shared/model.bin").content == b"".join(parts)

    told = http.get(f"{PROXY}/presigned/shared/model.bin").json()
    assert told["file_size"] == sum(map(len, parts))
    with urllib.request.urlopen(
        urllib.request.Request(told["url"], headers=told.get("headers", {}))
    ) as answer:
        assert answer.read() == b"".join(parts)
