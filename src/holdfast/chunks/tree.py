"""Tree digest v1: the SHA-256 that names a set of files by their paths and contents."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.hashing import is_sha256

__all__ = ["TreeFile", "check_path", "tree_digest"]

_MAX_PATH_BYTES = 1024
# What most paths look like, told at once: no part of it is empty or begins with a dot.
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_. -]*(?:/[A-Za-z0-9_. -]+)*")
# How the names of MLflow's logged images end; decoded they hold control characters, yet lead nowhere.
_MLFLOW_IMAGE = re.compile(
    r"%step%[0-9]{1,16}%timestamp%[0-9]{1,16}%[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:%compressed)?\.[a-z]{3,4}\Z"
)


class TreeFile(msgspec.Struct, frozen=True, gc=False):
    """One file of a tree: its path (POSIX, relative, NFC), SHA-256 (hex) and size in bytes."""

    path: str
    sha256: str
    size: int


def check_path(path: str) -> str:
    """The path itself when a tree may hold it.

    Raises InvalidInput for an absolute path, an empty, `.` or `..` part, a backslash, a control character,
    text that is not NFC, or more than 1,024 bytes of UTF-8; also for percent-encoded text that would be such a path
    to a program that decodes it once more. The percent signs in the names of MLflow's images are no encoding.
    """
    if _PLAIN.fullmatch(path) and "/." not in path and len(path) <= _MAX_PATH_BYTES:
        return path
    shown = repr(path[:120])
    if not path or path.startswith("/") or "\\" in path:
        raise InvalidInput(f"The path {shown} is not a relative path with forward slashes.")
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise InvalidInput(f"The path {shown} has an empty, '.' or '..' part.")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in path):
        raise InvalidInput(f"The path {shown} holds a control character.")
    if unicodedata.normalize("NFC", path) != path:
        raise InvalidInput(f"The path {shown} is not in Unicode normal form NFC.")
    if len(path.encode()) > _MAX_PATH_BYTES:
        raise InvalidInput(f"The path {shown}… is longer than {_MAX_PATH_BYTES} bytes.")
    encoded = _MLFLOW_IMAGE.sub("", path)
    if "%" in encoded and (decoded := unquote(encoded)) != encoded:
        try:
            check_path(decoded)
        except InvalidInput as error:
            raise InvalidInput(f"The path {shown} is percent-encoded twice. {error.message}") from None
    return path


def tree_digest(files: Iterable[TreeFile]) -> str:
    """The digest of a tree: SHA-256 over `holdfast-tree-v1\\n` and, per file in the order of its UTF-8 path,
    `sha256 SP size SP path LF`, as hex. Modes and times do not count. Raises InvalidInput on a path twice.
    """
    digest = hashlib.sha256(b"holdfast-tree-v1\n")
    before = b""
    for key, file in sorted(
        ((check_path(file.path).encode(), file) for file in files), key=lambda pair: pair[0]
    ):
        if key == before:
            raise InvalidInput(f"The path {file.path!r} stands twice in one tree.")
        if not is_sha256(file.sha256) or file.size < 0:
            raise InvalidInput(f"The file {file.path!r} has no valid SHA-256 and size.")
        digest.update(b"%s %d %s\n" % (file.sha256.encode(), file.size, key))
        before = key
    return digest.hexdigest()
