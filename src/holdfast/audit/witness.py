"""Cosignatures of witnesses (C2SP tlog-cosignature, Ed25519): that a third party saw the checkpoint, and when. Pure."""

from __future__ import annotations

import base64
import hashlib

from holdfast.audit.notes import split_note
from holdfast.kernel.ed25519 import is_signed
from holdfast.kernel.errors import IntegrityError, InvalidInput

__all__ = ["check_cosignature", "cosigned_text"]

_COSIGNATURE = b"\x04"


def cosigned_text(text: str, time_s: int) -> bytes:
    """What a witness signs: the time (Unix seconds) and the checkpoint's text."""
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def check_cosignature(text: str, line: str, witness: str) -> str:
    """The signature line, with its newline, when the witness with this key (`NAME+HASH+BASE64`) signed the checkpoint.

    Raises InvalidInput when the key is none of a witness, IntegrityError when the line is not its signature.
    """
    name, _, rest = witness.partition("+")
    hashed, _, encoded = rest.partition("+")
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:
        data = b""
    key_hash = hashlib.sha256(f"{name}\n".encode() + data).digest()[:4]
    if data[:1] != _COSIGNATURE or len(data) != 33 or hashed != key_hash.hex():
        raise InvalidInput(f"{witness[:100]!r} is not the public key of a witness.")
    line = line.rstrip("\n") + "\n"
    _, signatures = split_note(f"{text}\n{line}")
    for signer, signed_by, signature in signatures:
        time_s = int.from_bytes(signature[:8], "big")
        is_theirs = len(signatures) == 1 and (signer, signed_by, len(signature)) == (name, key_hash, 72)
        if is_theirs and is_signed(data[1:], cosigned_text(text, time_s), signature[8:]):
            return line
    raise IntegrityError(f"The line is not a signature of the witness {name!r} over this checkpoint.")
