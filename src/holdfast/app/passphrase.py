"""The deployment's secrets inside a backup: sealed by a passphrase, scrypt and AES-256-GCM."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from holdfast.kernel.errors import InvalidInput, NotFound, Unauthenticated
from holdfast.settings import Settings

__all__ = ["PASSPHRASE_VARIABLE", "open_secrets", "read_passphrase", "seal_secrets", "write_secrets"]

PASSPHRASE_VARIABLE = "HOLDFAST_BACKUP_PASSPHRASE"
_COST, _BLOCK, _LANES = 1 << 16, 8, 1
_SALT, _NONCE = 16, 12


class _Sealed(msgspec.Struct, frozen=True):
    """What stands in the backup: how the key is made from the passphrase, and the secrets under it."""

    cost: int
    block: int
    lanes: int
    salt: bytes
    nonce: bytes
    sealed: bytes


def read_passphrase(file: Path | None) -> str:
    """The passphrase from a file's first line or the environment; empty without either. Never an argument: lists of
    processes show those."""
    if file is None:
        return os.environ.get(PASSPHRASE_VARIABLE, "")
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(f"The passphrase file {file} can't be read: {error}.") from error
    if not lines or not lines[0]:
        raise InvalidInput(f"The passphrase file {file} has no first line.")
    return lines[0]


def seal_secrets(settings: Settings, passphrase: str) -> bytes:
    """Every secret file of the data folder, sealed."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 10 MB: where it is used

    files = {f"keys/{path.name}": path.read_bytes() for path in sorted(settings.keys.glob("*.key"))}
    for path in (settings.data / "admin.token", settings.inference_secret):
        if path.exists():
            files[path.name] = path.read_bytes()
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    key = _key(passphrase, salt, _COST, _BLOCK, _LANES)
    sealed = AESGCM(key).encrypt(nonce, msgspec.msgpack.encode(files), None)
    return msgspec.msgpack.encode(_Sealed(_COST, _BLOCK, _LANES, salt, nonce, sealed))


def open_secrets(data: bytes, passphrase: str) -> dict[str, bytes]:
    """The secret files by name. Raises Unauthenticated for another passphrase."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    box = msgspec.msgpack.decode(data, type=_Sealed)
    try:
        key = _key(passphrase, box.salt, box.cost, box.block, box.lanes)
        return msgspec.msgpack.decode(AESGCM(key).decrypt(box.nonce, box.sealed, None), type=dict[str, bytes])
    except InvalidTag:
        raise Unauthenticated(
            "The passphrase does not open the backup's keys.",
            hint="Give the one that it was made with, or --without-keys to restore without them.",
        ) from None


def write_secrets(files: dict[str, bytes], data: Path, keys: Path) -> None:
    """Write the secret files for their owner alone, and sync them."""
    if files:
        keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, content in files.items():
        folder, _, plain = name.rpartition("/")
        path = (keys if folder == "keys" else data) / Path(plain).name
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _key(passphrase: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=32, n=cost, r=block, p=lanes).derive(passphrase.encode())
