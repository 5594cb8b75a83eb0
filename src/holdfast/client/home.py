"""Where this user's client keeps what it must remember."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["own_folder"]


def own_folder() -> Path:
    """HOLDFAST_HOME, or `.holdfast` in the user's home."""
    return Path(os.environ.get("HOLDFAST_HOME") or Path.home() / ".holdfast")
