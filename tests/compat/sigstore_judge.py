"""Judges inclusion proofs by sigstore-python's Merkle code: JSON lines in and out, as judge.go does."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from types import SimpleNamespace

from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore.errors import VerificationError


def is_accepted(index: int, size: int, leaf: bytes, proof: list[bytes], root: bytes) -> bool:
    inner = SimpleNamespace(log_index=index, tree_size=size, hashes=proof, root_hash=root)
    try:
        verify_merkle_inclusion(
            SimpleNamespace(_inner=SimpleNamespace(inclusion_proof=inner, canonicalized_body=leaf))
        )
    except VerificationError:
        return False
    return True


def flipped(data: bytes) -> Iterator[bytes]:
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def changes(
    index: int, size: int, leaf: bytes, proof: list[bytes], root: bytes
) -> Iterator[tuple[object, ...]]:
    for at, part in enumerate(proof):
        for changed in flipped(part):
            yield index, size, leaf, [*proof[:at], changed, *proof[at + 1 :]], root
    for changed in flipped(root):
        yield index, size, leaf, proof, changed
    for changed in flipped(leaf):
        yield index, size, changed, proof, root
    for bit in range(size.bit_length()):
        if index ^ 1 << bit < size:
            yield index ^ 1 << bit, size, leaf, proof, root


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        proof = [base64.b64decode(part) for part in asked["proof"]]
        leaf, root = base64.b64decode(asked["leaf"]), base64.b64decode(asked["root2"])
        whole = (asked["index"], asked["second"], leaf, proof, root)
        verdicts = [is_accepted(*changed) for changed in changes(*whole)]  # type: ignore[arg-type]
        reply = {"accepted": is_accepted(*whole), "tried": len(verdicts), "wrongly": sum(verdicts)}
        sys.stdout.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    main()
