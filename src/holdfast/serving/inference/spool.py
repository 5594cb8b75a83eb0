"""The prediction log on the replica's own disk: one append before each answer, segments closed by age and size.

    spool/{endpoint_id}/{boot}/{seq}.open   being written        spool/.../{seq}.seg   closed, to be shipped

What `os.write` has taken survives the death of the process, however it dies.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from holdfast.kernel.errors import IntegrityError, Unavailable
from holdfast.predictions.segments import Batch, Failure, Record, Schema, SegmentHeader, encode_record, scan

__all__ = ["Spool", "SpoolWriter", "SpooledSegment"]

_log = logging.getLogger("holdfast.inference.spool")


class SpooledSegment(msgspec.Struct, frozen=True):
    """A closed segment that waits for shipping."""

    endpoint_id: str
    boot: str
    seq: int
    path: Path


class SpoolWriter:
    """Writes one endpoint's log. Not thread-safe: the event loop alone writes."""

    def __init__(
        self,
        folder: Path,
        endpoint_id: str,
        replica: str,
        boot: str,
        segment_bytes: int,
        on_close: Callable[[], None],
    ) -> None:
        self._folder = folder / endpoint_id / boot
        self._endpoint_id, self._replica, self._boot = endpoint_id, replica, boot
        self._segment_bytes = segment_bytes
        self._on_close = on_close
        self._fd: int | None = None
        self._seq = 0
        self._size = 0
        self._opened_ms = 0
        self._schemas: set[int] = set()
        self.bytes_written = 0

    def append(self, record: Record, now_ms: int, schema: Schema | None = None) -> None:
        """Write a record (see `append_encoded`)."""
        self.append_encoded(encode_record(record), now_ms, schema)

    def append_encoded(self, records: bytes, now_ms: int, schema: Schema | None = None) -> None:
        """Write encoded records at once, behind their schema where this segment lacks it; returns when the kernel has
        the bytes.

        Raises Unavailable when they can't be written; then nothing of them is kept.
        """
        try:
            if self._fd is None:
                self._open(now_ms)
            if schema is not None and schema.schema_id not in self._schemas:
                self._write(encode_record(schema) + records)
                self._schemas.add(schema.schema_id)
            else:
                self._write(records)
        except OSError as error:
            raise Unavailable(
                f"The prediction log can't be written ({error.strerror}), so no prediction is given.",
                hint="Free space on the disk of the inference server's data folder.",
                retry_after_s=5,
            ) from error
        if self._size >= self._segment_bytes:
            self.close()

    def close_if_older(self, age_ms: int, now_ms: int) -> None:
        """Close the open segment when it is this old, or when the clock went back behind its beginning."""
        if self._fd is not None and not 0 <= now_ms - self._opened_ms < age_ms:
            self.close()

    def close(self) -> None:
        """Close the open segment, if there is one, for shipping."""
        if self._fd is None:
            return
        os.close(self._fd)
        self._fd = None
        self._path(".open").rename(self._path(".seg"))
        self._on_close()

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self._seq:012d}{suffix}"

    def _open(self, now_ms: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._seq += 1
        try:
            self._fd = os.open(self._path(".open"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError:
            self._seq -= 1
            raise
        self._size, self._opened_ms, self._schemas = 0, now_ms, set()
        header = SegmentHeader(1, self._endpoint_id, self._replica, self._boot, self._seq, now_ms)
        try:
            self._write(encode_record(header))
        except OSError:
            os.close(self._fd)
            self._fd = None
            self._path(".open").unlink()
            self._seq -= 1
            raise

    def _write(self, data: bytes) -> None:
        """Append all of `data` or nothing of it."""
        assert self._fd is not None
        written = os.write(self._fd, data)
        if written < len(data):
            try:
                view = memoryview(data)[written:]
                while view:
                    view = view[os.write(self._fd, view) :]
            except OSError:
                os.ftruncate(self._fd, self._size)
                os.lseek(self._fd, self._size, os.SEEK_SET)
                raise
        self._size += len(data)
        self.bytes_written += len(data)


class Spool:
    """The folder of all endpoints' logs of one replica."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def close_leftovers(self) -> int:
        """Close the segments that earlier boots left open, for shipping; those without a whole record go. How many."""
        count = 0
        for path in self.folder.glob("*/*/*.open"):
            if _is_empty(path):
                path.unlink()
            else:
                path.rename(path.with_suffix(".seg"))
                count += 1
        return count

    def closed(self) -> Iterator[SpooledSegment]:
        """The closed segments: per endpoint and boot in the order written."""
        for path in sorted(self.folder.glob("*/*/*.seg")):
            yield SpooledSegment(path.parent.parent.name, path.parent.name, int(path.stem), path)

    def remove(self, segment: SpooledSegment) -> None:
        """Delete a shipped segment, and its folders when they are empty."""
        segment.path.unlink()

    def reject(self, segment: SpooledSegment) -> None:
        """Put a segment aside that the control plane refuses for good: kept, not sent again."""
        segment.path.rename(segment.path.with_suffix(".rejected"))

    def rejected(self) -> int:
        """How many segments were put aside."""
        return sum(1 for _ in self.folder.glob("*/*/*.rejected"))

    def prune(self, boot: str) -> None:
        """Remove the empty folders of earlier boots."""
        for folder in self.folder.glob("*/*"):
            if folder.name != boot and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _is_empty(path: Path) -> bool:
    """Whether a segment holds nothing that was ever acknowledged, and no damage that should be seen."""
    data = path.read_bytes()
    try:
        found = scan(data)
    except IntegrityError:
        # A header cut short by the kill; a damaged whole one is kept as evidence.
        is_cut = len(data) < 12 or len(data) < 12 + int.from_bytes(data[4:8], "little")
        if not is_cut:
            _log.error("segment has no readable header", extra={"fields": {"path": str(path)}})
        return is_cut
    return not found.damages and not any(isinstance(record, (Batch, Failure)) for record in found.records)
