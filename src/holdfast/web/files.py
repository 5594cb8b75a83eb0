"""Sending stored bytes to a client, so that a browser never runs them."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol
from urllib.parse import quote

from holdfast.chunks import TreeFile
from holdfast.kernel.errors import IntegrityError
from holdfast.web.routing import Redirect, Stream

__all__ = ["send_file"]

_BLOCK = 1 << 18
_PRESIGNED_S = 300


class _Store(Protocol):
    def open(self, sha256: str) -> BinaryIO: ...

    def presign(self, sha256: str, seconds: int) -> str | None: ...


def send_file(objects: _Store, file: TreeFile, *, presigned: bool = False) -> Stream | Redirect:
    """The file as a download: attachment, no sniffing, sandboxed should a browser show it all the same.

    Damaged bytes end the answer before its stated length. `presigned`: where the object store has such addresses,
    send the client there for five minutes; it is then the client that must check the digest in the ETag.
    """
    address = objects.presign(file.sha256, _PRESIGNED_S) if presigned else None
    if address is not None:
        return Redirect(address, 307)
    name = PurePosixPath(file.path).name
    media, packed = mimetypes.guess_type(name)
    headers = {
        "Content-Length": str(file.size),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "ETag": f'"{file.sha256}"',
    }
    known = media if media is not None and packed is None else "application/octet-stream"
    return Stream(_blocks(objects.open(file.sha256), file.sha256), known, headers)


def _blocks(file: BinaryIO, sha256: str) -> Iterator[bytes]:
    """The bytes; damaged ones never arrive whole, since the last block waits for the digest."""
    digest, last = hashlib.sha256(), b""
    with file:
        while block := file.read(_BLOCK):
            if last:
                yield last
            digest.update(block)
            last = block
    if digest.hexdigest() != sha256:
        raise IntegrityError(
            f"The object {sha256} is damaged: its bytes have another digest.",
            hint="Restore its file in the object store from a backup.",
        )
    yield last
