"""Stored bytes as downloads that a browser never runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.chunks import TreeFile
from holdfast.kernel.errors import IntegrityError, NotFound
from holdfast.storage import Objects
from holdfast.web.files import send_file


def test_a_file_is_a_download_under_its_own_name(objects: Objects) -> None:
    blob = objects.put(b"<script>alert(1)</script>" * 20_000)
    answer = send_file(objects, TreeFile('reports/späte Flüge;".html', blob.sha256, blob.size))
    assert b"".join(answer.blocks) == objects.get(blob.sha256)
    assert answer.headers == {
        "Content-Length": str(blob.size),
        "Accept-Ranges": "bytes",
        "Content-Disposition": "attachment; filename*=UTF-8''sp%C3%A4te%20Fl%C3%BCge%3B%22.html",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "ETag": f'"{blob.sha256}"',
    }


@pytest.mark.parametrize(("path", "media"), [
    ("a.json", "application/json"), ("a.csv", "text/csv"), ("model.pkl", "application/octet-stream"),
    ("a.unknown", "application/octet-stream"),
    ("reference.json.gz", "application/octet-stream"), ("Makefile", "application/octet-stream"),
])  # fmt: skip
def test_the_media_type_follows_the_name(objects: Objects, path: str, media: str) -> None:
    blob = objects.put(b"x")
    answer = send_file(objects, TreeFile(path, blob.sha256, 1))
    assert answer.media_type == media
    list(answer.blocks)


def test_a_file_whose_bytes_are_gone_is_not_found(objects: Objects) -> None:
    with pytest.raises(NotFound):
        send_file(objects, TreeFile("a", "0" * 64, 1))


@pytest.mark.parametrize("size", [0, 1, 1 << 18, (1 << 18) + 1, 1 << 20])
def test_files_of_every_size_arrive_whole(objects: Objects, size: int) -> None:
    blob = objects.put(b"x" * size)
    assert b"".join(send_file(objects, TreeFile("a", blob.sha256, size)).blocks) == b"x" * size


@pytest.mark.parametrize("size", [1, 1 << 18, 1 << 20])
def test_damaged_bytes_never_arrive_whole(objects: Objects, size: int) -> None:
    blob = objects.put(b"x" * size)
    _only_file(objects).write_bytes(b"x" * (size - 1) + b"y")
    arrived = []
    with pytest.raises(IntegrityError, match=blob.sha256):
        arrived.extend(send_file(objects, TreeFile("a", blob.sha256, size)).blocks)
    assert sum(map(len, arrived)) < size


def _only_file(objects: Objects) -> Path:
    (path,) = (Path(objects.url) / "loose").iterdir()
    return path
