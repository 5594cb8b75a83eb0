"""What the forms of identity's pages ask for."""

from __future__ import annotations

from holdfast.identity.tokens import NewToken
from holdfast.kernel.errors import InvalidInput

__all__ = ["token_form"]


def token_form(fields: dict[str, str]) -> NewToken:
    """The token that a form asks for. Raises InvalidInput."""
    days = fields.get("days", "").strip()
    if days and not (days.isascii() and days.isdigit() and len(days) < 6):
        raise InvalidInput(f"{days[:20]!r} is not a number of days.")
    permissions = fields.get("permissions", "").replace(",", " ").split()
    return NewToken(
        fields.get("name", ""),
        of=fields.get("of", ""),
        workspace=fields.get("workspace") or None,
        permissions=permissions or None,
        days=int(days) if days else None,
    )
