"""Verbs on the audit log and the keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from holdfast.audit.merkle import leaf_hash
from holdfast.audit.notes import Checkpoint
from holdfast.audit.offline import ExportReport, verify_export
from holdfast.audit.proofs import is_consistent, is_included
from holdfast.audit.records import CheckpointView, ConsistencyProof, InclusionProof, KeyView
from holdfast.audit.rotation import Rotation
from holdfast.client.api import Api, segment
from holdfast.client.records import AuditEntry, AuditReport
from holdfast.client.seen import SeenCheckpoints
from holdfast.kernel.errors import IntegrityError, NotFound
from holdfast.kernel.ids import new_id

__all__ = ["AuditVerbs"]

_AUDIT = "/api/v1/audit"
_KEYS = "/api/v1/keys"


class AuditVerbs:
    """The audit part of `Client`. Every checkpoint is checked against the last one that this user's clients saw."""

    _api: Api
    _seen: SeenCheckpoints
    _server: str

    def audit_log(self, *, page_size: int = 100) -> Iterator[AuditEntry]:
        """The entries of the audit log, newest first, fetched page by page."""
        return self._api.pages(_AUDIT, AuditEntry, limit=page_size)

    def get_audit_entry(self, index: int) -> AuditEntry:
        """One entry. Raises NotFound."""
        return self._api.get(f"{_AUDIT}/{index}", AuditEntry)

    def verify_audit(self, *, accept: bool = False) -> AuditReport:
        """Have the server recompute the whole tree and name what is damaged, and hold its root against the signed
        checkpoint and the last one seen.

        `accept` takes the server's checkpoint as it is, after a restore that the user knows of. Raises IntegrityError
        when the log was set back or rewritten, or when its checkpoint is not signed by a key that follows.
        """
        report = self._api.get(f"{_AUDIT}/verify", AuditReport)
        view = self._api.get(f"{_AUDIT}/checkpoint", CheckpointView)
        checkpoint = self._seen.accept(view.key, view.note, self._server) if accept else self._check(view)
        proof = (
            self._prove(report.size, checkpoint.tree.size) if 0 < report.size < checkpoint.tree.size else []
        )
        root = bytes.fromhex(report.root)
        if (
            report.ok
            and report.size
            and not is_consistent(report.size, checkpoint.tree.size, proof, root, checkpoint.tree.root)
        ):
            raise IntegrityError(
                f"The server computed the root {report.root} over {report.size} entries, which its signed checkpoint "
                f"of {checkpoint.tree.size} entries does not contain.",
                hint="Ask the administrator; do not trust this server's log.",
            )
        return report

    def audit_checkpoint(self) -> CheckpointView:
        """The signed state of the log, checked as `verify_audit` does, without recomputing the tree."""
        view = self._api.get(f"{_AUDIT}/checkpoint", CheckpointView)
        self._check(view)
        return view

    def prove_audit_entry(self, index: int) -> InclusionProof:
        """The proof that an entry is in the signed log, checked. Raises NotFound, and IntegrityError as above."""
        proof = self._api.get(f"{_AUDIT}/proof/{index}", InclusionProof)
        tree = self._check(proof.checkpoint).tree
        hashes = [bytes.fromhex(part) for part in proof.hashes]
        if proof.index != index or not is_included(
            index, tree.size, leaf_hash(proof.leaf.encode()), hashes, tree.root
        ):
            raise IntegrityError(
                f"The server's proof does not show the audit entry {index} in its signed log."
            )
        return proof

    def export_audit(self, path: Path) -> ExportReport:
        """Write the log to a file that anyone can verify without the server, verified. The file is whole or not there."""
        temporary = path.with_name(f".{path.name}.{new_id()}")
        try:
            with temporary.open("w+b") as file:
                self._api.download(f"{_AUDIT}/export", file)
                file.seek(0)
                report = verify_export(file)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return report

    def list_keys(self) -> list[KeyView]:
        """The server's keys: their public halves and how they follow from one another."""
        return list(self._api.pages(_KEYS, KeyView))

    def rotate_key(self, name: str) -> KeyView:
        """Change a key for a new one (administrators). Audited; the old key signs the statement."""
        return self._api.post(f"{_KEYS}/{segment(name)}/rotate", {}, KeyView)

    def _check(self, view: CheckpointView) -> Checkpoint:
        return self._seen.check(
            view.key, view.note, server=self._server, rotations=self._rotations, prove=self._prove
        )

    def _rotations(self) -> Sequence[Rotation]:
        for key in self.list_keys():
            if key.name == "checkpoint":
                return key.rotations
        raise NotFound("The server does not tell its checkpoint key.")

    def _prove(self, first: int, second: int) -> list[bytes]:
        proof = self._api.get(f"{_AUDIT}/consistency", ConsistencyProof, first=first, second=second)
        return [bytes.fromhex(part) for part in proof.hashes]
