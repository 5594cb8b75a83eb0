"""Many artifacts in one request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.chunks import BUNDLE_TYPE, bundle_head
from holdfast.kernel.hashing import sha256_hex
from holdfast.storage import Objects, open_backend

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

RUNS = "/api/v1/runs"


@pytest.fixture
def run(http: Any) -> str:
    made: str = http.post(RUNS, json={"experiment": "e"}).json()["run_id"]
    return made


@pytest.fixture
def send(http: Any, run: str) -> Callable[[dict[str, bytes]], Any]:
    def post(files: dict[str, bytes]) -> Any:
        body = bundle_head([(path, len(data)) for path, data in files.items()]) + b"".join(files.values())
        return http.post(
            f"{RUNS}/{run}/artifact-bundles", content=body, headers={"content-type": BUNDLE_TYPE}
        )

    return post


def listed(http: Any, run: str) -> dict[str, tuple[str, int]]:
    items = http.get(f"{RUNS}/{run}/artifacts").json()["items"]
    return {item["path"]: (item["sha256"], item["size"]) for item in items}


def test_every_file_of_a_bundle_is_an_artifact(
    http: Any, run: str, send: Callable[..., Any], composition: Composition
) -> None:
    files = {f"many/{n:03}.txt": b"%d" % n for n in range(300)} | {"empty": b"", "ü/größe": b"x" * 100_000}
    assert send(files).json() == {"files": 302, "size": sum(map(len, files.values()))}
    assert listed(http, run) == {path: (sha256_hex(data), len(data)) for path, data in files.items()}
    for path in ("many/007.txt", "empty", "ü/größe"):
        assert http.get(f"{RUNS}/{run}/artifacts/{path}").content == files[path]
    assert (composition.objects.stats().packs, composition.objects.stats().loose) == (1, 0)


def test_a_bundle_replaces_and_may_be_sent_again(http: Any, run: str, send: Callable[..., Any]) -> None:
    send({"a": b"one", "b": b"two"})
    for _ in range(2):
        send({"b": b"three", "c": b"four"})
    assert {path: digest for path, (digest, _) in listed(http, run).items()} == {
        path: sha256_hex(data) for path, data in {"a": b"one", "b": b"three", "c": b"four"}.items()
    }


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"ok": b"x", "../evil": b"y"}, "'..' part"),
        ({"ok": b"x", "ok/below": b"y"}, "clashes"),
        ({"old/below": b"y"}, "clashes"),
        ({"ok": b"x", "folder": b"y"}, "clashes"),
    ],
)
def test_a_bundle_with_one_bad_path_leaves_nothing(
    http: Any, run: str, send: Callable[..., Any], files: dict[str, bytes], problem: str
) -> None:
    send({"old": b"1", "folder/inside": b"2"})
    before = listed(http, run)
    answer = send(files)
    assert (answer.status_code, problem in answer.json()["error"]["message"]) == (400, True)
    assert listed(http, run) == before


def test_a_bundle_for_no_run_is_not_stored(http: Any, composition: Composition) -> None:
    body = bundle_head([("a", 1)]) + b"x"
    answer = http.post(f"{RUNS}/nobody/artifact-bundles", content=body)
    assert answer.status_code == 404
    assert composition.objects.stats().objects == 0


def test_a_bundle_is_limited(http: Any, run: str) -> None:
    answer = http.post(f"{RUNS}/{run}/artifact-bundles", content=bytes((64 << 20) + 1))
    assert answer.status_code == 413


def test_a_presigned_download_is_asked_for_and_only_where_there_is_one(
    http: Any, run: str, send: Callable[..., Any]
) -> None:
    http.put(f"{RUNS}/{run}/artifacts/loose", content=b"loose")
    send({"packed": b"packed"})
    for path in ("loose", "packed"):
        answer = http.get(f"{RUNS}/{run}/artifacts/{path}?presigned=true")
        assert (answer.status_code, answer.content) == (200, path.encode())


def test_bytes_that_were_packed_are_downloaded_as_before(
    http: Any, run: str, composition: Composition
) -> None:
    data = Path(__file__).read_bytes() * 200
    http.put(f"{RUNS}/{run}/artifacts/large", content=data)
    again = Objects(composition.storage, open_backend(composition.objects.url))
    assert again.pack(lambda: None, after_ms=-1) == 1
    assert http.get(f"{RUNS}/{run}/artifacts/large").content == data
