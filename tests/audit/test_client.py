"""The client against a server whose log is honest, set back, rewritten, or signed by another key."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.audit.notes import parse_key
from holdfast.client import Client
from holdfast.client.seen import SeenCheckpoints
from holdfast.kernel.errors import Forbidden, IntegrityError, NotFound, Unavailable
from holdfast.kernel.principal import Caller

from .conftest import InProcess, grow_log

Connect = Callable[..., Client]
pytestmark = pytest.mark.database("sqlite")  # a file that can be put back


@pytest.fixture
def entries(composition: Any, caller: Caller) -> Callable[[int], None]:
    return lambda count: grow_log(composition.storage, caller, count)


def test_a_log_that_grows_is_followed(
    connect: Connect, entries: Callable[[int], None], tmp_path: Path
) -> None:
    client = connect()
    for count in (0, 1, 1, 5, 0, 30):
        entries(count)
        assert client.verify_audit().ok
        assert client.audit_checkpoint().size == client.verify_audit().size
    files = [*(tmp_path / "seen").iterdir()]
    assert len(files) == 2 and all(file.stat().st_size < 2_000 for file in files)


def test_an_old_backup_raises_the_alarm(
    entries: Callable[[int], None],
    tmp_path: Path,
    composition: Any,
    connect: Connect,
    serve: Any,
    caller: Caller,
) -> None:
    from holdfast.app.compose import Composition, build_app
    from holdfast.settings import Settings

    entries(3)
    connect().audit_checkpoint()
    backup = tmp_path / "backup"
    shutil.copytree(composition.settings.data, backup)
    for file in tmp_path.glob("holdfast.db*"):
        shutil.copy(file, backup)
    entries(2)
    assert connect().audit_checkpoint().size == 5
    other = Composition(Settings(data=backup))
    try:
        back = serve(build_app(other))
        for verb in (
            Client.audit_checkpoint,
            Client.verify_audit,
            lambda client: client.prove_audit_entry(1),
        ):
            with pytest.raises(IntegrityError, match="was set back: it has 3 entries, and this client saw 5"):
                verb(connect(back))
        grow_log(other.storage, caller, 4)  # the log goes on another way
        with pytest.raises(IntegrityError, match="was rewritten: its first 5 entries"):
            connect(back).audit_checkpoint()
        assert connect(back).verify_audit(accept=True).ok  # a restore that the user knows of
        assert connect(back).audit_checkpoint().size == 7
        with pytest.raises(IntegrityError, match="set back"):
            connect().audit_checkpoint()
    finally:
        other.close()


def test_a_new_key_is_followed_by_its_rotation(
    connect: Connect, entries: Callable[[int], None], composition: Any
) -> None:
    entries(2)
    client = connect()
    first = client.audit_checkpoint()
    rotated = client.rotate_key("checkpoint")
    second = client.audit_checkpoint()
    assert parse_key(second.key).public.hex() == rotated.current != parse_key(first.key).public.hex()
    assert second.origin == first.origin
    client.rotate_key("checkpoint")
    client.rotate_key("checkpoint")
    assert client.verify_audit().size == 5
    assert [len(key.rotations) for key in client.list_keys()] == [3, 0, 0, 0]


def test_a_log_signed_by_a_stranger_is_refused(
    connect: Connect, entries: Callable[[int], None], composition: Any
) -> None:
    """The same log under a key that no rotation leads to."""
    entries(2)
    connect().audit_checkpoint()
    composition.checkpoints.record(composition.clock.now_ms())  # the origin stays
    (composition.settings.keys / "checkpoint.key").write_text("11" * 32 + "\n")
    composition.keys.signing_keys("checkpoint", refresh=True)
    entries(1)
    with pytest.raises(
        IntegrityError, match=r"does not follow from the known|not signed by a key of this log"
    ):
        connect().audit_checkpoint()


def test_a_damaged_server_is_told(connect: Connect, entries: Callable[[int], None], composition: Any) -> None:
    from sqlalchemy import text

    entries(9)
    composition.storage.write(
        lambda tx: tx.execute(text("DELETE FROM audit_node WHERE level = 3 AND idx = 0"))
    )
    report = connect().verify_audit()
    assert [damage.problem for damage in report.damaged] == [
        "the tree node over the entries 0 to 7 is missing"
    ]
    with pytest.raises(IntegrityError, match="lack the node"):
        connect().prove_audit_entry(8)


def test_what_is_remembered_is_whole_or_an_error(
    connect: Connect, entries: Callable[[int], None], tmp_path: Path
) -> None:
    entries(1)
    connect().audit_checkpoint()
    for file in [*(tmp_path / "seen").iterdir()]:
        kept = file.read_bytes()
        file.write_bytes(kept[:50])
        with pytest.raises(IntegrityError, match="can't be read"):
            connect().audit_checkpoint()
        file.write_bytes(kept)
    assert connect().audit_checkpoint().size == 1
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="can't be remembered"):
        connect(folder="file").verify_audit(accept=True)


def test_a_proof_is_checked_by_the_client(connect: Connect, entries: Callable[[int], None]) -> None:
    entries(20)
    proof = connect().prove_audit_entry(7)
    assert (proof.index, proof.checkpoint.size, len(proof.hashes)) == (7, 20, 5)
    with pytest.raises(NotFound):
        connect().prove_audit_entry(20)


def test_an_export_is_a_file_or_nothing(
    connect: Connect, entries: Callable[[int], None], tmp_path: Path
) -> None:
    entries(1_200)
    report = connect().export_audit(tmp_path / "log.jsonl")
    assert (report.ok, report.size) == (True, 1_200)
    assert [path.name for path in tmp_path.glob("*log.jsonl*")] == ["log.jsonl"]


def test_keys_are_changed_by_administrators(http: Any, tmp_path: Path) -> None:
    with Client(transport=lambda _url: InProcess(http), seen=SeenCheckpoints(tmp_path / "s")) as nobody:
        assert {key.name for key in nobody.list_keys()} == {"checkpoint", "approval", "serving", "secret-box"}
        with pytest.raises(Forbidden):
            nobody.rotate_key("serving")


def test_the_pages_show_checkpoint_and_proof(http: Any, entries: Callable[[int], None]) -> None:
    assert http.get("/audit").status_code == 200
    entries(3)
    page = http.get("/audit").text
    assert "Checkpoint" in page
    assert http.get("/api/v1/audit/checkpoint").json()["root"] in page
    entry = http.get("/audit/1").text
    assert "Inclusion proof" in entry
    for part in http.get("/api/v1/audit/proof/1").json()["hashes"]:
        assert part in entry


def test_the_page_of_an_entry_that_cannot_be_proved_says_so(
    http: Any, entries: Callable[[int], None], composition: Any
) -> None:
    from sqlalchemy import text

    entries(9)
    composition.storage.write(
        lambda tx: tx.execute(text("DELETE FROM audit_node WHERE level = 3 AND idx = 0"))
    )
    answer = http.get("/audit/8")
    assert answer.status_code == 200
    assert "can&#39;t be proved" in answer.text.replace("can't", "can&#39;t")
