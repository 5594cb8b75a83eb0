"""Files in parts: whole or not there, each part durable and checked, and nothing left of what was given up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from holdfast.kernel.errors import NotFound
from holdfast.kernel.principal import Caller
from holdfast.tracking.multipart import GIVEN_UP_MS, MultipartUploads
from tests.mlflow_api.conftest import Protocol

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

MPU = "/api/2.0/mlflow-artifacts/mpu"
PROXY = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture
def root(mlflow: Protocol) -> str:
    return f"0/{mlflow.run()}/artifacts"


def begin(mlflow: Protocol, folder: str, local: str, parts: int, **headers: str) -> dict[str, Any]:
    answer = mlflow.http.post(
        f"{MPU}/create/{folder}", json={"path": local, "num_parts": parts}, headers=headers
    )
    assert answer.status_code == 200, answer.text
    begun: dict[str, Any] = answer.json()
    return begun


def send(mlflow: Protocol, credential: dict[str, Any], data: bytes) -> dict[str, Any]:
    answer = mlflow.http.put(credential["url"], content=data, headers=credential.get("headers", {}))
    assert answer.status_code == 200, answer.text
    return {
        "part_number": credential["part_number"], "etag": answer.headers["etag"], "url": credential["url"],
    }  # fmt: skip


def end(
    mlflow: Protocol, way: str, folder: str, local: str, upload: str, parts: list[dict[str, Any]]
) -> tuple[int, dict[str, Any]]:
    body = {"path": local, "upload_id": upload, "parts": parts}
    answer = mlflow.http.post(f"{MPU}/{way}/{folder}", json=body)
    return answer.status_code, answer.json()


def stored(mlflow: Protocol, path: str) -> bytes | None:
    answer = mlflow.http.get(f"{PROXY}/{path}")
    return answer.content if answer.status_code == 200 else None


@pytest.mark.parametrize(
    ("local", "name"),
    [
        ("/home/ada/model.bin", "model.bin"), ("model.bin", "model.bin"), (r"C:\\runs\\model.bin", "model.bin"),
        (r"\\\\share\\runs\\model.bin", "model.bin"), ("/tmp/ünï côde", "ünï côde"),
    ],
)  # fmt: skip
def test_parts_in_any_order_are_one_file(mlflow: Protocol, root: str, local: str, name: str) -> None:
    folder = f"{root}/weights"
    begun = begin(mlflow, folder, local, 3)
    assert [one["part_number"] for one in begun["credentials"]] == [1, 2, 3]
    data = [b"a" * 70_000, b"b" * 70_000, b"end"]
    sent = [send(mlflow, begun["credentials"][n], data[n]) for n in (2, 0, 1)]
    assert stored(mlflow, f"{folder}/{name}") is None
    for _ in range(2):  # an answer that was lost is asked for again
        assert end(mlflow, "complete", folder, local, begun["upload_id"], sent) == (200, {})
        assert stored(mlflow, f"{folder}/{name}") == b"".join(data)


def test_a_part_that_comes_again_takes_the_place_of_the_first(mlflow: Protocol, root: str) -> None:
    begun = begin(mlflow, root, "f", 1)
    first = send(mlflow, begun["credentials"][0], b"half")
    second = send(mlflow, begun["credentials"][0], b"whole")
    status, told = end(mlflow, "complete", root, "f", begun["upload_id"], [first])
    assert status == 400 and "Part 1 has the digest" in told["message"]
    assert end(mlflow, "complete", root, "f", begun["upload_id"], [second]) == (200, {})
    assert stored(mlflow, f"{root}/f") == b"whole"
    answer = mlflow.http.put(begun["credentials"][0]["url"], content=b"late")
    assert answer.status_code == 400 and "is completed" in answer.json()["message"]


def test_nothing_is_there_without_every_part(mlflow: Protocol, root: str) -> None:
    begun = begin(mlflow, root, "f", 3)
    upload = begun["upload_id"]
    sent = [send(mlflow, begun["credentials"][n], b"x") for n in (0, 2)]
    status, told = end(mlflow, "complete", root, "f", upload, sent)
    assert status == 400 and told["message"].startswith("Part 2 of 3 has not arrived.")
    sent.append(send(mlflow, begun["credentials"][1], b"y"))
    status, told = end(mlflow, "complete", root, "f", upload, [*sent, {"part_number": 4, "etag": "x"}])
    assert status == 400 and "3 parts, not 4" in told["message"]
    status, told = end(mlflow, "complete", root, "other", upload, sent)
    assert status == 400 and "is not of" in told["message"]
    assert stored(mlflow, f"{root}/f") is None
    assert end(mlflow, "complete", root, "f", upload, sent)[0] == 200


def test_what_is_aborted_is_gone(mlflow: Protocol, root: str) -> None:
    begun = begin(mlflow, root, "f", 1)
    sent = send(mlflow, begun["credentials"][0], b"x")
    for _ in range(2):
        assert end(mlflow, "abort", root, "f", begun["upload_id"], []) == (200, {})
    assert end(mlflow, "complete", root, "f", begun["upload_id"], [sent])[0] == 404
    assert mlflow.http.put(begun["credentials"][0]["url"], content=b"x").status_code == 404
    assert stored(mlflow, f"{root}/f") is None


@pytest.mark.parametrize(
    "upload", ["nothing", "a\0b", "x" * 5000, "é", "' OR 1=1 --", "0" * 32, "0" * 31 + "\n"]
)
def test_ids_of_no_upload(mlflow: Protocol, root: str, upload: str) -> None:
    assert end(mlflow, "complete", root, "f", upload, [])[0] == 404
    assert end(mlflow, "abort", root, "f", upload, []) == (200, {})
    assert mlflow.http.put(f"{MPU}/parts/{quote(upload, safe='')}/1", content=b"x").status_code in (400, 404)


def test_what_is_given_up_while_a_part_arrives_stays_gone(
    composition: Composition, mlflow: Protocol, root: str, make_caller: Callable[..., Caller]
) -> None:
    caller, uploads = make_caller(), composition.uploads
    upload = uploads.begin(caller, "f", 1)

    def arriving() -> Iterator[bytes]:
        yield b"half"
        uploads.abort(caller, upload)
        yield b"rest"

    with pytest.raises(NotFound, match="given up"):
        uploads.put_part(caller, upload, 1, arriving())

    upload = uploads.begin(caller, "f", 1)
    digest = uploads.put_part(caller, upload, 1, iter([b"all"]))
    kept: list[bytes] = []

    def store(blocks: Iterator[bytes]) -> None:
        uploads.abort(caller, upload)
        kept.extend(blocks)

    uploads.complete(caller, upload, "f", {1: digest}, store)
    assert kept == [b"all"]
    with pytest.raises(NotFound, match="given up"):
        uploads.complete(caller, upload, "f", {1: digest}, store)


@pytest.mark.parametrize("parts", [0, -1, 10_001])
def test_how_many_parts_there_may_be(mlflow: Protocol, root: str, parts: int) -> None:
    answer = mlflow.http.post(f"{MPU}/create/{root}", json={"path": "f", "num_parts": parts})
    assert answer.status_code == 400 and "1 to 10000 parts" in answer.json()["message"]


@pytest.mark.parametrize("number", ["0", "3", "-1", "one", "9" * 12, "%D9%A1"])
def test_numbers_that_are_no_parts(mlflow: Protocol, root: str, number: str) -> None:
    begun = begin(mlflow, root, "f", 2)
    answer = mlflow.http.put(f"{MPU}/parts/{begun['upload_id']}/{number}", content=b"x")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("folder", "local", "status"),
    [
        ("{root}", "a/", 400), ("{root}", "/", 400), ("{root}", "..", 400), ("{root}", "a\0b", 400),
        ("{root}/%2e%2e", "f", 400), ("versions/v-" + "0" * 32, "f", 400),
        ("0/" + "0" * 32 + "/artifacts", "f", 404), ("0/models/m-" + "0" * 32 + "/artifacts", "f", 404),
    ],
)  # fmt: skip
def test_where_no_file_may_be(mlflow: Protocol, root: str, folder: str, local: str, status: int) -> None:
    answer = mlflow.http.post(
        f"{MPU}/create/{folder.format(root=root)}", json={"path": local, "num_parts": 1}
    )
    assert answer.status_code == status, answer.text


def test_a_part_is_sent_as_the_one_who_began(mlflow: Protocol, root: str) -> None:
    """Stock clients send parts with the headers of the answer alone: who they are and their workspace stand there."""
    begun = begin(mlflow, root, "f", 1, **{"X-MLFLOW-WORKSPACE": "default"})
    assert begun["credentials"][0]["headers"] == {"X-MLFLOW-WORKSPACE": "default"}


def test_what_nobody_completes_is_forgotten(composition: Composition, mlflow: Protocol, root: str) -> None:
    begun = begin(mlflow, root, "f", 2)
    sent = send(mlflow, begun["credentials"][0], b"x")
    uploads: MultipartUploads = composition.uploads
    now_ms = int(begun["upload_id"][:12], 16)
    assert uploads.give_up_old(now_ms + GIVEN_UP_MS) == 0
    assert uploads.give_up_old(now_ms + GIVEN_UP_MS + 1) == 2
    assert end(mlflow, "complete", root, "f", begun["upload_id"], [sent])[0] == 404
