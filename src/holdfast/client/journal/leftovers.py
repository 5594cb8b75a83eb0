"""What ended processes left in their journals, shipped by another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from holdfast.client.client import Client
from holdfast.client.journal.courier import Courier
from holdfast.client.journal.folder import Head, list_journals, remove_journal, remove_litter, take_lock
from holdfast.client.journal.position import Place
from holdfast.client.journal.segment import segment_path
from holdfast.kernel.errors import HoldfastError

__all__ = ["Shipped", "ship_leftovers"]


class Shipped(msgspec.Struct):
    """What became of one journal."""

    run_id: str
    url: str
    folder: Path
    values: int = 0
    """Points, params, tags, artifacts and models that were delivered."""
    is_live: bool = False
    """Its process is still running and delivers it itself."""
    error: HoldfastError | None = None
    """Why the rest is still there, or what was refused."""
    is_done: bool = False
    """The journal is delivered and removed."""


def ship_leftovers(
    root: Path,
    make_client: Callable[[Head], Client],
    *,
    run_id: str | None = None,
    choose: Callable[[Head], bool] = lambda head: True,
) -> Iterator[Shipped]:
    """Ship the journals below `root` (or that one), all or one run's, that `choose` takes and no
    living process has; one answer for each.

    A run whose process was killed is ended as killed. Idempotent, and may be ended at any point.
    """
    remove_litter(root)
    journals = [(folder, head) for folder, head in list_journals(root, run_id) if choose(head)]
    joined = {head.run_id for _, head in journals if not head.is_owned}
    for folder, head in journals:
        if not (head.is_owned and head.run_id in joined):
            continue
        # The run must be there before what other processes logged to it, and end after.
        first = _with_lock(folder, head, make_client, before_end=True)
        if first is not None and first.error is not None:
            yield first
    for folder, head in sorted(journals, key=lambda one: one[1].is_owned):
        shipped = _with_lock(folder, head, make_client)
        if shipped is not None:
            yield shipped


def _with_lock(
    folder: Path, head: Head, make_client: Callable[[Head], Client], *, before_end: bool = False
) -> Shipped | None:
    """What became of a journal; None when another process has just delivered it."""
    try:
        lock = take_lock(folder)
    except FileNotFoundError:
        return None
    if lock is None:
        return Shipped(head.run_id, head.url, folder, is_live=True)
    try:
        if not (folder / "run.json").exists():
            return None
        return _ship(folder, head, make_client(head), before_end=before_end)
    finally:
        os.close(lock)


def _ship(folder: Path, head: Head, client: Client, *, before_end: bool) -> Shipped:
    shipped = Shipped(head.run_id, head.url, folder)
    courier: Courier | None = None
    try:
        courier = Courier(client, folder, head)
        while True:
            before = courier.position.done
            count, refusal = courier.ship_next(before_end=before_end)
            shipped.values += count
            shipped.error = shipped.error or refusal
            if count == 0 and courier.position.done == before:
                break
        if head.is_owned and not before_end and not courier.position.is_finished:
            ended = courier.last_time or _last_write(folder, courier.position.done)
            client.finish_run(head.run_id, "killed", end_time=ended)
        shipped.is_done = not before_end
    except (HoldfastError, OSError) as error:
        shipped.error = error if isinstance(error, HoldfastError) else HoldfastError(str(error))
    finally:
        if courier is not None:
            courier.close()
        client.close()
    if shipped.is_done:
        remove_journal(folder)
    return shipped


def _last_write(folder: Path, place: Place) -> int:
    """When the last segment was written, in ms UTC."""
    return int(segment_path(folder, place.segment).stat().st_mtime * 1000)
