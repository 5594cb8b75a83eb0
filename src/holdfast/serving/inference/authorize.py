"""Who may predict: asked of the control plane by the credential's SHA-256, and remembered briefly."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from holdfast.kernel.errors import Forbidden, HoldfastError, Unauthenticated, Unavailable
from holdfast.serving.inference.control_plane import ControlPlane

__all__ = ["Authorizer", "CallerAccess"]

_log = logging.getLogger("holdfast.inference.authorize")
_RENEW_S = 2.0
_FRESH_S = 3.5
"""With the second that the control plane remembers, a revoked token is refused within 5 s."""
_MOST_KNOWN = 10_000


class CallerAccess(msgspec.Struct, frozen=True):
    """Permissions by workspace. `problem` says why a credential is worth nothing."""

    workspaces: dict[str, frozenset[str]]
    problem: str = ""

    def reaches(self, workspace: str) -> bool:
        """Whether the caller has any permission in the workspace."""
        return workspace in self.workspaces

    def require(self, permission: str, workspace: str) -> None:
        """Raises Forbidden unless the caller has the permission in the workspace."""
        if permission not in self.workspaces.get(workspace, ()):
            raise Forbidden(
                f"The permission {permission!r} is missing in the workspace {workspace!r}.",
                hint="Ask an administrator for a role or a token that has it.",
                details={"permission": permission},
            )


class _Known:
    """What the control plane said of a credential, when, and whether it is being asked again."""

    __slots__ = ("access", "asked_at", "has_failed", "renewal")

    def __init__(self) -> None:
        self.access: CallerAccess | None = None
        self.asked_at = -_FRESH_S
        self.has_failed = False
        self.renewal: asyncio.Task[None] | None = None


class Authorizer:
    """The permissions behind Authorization headers. Runs on the event loop; asks in a thread of its own.

    An answer is good for 3.5 s and is renewed from 2 s on, beside the requests. While the control plane can't be
    reached, what it said last holds, over a restart too (`kept`), and callers not known yet are told to try again.
    `allows_nobody`: whether a caller without a credential may be somebody, as on a control plane in open mode; for
    servers that this machine alone can reach.
    """

    def __init__(self, control_plane: ControlPlane, kept: Path, *, allows_nobody: bool) -> None:
        self._control_plane = control_plane
        self._allows_nobody = allows_nobody
        self._kept_path = kept
        self._kept = _load(kept)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="holdfast-authorize")
        self._known: dict[bytes, _Known] = {}

    async def access(self, header: bytes) -> CallerAccess:
        """What the caller with this Authorization header (empty: none) may do.

        Raises Unauthenticated for one that is worth nothing, Unavailable when that can't be asked.
        """
        known = self._known.get(header)
        if known is None:
            if not header and not self._allows_nobody:
                raise Unauthenticated(
                    "There is no credential.", hint="Send an API token: Authorization: Bearer TOKEN."
                )
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[header] = _Known()
        age_s = time.monotonic() - known.asked_at
        if known.access is None or age_s > _RENEW_S:
            if known.renewal is None:
                known.renewal = asyncio.get_running_loop().create_task(self._renew(header, known))
            if known.access is None or (age_s > _FRESH_S and not known.has_failed):
                await asyncio.shield(known.renewal)
        if known.access is None:
            self._known.pop(header, None)
            raise Unavailable("The control plane can't be asked who this caller is.", hint="Try again.")
        if known.access.problem:
            raise Unauthenticated(
                known.access.problem, hint="Send an API token: Authorization: Bearer TOKEN."
            )
        return known.access

    async def _renew(self, header: bytes, known: _Known) -> None:
        digest = _digest_of(header)
        try:
            if digest is None:
                found = CallerAccess({}, "The Authorization header does not hold a Bearer token.")
            else:
                found = await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, digest)
        except HoldfastError as error:
            if not known.has_failed:
                _log.warning("callers can't be checked", extra={"fields": {"error": error.message}})
            known.has_failed = True
            known.access = known.access or self._kept.get(digest or "")
            if known.access is not None:
                known.asked_at = time.monotonic() - _RENEW_S + 0.5  # keep what was said; ask again soon
        else:
            known.access, known.asked_at, known.has_failed = found, time.monotonic(), False
        finally:
            known.renewal = None

    def _ask(self, digest: str) -> CallerAccess:
        """In the thread: what the control plane says, kept on disk for a start without it."""
        answer = self._control_plane.authorize(digest)
        workspaces = {name: frozenset(held) for name, held in answer.workspaces.items()}
        found = CallerAccess(workspaces, answer.problem)
        before = self._kept.get(digest)
        if found.problem:
            self._kept.pop(digest, None)
        elif len(self._kept) < _MOST_KNOWN:
            self._kept[digest] = found
        if before != self._kept.get(digest):
            _save(self._kept_path, self._kept)
        return found

    def close(self) -> None:
        """End the thread."""
        self._control_plane.interrupt()
        self._thread.shutdown(wait=True)


def _digest_of(header: bytes) -> str | None:
    """The SHA-256 of a header's token, empty without a header; None for a header of another kind."""
    scheme, _, secret = header.strip().partition(b" ")
    if not header:
        return ""
    return (
        hashlib.sha256(secret.strip()).hexdigest() if scheme.lower() == b"bearer" and secret.strip() else None
    )


def _load(path: Path) -> dict[str, CallerAccess]:
    """The callers of the last run. What can't be read is as if there were none: they are asked for again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, CallerAccess])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("the kept callers are not used", extra={"fields": {"error": str(error)}})
        return {}


def _save(path: Path, kept: Mapping[str, CallerAccess]) -> None:
    temporary = path.with_name(f".{path.name}.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.encode(kept))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
