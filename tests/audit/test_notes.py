"""Signed notes and checkpoints: against the example of Go's note package, and against every damage."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from holdfast.audit.notes import (
    NoteKey,
    Tree,
    checkpoint_text,
    key_text,
    open_checkpoint,
    parse_key,
    sign_note,
    split_note,
)
from holdfast.kernel.errors import IntegrityError

SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = NoteKey("holdfast/test", SECRET.public_key().public_bytes_raw())
TREE = Tree("holdfast/test", 1043, bytes(range(32)))
NOTE = sign_note(checkpoint_text(TREE), KEY, SECRET.sign)


def test_the_example_of_the_note_package() -> None:
    """golang.org/x/mod/sumdb/note, package documentation: a key and what it signed."""
    key = parse_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
    )
    line = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    assert key_text(key) == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    from holdfast.kernel.ed25519 import is_signed

    found, [(name, _, signature)] = split_note(f"{text}\n{line}\n")
    assert (found, name) == (text, "PeterNeumann")
    assert is_signed(key.public, text.encode(), signature)


def test_a_checkpoint_opens_with_its_key() -> None:
    root = base64.b64encode(TREE.root).decode()
    assert NOTE.startswith(f"holdfast/test\n1043\n{root}\n\n— holdfast/test ")
    assert open_checkpoint(NOTE, parse_key(key_text(KEY))).tree == TREE


def test_lines_of_other_signers_are_passed_over() -> None:
    other = NoteKey("witness.test/w1", Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    line = sign_note("x\n", other, Ed25519PrivateKey.generate().sign).split("\n\n")[1]
    assert open_checkpoint(NOTE + line, KEY).tree == TREE
    namesake = NoteKey(KEY.name, other.public)
    with pytest.raises(IntegrityError, match="not signed by"):
        open_checkpoint(NOTE, namesake)


def test_every_changed_character_is_refused() -> None:
    for at, letter in enumerate(NOTE):
        changed = NOTE[:at] + ("A" if letter != "A" else "B") + NOTE[at + 1 :]
        with pytest.raises(IntegrityError):
            open_checkpoint(changed, KEY)


@pytest.mark.parametrize("text", [
    "", "holdfast/test\n", "holdfast/test\n5\n", "holdfast/test\n-5\nAA==\n", "holdfast/test\n05\n{root}\n",
    "holdfast/test\n5\nAA==\n", "\n5\n{root}\n", "holdfast/test\n5\n{root}\n\nx\n", "other/log\n5\n{root}\n",
    "holdfast/test\n5\n{root}\r\n", "holdfast/test\n99999999999999999999\n{root}\n",
])  # fmt: skip
def test_what_is_no_checkpoint_is_refused_though_it_is_signed(text: str) -> None:
    signed = sign_note(text.replace("{root}", base64.b64encode(TREE.root).decode()), KEY, SECRET.sign)
    with pytest.raises(IntegrityError):
        open_checkpoint(signed, KEY)


@pytest.mark.parametrize("note", [
    "", "\n\n", "text\n", "text\n\n", "text\n\nline\n", "text\n\n— a b\n", "te\x00xt\n\n— a AAAAAAAA\n",
    NOTE.rstrip("\n"), NOTE + "\n", "x" * 70_000 + NOTE,
])  # fmt: skip
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(IntegrityError):
        split_note(note)


@pytest.mark.parametrize("text", ["", "name", "name+0+x", "a b+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "PeterNeumann+c74f20a3+BBpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"])  # fmt: skip
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(IntegrityError, match="not the public key"):
        parse_key(text)
