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
from holdfast.client.home import own_folder
from holdfast.kernel.errors import IntegrityError, Unavailable
from holdfast.kernel.ids import new_id

__all__ = ["SeenCheckpoints"]

_ACCEPT = "After a restore that you know of: holdfast audit verify --accept"


class _Seen(msgspec.Struct, frozen=True):
    """One file: the key that signed the checkpoint (`NAME+HASH+BASE64`) and its note."""

    key: str
    note: str


class _Server(msgspec.Struct, frozen=True):
    """One file: the origin of the log that was seen at a server's address."""

    server: str
    origin: str


class SeenCheckpoints:
    """A folder with a file per log and one per server, by default ~/.holdfast/checkpoints.

    The log's origin names its file. Which log a server has is remembered too: one that was restored without its keys, or
    put in the place of another, has another origin.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def check(
        self,
        key: str,
        note: str,
        *,
        server: str,
        rotations: Callable[[], Sequence[Rotation]],
        prove: Callable[[int, int], Sequence[bytes]],
    ) -> Checkpoint:
        """The checkpoint of a note, after it was checked against the last one seen; then it is the last one seen.

        `server` is the address that showed it; `rotations()` and `prove(first, second)` ask it when they are needed.
        Raises IntegrityError when the signature or a rotation is wrong, when the server shows another log than before,
        when the log is shorter than it was (a rollback), or when it does not contain what it contained (a fork): what was
        seen then stays.
        """
        checkpoint = open_checkpoint(note, parse_key(key))
        self._check_origin(server, checkpoint.tree.origin)
        seen = self.last(checkpoint.tree.origin)
        if seen is not None:
            follow(
                seen.key.public,
                checkpoint.key.public,
                "checkpoint",
                self._rotations(seen, checkpoint, rotations),
            )
            _check_history(seen, checkpoint, prove)
        return self.accept(key, note, server)

    def _check_origin(self, server: str, origin: str) -> None:
        try:
            known = msgspec.json.decode(self._server_path(server).read_bytes(), type=_Server).origin
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            raise IntegrityError(
                f"Which log this client saw at {server} can't be read: {error}", hint=_ACCEPT
            ) from error
        if known != origin:
            raise IntegrityError(
                f"The server at {server} shows the audit log {origin!r}, and this client saw {known!r} there. A backup "
                "was restored without its keys, or another deployment answers at this address.",
                hint=f"Ask its administrator. {_ACCEPT}",
            )

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

    def accept(self, key: str, note: str, server: str) -> Checkpoint:
        """Make this the last checkpoint seen, and its log that of the server, whatever was before.

        Atomic; raises IntegrityError for a wrong signature.
        """
        checkpoint = open_checkpoint(note, parse_key(key))
        origin = checkpoint.tree.origin
        self._write(self._path(origin), msgspec.json.encode(_Seen(key, note)))
        self._write(self._server_path(server), msgspec.json.encode(_Server(server, origin)))
        return checkpoint

    def _write(self, path: Path, content: bytes) -> None:
        temporary = path.with_name(f".{path.name}.{new_id()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise Unavailable(
                f"The checkpoint can't be remembered in {path.parent}: {error.strerror}.",
                hint="Make the folder writable; without it a log that was set back would not be noticed.",
            ) from error

    def _path(self, origin: str) -> Path:
        return self._file("", origin)

    def _server_path(self, server: str) -> Path:
        return self._file("server-", server)

    def _file(self, prefix: str, name: str) -> Path:
        folder = self._folder or own_folder() / "checkpoints"
        return folder / f"{prefix}{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

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
