"""One frozen record of everything that can be set, read once at start."""

from __future__ import annotations

from pathlib import Path

import msgspec

__all__ = ["DATABASE_VARIABLE", "LEVELS", "Settings"]

DATABASE_VARIABLE = "HOLDFAST_DATABASE"
"""The environment variable of the database's address: unlike an option it does not show in lists of processes."""

LEVELS = ("debug", "info", "warning", "error")
"""How much a process logs; `info` has a line per request."""


class Settings(msgspec.Struct, frozen=True):
    """The settings of a process, from command-line options and the environment (`database_url`, `keys_command`)."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 5000
    worker: bool = True
    inference: bool = True
    objects_url: str = ""
    """Where the objects are; empty for a folder of the data folder."""
    keys_folder: Path | None = None
    keys_command: str = ""
    allow_egress: tuple[str, ...] = ()
    """Hosts, HOST:PORT, addresses and CIDR ranges that connections may leave for beside public https."""
    allow_hosts: tuple[str, ...] = ()
    """Names, beside loopback's, by which clients may reach this server."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    request_limit: int = 1000
    """Requests a second that a principal may send to one replica; 0 is no limit."""
    database_url: str = ""
    """The address of a PostgreSQL database; empty: SQLite in the data folder."""

    @property
    def database(self) -> Path | str:
        """Where the metadata is: a `postgresql://` address or the SQLite file."""
        return self.database_url or self.data / "holdfast.db"

    @property
    def objects(self) -> str:
        """The folder or bucket of the content-addressed objects."""
        return self.objects_url or str(self.data / "objects")

    @property
    def keys(self) -> Path:
        """The folder of the private keys (0700; its files 0600)."""
        return self.keys_folder or self.data / "keys"

    @property
    def inference_secret(self) -> Path:
        """The secret by which the inference server on this machine is known."""
        return self.data / "inference.token"

    @property
    def inference_port(self) -> int:
        """The inference server listens on the port after the control plane's."""
        return self.port + 1
