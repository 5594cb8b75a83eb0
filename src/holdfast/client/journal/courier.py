"""Delivers a journal, request by request, each so that it can be made again: after a lost answer, or by another
process after this one was killed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from holdfast.client.client import Client
from holdfast.client.journal.batches import JournalReader, Piece, encode_batch
from holdfast.client.journal.folder import Head
from holdfast.client.journal.position import Position, PositionFile
from holdfast.client.journal.records import Operation
from holdfast.client.journal.segment import segment_path
from holdfast.client.records import LoggedModel, Run
from holdfast.kernel.errors import Forbidden, HoldfastError, NotFound, Unauthenticated, Unavailable
from holdfast.kernel.ids import new_id

__all__ = ["Courier"]

_LATER = (Unavailable, Unauthenticated, Forbidden)
"""What may be otherwise tomorrow: nothing is given up for it."""


class Courier:
    """Ships one journal whose lock its process has. Not thread-safe.

    What the server refuses is put into a file in the folder `refused` beside the journal, and the rest goes on.
    """

    def __init__(self, client: Client, folder: Path, head: Head) -> None:
        self._client = client
        self._folder = folder
        self._head = head
        self._reader = JournalReader(folder)
        self._file = PositionFile(folder / "position")
        self.run: Run | None = None
        """The run as it ended, once its end was delivered."""
        self.models: dict[str, LoggedModel] = {}
        """The models that were delivered, by id."""
        self.last_time: int | None = None
        """The time of the last point that was delivered."""

    @property
    def position(self) -> Position:
        """How far everything is delivered."""
        return self._file.position

    def ship_next(self, *, before_end: bool = False) -> tuple[int, HoldfastError | None]:
        """Deliver the next request: the number of its points, params, tags and operations, or 0 where nothing is left;
        with the error when the server refused it. `before_end`: not the end of the run.

        Raises Unavailable, Unauthenticated and Forbidden when it has to be done again later, and IntegrityError where
        the journal is damaged.
        """
        before = self.position
        under_way = before.end if before.end != before.done else None
        piece = self._reader.next_piece(before.done, under_way)
        is_end = piece.operation is not None and piece.operation.op == "finish"
        if is_end and before_end:
            return 0, None
        if piece.is_empty:
            if piece.end != before.done:
                self._file.write(Position(piece.end, piece.end, before.is_finished))
            return 0, None
        if under_way is None:
            self._file.write(before._replace(end=piece.end))
        refusal: HoldfastError | None = None
        try:
            self._deliver(piece)
        except _LATER:
            raise
        except HoldfastError as error:
            if piece.operation is not None and piece.operation.op == "create":
                raise  # there is nothing to log to
            if isinstance(error, NotFound) and self._head.is_offline:
                # Its run stands in a journal that is not delivered yet.
                raise Unavailable(
                    error.message, hint="Ship the journal of the run's own process first."
                ) from error
            refusal = self._keep_refused(piece, error)
        self._file.write(Position(piece.end, piece.end, before.is_finished or is_end))
        self._drop(before.done.segment, piece)
        if piece.points:
            self.last_time = max(point.time for point in piece.points)
        return len(piece.points) + len(piece.params) + len(piece.tags) + (
            piece.operation is not None
        ), refusal

    def close(self) -> None:
        """Close the files."""
        self._reader.close()
        self._file.close()

    def _drop(self, first: int, piece: Piece) -> None:
        """Remove what is not needed any more."""
        for number in range(first, piece.end.segment):
            segment_path(self._folder, number).unlink(missing_ok=True)
        if piece.operation is not None:
            for name in (piece.operation.file, *piece.operation.files.values()):
                if name:
                    (self._folder / name).unlink(missing_ok=True)

    def _deliver(self, piece: Piece) -> None:
        if piece.operation is not None:
            self._perform(piece.operation)
            return
        parts = {"metrics": piece.points, "params": piece.params, "tags": piece.tags}
        try:
            self._send(**parts)
        except _LATER:
            raise
        except HoldfastError:
            alone = {name: part for name, part in parts.items() if part}
            if len(alone) == 1:
                raise
            # One bad param is no reason to lose the metrics that travelled with it.
            self._send_alone(alone)

    def _send_alone(self, parts: Mapping[str, object]) -> None:
        refusal: HoldfastError | None = None
        for name, part in parts.items():
            try:
                self._send(**{name: part})
            except _LATER:
                raise
            except HoldfastError as error:
                refusal = refusal or error
        if refusal is not None:
            raise refusal

    def _send(self, **parts: object) -> None:
        self._client.send_batch(self._head.run_id, encode_batch(**parts))

    def _perform(self, operation: Operation) -> None:
        run_id = self._head.run_id
        if operation.op == "create":
            self._client.create_run(
                operation.experiment, name=operation.name, user=operation.user, recipe=operation.recipe,
                run_id=run_id, start_time=operation.time,
            )  # fmt: skip
        elif operation.op == "artifact":
            self._client.upload_artifact(run_id, operation.path, self._folder / operation.file)
        elif operation.op == "model":
            self.models[operation.model_id] = self._upload_model(operation)
        elif operation.op == "finish":
            self.run = self._client.finish_run(
                run_id, operation.status, end_time=operation.time, exit_code=operation.exit_code
            )
        else:
            raise HoldfastError(
                f"The journal asks for {operation.op!r}, which this holdfast does not know.",
                hint="Ship it with the holdfast that wrote it, or a newer one.",
            )

    def _upload_model(self, operation: Operation) -> LoggedModel:
        files = {path: self._folder / name for path, name in operation.files.items()}
        return self._client.store_model(
            self._head.run_id, operation.name or "model", files, model_id=operation.model_id,
            register=operation.register,
        )  # fmt: skip

    def _keep_refused(self, piece: Piece, error: HoldfastError) -> HoldfastError:
        """Keep what the server refused in a file; gives the error with the file's name."""
        folder = self._folder.parent / "refused"
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{self._head.run_id}-{new_id()[:12]}"
        kept = {"run_id": self._head.run_id, "error": error.message, **msgspec.to_builtins(piece)}
        del kept["end"]
        path = folder / f"{stem}.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=2))
        if piece.operation is not None:
            for name in (piece.operation.file, *piece.operation.files.values()):
                if name and (self._folder / name).exists():
                    (self._folder / name).rename(folder / f"{stem}-{name}")
        error.message += f" What this run logged and the server refused is kept in {path}."
        return error
