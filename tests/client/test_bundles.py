"""Folders travel in bundles."""

from __future__ import annotations

import os

import pytest

from holdfast.chunks import read_bundle
from holdfast.client.active import ActiveRun
from holdfast.kernel.errors import InvalidInput, NotFound


@pytest.fixture
def run(client, plane, run_document):
    plane.on("POST /api/v1/runs", (200, run_document))
    return ActiveRun(client, client.create_run())


def test_a_folder_arrives_in_bundles_and_its_large_files_alone(run, plane, tmp_path):
    folder = tmp_path / "out"
    for number in range(2100):
        path = folder / f"{number % 7}" / f"{number:04}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number)
    (folder / "large.bin").write_bytes(bytes((4 << 20) + 1))
    (folder / "link").symlink_to(folder / "large.bin")
    plane.on("POST /api/v1/runs/r1/artifact-bundles", (200, {"files": 1, "size": 1}))
    plane.on("PUT /api/v1/runs/r1/artifacts/out/large.bin", (200, {}))
    plane.on("PUT /api/v1/runs/r1/artifacts/out/link", (200, {}))
    run.log_artifact(folder)
    bundles = [list(read_bundle([body])) for body in plane.bodies("POST /api/v1/runs/r1/artifact-bundles")]
    found = {path: bytes(data) for bundle in bundles for path, data in bundle}
    assert sorted(len(bundle) for bundle in bundles) == [100, 2000]
    assert found == {f"out/{n % 7}/{n:04}.txt": b"%d" % n for n in range(2100)}
    assert [len(body) for body in plane.bodies("PUT /api/v1/runs/r1/artifacts/out/large.bin")] == [
        (4 << 20) + 1
    ]


def test_a_bundle_that_is_refused_is_raised(run, plane, tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    error = {"error": {"code": "not_found", "message": "There is no run 'r1'."}}
    plane.on("POST /api/v1/runs/r1/artifact-bundles", (404, error))
    with pytest.raises(NotFound, match="no run"):
        run.log_artifact(tmp_path, "top")


def test_what_is_no_file_is_left_out(run, plane, tmp_path):
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a").write_bytes(b"x")
    plane.on("POST /api/v1/runs/r1/artifact-bundles", (200, {"files": 1, "size": 1}))
    run.log_artifact(tmp_path, "top")
    (body,) = plane.bodies("POST /api/v1/runs/r1/artifact-bundles")
    assert [path for path, _ in read_bundle([body])] == ["top/a"]


def test_a_file_that_vanishes_is_named(client, tmp_path):
    with pytest.raises(InvalidInput, match="gone"):
        client.upload_artifacts("r1", [("gone", tmp_path / "gone")])


def test_an_empty_folder_sends_nothing(run, plane, tmp_path):
    run.log_artifact(tmp_path, "top")
    assert plane.bodies("POST /api/v1/runs/r1/artifact-bundles") == []


def test_files_of_every_size_arrive_whole_and_the_large_ones_alone(run, plane, tmp_path):
    sizes = [0, 1, 65_535, 65_536, 65_537, 4 << 20, (4 << 20) + 1]
    files = {f"top/{size:08}": os.urandom(size) for size in sizes}
    for path, data in files.items():
        (tmp_path / path.removeprefix("top/")).write_bytes(data)
    plane.on("POST /api/v1/runs/r1/artifact-bundles", (200, {"files": 1, "size": 1}))
    large = f"top/{sizes[-1]:08}"
    plane.on(f"PUT /api/v1/runs/r1/artifacts/{large}", (200, {}))
    run.log_artifact(tmp_path, "top")
    (body,) = plane.bodies("POST /api/v1/runs/r1/artifact-bundles")
    found = {path: bytes(data) for path, data in read_bundle([body])}
    assert found == {path: data for path, data in files.items() if path != large}
    assert plane.bodies(f"PUT /api/v1/runs/r1/artifacts/{large}") == [files[large]]


def test_many_bundles_share_their_memory_and_are_sent_again_where_needed(run, plane, tmp_path):
    for number in range(13):
        (tmp_path / f"{number:02}").write_bytes(bytes([number]) * (4 << 20))
    answers = iter([503, 200, 200, 503] + [200] * 9)
    plane.routes["POST /api/v1/runs/r1/artifact-bundles"] = lambda _: (next(answers), {"files": 1, "size": 1})
    run.log_artifact(tmp_path, "top")
    bodies = set(plane.bodies("POST /api/v1/runs/r1/artifact-bundles"))
    found = {path: bytes(data) for body in bodies for path, data in read_bundle([body])}
    assert found == {f"top/{number:02}": bytes([number]) * (4 << 20) for number in range(13)}
    assert len(bodies) == 3
