"""Signing the desired state, and checking it: Ed25519 over canonical JSON."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import msgspec

from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.errors import IntegrityError
from holdfast.serving.records import DesiredState, SignedState

if TYPE_CHECKING:
    from holdfast.storage.keys import SigningKey  # the inference server loads no database

__all__ = ["sign_state", "verify_state"]


def sign_state(state: DesiredState, key: SigningKey) -> SignedState:
    """The state as it travels."""
    document = canonical_json(msgspec.to_builtins(state))
    return SignedState(
        *(base64.b64encode(part).decode() for part in (document, key.sign(document), key.public))
    )


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
