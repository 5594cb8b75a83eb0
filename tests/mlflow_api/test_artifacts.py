"""MLflow's artifact proxy: what is stored comes back, whole or in ranges, and no trick leaves its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.mlflow_api.conftest import Protocol

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

PROXY = "/api/2.0/mlflow-artifacts/artifacts"
TRICKS = [
    "%2e%2e/x", "..%2fx", "a/..%2f..%2fx", "%252e%252e/x", "a%5cb", "C:%5cx", "a/%2e/b", "a//b", "%00", "a%00b", "a%0ab",
    "%2fetc%2fpasswd", "x" * 1025, "..;/x", "a/..;x=1/b", "%2e%2e%3b/x", ".;/x", "..%23/x", "a/..%23/b", "%252e%252e%253b/x",
    "file:/etc/passwd", "file:%2f%2f%2fetc%2fpasswd", "C:/x", "c%3a/x", "..%3fx/y", "%2e", "%2e%2e%2f%2e%2e",
]  # fmt: skip


@pytest.fixture
def root(mlflow: Protocol) -> str:
    return f"0/{mlflow.run()}/artifacts"


def listing(mlflow: Protocol, path: str) -> list[tuple[str, int | None]]:
    files = mlflow.http.get(PROXY, params={"path": path}).json().get("files", [])
    return [(one["path"], one.get("file_size")) for one in files]


def test_what_is_put_comes_back_and_is_listed_by_level(mlflow: Protocol, root: str) -> None:
    for path, data in (
        ("a.txt", b"hello"),
        ("d/b.bin", b"\0" * 10),
        ("d/e/ünï côde.txt", b""),
        ("d/e/f", b"x"),
    ):
        answer = mlflow.http.put(f"{PROXY}/{root}/{path}", content=data)
        assert (answer.status_code, answer.json()) == (200, {})
        got = mlflow.http.get(f"{PROXY}/{root}/{path}")
        assert (got.status_code, got.content) == (200, data)
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["content-disposition"].startswith("attachment")
    assert listing(mlflow, root) == [("a.txt", 5), ("d", None)]
    assert listing(mlflow, f"{root}/d") == [("b.bin", 10), ("e", None)]
    assert listing(mlflow, f"{root}/d/e/") == [("f", 1), ("ünï côde.txt", 0)]
    assert listing(mlflow, f"{root}/.") == listing(mlflow, root)
    run = root.split("/")[1]
    tracked = mlflow.get("artifacts/list", run_id=run, path="d")
    assert tracked == {
        "root_uri": f"mlflow-artifacts:/{root}",
        "files": [{"path": "d/b.bin", "is_dir": False, "file_size": 10}, {"path": "d/e", "is_dir": True}],
    }


def test_the_names_of_logged_images_are_no_encoded_paths(mlflow: Protocol, root: str) -> None:
    """`log_image` of MLflow puts percent signs between the parts of its names; its client quotes them."""
    name = "images/a#b%step%0%timestamp%1760000000000%5c2c9c1e-4f1a-4d0e-9b1f-0123456789ab%compressed.webp"
    assert mlflow.http.put(f"{PROXY}/{root}/{quote(name)}", content=b"RIFF").status_code == 200
    assert mlflow.http.get(f"{PROXY}/{root}/{quote(name)}").content == b"RIFF"
    assert listing(mlflow, f"{root}/images") == [(name.removeprefix("images/"), 4)]


def test_what_is_not_there(mlflow: Protocol, root: str) -> None:
    mlflow.http.put(f"{PROXY}/{root}/a.txt", content=b"hello")
    for path in ("none", "a.txt/b", "a.txt"):
        assert listing(mlflow, f"{root}/{path}") == []
    answer = mlflow.http.get(f"{PROXY}/{root}/none")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    unknown = f"0/{'0' * 32}/artifacts"
    assert listing(mlflow, unknown) == []
    assert mlflow.http.put(f"{PROXY}/{unknown}/a", content=b"x").status_code == 404
    assert mlflow.http.delete(f"{PROXY}/{root}/none").status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "content", "shown"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=5-2", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
    ],
)
def test_a_range(
    mlflow: Protocol, root: str, asked: str, status: int, content: bytes, shown: str | None
) -> None:
    mlflow.http.put(f"{PROXY}/{root}/a", content=b"0123456789")
    answer = mlflow.http.get(f"{PROXY}/{root}/a", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (status, content)
    assert answer.headers.get("content-range") == shown
    assert answer.headers["content-length"] == str(len(content))


def test_files_and_folders_are_deleted_and_roots_are_not(mlflow: Protocol, root: str) -> None:
    for path in ("a", "d/b", "d/e/f", "dd"):
        mlflow.http.put(f"{PROXY}/{root}/{path}", content=b"x")
    assert mlflow.http.delete(f"{PROXY}/{root}/d").json() == {}
    assert listing(mlflow, root) == [("a", 1), ("dd", 1)]
    for path in (root, root + "/"):
        assert mlflow.http.delete(f"{PROXY}/{path}").status_code == 400
    assert listing(mlflow, root) == [("a", 1), ("dd", 1)]


def test_paths_of_no_run_have_a_folder_of_the_workspace(mlflow: Protocol) -> None:
    for path in ("a.txt", "dir/b.txt", "0/notes.txt"):
        assert mlflow.http.put(f"{PROXY}/{path}", content=path.encode()).status_code == 200
        assert mlflow.http.get(f"{PROXY}/{path}").content == path.encode()
    assert listing(mlflow, "") == [("0", None), ("a.txt", 5), ("dir", None)]
    assert listing(mlflow, "dir") == [("b.txt", 9)]
    assert mlflow.http.delete(f"{PROXY}/dir").status_code == 200
    assert listing(mlflow, "dir") == []


def test_as_mlflows_own_pages_ask(mlflow: Protocol, root: str) -> None:
    run = root.split("/")[1]
    sent = mlflow.http.post(
        "/ajax-api/2.0/mlflow/upload-artifact", params={"run_uuid": run, "path": "a.txt"}, content=b"hi"
    )
    assert sent.status_code == 200
    for name in ("run_id", "run_uuid"):
        got = mlflow.http.get("/get-artifact", params={name: run, "path": "a.txt"})
        assert (got.content, got.headers["content-type"]) == (b"hi", "text/plain")
        assert got.headers["content-disposition"] == "attachment; filename=a.txt"
    for given, expected in (
        ({}, "Request must specify run_uuid."),
        ({"run_uuid": run}, "Request must specify path."),
        ({"run_uuid": run, "path": "../a"}, "Invalid path"),
        ({"run_uuid": run, "path": "a"}, "Request must specify data."),
    ):
        answer = mlflow.http.post("/ajax-api/2.0/mlflow/upload-artifact", params=given)
        assert (answer.status_code, answer.json()["message"]) == (400, expected)
    invalid = {"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid path"}
    for path, more in (
        ("/api/2.0/mlflow/artifacts/list", {"run_id": run}),
        ("/get-artifact", {"run_id": run}),
        ("//model-versions/get-artifact", {"name": "m", "version": "1"}),
    ):
        answer = mlflow.http.get(f"http://127.0.0.1:5000{path}", params={**more, "path": "../x"})
        assert (answer.status_code, answer.json()) == (400, invalid), path


@pytest.mark.parametrize(
    "name", ["MLmodel", "mlproject", "b.pkl", "c.png", "d.pdf", "dog+step+20.png", "ü.txt"]
)
def test_a_download_has_a_name_and_a_type(mlflow: Protocol, root: str, name: str) -> None:
    mlflow.http.put(f"{PROXY}/{root}/{name}", content=b"x")
    headers = mlflow.http.get(f"{PROXY}/{root}/{name}").headers
    expected = {"MLmodel": "text/plain", "mlproject": "text/plain", "b.pkl": "application/octet-stream",
                "c.png": "image/png", "d.pdf": "application/pdf", "dog+step+20.png": "image/png",
                "ü.txt": "text/plain"}  # fmt: skip
    assert headers["content-type"] == expected[name]
    shown = f"filename={name}" if name.isascii() else "filename*=UTF-8''%C3%BC.txt"
    assert headers["content-disposition"] == f"attachment; {shown}"


@pytest.mark.parametrize("trick", TRICKS)
def test_no_trick_leaves_its_folder(
    mlflow: Protocol, root: str, composition: Composition, trick: str, tmp_path: Path
) -> None:
    def objects() -> list[str]:
        return sorted(
            str(path) for path in (tmp_path / "data").rglob("*") if path.is_file() and "objects" in path.parts
        )

    before = objects()
    for base in (f"{PROXY}/{root}", PROXY):
        for method in ("PUT", "GET", "DELETE"):
            answer = mlflow.http.request(method, f"{base}/{trick}", content=b"x" if method == "PUT" else None)
            assert answer.status_code in (400, 404, 405), (method, base, trick, answer.text)
    assert objects() == before
    assert listing(mlflow, root) == [] and listing(mlflow, "") == []
    run = root.split("/")[1]
    answer = mlflow.http.get(f"/api/2.0/mlflow/artifacts/list?run_id={run}&path={trick}")
    assert answer.status_code == 400 or answer.json().get("files") is None
    for way, known in (
        ("get-artifact", f"run_uuid={run}"),
        ("model-versions/get-artifact", "name=m&version=1"),
    ):
        assert mlflow.http.get(f"/{way}?{known}&path={trick}").status_code in (400, 404), way
    upload = f"/api/2.0/mlflow/upload-artifact?run_uuid={run}&path={trick}"
    assert mlflow.http.post(upload, content=b"x").status_code == 400
    parts = f"/api/2.0/mlflow-artifacts/mpu/create/{root}/{trick}"
    assert mlflow.http.post(parts, json={"path": "f", "num_parts": 1}).status_code in (400, 404)
    assert mlflow.http.get(f"/api/2.0/mlflow-artifacts/presigned/{root}/{trick}").status_code in (400, 404)
    assert listing(mlflow, root) == []


def test_a_folder_has_no_address_of_files_of_its_own(mlflow: Protocol, root: str) -> None:
    """The client then downloads from the proxy."""
    presigned = f"/api/2.0/mlflow-artifacts/presigned/{root}/a"
    assert mlflow.http.get(presigned).status_code == 404
    mlflow.http.put(f"{PROXY}/{root}/a", content=b"x")
    answer = mlflow.http.get(presigned)
    assert (answer.status_code, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")


def test_what_the_server_tells_of_itself(http: Any) -> None:
    told = http.get("/api/3.0/mlflow/server-info").json()
    assert told["artifact_serving_enabled"] is True and told["store_type"] == "SqlStore"
    assert http.get("/version").text == "3.17.2"
