"""Sending stored bytes to a client, so that a browser never runs them."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol
from urllib.parse import quote

import msgspec

from holdfast.chunks import TreeFile
from holdfast.kernel.errors import IntegrityError
from holdfast.web.routing import Raw, Redirect, Stream

__all__ = ["DownloadQuery", "send_file"]

_BLOCK = 1 << 18
_PRESIGNED_S = 300
_TEXTS = frozenset({"MLmodel", "MLproject", "mlproject"})
_CAGE = "sandbox; default-src 'none'"
_SHOWN = {
    "text/html": "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "style-src 'unsafe-inline' data:; img-src data: blob:; font-src data:; media-src data: blob:; "
    "worker-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "image/svg+xml": f"{_CAGE}; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'",
}
"""Documents that our pages may frame, by media type: of an origin of their own, they load nothing from anywhere."""
_TOKEN = re.compile(r"[A-Za-z0-9!#$&+.^_`|~-]+")
_RANGE = re.compile(r"bytes=(?!-$)([0-9]{0,18})-([0-9]{0,18})")


class _Store(Protocol):
    def open(self, sha256: str) -> BinaryIO: ...

    def presign(self, sha256: str, seconds: int) -> str | None: ...


class DownloadQuery(msgspec.Struct, frozen=True):
    """Whether the client may be sent to the object store itself, and whether HTML or SVG is sent to be looked at."""

    presigned: bool = False
    show: bool = False


def send_file(
    objects: _Store, file: TreeFile, *, presigned: bool = False, byte_range: str = "", shown: bool = False
) -> Stream | Redirect | Raw:
    """The file as a download: attachment, no sniffing, sandboxed should a browser show it all the same.

    Damaged bytes end the answer before its stated length. `byte_range`: the request's Range header (RFC 9110, section
    14); one range is sent as 206, several or what is no range as the whole file, one beyond the end as 416.
    `presigned`: where the object store has such addresses, send the client there for five minutes; it is then the
    client that must check the digest in the ETag. `shown`: an HTML document or an SVG drawing is sent to be looked at, in
    a sandbox whose origin is its own: it reads no cookie, asks no server, and only HTML runs scripts.
    """
    address = objects.presign(file.sha256, _PRESIGNED_S) if presigned and not shown else None
    if address is not None:
        return Redirect(address, 307)
    name = PurePosixPath(file.path).name
    media, packed = mimetypes.guess_type(name)
    headers = {
        "Content-Length": str(file.size),
        "Accept-Ranges": "bytes",
        "Content-Disposition": _disposition(name),
        "Content-Security-Policy": _CAGE,
        "ETag": f'"{file.sha256}"',
    }
    known = media if media is not None and packed is None else "application/octet-stream"
    known = "text/plain" if name in _TEXTS else known
    if shown and known in _SHOWN:
        headers |= {
            "Content-Disposition": _disposition(name, "inline"),
            "Content-Security-Policy": _SHOWN[known],
            "X-Frame-Options": "SAMEORIGIN",
            # A browser refuses a sandboxed document with any other policy than this one.
            "Cross-Origin-Opener-Policy": "unsafe-none",
        }
    wanted = _RANGE.fullmatch(byte_range.strip())
    if wanted is not None:
        start, end = _bounds(wanted.group(1), wanted.group(2), file.size)
        if start >= end:
            return Raw(b"", known, {"Content-Range": f"bytes */{file.size}"}, 416)
        headers |= {
            "Content-Length": str(end - start),
            "Content-Range": f"bytes {start}-{end - 1}/{file.size}",
        }
        return Stream(_part(objects.open(file.sha256), start, end), known, headers, 206)
    return Stream(_blocks(objects.open(file.sha256), file.sha256), known, headers)


def _disposition(name: str, kind: str = "attachment") -> str:
    """A download under its name: as a token where it is one, else encoded (RFC 6266)."""
    if _TOKEN.fullmatch(name):
        return f"{kind}; filename={name}"
    return f"{kind}; filename*=UTF-8''{quote(name)}"


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """Where a range starts and, not with, where it ends; nothing for one beyond the end."""
    if not first:
        return max(0, size - int(last)), size
    return int(first), size if not last else min(size, int(last) + 1)


def _part(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while start < end and (block := file.read(min(_BLOCK, end - start))):
            start += len(block)
            yield block


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
