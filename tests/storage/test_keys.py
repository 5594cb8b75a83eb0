"""Keys in a folder or from a command: made once, private, with generations; and what the secret box seals."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from holdfast.kernel.errors import Conflict, IntegrityError, NotFound, Unavailable
from holdfast.storage.keys import SECRET_BOX, KeyFolder, Keyring, open_keyring


@pytest.fixture
def keys(tmp_path: Path) -> Keyring:
    return open_keyring(tmp_path / "keys")


def test_keys_are_made_once_private_and_apart(tmp_path: Path, keys: Keyring) -> None:
    names = ("checkpoint", "approval", "serving")
    public = [keys.signing_key(name).public for name in names]
    assert len(set(public)) == 3
    assert [open_keyring(tmp_path / "keys").signing_key(name).public for name in names] == public
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}


def test_a_signature_is_ed25519s(keys: Keyring) -> None:
    key = keys.signing_key("checkpoint")
    Ed25519PublicKey.from_public_bytes(key.public).verify(key.sign(b"message"), b"message")
    assert "private" not in repr(key)


def test_processes_that_start_together_have_the_same_key(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from holdfast.storage.keys import open_keyring;"
        "print(open_keyring(Path(sys.argv[1])).signing_key('serving').public.hex())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "keys")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    assert len({process.communicate()[0] for process in started}) == 1


def test_an_older_generation_stays(tmp_path: Path, keys: Keyring) -> None:
    first, other = keys.signing_key("checkpoint"), open_keyring(tmp_path / "keys")
    assert other.signing_key("checkpoint").public == first.public
    keys.add("checkpoint")
    oldest, newest = keys.signing_keys("checkpoint")
    assert oldest.public == first.public != newest.public
    assert other.signing_key("checkpoint", newest.public).public == newest.public  # seen without a restart


def test_a_key_that_is_not_there_is_named(keys: Keyring) -> None:
    with pytest.raises(IntegrityError, match="0000000000000000"):
        keys.signing_key("checkpoint", bytes(32))
    with pytest.raises(NotFound, match="'chckpoint'"):
        keys.signing_key("chckpoint")
    with pytest.raises(NotFound, match="'chckpoint'"):
        keys.add("chckpoint")


@pytest.mark.parametrize("content", ["rubbish", "", "00" * 31, "00" * 32 + "\n" + "00" * 32])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, keys: Keyring, content: str) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    path = tmp_path / "keys" / "approval.key"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(IntegrityError, match=r"approval\.key"):
        keys.signing_key("approval")
    assert path.read_text() == content


def test_rights_that_are_too_wide_are_mended_and_told(
    tmp_path: Path, keys: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    keys.signing_key("serving")
    path = tmp_path / "keys" / "serving.key"
    path.chmod(0o644)
    path.parent.chmod(0o755)
    with caplog.at_level(logging.WARNING, "holdfast.keys"):
        open_keyring(path.parent).signing_key("serving")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [record.message for record in caplog.records] == ["key rights mended"] * 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_another_users_file_may_be_our_groups_but_not_everybodys(tmp_path: Path, keys: Keyring) -> None:
    public = keys.signing_key("serving").public
    path = tmp_path / "keys" / "serving.key"
    os.chown(path, 12345, 0)
    path.chmod(0o440)
    assert open_keyring(path.parent).signing_key("serving").public == public
    path.chmod(0o444)
    with pytest.raises(Conflict, match="0444"):
        open_keyring(path.parent).signing_key("serving")


def test_keys_of_a_command(tmp_path: Path) -> None:
    source = Keyring(KeyFolder(tmp_path / "vault"))
    public = source.signing_key("checkpoint").public
    joined = tmp_path / "vault.sh"
    joined.write_text(f'#!/bin/sh\ncat "{tmp_path}/vault/$1.key"\n')
    keys = open_keyring(tmp_path / "none", f"sh {joined}")
    assert keys.signing_key("checkpoint").public == public
    with pytest.raises(Conflict, match="alone can make a new one"):
        keys.add("checkpoint")
    assert not (tmp_path / "none").exists()
    with pytest.raises(Unavailable, match="gave no key 'serving'"):
        keys.signing_key("serving")
    with pytest.raises(Unavailable, match="no-such-command"):
        open_keyring(tmp_path, "no-such-command").signing_key("checkpoint")


def test_a_secret_opens_in_its_own_row_alone(keys: Keyring) -> None:
    box = keys.secret_box
    sealed = box.seal("s3cret é", purpose="channel", row="default/c1")
    assert "s3cret" not in sealed
    assert sealed != box.seal("s3cret é", purpose="channel", row="default/c1")
    assert box.open_text(sealed, purpose="channel", row="default/c1") == "s3cret é"
    for purpose, row in (("oidc", "default/c1"), ("channel", "default/c2"), ("channeldefault/", "c1")):
        with pytest.raises(IntegrityError, match="does not open"):
            box.open(sealed, purpose=purpose, row=row)


def test_every_changed_character_of_a_sealed_secret_is_found(keys: Keyring) -> None:
    sealed = keys.secret_box.seal("secret", purpose="channel", row="c1")
    for at, letter in enumerate(sealed):
        changed = sealed[:at] + ("B" if letter != "B" else "C") + sealed[at + 1 :]
        with pytest.raises(IntegrityError):
            keys.secret_box.open(changed, purpose="channel", row="c1")
    for damaged in ("", "hfs1", sealed[:-1], sealed + "A", sealed + "="):
        with pytest.raises(IntegrityError):
            keys.secret_box.open(damaged, purpose="channel", row="c1")


def test_what_an_older_key_sealed_still_opens(tmp_path: Path, keys: Keyring) -> None:
    old = keys.secret_box.seal("one", purpose="p", row="r")
    keys.add(SECRET_BOX)
    new = keys.secret_box.seal("two", purpose="p", row="r")
    other = open_keyring(tmp_path / "keys").secret_box
    assert (other.open(old, purpose="p", row="r"), other.open(new, purpose="p", row="r")) == (b"one", b"two")
    assert (other.is_current(old), other.is_current(new)) == (False, True)
    assert [old.split(".")[1], new.split(".")[1]] == other.key_ids


def test_a_box_without_its_key_says_so(tmp_path: Path, keys: Keyring) -> None:
    sealed = keys.secret_box.seal("one", purpose="p", row="r")
    with pytest.raises(IntegrityError, match="not among this process's keys"):
        open_keyring(tmp_path / "other").secret_box.open(sealed, purpose="p", row="r")
