"""Backups: taken while everything writes, whole when restored, into either kind of database, and all or nothing."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import polars as pl
import pytest

from holdfast.app.backup import HEADER, back_up
from holdfast.app.restore import restore
from holdfast.app.services import Services, open_services
from holdfast.app.upkeep import pack_objects
from holdfast.client import Client
from holdfast.client.seen import SeenCheckpoints
from holdfast.identity.service import system_caller
from holdfast.kernel.clock import SystemClock
from holdfast.kernel.errors import Conflict, HoldfastError, IntegrityError, NotFound, Unauthenticated
from holdfast.kernel.ids import new_id, uuid7
from holdfast.predictions.compact import compact_endpoint
from holdfast.predictions.records import MonitorFields, SegmentName
from holdfast.predictions.segments import Batch, Schema, SegmentHeader, encode_record
from holdfast.settings import Settings
from holdfast.storage.archive import ArchiveWriter, read_archive
from holdfast.storage.migrate import revision_of
from holdfast.storage.objects import table_options
from holdfast.testing.postgres import PostgresServer

if TYPE_CHECKING:
    from holdfast.app.compose import Composition
    from tests.app.conftest import Server

SCHEMA = Schema(0, 1, ["x"], ["double"], "binary", ["0", "1"], "1")


@pytest.fixture
def caller() -> Any:
    return system_caller("default", SystemClock().now_ms())


class Life:
    """Runs with an artifact each, and predictions of one endpoint: what a deployment gets while it is used."""

    def __init__(self, services: Services, caller: Any) -> None:
        self.services, self.caller = services, caller
        self.endpoint = services.predictions.set_monitor(caller, "watched", MonitorFields()).endpoint_id
        self.runs: list[str] = []
        self.shipped = 0

    def run(self) -> None:
        tracking = self.services.tracking
        made = tracking.create_run(self.caller, experiment="e", name="r")
        body = f"artifact of {made.run_id}".encode() * random.randint(1, 4000)
        tracking.artifacts.put(self.caller, made.run_id, "model/weights.bin", iter([body]))
        tracking.finish_run(self.caller, made.run_id, "finished")
        self.runs.append(made.run_id)

    def ship(self) -> None:
        """Ten predictions, one segment, as an inference server sends them."""
        number = self.shipped + 1
        name = SegmentName(self.endpoint, "local", "b1", number)
        header = SegmentHeader(1, self.endpoint, "local", "b1", number, 0)
        now = self.services.clock.now_ms()
        batch = Batch(
            0, uuid7(), now, 120, ["1"] * 10, [[0.2] * 10, [0.8] * 10], [[1.0] * 10], [None] * 10, None
        )
        data = b"".join(encode_record(record) for record in (header, SCHEMA, batch))
        self.services.predictions.accept_segment(self.caller, name, data)
        self.shipped = number

    def compact(self) -> None:
        s = self.services
        compact_endpoint(s.predictions, s.clock, "default", self.endpoint, new_id("w"))

    def pack(self) -> None:
        pack_objects(self.services, new_id("w"), threading.Event(), after_ms=-1)


@pytest.fixture
def life(composition: Composition, caller: Any) -> Life:
    return Life(composition, caller)


class Writers:
    """Does every kind of work again and again, each in a thread of its own, while the block runs."""

    def __init__(self, *works: Callable[[], None]) -> None:
        self._works, self._stop = works, threading.Event()
        self._first = [threading.Event() for _ in works]
        self._threads = [threading.Thread(target=self._do, args=(n,)) for n in range(len(works))]
        self.failures: list[BaseException] = []

    def _do(self, number: int) -> None:
        while not self._stop.is_set():
            try:
                self._works[number]()
            except BaseException as error:  # noqa: BLE001 - told at the end
                self.failures.append(error)
                return
            finally:
                self._first[number].set()

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        for event in self._first:
            assert event.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert self.failures == []


@pytest.fixture
def target(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Settings]]:
    """Settings of an empty deployment on a kind of database."""
    made: list[str] = []

    def make(kind: str, **more: Any) -> Settings:
        url = ""
        if kind == "postgresql":
            server: PostgresServer = request.getfixturevalue("postgres")
            made.append(f"restored{len(made)}x{os.getpid()}")
            url = server.create_database(made[-1])
        return Settings(data=tmp_path / f"restored-{new_id()}", database_url=url, **more)

    yield make
    for name in made:
        request.getfixturevalue("postgres").drop_database(name)


def every_run(services: Services, caller: Any) -> Iterator[str]:
    """The ids of all runs, page by page: the writers make more than one page of them."""
    token: str | None = ""
    while token is not None:
        page = services.tracking.list_runs(caller, limit=1000, page_token=token)
        yield from (run.run_id for run in page.items)
        token = page.next_page_token


def check_whole(services: Services, life: Life, before: list[str], shipped: int) -> None:
    """Everything that was acknowledged before the backup is there and whole, and so is whatever else is there."""
    caller = life.caller
    assert services.audit.verify().ok
    assert [one for one in services.objects.verify(services.gc_roots) if one is not None] == []
    runs = set(every_run(services, caller))
    assert set(before) <= runs
    for run in runs:
        for file in services.tracking.artifacts.list(caller, run).items:
            assert services.objects.get(file.sha256).startswith(f"artifact of {run}".encode())
    # What the snapshot has as waiting is compacted now: each prediction once.
    compact_endpoint(services.predictions, services.clock, "default", life.endpoint, "w")
    table = services.predictions.tables(life.endpoint)[0]
    ids = pl.read_delta(table, storage_options=table_options(table))["prediction_id"]
    assert ids.is_unique().all() and len(ids) >= 10 * shipped
    assert len(ids) == services.predictions.log_status(caller, "watched").rows


@pytest.mark.slow
@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
def test_taken_while_everything_writes(
    life: Life, composition: Composition, target: Any, tmp_path: Path, into: str
) -> None:
    file = tmp_path / "all.backup"
    with Writers(life.run, life.ship, life.compact, life.pack):
        before, shipped = list(life.runs), life.shipped
        done = back_up(composition, file)
    assert done.problems == [] and done.objects > 0 and done.log_files > 0
    settings = target(into)
    restored = restore(file, settings)
    assert restored.problems == [] and restored.rows == done.rows
    services = open_services(settings)
    try:
        check_whole(services, life, before, shipped)
        life.services = services  # and life goes on: numbers that were given are not given again
        life.run(), life.ship(), life.compact(), life.pack()
        check_whole(services, life, life.runs[-1:], shipped)
    finally:
        services.close()


@pytest.fixture
def file(life: Life, composition: Composition, tmp_path: Path) -> Path:
    """A small backup with keys."""
    composition.keys.signing_key("serving")
    life.run(), life.ship(), life.compact(), life.ship()
    back_up(composition, tmp_path / "small.backup", "open sesame")
    return tmp_path / "small.backup"


@pytest.mark.database("sqlite")
def test_keys_come_back_under_the_passphrase_alone(
    file: Path, composition: Composition, target: Any, tmp_path: Path
) -> None:
    plain = tmp_path / "plain.backup"
    back_up(composition, plain)
    secrets = [path.read_bytes().strip() for path in composition.settings.keys.glob("*.key")]
    for backup in (file, plain):
        content = b"".join(member.read() for _, _, member in read_archive(backup))
        assert secrets and not any(secret in content for secret in secrets)
    with pytest.raises(Conflict, match="under a passphrase"):
        restore(file, target("sqlite"))
    with pytest.raises(Unauthenticated, match="passphrase"):
        restore(file, target("sqlite"), "another")
    settings = target("sqlite")
    assert restore(file, settings, "open sesame").has_keys
    assert [path.read_bytes().strip() for path in settings.keys.glob("*.key")] == secrets
    assert {path.stat().st_mode & 0o777 for path in settings.keys.glob("*.key")} == {0o600}
    without = target("sqlite")
    assert not restore(file, without, without_keys=True).has_keys
    assert not without.keys.exists()


@pytest.mark.database("sqlite")
def test_a_damaged_or_cut_file_is_refused_and_leaves_nothing(file: Path, target: Any, tmp_path: Path) -> None:
    content = file.read_bytes()
    settings = target("sqlite")
    draw = random.Random(7)
    flipped = [draw.randrange(len(content)) for _ in range(40)]
    for at in (0, len(content) - 1, *flipped):
        damaged = bytearray(content)
        damaged[at] ^= 1 << draw.randrange(8)
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(IntegrityError):
            restore(tmp_path / "damaged", settings, "open sesame")
    for length in (0, 10, 40, len(content) // 2, len(content) - 1):
        (tmp_path / "cut").write_bytes(content[:length])
        with pytest.raises(IntegrityError):
            restore(tmp_path / "cut", settings, "open sesame")
    assert not settings.data.exists()
    assert [path for path in tmp_path.iterdir() if "restoring" in path.name] == []


@pytest.mark.parametrize("key", ["../../evil", "/tmp/holdfast-evil", "a/../../../evil", "..", ""])
@pytest.mark.database("sqlite")
def test_a_forged_backup_writes_in_its_place_alone(file: Path, target: Any, tmp_path: Path, key: str) -> None:
    """Whole and of the right digests, but with a member that leads out of the folder."""
    with ArchiveWriter(tmp_path / "forged") as forged:
        for name, _, content in read_archive(file):
            forged.add(name, content.read())
        forged.add(f"objects/{key}", b"evil")
    settings = target("sqlite")
    with pytest.raises(IntegrityError, match="which is none"):
        restore(tmp_path / "forged", settings, "open sesame")
    assert not settings.data.exists()
    assert not list(tmp_path.rglob("evil")) and not Path("/tmp/holdfast-evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
@pytest.mark.database("sqlite")
def test_a_backup_holds_files_alone(file: Path, target: Any, tmp_path: Path, kind: bytes) -> None:
    with ArchiveWriter(tmp_path / "forged") as forged:
        for name, _, content in read_archive(file):
            forged.add(name, content.read())
        member = tarfile.TarInfo("objects/keys")
        member.type, member.linkname = kind, str(tmp_path)
        forged._tar.addfile(member)
    settings = target("sqlite")
    with pytest.raises(IntegrityError):
        restore(tmp_path / "forged", settings, "open sesame")
    assert not settings.data.exists()


@pytest.mark.database("sqlite")
def test_a_backup_that_would_fill_the_memory_is_refused(target: Any, tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "bomb") as bomb:
        bomb.add_stream(HEADER, 64 << 20, (bytes(1 << 20) for _ in range(64)))
    assert (tmp_path / "bomb").stat().st_size < 100_000
    settings = target("sqlite")
    with pytest.raises(IntegrityError, match="larger than any"):
        restore(tmp_path / "bomb", settings)
    assert not settings.data.exists()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
@pytest.mark.database("sqlite")
def test_only_empty_places_are_restored_into(file: Path, target: Any, kind: str) -> None:
    settings = target(kind)
    settings.data.mkdir()  # an empty folder is an empty place
    restore(file, settings, "open sesame")
    before = sorted(path for path in settings.data.rglob("*"))
    with pytest.raises(Conflict, match="not empty"):
        restore(file, settings, "open sesame")
    if kind == "postgresql":
        other = Settings(data=settings.data.with_name("other"), database_url=settings.database_url)
        with pytest.raises(Conflict, match="not empty"):
            restore(file, other, "open sesame")
        assert not other.data.exists()
    assert sorted(path for path in settings.data.rglob("*")) == before


@pytest.mark.parametrize("kind", [pytest.param("sqlite", marks=pytest.mark.slow), "postgresql"])
@pytest.mark.database("sqlite")
def test_what_fails_in_the_middle_leaves_nothing(
    file: Path, target: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step before everything has its name fails."""
    settings = target(kind)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "sync", fail)
    with pytest.raises(HoldfastError, match="No space left"):
        restore(file, settings, "open sesame")
    assert not settings.data.exists()
    assert list(settings.data.parent.glob(".restored*")) == []
    assert revision_of(settings.database) is None
    monkeypatch.undo()
    assert restore(file, settings, "open sesame").problems == []


@pytest.mark.slow
@pytest.mark.database("sqlite")
def test_into_another_object_store(file: Path, life: Life, target: Any, tmp_path: Path) -> None:
    settings = target("sqlite", objects_url=str(tmp_path / "elsewhere"))
    restore(file, settings, "open sesame")
    assert not (settings.data / "objects").exists()
    services = open_services(settings)
    try:
        check_whole(services, life, life.runs, life.shipped)
    finally:
        services.close()


@pytest.mark.database("sqlite")
def test_damage_of_the_deployment_is_named_and_kept(
    life: Life, composition: Composition, target: Any, tmp_path: Path
) -> None:
    life.run(), life.run()
    lost, changed = sorted((Path(composition.objects.url) / "loose").iterdir())[:2]
    lost.unlink()
    changed.write_bytes(b"x" + changed.read_bytes()[1:])
    done = back_up(composition, tmp_path / "b")
    assert sorted(problem.split(":")[0] for problem in done.problems) == sorted(
        f"object loose/{path.name}" for path in (lost, changed)
    )
    settings = target("sqlite")
    restore(tmp_path / "b", settings)
    assert (settings.data / "objects" / "loose" / changed.name).read_bytes() == changed.read_bytes()


@pytest.mark.database("sqlite")
def test_a_file_that_is_there_is_not_overwritten(composition: Composition, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    with pytest.raises(Conflict, match="is there already"):
        back_up(composition, tmp_path / "b")
    assert (tmp_path / "b").read_text() == "mine"
    with pytest.raises(HoldfastError, match="can't be written"):
        back_up(composition, tmp_path / "no" / "folder")
    with pytest.raises(NotFound, match="no file"):
        restore(tmp_path / "none", Settings(data=tmp_path / "r"))


def holdfast(*arguments: object) -> tuple[int, Any, str]:
    command = [sys.executable, "-m", "holdfast", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (
        done.returncode,
        json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout,
        done.stderr,
    )


def test_from_the_command_line_beside_a_server(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start(children=True)
    run = server.http.post("/api/v1/runs", json={}).json()["run_id"]
    server.http.put(f"/api/v1/runs/{run}/artifacts/a.txt", content=b"hello")
    code, said, error = holdfast("backup", tmp_path / "b", "--data", server.data)
    assert (code, error) == (0, "") and said["objects"] >= 1
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    code, said, error = holdfast("restore", tmp_path / "b", "--data", tmp_path / "again")
    assert (code, error, said["problems"]) == (0, "", [])
    again = start(data=tmp_path / "again")
    assert httpx.get(f"{again.url}/api/v1/runs/{run}/artifacts/a.txt").content == b"hello"
    assert again.http.get("/api/v1/audit/verify").json()["ok"] is True
    code, _, error = holdfast("restore", tmp_path / "b", "--data", tmp_path / "again")
    assert code == 1 and "not empty" in error


@pytest.mark.parametrize(
    ("signed_before", "with_keys", "alarm"),
    [
        (True, True, "was set back"),
        (True, False, "does not follow|no statement|shows the audit log"),
        (False, True, "shows the audit log"),
        (False, False, "shows the audit log"),
    ],
)
def test_a_client_is_told_when_an_old_backup_took_the_place_of_the_log(
    start: Callable[..., Server], tmp_path: Path, signed_before: bool, with_keys: bool, alarm: str
) -> None:
    """By the command line alone: back up, work on, restore the old file under the same address."""
    seen, words = SeenCheckpoints(tmp_path / "seen"), tmp_path / "words"
    words.write_text("open sesame")
    server = start()
    with Client(server.url, seen=seen) as client:
        client.create_model("before")
        if signed_before:
            assert client.verify_audit().ok  # signs, and so makes the key that names the log
        keys = ("--passphrase-file", words) if with_keys else ()
        code, _, error = holdfast("backup", tmp_path / "b", "--data", server.data, *keys)
        assert (code, error) == (0, "")
        client.create_model("after")
        assert client.verify_audit().ok
    server.end()
    code, _, error = holdfast("restore", tmp_path / "b", "--data", tmp_path / "old", *keys)
    assert (code, error) == (0, "")
    start(data=tmp_path / "old", port=server.port)
    with Client(server.url, seen=seen) as client:
        assert [model.name for model in client.list_models()] == ["before"]
        with pytest.raises(IntegrityError, match=alarm):
            client.verify_audit()
        assert client.verify_audit(accept=True).ok  # a restore that the user knows of
        assert client.verify_audit().ok
