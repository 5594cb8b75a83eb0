"""Signed states of the log and the proofs against them: what lets others check it without trusting the server."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from holdfast.audit import verify
from holdfast.audit.export import export_lines
from holdfast.audit.keys import Keys
from holdfast.audit.merkle import Peaks
from holdfast.audit.notes import (
    NoteKey,
    Tree,
    checkpoint_text,
    key_hash,
    key_text,
    open_checkpoint,
    sign_note,
    split_note,
)
from holdfast.audit.proofs import Range, Subtree, consistency_ranges, inclusion_ranges, make_proof
from holdfast.audit.records import (
    CheckpointView,
    ConsistencyProof,
    Damage,
    InclusionProof,
    StoredCheckpoint,
    Verification,
)
from holdfast.audit.store import leaves, signatures, tree
from holdfast.audit.witness import check_cosignature
from holdfast.kernel.errors import Conflict, IntegrityError, InvalidInput, NotFound
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.principal import Caller
from holdfast.kernel.times import DAY_MS
from holdfast.storage import Storage, Tx, lock, misplaced_values
from holdfast.storage.keys import is_signed

__all__ = ["Checkpoints", "forget_signatures"]

_EVERY_MS = 60_000
_ALL_KEPT_MS = 2 * DAY_MS


def forget_signatures(tx: Tx) -> None:
    """Let the log begin anew under other keys: for a restored database whose keys are lost. The entries stay."""
    signatures.forget_signatures(tx)


class Checkpoints:
    """Checkpoints and proofs over the metadata database. Thread-safe.

    The origin of a log names it for good: it is made from the first checkpoint key and stands in the first checkpoint.
    """

    def __init__(self, storage: Storage, keys: Keys) -> None:
        self._storage = storage
        self._keys = keys
        self._lock = threading.Lock()
        self._newest: CheckpointView | None = None

    def current(self, now_ms: int) -> CheckpointView:
        """The signed state of the log as it is now: signed once per size. With the witnesses' lines where it was stored."""
        head, last = self._storage.read(lambda tx: (tree.load_head(tx), signatures.last_checkpoint(tx)))
        size = 0 if head is None else head.size
        if last is not None and last.size == size:
            return self._view(last)
        with self._lock:
            if self._newest is not None and self._newest.size == size:
                return self._newest
        peaks = Peaks() if head is None else Peaks(head.size, head.peaks)
        made = self._view(self._sign(last, peaks, now_ms))
        with self._lock:
            self._newest = made
        return made

    def record(self, now_ms: int) -> bool:
        """Sign and store the log's state when it grew since the last stored checkpoint, at most once a minute.

        For the worker. All of the last two days are kept, and of earlier days the first one each. Whether one was made.
        """
        head, last = self._storage.read(lambda tx: (tree.load_head(tx), signatures.last_checkpoint(tx)))
        if head is None or (
            last is not None and (head.size <= last.size or 0 <= now_ms - last.made_at < _EVERY_MS)
        ):
            return False  # a clock that went back does not keep it from signing
        made = self._sign(last, Peaks(head.size, head.peaks), now_ms)
        is_kept = last is None or last.made_at // DAY_MS != now_ms // DAY_MS

        def fn(tx: Tx) -> bool:
            lock(tx, "audit-checkpoint")
            newest = signatures.last_checkpoint(tx)
            if newest is not None and newest.size >= made.size:
                return False
            signatures.insert_checkpoint(tx, made, is_kept=is_kept)
            signatures.thin_checkpoints(tx, now_ms - _ALL_KEPT_MS)
            return True

        return self._storage.write(fn)

    def prove_inclusion(self, caller: Caller, index: int) -> InclusionProof:
        """That an entry of the caller's workspace is in the current tree. Raises NotFound.

        About log2 of the log's size reads. Raises IntegrityError when the tables do not prove it.
        """
        checkpoint = self.current(caller.time_ms)
        stored, hashes = self._storage.read(
            lambda tx: (
                leaves.load_leaf(tx, caller.workspace, index),
                self._prove(tx, inclusion_ranges(index, checkpoint.size)) if index < checkpoint.size else [],
            )
        )
        if stored is None or index >= checkpoint.size:
            raise NotFound(f"There is no audit entry {index} in the workspace {caller.workspace!r}.")
        return InclusionProof(
            index, stored.leaf.decode("utf-8", "backslashreplace"), stored.leaf_hash.hex(), hashes, checkpoint
        )

    def prove_consistency(self, first: int, second: int) -> ConsistencyProof:
        """That the tree of `second` entries begins with that of `first`. Raises InvalidInput outside 1..size."""
        head = self._storage.read(tree.load_head)
        size = 0 if head is None else head.size
        if not 0 < first <= second <= size:
            raise InvalidInput(
                f"The sizes {first} and {second} are not two states of this log of {size} entries.",
                hint="Give 0 < first <= second <= the log's size.",
            )
        ranges = consistency_ranges(first, second)
        return ConsistencyProof(first, second, self._storage.read(lambda tx: self._prove(tx, ranges)))

    def add_cosignature(self, caller: Caller, size: int, line: str, witness: str) -> CheckpointView:
        """Keep a witness's signature line with the stored checkpoint of `size` entries (C2SP tlog-cosignature).

        `witness` is its public key (`NAME+HASH+BASE64`). Raises NotFound without such a checkpoint, IntegrityError when
        the line is not the witness's, Conflict when it is there already.
        """
        stored = self._storage.read(lambda tx: signatures.load_checkpoint(tx, size))
        if stored is None:
            raise NotFound(
                f"No checkpoint of {size} entries is stored.",
                hint="See the newest: holdfast audit checkpoint",
            )
        text, _ = split_note(stored.note)
        added = check_cosignature(text, line, witness)

        def fn(tx: Tx) -> StoredCheckpoint | None:
            lock(tx, "audit-checkpoint")
            now = signatures.load_checkpoint(tx, size)
            if now is not None and added in now.cosignatures:
                raise Conflict(f"The checkpoint of {size} entries has this signature already.")
            signatures.add_cosignature(tx, size, added)
            return signatures.load_checkpoint(tx, size)

        kept = self._storage.write(fn)
        assert kept is not None
        return self._view(kept)

    def export(self, caller: Caller) -> Iterable[bytes]:
        """The log as JSON lines: a header with checkpoint and keys, then every entry of the caller's workspace with what
        its leaf binds, and of other workspaces the leaf hash alone. In order, read in one snapshot at a time."""
        checkpoint = self.current(caller.time_ms)
        return export_lines(
            self._storage, caller.workspace, checkpoint, self._keys.rotations("checkpoint"), self._first_key()
        )

    def verify(self) -> Verification:
        """Recompute the whole tree and compare every stored hash; check every stored checkpoint and rotation."""
        try:
            publics = self._keys.public_keys("checkpoint")
            problems = self._keys.problems()
        except (IntegrityError, ValueError) as error:
            publics, problems = [], [f"the keys' rotations do not hold: {error}", *self._keys.problems()]

        def fn(tx: Tx) -> Verification:
            strange = [
                Damage(-1, problem) for problem in misplaced_values(tx, signatures.TABLES, only_numbers=True)
            ]
            stored = [] if strange else signatures.list_checkpoints(tx)
            bad = (
                [*problems, *(problem for one in stored for problem in _problems(one, publics))]
                if publics
                else problems
            )
            report = verify.verify_log(tx, {one.size: one.root for one in stored})
            damaged = [*strange, *(Damage(-1, problem) for problem in bad), *report.damaged]
            return Verification(not damaged, report.size, report.root, damaged[: verify.MOST_NAMED])

        return self._storage.read(fn)

    def _first_key(self) -> str:
        return self._keys.public_keys("checkpoint")[0].hex()

    def _sign(self, last: StoredCheckpoint | None, peaks: Peaks, now_ms: int) -> StoredCheckpoint:
        key = self._keys.signing_key("checkpoint")
        origin = last.origin if last is not None else _origin(self._keys.public_keys("checkpoint")[0])
        tree = Tree(origin, peaks.size, peaks.root())
        note = sign_note(checkpoint_text(tree), NoteKey(origin, key.public), key.sign)
        return StoredCheckpoint(tree.size, origin, tree.root, note, "", now_ms)

    def _view(self, stored: StoredCheckpoint) -> CheckpointView:
        key = _signer(stored, self._keys.public_keys("checkpoint"))
        note = stored.note + stored.cosignatures
        return CheckpointView(
            stored.origin, stored.size, stored.root.hex(), note, key_text(key), stored.made_at
        )

    @staticmethod
    def _prove(tx: Tx, ranges: list[Range]) -> list[str]:
        def read(wanted: Iterable[Subtree]) -> dict[Subtree, bytes]:
            asked = list(wanted)
            found = tree.load_hashes(tx, asked)
            missing = [subtree for subtree in asked if subtree not in found]
            if missing:
                raise IntegrityError(
                    f"The audit tables lack the node (level {missing[0][0]}, {missing[0][1]}), which the proof needs.",
                    hint="Run holdfast audit verify, and restore a backup.",
                )
            return found

        return [part.hex() for part in make_proof(ranges, read)]


def _origin(first_key: bytes) -> str:
    return f"holdfast/{sha256_hex(first_key)[:32]}"


def _signer(stored: StoredCheckpoint, publics: list[bytes]) -> NoteKey:
    """The key that signed a checkpoint, by the hash in its signature line. Raises IntegrityError for none of ours."""
    hashes = {hashed for _, hashed, _ in split_note(stored.note)[1]}
    for public in publics:
        key = NoteKey(stored.origin, public)
        if key_hash(key) in hashes:
            return key
    raise IntegrityError(f"The checkpoint of {stored.size} entries is not signed by a key of this log.")


def _problems(stored: StoredCheckpoint, publics: list[bytes]) -> Iterable[str]:
    """What is wrong with a stored checkpoint by itself."""
    where = f"the stored checkpoint of {stored.size} entries"
    try:
        opened = open_checkpoint(stored.note, _signer(stored, publics), is_signed)
        if stored.cosignatures:
            split_note(stored.note + stored.cosignatures)
    except IntegrityError as error:
        yield f"{where} does not hold: {error.message}"
        return
    if opened.tree != Tree(stored.origin, stored.size, stored.root):
        yield f"{where} is not what was signed"
