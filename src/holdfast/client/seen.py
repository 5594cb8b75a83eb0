"""The last checkpoint of each audit log that this user saw: a log that was rewritten or set back since is found."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from holdfast.audit.notes import Checkpoint, open_checkpoint, parse_key
from holdfast.audit.proofs import is_consistent
from holdfast.audit.rotation import Rotation, follow
from holdfast.kernel.errors import IntegrityError, Unavailable
from holdfast.kernel.ids import new_id

__all__ = ["SeenCheckpoints"]

_ACCEPT = "After a restore that you know of: holdfast audit verify --accept"


class _Seen(msgspec.Struct, frozen=True):
    """One file: the key that signed the checkpoint (`NAME+HASH+BASE64`) and its note."""

    key: str
    note: str


class SeenCheckpoints:
    """A folder with a file per log, by default ~/.holdfast/checkpoints. The log's origin names the file."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def check(
        self,
        key: str,
        note: str,
        *,
        rotations: Callable[[], Sequence[Rotation]],
        prove: Callable[[int, int], Sequence[bytes]],
    ) -> Checkpoint:
        """The checkpoint of a note, after it was checked against the last one seen; then it is the last one seen.

        `rotations()` and `prove(first, second)` ask the server when they are needed. Raises IntegrityError when the
        signature or a rotation is wrong, when the log is shorter than it was (a rollback), or when it does not contain
        what it contained (a fork): what was seen then stays.
        """
        checkpoint = open_checkpoint(note, parse_key(key))
        seen = self.last(checkpoint.tree.origin)
        if seen is not None:
            follow(
                seen.key.public,
                checkpoint.key.public,
                "checkpoint",
                self._rotations(seen, checkpoint, rotations),
            )
            _check_history(seen, checkpoint, prove)
        self.accept(key, note)
        return checkpoint

    def last(self, origin: str) -> Checkpoint | None:
        """The last checkpoint seen of a log; None for a log that was never seen."""
        path = self._path(origin)
        try:
            found = msgspec.json.decode(path.read_bytes(), type=_Seen)
            return open_checkpoint(found.note, parse_key(found.key))
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, IntegrityError) as error:
            raise IntegrityError(
                f"What this client remembers of the log {origin!r} can't be read from {path}: {error}",
                hint=_ACCEPT,
            ) from error

    def accept(self, key: str, note: str) -> Checkpoint:
        """Make this the last checkpoint seen, whatever was before. Atomic; raises IntegrityError for a wrong signature."""
        checkpoint = open_checkpoint(note, parse_key(key))
        path = self._path(checkpoint.tree.origin)
        temporary = path.with_name(f".{path.name}.{new_id()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with temporary.open("xb") as file:
                file.write(msgspec.json.encode(_Seen(key, note)))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise Unavailable(
                f"The checkpoint can't be remembered in {path.parent}: {error.strerror}.",
                hint="Make the folder writable; without it a log that was set back would not be noticed.",
            ) from error
        return checkpoint

    def _path(self, origin: str) -> Path:
        folder = self._folder or Path.home() / ".holdfast" / "checkpoints"
        return folder / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.json"

    @staticmethod
    def _rotations(
        seen: Checkpoint, checkpoint: Checkpoint, rotations: Callable[[], Sequence[Rotation]]
    ) -> Sequence[Rotation]:
        return () if seen.key.public == checkpoint.key.public else rotations()


def _check_history(
    seen: Checkpoint, checkpoint: Checkpoint, prove: Callable[[int, int], Sequence[bytes]]
) -> None:
    old, new = seen.tree, checkpoint.tree
    if new.size < old.size:
        raise IntegrityError(
            f"The audit log {new.origin!r} was set back: it has {new.size} entries, and this client saw {old.size}. "
            "An old backup was restored, or entries were cut off.",
            hint=_ACCEPT,
        )
    proof = prove(old.size, new.size) if 0 < old.size < new.size else []
    if old.size and not is_consistent(old.size, new.size, proof, old.root, new.root):
        raise IntegrityError(
            f"The audit log {new.origin!r} was rewritten: its first {old.size} entries are not those that this client saw.",
            hint=f"Keep the remembered checkpoint, whose root is {old.root.hex()}, and ask the administrator. {_ACCEPT}",
        )
