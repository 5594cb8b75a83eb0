"""Ports that two processes of one test run never ask for at once."""

from __future__ import annotations

import os

from holdfast.demo.server import free_port

_APART = 400


def own_port(preferred: int) -> int:
    """`preferred`, moved by 400 for every further process of the test run; another one when that is taken."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return free_port(preferred + _APART * worker)
