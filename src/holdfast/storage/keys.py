"""The deployment's keys, outside the database and the objects: signing keys, and the box that seals secrets.

A key has one line of 64 hex digits (32 bytes) per generation, the newest last. Lines are added, never changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shlex
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from holdfast.kernel.errors import Conflict, IntegrityError, NotFound, Unavailable
from holdfast.storage.secret_box import BoxKey, SecretBox

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = [
    "SECRET_BOX",
    "SIGNING_KEYS",
    "KeyCommand",
    "KeyFolder",
    "KeySource",
    "Keyring",
    "SigningKey",
    "is_signed",
    "open_keyring",
]

SIGNING_KEYS = ("checkpoint", "approval", "serving")
"""Ed25519 keys: what signs the audit log's checkpoints, approvals, and the desired state of serving."""
SECRET_BOX = "secret-box"
"""AES-256-GCM: what seals the secrets of webhooks, single sign-on and notification channels."""

_SEED_BYTES = 32
_COMMAND_S = 30.0
_MOST_BYTES = 64 * 1024
_log = logging.getLogger("holdfast.keys")


class SigningKey:
    """One generation of an Ed25519 key. Its text never shows the private half."""

    def __init__(self, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (
            Ed25519PrivateKey,
        )  # 10 MB: where it is used

        self._key: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(seed)
        self.public: bytes = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()})"


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is the key's over the message: as `kernel.ed25519.is_signed`, in 0.1 ms."""
    from cryptography.exceptions import InvalidSignature  # 10 MB: where it is used
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class KeySource(Protocol):
    """Where key material comes from; its generations are 32 bytes each, the oldest first."""

    def load(self, name: str) -> list[bytes]:
        """The generations of a key; at least one. Raises when it has none or can't be read."""

    def add(self, name: str) -> None:
        """Make the next generation. Raises Conflict where the source is another system's to change."""


class KeyFolder:
    """A folder (0700) with a file `NAME.key` (0600) per key, made on first use. Safe between processes.

    Rights that are too wide are mended where the file is ours, with a warning in the log. A file that we do not own,
    as an orchestrator mounts it, may be readable by our group; one that everybody could read is refused with Conflict.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, name: str) -> list[bytes]:
        path = self.path / f"{name}.key"
        if not path.exists():
            self._append(path, only_when_empty=True)
        _check_rights(self.path)
        _check_rights(path)
        try:
            return _parse(path.read_text("ascii"), f"The key file {path}")
        except (OSError, UnicodeDecodeError) as error:
            raise IntegrityError(
                f"The key file {path} can't be read: {error}.", hint="Check its rights, or restore it."
            ) from error

    def add(self, name: str) -> None:
        self._append(self.path / f"{name}.key", only_when_empty=False)

    def _append(self, path: Path, *, only_when_empty: bool) -> None:
        """Write a new file with a line more in the place of the old one: whole or not at all, synced."""
        with self._locked():
            lines = path.read_text("ascii").split() if path.exists() else []
            if lines and only_when_empty:
                return  # of two processes, the first one's key stays
            lines.append(os.urandom(_SEED_BYTES).hex())
            temporary = path.with_name(f".{path.name}.new")
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(fd, "w", encoding="ascii") as file:
                file.write("\n".join(lines) + "\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            folder = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Conflict(
                f"The key folder {self.path} can't be written: {error.strerror}.",
                hint="Give a folder that you may write to with --keys, or put every key's file into it.",
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


class KeyCommand:
    """A command that prints the generations of the key whose name is its last argument: for vaults and key services.

    It runs without a shell for at most 30 s; what it prints is nowhere stored. New generations are made in the vault.
    """

    def __init__(self, command: str) -> None:
        self._command = shlex.split(command)

    def load(self, name: str) -> list[bytes]:
        try:
            done = subprocess.run(
                [*self._command, name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_COMMAND_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            why = "took more than 30 s" if isinstance(error, subprocess.TimeoutExpired) else str(error)
            raise Unavailable(f"The command of HOLDFAST_KEYS_COMMAND failed: {why}.") from None
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()[-500:]
            raise Unavailable(
                f"The command of HOLDFAST_KEYS_COMMAND gave no key {name!r} (exit code {done.returncode}): {said}",
                hint=f"Try it by hand: {self._command[0]} ... {name}",
            )
        return _parse(done.stdout[:_MOST_BYTES].decode("ascii", "replace"), f"The command's key {name!r}")

    def add(self, name: str) -> None:
        raise Conflict(
            f"The key {name!r} comes from the command of HOLDFAST_KEYS_COMMAND, which alone can make a new one.",
            hint="Add a last line of 64 random hex digits to it there, keep the earlier lines, then rotate again.",
        )


class Keyring:
    """Every key of the deployment, loaded on first use and kept in memory. Thread-safe.

    What another process added is seen once a key or key id is asked for that is not known yet.
    """

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._seeds: dict[str, list[bytes]] = {}
        self._signing: dict[bytes, SigningKey] = {}
        self.secret_box = SecretBox(self._box_keys)

    def signing_keys(self, name: str, *, refresh: bool = False) -> list[SigningKey]:
        """The generations of a signing key, the oldest first. Raises NotFound for a name that is none."""
        if name not in SIGNING_KEYS:
            raise NotFound(
                f"There is no signing key {name!r}.", hint=f"There are: {', '.join(SIGNING_KEYS)}."
            )
        return [self._signing_key(seed) for seed in self._load(name, refresh)]

    def signing_key(self, name: str, public: bytes | None = None) -> SigningKey:
        """The key with this public half; without one, the oldest generation.

        Raises IntegrityError when the keyring lacks it.
        """
        for refresh in (False, True):
            found = [key for key in self.signing_keys(name, refresh=refresh) if public in (None, key.public)]
            if found:
                return found[0]
        raise IntegrityError(
            f"The {name} key with the public half {(public or b'').hex()[:16]}… is not among this process's keys.",
            hint="Restore the key folder from its backup, or give this process the same keys as the others.",
        )

    def add(self, name: str) -> None:
        """Make the next generation of a key. Raises Conflict where another system keeps the keys."""
        if name not in (*SIGNING_KEYS, SECRET_BOX):
            raise NotFound(
                f"There is no key {name!r}.", hint=f"There are: {', '.join((*SIGNING_KEYS, SECRET_BOX))}."
            )
        self._load(name, refresh=False)  # the first generation, before the second
        self._source.add(name)
        self._load(name, refresh=True)

    def _box_keys(self, refresh: bool) -> list[BoxKey]:
        return [BoxKey.of(seed) for seed in self._load(SECRET_BOX, refresh)]

    def _load(self, name: str, refresh: bool) -> list[bytes]:
        with self._lock:
            if refresh or name not in self._seeds:
                self._seeds[name] = self._source.load(name)
            return self._seeds[name]

    def _signing_key(self, seed: bytes) -> SigningKey:
        digest = hashlib.sha256(seed).digest()
        if digest not in self._signing:
            self._signing[digest] = SigningKey(seed)
        return self._signing[digest]


def open_keyring(folder: Path, command: str = "") -> Keyring:
    """The keyring over a folder, or over a command where one is given."""
    return Keyring(KeyCommand(command) if command.strip() else KeyFolder(folder))


def _parse(text: str, what: str) -> list[bytes]:
    lines = text.split()
    try:
        seeds = [bytes.fromhex(line) for line in lines]
    except ValueError:
        seeds = []
    if not seeds or any(len(seed) != _SEED_BYTES for seed in seeds):
        raise IntegrityError(
            f"{what} does not hold a key: lines of 64 hex digits.",
            hint="Restore it from a backup of the keys.",
        )
    if len(set(seeds)) != len(seeds):
        raise IntegrityError(
            f"{what} holds the same generation twice.", hint="Each line must be a key of its own."
        )
    return seeds


def _check_rights(path: Path) -> None:
    """Mend rights that are too wide on what is ours; raise Conflict on what is not."""
    found = path.stat()
    mode, ours = stat.S_IMODE(found.st_mode), found.st_uid == os.geteuid()
    excess = mode & (0o077 if ours else 0o027)
    if not excess:
        return
    if ours:
        path.chmod(mode & ~0o077)
        _log.warning(
            "key rights mended",
            extra={"fields": {"path": str(path), "was": f"{mode:04o}", "now": f"{mode & ~0o077:04o}"}},
        )
        return
    raise Conflict(
        f"{path} has the rights {mode:04o} and belongs to the user {found.st_uid}: others could read or change the key.",
        hint=f"As its owner: chmod {'0750' if path.is_dir() else '0440'} {path}",
    )
