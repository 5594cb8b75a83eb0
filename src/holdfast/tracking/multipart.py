"""Files that come in parts: every part is durable as it arrives, and the whole is made of them in one step.

An upload is an open tree of its own until it is completed: what it is to become, and its parts. What nobody completes
within a day is given up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256

import msgspec

from holdfast.chunks import TreeFile
from holdfast.identity.service import require
from holdfast.kernel.errors import Conflict, IntegrityError, InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.kernel.principal import Caller
from holdfast.storage import Blob, Objects, Storage, Tx, lock, trees

__all__ = ["GIVEN_UP_MS", "MOST_PARTS", "PART_LIMIT", "MultipartUploads"]

MOST_PARTS = 10_000
PART_LIMIT = 5 * 1024**3
GIVEN_UP_MS = 24 * 3_600_000
_TREE, _PLAN, _PARTS, _ENDED = "upload", "upload.json", "parts", "completed"
_BLOCK = 1024**2
_ID = re.compile(r"[0-9a-f]{32}")


class _Plan(msgspec.Struct, frozen=True):
    """What an upload is to become."""

    path: str
    parts: int


class MultipartUploads:
    """Uploads under way, over the metadata database and the object store."""

    def __init__(self, storage: Storage, objects: Objects) -> None:
        self._storage = storage
        self._objects = objects

    def begin(self, caller: Caller, path: str, parts: int) -> str:
        """A new upload of the file at `path` in 1 to 10,000 parts: its id."""
        require(caller, "tracking:write")
        if not 1 <= parts <= MOST_PARTS:
            raise InvalidInput(f"An upload has 1 to {MOST_PARTS} parts, not {parts}.")
        upload_id = new_id()
        plan = self._objects.put(msgspec.json.encode(_Plan(path, parts)), lasting=False)
        self._storage.write(
            lambda tx: trees.put_file(tx, caller.workspace, _TREE, upload_id, _PLAN, plan.sha256, plan.size)
        )
        return upload_id

    def put_part(self, caller: Caller, upload_id: str, number: int, blocks: Iterator[bytes]) -> str:
        """Store part `number`, from 1 on; durable before the answer, and replaced when it comes again: its SHA-256.

        Raises NotFound for an unknown upload, InvalidInput for a number beyond its parts, Conflict when it is completed.
        """
        require(caller, "tracking:write")
        plan = self._plan(caller, upload_id)
        if not 1 <= number <= plan.parts:
            raise InvalidInput(f"The upload {upload_id} has the parts 1 to {plan.parts}, not {number}.")

        def refer(tx: Tx, blob: Blob) -> str:
            files = _held(tx, caller, upload_id)
            if _PLAN not in files:
                raise _unknown(upload_id)
            if _ENDED in files:
                raise Conflict(f"The upload {upload_id} is completed.", hint="Begin another.")
            name = _part(number)
            trees.put_file(tx, caller.workspace, _TREE, upload_id, name, blob.sha256, blob.size)
            return blob.sha256

        return self._objects.put_for(blocks, refer, PART_LIMIT, lasting=False)

    def complete(
        self,
        caller: Caller,
        upload_id: str,
        path: str,
        digests: Mapping[int, str],
        store: Callable[[Iterator[bytes]], object],
    ) -> None:
        """Give the parts, one after the other, to `store` as the file at `path`. Completed again it changes nothing.

        `digests`: the SHA-256 of each part by number, as `put_part` answered. Raises NotFound for an unknown upload,
        InvalidInput for another path, and for parts that are missing or differ.
        """
        require(caller, "tracking:write")
        plan = self._plan(caller, upload_id)
        if path != plan.path:
            raise InvalidInput(f"The upload {upload_id} is not of {path[:200]!r}.")
        files = self._storage.read(lambda tx: _files(tx, caller, upload_id))
        if _ENDED in files:
            return
        store(self._read(_checked(files, plan, digests)))

        def fn(tx: Tx) -> None:
            found = _held(tx, caller, upload_id)
            if _ENDED in found or _PLAN not in found:  # another call ended it, or gave it up, meanwhile
                return
            trees.remove_below(tx, caller.workspace, _TREE, upload_id, _PARTS)
            own = found[_PLAN]
            trees.put_file(tx, caller.workspace, _TREE, upload_id, _ENDED, own.sha256, own.size)

        self._storage.write(fn)

    def abort(self, caller: Caller, upload_id: str) -> None:
        """Give an upload up, whether it is known or not."""
        require(caller, "tracking:write")

        def fn(tx: Tx) -> None:
            if _held(tx, caller, upload_id):
                trees.drop_tree(tx, caller.workspace, _TREE, upload_id)

        self._storage.write(fn)

    def give_up_old(self, now_ms: int) -> int:
        """Forget the uploads that began more than a day ago, in all workspaces: how many files they had."""
        before = f"{max(now_ms - GIVEN_UP_MS, 0):012x}"  # an id begins with its time
        return self._storage.write(lambda tx: trees.drop_before(tx, _TREE, before))

    def _plan(self, caller: Caller, upload_id: str) -> _Plan:
        file = self._storage.read(lambda tx: _files(tx, caller, upload_id)).get(_PLAN)
        if file is None:
            raise _unknown(upload_id)
        return msgspec.json.decode(self._objects.get(file.sha256), type=_Plan)

    def _read(self, parts: list[TreeFile]) -> Iterator[bytes]:
        for part in parts:
            digest = sha256()
            with self._objects.open(part.sha256) as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
                    yield block
            if digest.hexdigest() != part.sha256:
                raise IntegrityError(f"The {part.path} of an upload is damaged.", hint="Send it again.")


def _files(tx: Tx, caller: Caller, upload_id: str) -> dict[str, TreeFile]:
    """What an upload has so far, by name; nothing for what is no id of one."""
    if not _ID.fullmatch(upload_id):
        return {}
    found = trees.list_files(tx, caller.workspace, _TREE, upload_id)
    return {file.path: file for file in found}


def _held(tx: Tx, caller: Caller, upload_id: str) -> dict[str, TreeFile]:
    """The same, while no other transaction changes it."""
    if _ID.fullmatch(upload_id):
        lock(tx, "upload", caller.workspace, upload_id)
    return _files(tx, caller, upload_id)


def _unknown(upload_id: str) -> NotFound:
    return NotFound(f"There is no upload {upload_id[:80]!r}, or it was given up.", hint="Begin another.")


def _part(number: int) -> str:
    return f"{_PARTS}/{number:05d}"


def _checked(files: Mapping[str, TreeFile], plan: _Plan, digests: Mapping[int, str]) -> list[TreeFile]:
    """The parts in their order, when they are all there and those that the client means."""
    parts = []
    for number in range(1, plan.parts + 1):
        file = files.get(_part(number))
        if file is None:
            raise InvalidInput(
                f"Part {number} of {plan.parts} has not arrived.", hint="Send it, then complete."
            )
        if digests.get(number) != file.sha256:
            raise InvalidInput(
                f"Part {number} has the digest {file.sha256}, not {str(digests.get(number))[:80]!r}.",
                hint="Complete with the ETags of the parts as they were answered.",
            )
        parts.append(file)
    if len(digests) > plan.parts:
        raise InvalidInput(f"The upload has {plan.parts} parts, not {len(digests)}.")
    return parts
