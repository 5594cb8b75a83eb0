"""Checkpoints, proofs, witnesses, rotations and exports over a real log."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from holdfast.audit.checkpoints import Checkpoints
from holdfast.audit.keys import Keys
from holdfast.audit.merkle import leaf_hash
from holdfast.audit.notes import open_checkpoint, parse_key
from holdfast.audit.offline import verify_export, write_tiles
from holdfast.audit.proofs import is_consistent, is_included
from holdfast.audit.records import CheckpointView
from holdfast.audit.rotation import follow, is_valid
from holdfast.audit.service import AuditLog
from holdfast.audit.witness import cosigned_text
from holdfast.kernel.errors import Conflict, IntegrityError, InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from holdfast.kernel.times import DAY_MS
from holdfast.storage import Storage
from holdfast.storage.keys import KeyCommand, Keyring, open_keyring

from .conftest import Grow, grow_log

NOW = 1_760_000_000_000


def root_of(view: CheckpointView) -> bytes:
    return open_checkpoint(view.note, parse_key(view.key)).tree.root


def test_a_checkpoint_is_the_signed_state(grow: Grow, checkpoints: Checkpoints) -> None:
    grow(21)
    view = checkpoints.current(NOW)
    opened = open_checkpoint(view.note, parse_key(view.key))
    assert (opened.tree.origin, opened.tree.size) == (view.origin, 21)
    assert opened.tree.root.hex() == view.root == checkpoints.verify().root
    assert checkpoints.current(NOW + 5) is view  # signed once


def test_an_empty_log_has_a_checkpoint(checkpoints: Checkpoints) -> None:
    assert root_of(checkpoints.current(NOW)) == hashlib.sha256(b"").digest()
    assert not checkpoints.record(NOW)


def test_every_entry_is_proved_at_every_size(grow: Grow, checkpoints: Checkpoints, caller: Caller) -> None:
    roots = {}
    for size in range(1, 24):
        grow(1)
        view = checkpoints.current(NOW)
        roots[size] = root_of(view)
        for index in {0, size // 2, size - 1}:
            proof = checkpoints.prove_inclusion(caller, index)
            hashes = [bytes.fromhex(part) for part in proof.hashes]
            assert is_included(index, size, leaf_hash(proof.leaf.encode()), hashes, roots[size])
        for first in range(1, size + 1):
            proved = checkpoints.prove_consistency(first, size)
            hashes = [bytes.fromhex(part) for part in proved.hashes]
            assert is_consistent(first, size, hashes, roots[first], roots[size])


def test_a_proof_needs_its_entry_and_sizes_of_the_log(
    grow: Grow, checkpoints: Checkpoints, caller: Caller, make_caller: Callable[..., Caller]
) -> None:
    grow(3)
    for index in (3, 10**12):
        with pytest.raises(NotFound, match=f"entry {index}"):
            checkpoints.prove_inclusion(caller, index)
    with pytest.raises(NotFound):
        checkpoints.prove_inclusion(make_caller(workspace="other"), 0)
    for first, second in ((0, 3), (2, 1), (1, 4)):
        with pytest.raises(InvalidInput, match=f"{first} and {second}"):
            checkpoints.prove_consistency(first, second)


def test_the_worker_keeps_checkpoints_as_the_log_grows(
    grow: Grow, storage: Storage, checkpoints: Checkpoints
) -> None:
    grow(1)
    assert checkpoints.record(NOW)
    assert not checkpoints.record(NOW + 120_000)  # nothing new
    grow(1)
    assert not checkpoints.record(NOW + 59_999)  # too soon
    assert checkpoints.record(NOW + 60_000)
    for day in range(1, 6):
        for hour in range(3):
            grow(1)
            assert checkpoints.record(NOW + day * DAY_MS + hour * 3_600_000)
    sizes = storage.read(
        lambda tx: tx.execute(text("SELECT size FROM audit_checkpoint ORDER BY size")).scalars().all()
    )
    assert sizes == [1, 3, 6, 9, 11, 12, 13, 14, 15, 16, 17]  # of old days the first, of the last two all
    assert checkpoints.verify().ok


def test_a_clock_that_goes_back_by_a_year_does_not_keep_it_from_signing(
    grow: Grow, checkpoints: Checkpoints
) -> None:
    grow(1)
    assert checkpoints.record(NOW)
    grow(1)
    assert checkpoints.record(NOW - 365 * DAY_MS)
    assert checkpoints.verify().ok


def test_a_rewritten_log_contradicts_its_stored_checkpoints(
    tmp_path: Path, caller: Caller, grow: Grow, storage: Storage, checkpoints: Checkpoints
) -> None:
    """A log that is whole in itself, with leaves and tree made anew, is not what was signed."""
    grow(5)
    checkpoints.record(NOW)
    for table in ("audit_leaf", "audit_node", "audit_head"):
        storage.write(lambda tx, table=table: tx.execute(text(f"DELETE FROM {table}")))
    grow(3)
    report = checkpoints.verify()
    assert [damage.problem for damage in report.damaged] == [
        "a checkpoint signed 5 entries, and the log has fewer"
    ]
    grow(4)
    assert [damage.problem for damage in checkpoints.verify().damaged] == [
        "the first 5 entries are not those that a checkpoint signed"
    ]
    assert AuditLog(storage).verify().ok


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("change", [
    "note = replace(note, 'holdfast/', 'holdfist/')", "root = zeroblob(32)", "size = 4", "origin = 'other'", "note = ''",
    "cosignatures = 'rubbish'",
])  # fmt: skip
def test_a_changed_checkpoint_is_named(
    grow: Grow, storage: Storage, checkpoints: Checkpoints, change: str
) -> None:
    grow(5)
    checkpoints.record(NOW)
    storage.write(lambda tx: tx.execute(text(f"UPDATE audit_checkpoint SET {change}")))
    report = checkpoints.verify()
    assert not report.ok
    assert "checkpoint" in report.damaged[0].problem


def witness_key(secret: Ed25519PrivateKey, name: str) -> tuple[str, bytes]:
    data = b"\x04" + secret.public_key().public_bytes_raw()
    hashed = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
    return f"{name}+{hashed.hex()}+{base64.b64encode(data).decode()}", hashed


def test_a_witness_signs_beside_the_log(grow: Grow, checkpoints: Checkpoints, caller: Caller) -> None:
    grow(4)
    checkpoints.record(NOW)
    secret = Ed25519PrivateKey.generate()
    key, hashed = witness_key(secret, "witness.test/w1")
    body = checkpoints.current(NOW).note.split("\n\n")[0] + "\n"
    signature = hashed + (1_760_000_000).to_bytes(8, "big") + secret.sign(cosigned_text(body, 1_760_000_000))
    line = f"— witness.test/w1 {base64.b64encode(signature).decode()}"
    view = checkpoints.add_cosignature(caller, 4, line, key)
    assert view.note.endswith(line + "\n")
    assert root_of(view).hex() == view.root
    assert checkpoints.verify().ok
    with pytest.raises(Conflict, match="already"):
        checkpoints.add_cosignature(caller, 4, line, key)
    with pytest.raises(NotFound, match="No checkpoint of 3"):
        checkpoints.add_cosignature(caller, 3, line, key)
    other, _ = witness_key(Ed25519PrivateKey.generate(), "witness.test/w1")
    with pytest.raises(IntegrityError, match=r"witness\.test/w1"):
        checkpoints.add_cosignature(caller, 4, line, other)
    with pytest.raises(InvalidInput, match="not the public key of a witness"):
        checkpoints.add_cosignature(caller, 4, line, "rubbish")


def test_a_rotation_is_signed_by_the_old_key_and_audited(
    grow: Grow, keys: Keys, checkpoints: Checkpoints, storage: Storage, caller: Caller
) -> None:
    grow(2)
    checkpoints.record(NOW)
    before = checkpoints.current(NOW)
    first = parse_key(before.key).public
    view = keys.rotate(caller, "checkpoint")
    [rotation] = view.rotations
    assert (rotation.old, rotation.new, view.current, view.first) == (
        first.hex(),
        view.current,
        rotation.new,
        first.hex(),
    )
    assert is_valid(rotation)
    entry = AuditLog(storage).list_entries(caller).items[0]
    assert (entry.action, entry.object) == ("key.rotate", "key:checkpoint")
    assert entry.after == {"key": rotation.new, "number": 1, "signature": rotation.signature}
    after = checkpoints.current(NOW)
    assert (after.origin, parse_key(after.key).public.hex()) == (before.origin, rotation.new)
    keys.rotate(caller, "checkpoint")
    third = parse_key(checkpoints.current(NOW).key).public
    assert len(follow(first, third, "checkpoint", keys.rotations())) == 2
    checkpoints.record(NOW + DAY_MS)
    assert checkpoints.verify().ok  # the older checkpoints too, by the older keys
    with pytest.raises(IntegrityError, match="does not follow"):
        follow(third, first, "checkpoint", keys.rotations())
    with pytest.raises(IntegrityError, match="does not follow"):
        follow(first, third, "serving", keys.rotations())


@pytest.mark.parametrize(
    "change", ["new = old", "signature = ''", "time_ms = 1", "old = new", "number = 7", "name = 'serving'"]
)
def test_a_changed_rotation_is_found(
    grow: Grow, keys: Keys, checkpoints: Checkpoints, storage: Storage, caller: Caller, change: str
) -> None:
    grow(1)
    keys.rotate(caller, "checkpoint")
    checkpoints.record(NOW)
    assert checkpoints.verify().ok
    storage.write(lambda tx: tx.execute(text(f"UPDATE key_rotation SET {change}")))
    assert not checkpoints.verify().ok


def test_a_rotation_that_was_cut_short_goes_on(
    tmp_path: Path, keys: Keys, storage: Storage, caller: Caller
) -> None:
    """The new generation was made, and then the process was killed: the old one signs until the rotation is recorded."""
    old = keys.signing_key("approval").public
    open_keyring(tmp_path / "keys").add("approval")
    other = Keys(storage, open_keyring(tmp_path / "keys"))
    assert other.signing_key("approval").public == old
    generations = open_keyring(tmp_path / "keys").signing_keys("approval")
    assert other.rotate(caller, "approval").current == generations[1].public.hex()
    assert len(open_keyring(tmp_path / "keys").signing_keys("approval")) == 2
    assert keys.signing_key("approval").public == generations[1].public  # the first process follows


def test_the_secret_box_rotates_and_opens_what_it_sealed(
    tmp_path: Path, storage: Storage, caller: Caller
) -> None:
    keyring = open_keyring(tmp_path / "keys")
    sealed = keyring.secret_box.seal("old", purpose="p", row="r")
    view = Keys(storage, keyring).rotate(caller, "secret-box")
    assert [view.first, view.current] == keyring.secret_box.key_ids
    assert keyring.secret_box.seal("new", purpose="p", row="r").split(".")[1] == view.current
    assert keyring.secret_box.open(sealed, purpose="p", row="r") == b"old"


def test_keys_of_a_vault_are_rotated_there_and_recorded_here(
    tmp_path: Path, storage: Storage, caller: Caller
) -> None:
    vault = open_keyring(tmp_path / "vault")
    vault.signing_keys("serving")
    script = tmp_path / "read.sh"
    script.write_text(f'cat "{tmp_path}/vault/$1.key"\n')
    keys = Keys(storage, Keyring(KeyCommand(f"sh {script}")))
    with pytest.raises(Conflict, match="rotate again"):
        keys.rotate(caller, "serving")
    vault.add("serving")
    assert keys.rotate(caller, "serving").current == vault.signing_keys("serving")[1].public.hex()


def test_only_keys_are_rotated(keys: Keys, caller: Caller) -> None:
    with pytest.raises(NotFound, match="'admin'"):
        keys.rotate(caller, "admin")
    assert [key.name for key in keys.list_keys()] == ["checkpoint", "approval", "serving", "secret-box"]


@pytest.fixture
def exported(
    tmp_path: Path, grow: Grow, storage: Storage, keys: Keys, checkpoints: Checkpoints, caller: Caller,
    make_caller: Callable[..., Caller],
) -> list[bytes]:  # fmt: skip
    """An export of 13 entries, three of them another workspace's, with a rotated key."""
    grow(6)
    grow_log(storage, make_caller(workspace="other"), 3)
    keys.rotate(caller, "checkpoint")
    grow(3)
    return b"".join(checkpoints.export(caller)).splitlines(keepends=True)


def test_an_export_is_verified_without_the_server(exported: list[bytes], checkpoints: Checkpoints) -> None:
    report = verify_export(exported)
    current = checkpoints.current(NOW)
    assert (report.ok, report.size, report.root, report.origin) == (True, 13, current.root, current.origin)
    assert verify_export(exported, current.key).ok
    assert b"because 5" in b"".join(exported[:8])
    foreign = [json.loads(line) for line in exported[7:10]]
    assert all(set(line) == {"index", "leaf_hash"} for line in foreign)


def test_every_flipped_bit_of_an_export_that_matters_is_found(exported: list[bytes]) -> None:
    """What is bound: all but the names of actors, which may be erased."""
    chooser = random.Random(7)
    whole = verify_export(exported)
    for _ in range(400):
        number = chooser.randrange(len(exported))
        line = bytearray(exported[number])
        line[chooser.randrange(len(line) - 1)] ^= 1 << chooser.randrange(8)
        changed = [*exported[:number], bytes(line), *exported[number + 1 :]]
        try:
            report = verify_export(changed)
        except (IntegrityError, InvalidInput):
            continue
        if report.ok:
            assert report.root == whole.root
            assert harmless(exported[number], bytes(line)), (exported[number], bytes(line))


def harmless(before: bytes, after: bytes) -> bool:
    """Whether two lines say the same, but for the actor's name and the case of hex digits."""
    one, other = (json.loads(line) for line in (before, after))
    for line in (one, other):
        line.pop("actor_name", "")
    return bool(str(one).lower() == str(other).lower())


def test_lines_that_are_gone_added_or_swapped_are_found(exported: list[bytes]) -> None:
    for changed in (
        exported[:-1],
        [*exported, exported[-1]],
        [*exported[:2], exported[3], exported[2], *exported[4:]],
    ):
        report = verify_export(changed)
        assert not report.ok
        assert report.damaged
    for lines in ([], [b"rubbish\n"], exported[1:]):
        with pytest.raises(InvalidInput, match="not an export"):
            verify_export(lines)


def test_an_export_of_another_log_is_refused(exported: list[bytes], tmp_path: Path, storage: Storage) -> None:
    stranger = Keys(storage, open_keyring(tmp_path / "stranger")).signing_key("approval")
    key = parse_key(json.loads(exported[0])["key"])
    from holdfast.audit.notes import NoteKey, key_text

    with pytest.raises(IntegrityError, match="does not follow"):
        verify_export(exported, key_text(NoteKey(key.name, stranger.public)))
    with pytest.raises(IntegrityError, match="is of the log"):
        verify_export(exported, key_text(NoteKey("holdfast/other", key.public)))


def test_tiles_hold_the_hashes_of_the_tree(
    tmp_path: Path, grow: Grow, checkpoints: Checkpoints, caller: Caller
) -> None:
    grow(600)
    (tmp_path / "export.jsonl").write_bytes(b"".join(checkpoints.export(caller)))
    write_tiles(tmp_path / "export.jsonl", tmp_path / "tiles")
    found = sorted(
        path.relative_to(tmp_path / "tiles").as_posix()
        for path in (tmp_path / "tiles").rglob("*")
        if path.is_file()
    )
    assert found == ["checkpoint", "tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"]
    proof = checkpoints.prove_consistency(256, 512)
    assert (tmp_path / "tiles/tile/1/000.p/2").read_bytes()[32:].hex() == proof.hashes[0]
