"""The tables of tokens, sessions and one-time secrets. Secrets are kept as their SHA-256 alone."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    insert,
    select,
    update,
)

from holdfast.identity.records import SessionRecord, TokenRecord
from holdfast.storage import Tx, metadata

__all__ = [
    "count_attempts",
    "delete_sessions",
    "find_session",
    "find_token",
    "find_token_by_id",
    "forget_attempts",
    "insert_once",
    "insert_session",
    "insert_token",
    "list_sessions",
    "list_tokens",
    "revoke_tokens",
    "take_once",
    "touch_session",
    "touch_token",
]

_tokens = Table(
    "token",
    metadata,
    Column("token_id", String(64), primary_key=True),
    Column("principal_id", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("hint", String(16), nullable=False),
    Column("scope_workspace", String(64)),
    Column("scope_permissions", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    UniqueConstraint("sha256"),
    Index("ix_token_principal_id", "principal_id"),
)
_sessions = Table(
    "session",
    metadata,
    Column("session_id", String(64), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("principal_id", String(64), nullable=False),
    Column("auth", String(16), nullable=False),
    Column("address", String(64), nullable=False),
    Column("agent", String(200), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    UniqueConstraint("sha256"),
    Index("ix_session_principal_id", "principal_id"),
    Index("ix_session_expires_at", "expires_at"),
)
_once = Table(
    "one_time_secret",
    metadata,
    Column("kind", String(16), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("kind", "sha256"),
    Index("ix_one_time_secret_expires_at", "expires_at"),
)
_attempts = Table(
    "login_attempt",
    metadata,
    Column("subject", String(64), primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Index("ix_login_attempt_since", "since"),
)
_LONGEST_ONCE_MS = 3_600_000


def insert_token(tx: Tx, token: TokenRecord, sha256: str) -> None:
    """Add a token."""
    permissions = None if token.permissions is None else json.dumps(token.permissions)
    tx.execute(
        insert(_tokens).values(
            token_id=token.id,
            principal_id=token.principal_id,
            name=token.name,
            sha256=sha256,
            hint=token.hint,
            scope_workspace=token.workspace,
            scope_permissions=permissions,
            created_at=token.created_at,
            expires_at=token.expires_at,
        )
    )


def find_token(tx: Tx, sha256: str) -> TokenRecord | None:
    """The token with this digest of its secret, revoked and expired ones too."""
    row = tx.execute(select(_tokens).where(_tokens.c.sha256 == sha256)).first()
    return None if row is None else _token(row)


def find_token_by_id(tx: Tx, token_id: str) -> TokenRecord | None:
    """One token."""
    row = tx.execute(select(_tokens).where(_tokens.c.token_id == token_id)).first()
    return None if row is None else _token(row)


def list_tokens(tx: Tx, principal_id: str | None = None) -> list[TokenRecord]:
    """Tokens that are not revoked, of one principal or of all, the newest first."""
    query = select(_tokens).where(_tokens.c.revoked_at.is_(None))
    if principal_id is not None:
        query = query.where(_tokens.c.principal_id == principal_id)
    return [_token(row) for row in tx.execute(query.order_by(_tokens.c.token_id.desc()))]


def revoke_tokens(
    tx: Tx, now_ms: int, *, token_id: str | None = None, principal_id: str | None = None
) -> int:
    """End one token, or every one of a principal; how many there were."""
    own = _tokens.c.token_id == token_id if token_id is not None else _tokens.c.principal_id == principal_id
    query = update(_tokens).where(own, _tokens.c.revoked_at.is_(None)).values(revoked_at=now_ms)
    return int(tx.execute(query).rowcount)


def touch_token(tx: Tx, token_id: str, now_ms: int) -> None:
    """Write when a token was used."""
    tx.execute(update(_tokens).where(_tokens.c.token_id == token_id).values(last_used_at=now_ms))


def _token(row: Row[Any]) -> TokenRecord:
    scope = row.scope_permissions
    return TokenRecord(
        id=row.token_id,
        principal_id=row.principal_id,
        name=row.name,
        hint=row.hint,
        workspace=row.scope_workspace,
        permissions=None if scope is None else json.loads(scope),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


def insert_session(tx: Tx, session: SessionRecord, sha256: str) -> None:
    """Add a session, and drop those that have ended."""
    tx.execute(delete(_sessions).where(_sessions.c.expires_at <= session.created_at))
    tx.execute(
        insert(_sessions).values(
            session_id=session.id,
            sha256=sha256,
            principal_id=session.principal_id,
            auth=session.auth,
            address=session.address,
            agent=session.agent,
            created_at=session.created_at,
            seen_at=session.seen_at,
            expires_at=session.expires_at,
        )
    )


def find_session(tx: Tx, sha256: str) -> SessionRecord | None:
    """The session with this digest of its secret."""
    row = tx.execute(select(_sessions).where(_sessions.c.sha256 == sha256)).first()
    return None if row is None else _session(row)


def list_sessions(tx: Tx, principal_id: str | None, now_ms: int) -> list[SessionRecord]:
    """The sessions of a principal, or of all, that have not reached their end, the newest first."""
    query = select(_sessions).where(_sessions.c.expires_at > now_ms)
    if principal_id is not None:
        query = query.where(_sessions.c.principal_id == principal_id)
    return [_session(row) for row in tx.execute(query.order_by(_sessions.c.session_id.desc()))]


def delete_sessions(
    tx: Tx,
    *,
    principal_id: str | None = None,
    session_id: str | None = None,
    sha256: str | None = None,
    but: str | None = None,
) -> int:
    """End the sessions that all given values name, but for the session `but`; how many there were."""
    given = {"principal_id": principal_id, "session_id": session_id, "sha256": sha256}
    conditions = [_sessions.c[name] == value for name, value in given.items() if value is not None]
    assert conditions, "name the sessions to end"
    if but is not None:
        conditions.append(_sessions.c.session_id != but)
    return int(tx.execute(delete(_sessions).where(*conditions)).rowcount)


def touch_session(tx: Tx, session_id: str, now_ms: int) -> None:
    """Write when a session was seen."""
    tx.execute(update(_sessions).where(_sessions.c.session_id == session_id).values(seen_at=now_ms))


def _session(row: Row[Any]) -> SessionRecord:
    return SessionRecord(
        row.session_id,
        row.principal_id,
        row.auth,
        row.address,
        row.agent,
        row.created_at,
        row.seen_at,
        row.expires_at,
    )


def insert_once(tx: Tx, kind: str, sha256: str, body: str, now_ms: int, expires_at: int) -> None:
    """Keep what a secret that works once stands for, for an hour at most, and drop those that are too old."""
    assert expires_at <= now_ms + _LONGEST_ONCE_MS
    tx.execute(delete(_once).where(_once.c.expires_at <= now_ms))
    tx.execute(insert(_once).values(kind=kind, sha256=sha256, body=body, expires_at=expires_at))


def take_once(tx: Tx, kind: str, sha256: str, now_ms: int) -> str | None:
    """What a one-time secret stands for; None when it is unknown, too old or taken already.

    One that would last longer than an hour was made while a clock ran ahead, and is too old.
    """
    own = (_once.c.kind == kind, _once.c.sha256 == sha256)
    row = tx.execute(select(_once.c.body, _once.c.expires_at).where(*own)).first()
    if row is None or not tx.execute(delete(_once).where(*own)).rowcount:
        return None
    return str(row.body) if now_ms < row.expires_at <= now_ms + _LONGEST_ONCE_MS else None


def count_attempts(tx: Tx, subject: str, now_ms: int, window_ms: int) -> tuple[int, int]:
    """Count one more failed login of `subject`: (how many in this window, when the window began)."""
    # Those of the future were counted while a clock ran ahead, and would lock the name out until then.
    since = _attempts.c.since
    tx.execute(delete(_attempts).where((since <= now_ms - window_ms) | (since > now_ms + window_ms)))
    row = tx.execute(select(_attempts).where(_attempts.c.subject == subject)).first()
    if row is None:
        tx.execute(insert(_attempts).values(subject=subject, since=now_ms, failures=1))
        return 1, now_ms
    tx.execute(
        update(_attempts).where(_attempts.c.subject == subject).values(failures=_attempts.c.failures + 1)
    )
    return int(row.failures) + 1, int(row.since)


def forget_attempts(tx: Tx, subjects: list[str]) -> None:
    """Take one failure of each subject back: the login worked."""
    tx.execute(
        update(_attempts)
        .where(_attempts.c.subject.in_(subjects), _attempts.c.failures > 0)
        .values(failures=_attempts.c.failures - 1)
    )
