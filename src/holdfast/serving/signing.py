"""Signing the desired state, and checking it: Ed25519 over canonical JSON."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from holdfast.audit.rotation import Rotation, follow
from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.errors import IntegrityError
from holdfast.serving.records import DesiredState, SignedState

if TYPE_CHECKING:
    from holdfast.storage.keys import SigningKey  # the inference server loads no database

__all__ = ["sign_state", "verify_state"]


def sign_state(state: DesiredState, key: SigningKey, rotations: Sequence[Rotation] = ()) -> SignedState:
    """The state as it travels; `rotations` are those of the serving key."""
    document = canonical_json(msgspec.to_builtins(state))
    return SignedState(_base64(document), _base64(key.sign(document)), _base64(key.public), list(rotations))


def verify_state(signed: SignedState, pinned_key: str) -> DesiredState:
    """The state, when `pinned_key` (base64) has signed it, or a key that follows from it by signed rotations.

    Raises IntegrityError otherwise.
    """
    from cryptography.exceptions import InvalidSignature  # 10 MB: where it is used
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        pinned, offered = (base64.b64decode(key, validate=True) for key in (pinned_key, signed.public_key))
        _follow(pinned, offered, signed)
        document = base64.b64decode(signed.document, validate=True)
        public = Ed25519PublicKey.from_public_bytes(offered)
        public.verify(base64.b64decode(signed.signature, validate=True), document)
        return msgspec.json.decode(document, type=DesiredState)
    except (InvalidSignature, binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise IntegrityError(
            f"The desired state is not validly signed: {error or 'wrong signature'}."
        ) from error


def _follow(pinned: bytes, offered: bytes, signed: SignedState) -> None:
    try:
        follow(pinned, offered, "serving", signed.rotations)
    except IntegrityError as error:
        raise IntegrityError(
            f"The desired state is signed by the key {offered.hex()[:12]}…, not by the pinned {pinned.hex()[:12]}…, "
            "and no signed rotation leads from one to the other.",
            hint="If the control plane's key was replaced on purpose, delete the inference server's public-key file.",
        ) from error


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
