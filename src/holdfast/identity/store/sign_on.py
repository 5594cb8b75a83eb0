"""The table of the single sign-on provider."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text, delete, insert, select

from holdfast.identity.records import SignOnProvider
from holdfast.storage import Tx, metadata

__all__ = ["load_provider", "put_provider", "remove_provider"]

_providers = Table(
    "sign_on_provider",
    metadata,
    Column("provider_no", Integer, primary_key=True, autoincrement=False),
    Column("issuer", String(500), nullable=False),
    Column("client_id", String(500), nullable=False),
    Column("secret", Text, nullable=False),
    Column("scopes", String(500), nullable=False),
    Column("groups_claim", String(100), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
_ONLY = 1


def put_provider(tx: Tx, provider: SignOnProvider, sealed_secret: str, now_ms: int) -> None:
    """Write the provider in place of the one before; the secret is sealed."""
    remove_provider(tx)
    tx.execute(
        insert(_providers).values(
            provider_no=_ONLY,
            issuer=provider.issuer,
            client_id=provider.client_id,
            secret=sealed_secret,
            scopes=provider.scopes,
            groups_claim=provider.groups_claim,
            updated_at=now_ms,
        )
    )


def load_provider(tx: Tx) -> tuple[SignOnProvider, str] | None:
    """(provider, sealed secret); None without one."""
    row = tx.execute(select(_providers).where(_providers.c.provider_no == _ONLY)).first()
    if row is None:
        return None
    found = SignOnProvider(row.issuer, row.client_id, row.scopes, row.groups_claim, bool(row.secret))
    return found, row.secret


def remove_provider(tx: Tx) -> bool:
    """Take the provider away; whether there was one."""
    return bool(tx.execute(delete(_providers).where(_providers.c.provider_no == _ONLY)).rowcount)
