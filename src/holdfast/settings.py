"""One frozen record of everything that can be set, read once at start."""

from __future__ import annotations

from pathlib import Path

import msgspec

__all__ = ["LEVELS", "Settings"]

LEVELS = ("debug", "info", "warning", "error")
"""How much a process logs; `info` has a line per request."""


class Settings(msgspec.Struct, frozen=True):
    """The settings of a process, from command-line options; `keys_command` from HOLDFAST_KEYS_COMMAND."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 5000
    worker: bool = True
    inference: bool = True
    workspace: str = "default"
    keys_folder: Path | None = None
    keys_command: str = ""
    allow_egress: tuple[str, ...] = ()
    """Hosts, HOST:PORT, addresses and CIDR ranges that connections may leave for beside public https."""

    @property
    def database(self) -> Path:
        """The SQLite file of the metadata."""
        return self.data / "holdfast.db"

    @property
    def objects(self) -> Path:
        """The folder of the content-addressed objects."""
        return self.data / "objects"

    @property
    def keys(self) -> Path:
        """The folder of the private keys (0700; its files 0600)."""
        return self.keys_folder or self.data / "keys"

    @property
    def inference_port(self) -> int:
        """The inference server listens on the port after the control plane's."""
        return self.port + 1
