"""Signed notes and checkpoints as C2SP specifies them (signed-note, tlog-checkpoint), made and read.

Pure, for the client as for the server. A note is text that ends in a newline, an empty line, and lines
`— NAME BASE64(key hash, signature)`. Lines of keys that a reader does not know are passed over, so witnesses can add theirs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable

import msgspec

from holdfast.kernel.ed25519 import is_signed
from holdfast.kernel.errors import IntegrityError

__all__ = [
    "Checkpoint",
    "NoteKey",
    "Tree",
    "checkpoint_text",
    "key_hash",
    "key_text",
    "open_checkpoint",
    "parse_key",
    "sign_note",
    "split_note",
]

_ED25519 = b"\x01"
_MOST_BYTES = 64 * 1024
_NAME = re.compile(r"[^\s+]{1,300}")
_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


Check = Callable[[bytes, bytes, bytes], bool]


class NoteKey(msgspec.Struct, frozen=True):
    """A public key with the name that it signs under."""

    name: str
    public: bytes


class Tree(msgspec.Struct, frozen=True):
    """A state of a log: its origin, size and root."""

    origin: str
    size: int
    root: bytes


class Checkpoint(msgspec.Struct, frozen=True):
    """A checkpoint whose signature was checked: the tree, the key that signed it, and the note as it was signed."""

    tree: Tree
    key: NoteKey
    note: str


def checkpoint_text(tree: Tree) -> str:
    """The note's text: origin, size and root on a line each."""
    return f"{tree.origin}\n{tree.size}\n{base64.b64encode(tree.root).decode()}\n"


def key_hash(key: NoteKey) -> bytes:
    """The 4 bytes by which a signature line names its key."""
    return hashlib.sha256(f"{key.name}\n".encode() + _ED25519 + key.public).digest()[:4]


def key_text(key: NoteKey) -> str:
    """The key as verifiers take it: `NAME+HASH+BASE64`."""
    return f"{key.name}+{key_hash(key).hex()}+{base64.b64encode(_ED25519 + key.public).decode()}"


def parse_key(text: str) -> NoteKey:
    """The key of a `NAME+HASH+BASE64`. Raises IntegrityError when it is none."""
    name, _, rest = text.partition("+")
    hashed, _, encoded = rest.partition("+")
    data = _decode(encoded)
    key = NoteKey(name, data[1:])
    if (
        _NAME.fullmatch(name) is None
        or data[:1] != _ED25519
        or len(data) != 33
        or hashed != key_hash(key).hex()
    ):
        raise IntegrityError(f"{text[:100]!r} is not the public key of a log.")
    return key


def sign_note(text: str, key: NoteKey, sign: Callable[[bytes], bytes]) -> str:
    """The note of a text, signed by one key."""
    line = base64.b64encode(key_hash(key) + sign(text.encode())).decode()
    return f"{text}\n— {key.name} {line}\n"


def split_note(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """The text and its signature lines as (name, key hash, signature). Raises IntegrityError on any other form."""
    at = note.rfind("\n\n")
    if at < 0 or len(note.encode("utf-8", "replace")) > _MOST_BYTES or not note.endswith("\n"):
        raise IntegrityError("The note has no signature after an empty line.")
    text, lines = note[: at + 1], note[at + 2 : -1].split("\n")
    if any(letter != "\n" and not letter.isprintable() and letter != " " for letter in note):
        raise IntegrityError("The note holds characters that a note may not have.")
    signatures = []
    for line in lines:
        found = _LINE.fullmatch(line)
        data = _decode(found[2]) if found else b""
        if found is None or len(data) < 5:
            raise IntegrityError(f"The note's line {line[:80]!r} is not a signature.")
        signatures.append((found[1], data[:4], data[4:]))
    return text, signatures


def open_checkpoint(note: str, key: NoteKey, check: Check = is_signed) -> Checkpoint:
    """The checkpoint, when `key` has signed it for the log of the key's name. Raises IntegrityError otherwise.

    `check(public, message, signature)` is how a signature is checked.
    """
    text, signatures = split_note(note)
    tree = _parse(text)
    mine = [data for name, hashed, data in signatures if name == key.name and hashed == key_hash(key)]
    if not mine or not all(check(key.public, text.encode(), data) for data in mine):
        raise IntegrityError(f"The checkpoint of {tree.origin!r} is not signed by the key {key_text(key)}.")
    if tree.origin != key.name:
        raise IntegrityError(f"The checkpoint is of the log {tree.origin!r}, not of {key.name!r}.")
    return Checkpoint(tree, key, note)


def _parse(text: str) -> Tree:
    lines = text.split("\n")
    root = _decode(lines[2]) if len(lines) > 3 else b""
    if len(root) != 32 or not lines[0] or _SIZE.fullmatch(lines[1]) is None or "" in lines[3:-1]:
        raise IntegrityError("The note is not a checkpoint: origin, size and root on a line each.")
    return Tree(lines[0], int(lines[1]), root)


def _decode(text: str) -> bytes:
    """The bytes of base64 in its one canonical form; none of any other text."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return data if base64.b64encode(data).decode() == text else b""
