"""Rotation statements: an old key says which key follows it, so that who knows the old one can follow. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.ed25519 import is_signed
from holdfast.kernel.errors import IntegrityError

__all__ = ["Rotation", "follow", "is_valid", "sign_rotation", "statement"]


class Rotation(msgspec.Struct, frozen=True):
    """The `number`-th change of the key `name`, from 1. Keys and signature are hex.

    Of the secret box, whose keys sign nothing, `old` and `new` are key ids and the signature is empty.
    """

    name: str
    number: int
    old: str
    new: str
    time_ms: int
    signature: str = ""


def statement(rotation: Rotation) -> bytes:
    """What the old key signs."""
    return canonical_json(
        {
            "v": 1,
            "type": "holdfast key rotation",
            "name": rotation.name,
            "number": rotation.number,
            "old": rotation.old,
            "new": rotation.new,
            "time_ms": rotation.time_ms,
        }
    )


def sign_rotation(rotation: Rotation, sign: Callable[[bytes], bytes]) -> Rotation:
    """The rotation with the old key's signature."""
    return msgspec.structs.replace(rotation, signature=sign(statement(rotation)).hex())


def is_valid(rotation: Rotation) -> bool:
    """Whether the old key has signed it."""
    try:
        public, signature = bytes.fromhex(rotation.old), bytes.fromhex(rotation.signature)
    except ValueError:
        return False
    return signature.hex() == rotation.signature and is_signed(public, statement(rotation), signature)


def follow(known: bytes, wanted: bytes, name: str, rotations: Iterable[Rotation]) -> list[Rotation]:
    """The rotations of the key `name` that lead from the known public key to the wanted one, each signed.

    Raises IntegrityError when they do not lead there.
    """
    by_old = {rotation.old: rotation for rotation in rotations if rotation.name == name}
    path: list[Rotation] = []
    at = known.hex()
    while at != wanted.hex():
        step = by_old.pop(at, None)
        if step is None or not is_valid(step):
            raise IntegrityError(
                f"The {name} key {wanted.hex()[:16]}… does not follow from the known {known.hex()[:16]}…: "
                f"no statement signed by {at[:16]}… names the next.",
                hint="Ask the server's administrator whether the key was replaced without a rotation.",
            )
        path.append(step)
        at = step.new
    return path
