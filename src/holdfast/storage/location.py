"""Where a metadata database is: a SQLite file, or a PostgreSQL address."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from holdfast.kernel.errors import InvalidInput

__all__ = ["Location", "address_of", "describe", "parse_location"]

Location = Path | URL
_HINT = "Use a path, or postgresql://USER@HOST:5432/NAME with the password in ~/.pgpass, PGPASSWORD or the address."


def parse_location(text: str | Path | URL) -> Location:
    """A path, or the address of a PostgreSQL database with the driver that we use. Raises InvalidInput."""
    if isinstance(text, URL):
        return text
    if isinstance(text, Path) or "://" not in text:
        return Path(text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise InvalidInput("The address of the database can't be read.", hint=_HINT) from None
    if url.drivername == "sqlite" and url.database:
        return Path(url.database)
    if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise InvalidInput(f"The database {url.drivername!r} is neither SQLite nor PostgreSQL.", hint=_HINT)
    if not url.database:
        raise InvalidInput(f"The address {describe(url)} names no database.", hint=_HINT)
    return url.set(drivername="postgresql+psycopg")


def describe(location: Location) -> str:
    """The location for people and logs, without a password."""
    if isinstance(location, Path):
        return str(location)
    shown = location.set(drivername="postgresql", query={})
    return shown.render_as_string(hide_password=True)


def address_of(location: Location) -> str:
    """The location as `parse_location` takes it, password and all: for another process, never for a log."""
    if isinstance(location, Path):
        return str(location)
    return location.set(drivername="postgresql").render_as_string(hide_password=False)
