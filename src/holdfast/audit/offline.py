"""Checking an exported log without a server: every entry, the tree, the checkpoint and the keys. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from holdfast.audit.leaf import commit_reason
from holdfast.audit.merkle import Peaks, leaf_hash
from holdfast.audit.notes import Checkpoint, open_checkpoint, parse_key
from holdfast.audit.rotation import Rotation, follow
from holdfast.audit.tiles import tiles_of
from holdfast.kernel.errors import IntegrityError, InvalidInput
from holdfast.kernel.hashing import sha256_hex

__all__ = ["ExportHeader", "ExportReport", "ExportedEntry", "verify_export", "write_tiles"]

_MOST_NAMED = 1000


class ExportHeader(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="holdfast", tag="audit export v1"
):
    """The first line: whose entries are whole, the signed checkpoint, the key that signed it, and how it came about."""

    workspace: str
    checkpoint: str
    key: str
    first_key: str
    """The log's first public key, hex; it leads to `key` by the rotations."""
    rotations: list[Rotation]


class ExportedEntry(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A line: the leaf and what it binds; of another workspace's entry the leaf hash alone. Bytes are hex."""

    index: int
    leaf_hash: str
    leaf: str | None = None
    actor_name: str = ""
    reason: str | None = None
    salt: str | None = None
    before: str | None = None
    after: str | None = None


class ExportReport(msgspec.Struct, frozen=True):
    """What was found: `ok`, the log, and up to 1,000 problems as (index, what is wrong); -1 is the log as a whole."""

    ok: bool
    origin: str
    size: int
    root: str
    key: str
    damaged: list[tuple[int, str]]


class _Bound(msgspec.Struct, frozen=True):
    workspace: str
    object: str
    before: str | None
    after: str | None
    reason: str | None


def verify_export(lines: Iterable[bytes], key: str = "") -> ExportReport:
    """Check an export line by line. `key` (`NAME+HASH+BASE64`) is a key of the log that the reader trusts, current or
    earlier; without one, the file's own first key is believed, and the reader should compare it.

    Raises InvalidInput when it is no export, IntegrityError when the checkpoint is not signed by a key that follows.
    """
    source = iter(lines)
    try:
        header = msgspec.json.decode(next(source, b""), type=ExportHeader)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The file is not an export of an audit log: {error}.") from None
    checkpoint = _checkpoint(header, key)
    damaged: list[tuple[int, str]] = []
    peaks = Peaks()
    for found in _hashes(source, header.workspace, damaged):
        peaks.append(found)
        if len(damaged) >= _MOST_NAMED:
            break
    if peaks.size != checkpoint.tree.size:
        damaged.append(
            (-1, f"the checkpoint is of {checkpoint.tree.size} entries, the file has {peaks.size}")
        )
    elif peaks.root() != checkpoint.tree.root:
        damaged.append((-1, "the entries are not those that the checkpoint signed"))
    root = peaks.root().hex()
    return ExportReport(not damaged, checkpoint.tree.origin, peaks.size, root, header.key, damaged)


def write_tiles(export: Path, folder: Path) -> None:
    """The hashes of a verified export as static files in `folder`: `checkpoint` and `tile/...`."""
    with export.open("rb") as lines:
        header = msgspec.json.decode(next(lines), type=ExportHeader)
        hashes = [bytes.fromhex(msgspec.json.decode(line, type=ExportedEntry).leaf_hash) for line in lines]
    for path, data in tiles_of(hashes):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    (folder / "checkpoint").write_text(header.checkpoint, "utf-8", newline="\n")


def _checkpoint(header: ExportHeader, key: str) -> Checkpoint:
    signer = parse_key(header.key)
    try:
        known = parse_key(key).public if key else bytes.fromhex(header.first_key)
    except ValueError:
        raise IntegrityError("The export's first key is not a key.") from None
    follow(known, signer.public, "checkpoint", header.rotations)
    if key and parse_key(key).name != signer.name:
        raise IntegrityError(f"The export is of the log {signer.name!r}, not of {parse_key(key).name!r}.")
    return open_checkpoint(header.checkpoint, signer)


def _hashes(lines: Iterator[bytes], workspace: str, damaged: list[tuple[int, str]]) -> Iterator[bytes]:
    """The leaf hash of each line; what is wrong with a line goes to `damaged`."""
    for number, line in enumerate(lines):
        try:
            entry = msgspec.json.decode(line, type=ExportedEntry)
            hashed = bytes.fromhex(entry.leaf_hash)
        except (msgspec.DecodeError, ValueError):
            damaged.append((number, "the line is not an entry"))
            yield b""
            continue
        if entry.index != number:
            damaged.append((number, f"the entry {entry.index} stands in its place"))
        if entry.leaf is not None:
            damaged.extend((number, problem) for problem in _problems(entry, workspace))
            hashed = leaf_hash(entry.leaf.encode())
        yield hashed


def _problems(entry: ExportedEntry, workspace: str) -> Iterator[str]:
    assert entry.leaf is not None
    if leaf_hash(entry.leaf.encode()).hex() != entry.leaf_hash:
        yield "the leaf does not match its hash"
        return
    try:
        bound = msgspec.json.decode(entry.leaf.encode(), type=_Bound)
        salt = bytes.fromhex(entry.salt or "")
    except (msgspec.DecodeError, ValueError):
        yield "the leaf can't be read"
        return
    for name, stored, signed in (("before", entry.before, bound.before), ("after", entry.after, bound.after)):
        if stored is not None and sha256_hex(stored.encode()) != signed:
            yield f"the state {name} the change does not match its hash in the leaf"
    if entry.reason is not None and commit_reason(entry.reason, salt) != bound.reason:
        yield "the reason does not match its commitment in the leaf"
    if bound.workspace != workspace:
        yield f"the entry is of the workspace {bound.workspace!r}"
