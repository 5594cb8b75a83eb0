"""Which server, as whom, in which workspace: from arguments, then the environment, then the default."""

from __future__ import annotations

import getpass
import os

import msgspec

from holdfast.client.credentials import kept_token
from holdfast.kernel.errors import InvalidInput

__all__ = ["DEFAULT_URL", "Connection", "is_offline", "unreachable_hint", "user_name"]

DEFAULT_URL = "http://127.0.0.1:5000"


class Connection(msgspec.Struct, frozen=True):
    """The address of a control plane and how to speak to it."""

    url: str
    token: str = ""
    workspace: str = ""

    @classmethod
    def resolve(
        cls, url: str | None = None, token: str | None = None, workspace: str | None = None
    ) -> Connection:
        """Arguments win over HOLDFAST_URL, HOLDFAST_TOKEN and HOLDFAST_WORKSPACE, these over what `holdfast login`
        kept and the default."""
        environment = os.environ
        chosen = url or environment.get("HOLDFAST_URL") or DEFAULT_URL
        return cls(
            url=chosen,
            token=token or environment.get("HOLDFAST_TOKEN") or kept_token(chosen),
            workspace=workspace or environment.get("HOLDFAST_WORKSPACE") or "",
        )

    def headers(self) -> dict[str, str]:
        """The request headers that say who asks and in which workspace."""
        headers: dict[str, str] = {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.workspace:
            headers["X-Holdfast-Workspace"] = self.workspace
        return headers


def is_offline(mode: str | None = None) -> bool:
    """Whether runs wait for `holdfast sync`: by `mode`, or else HOLDFAST_MODE. Raises InvalidInput for another mode."""
    chosen = mode or os.environ.get("HOLDFAST_MODE") or "online"
    if chosen not in ("online", "offline"):
        raise InvalidInput(f"The mode {chosen!r} is not 'online' or 'offline'.", hint="See HOLDFAST_MODE.")
    return chosen == "offline"


def unreachable_hint(url: str) -> str:
    """What to do when no server answers at `url`."""
    return (
        f"Start one with: holdfast server. Or name another than {url} with --server or HOLDFAST_URL. "
        "Runs can be made without one: set HOLDFAST_MODE=offline, and later: holdfast sync"
    )


def user_name() -> str:
    """The operating system's name of who runs this process; empty where it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
