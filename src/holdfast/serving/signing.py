"""Signing the desired state, and checking it: Ed25519 over canonical JSON."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.errors import IntegrityError
from holdfast.serving.records import DesiredState, SignedState

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["load_key", "sign_state", "verify_state"]

_SEED_BYTES = 32


def load_key(path: Path) -> Ed25519PrivateKey:
    """The key in the file, made on first use: the 32 bytes of its seed as hex, readable by its owner alone (0600)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # 10 MB: where it is used

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(os.urandom(_SEED_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # of two processes, the first one's key stays
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text("ascii").strip()))
    except ValueError:
        raise IntegrityError(
            f"The key file {path} does not hold a key.", hint="Restore it from a backup of the keys."
        ) from None


def sign_state(state: DesiredState, key: Ed25519PrivateKey) -> SignedState:
    """The state as it travels."""
    document = canonical_json(msgspec.to_builtins(state))
    public = key.public_key().public_bytes_raw()
    return SignedState(*(base64.b64encode(part).decode() for part in (document, key.sign(document), public)))


def verify_state(signed: SignedState, pinned_key: str) -> DesiredState:
    """The state, when `pinned_key` (base64) has signed it. Raises IntegrityError otherwise."""
    from cryptography.exceptions import InvalidSignature  # 10 MB: where it is used
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if signed.public_key != pinned_key:
        raise IntegrityError(
            f"The desired state is signed by the key {signed.public_key[:12]}…, not by the pinned {pinned_key[:12]}….",
            hint="If the control plane's key was replaced on purpose, delete the inference server's public-key file.",
        )
    try:
        document = base64.b64decode(signed.document, validate=True)
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(pinned_key, validate=True))
        public.verify(base64.b64decode(signed.signature, validate=True), document)
        return msgspec.json.decode(document, type=DesiredState)
    except (InvalidSignature, binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise IntegrityError(
            f"The desired state is not validly signed: {error or 'wrong signature'}."
        ) from error
