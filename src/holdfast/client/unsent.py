"""Batches that could not be delivered, kept in a file per run until `holdfast runs send FILE` delivers
them.
"""

from __future__ import annotations

import base64
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.ids import new_id

__all__ = ["UnsentBatch", "UnsentFile", "deliver"]


class UnsentBatch(msgspec.Struct, frozen=True):
    """One line of the file: the run and the encoded batch."""

    run_id: str
    body: str
    """Base64, because a repeated batch must have the same bytes."""


class UnsentFile:
    """The unsent file of one run, created at the first batch in ~/.holdfast/unsent or else the temporary
    folder.
    """

    def __init__(self, run_id: str, folder: Path | None = None) -> None:
        self._run_id = run_id
        self._folder = folder
        self._path: Path | None = None
        self._lock = threading.Lock()

    def append(self, body: bytes) -> Path:
        """Write a batch durably and give the file's path."""
        line = msgspec.json.encode(UnsentBatch(self._run_id, base64.b64encode(body).decode())) + b"\n"
        with self._lock:
            if self._path is None:
                self._path = self._choose_folder() / f"{self._run_id}-{new_id()[:12]}.jsonl"
            with self._path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            return self._path

    def _choose_folder(self) -> Path:
        folder = self._folder or Path.home() / ".holdfast" / "unsent"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            return Path(tempfile.gettempdir())
        return folder if os.access(folder, os.W_OK) else Path(tempfile.gettempdir())


def deliver(path: Path, send: Callable[[str, bytes], None]) -> int:
    """Send every batch of an unsent file in order and remove the file; gives the number of batches.

    Stops at the first error and keeps the file: sending again repeats batches, which the server counts once.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InvalidInput(f"The file {str(path)!r} cannot be read: {error.strerror}.") from error
    for number, line in enumerate(lines, 1):
        try:
            batch = msgspec.json.decode(line, type=UnsentBatch)
            body = base64.b64decode(batch.body, validate=True)
        except (msgspec.DecodeError, ValueError) as error:
            raise InvalidInput(f"Line {number} of {str(path)!r} is not an unsent batch: {error}.") from error
        send(batch.run_id, body)
    path.unlink()
    return len(lines)
