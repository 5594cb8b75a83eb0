"""The ports: whether those that the server takes are free or its own, and who holds them otherwise."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from holdfast.app.doctor.records import Finding, attention, bad, ok
from holdfast.kernel.errors import HoldfastError
from holdfast.settings import Settings
from holdfast.web.sockets import listen

__all__ = ["check_ports"]

_PROC = Path("/proc")
_LISTENING = "0A"
_HIGHEST = 65_535


def check_ports(settings: Settings) -> Iterator[Finding]:
    """Of a folder whose server runs: the ports that it has. Of another: whether a server could start."""
    server = _server_of(settings.data)
    ports = [] if server is None else sorted(_ports_of(server))
    if server is None or not ports:
        yield _check_free(settings)
        return
    children = [int(pid) for pid in (_PROC / f"{server}/task/{server}/children").read_text().split()]
    own = {port for child in children for port in _ports_of(child)}
    inference = ports[-1] + 1
    text = f"{_told(ports)} held by this folder's server (process {server})"
    if inference in own:
        yield ok("ports", f"{text}, {inference} by its inference server")
    elif _is_free(settings.host, inference):
        yield ok("ports", f"{text}; {inference} is free")
    else:
        yield bad(
            "ports",
            f"{text}, but {inference}, which its inference server needs, by {_holder(inference)}",
            f"Stop that program, or start the server anew with another --port, such as {_suggestion(settings)}.",
        )


def _check_free(settings: Settings) -> Finding:
    wanted = [settings.port, settings.inference_port] if settings.inference else [settings.port]
    taken = [port for port in wanted if not _is_free(settings.host, port)]
    if not taken:
        return ok("ports", f"{_told(wanted)} free on {settings.host}")
    holders = "; ".join(f"{port} is held by {_holder(port)}" for port in taken)
    return attention(
        "ports",
        f"no server could start on {_told(wanted)} of {settings.host}: {holders}",
        f"Stop that program, or start the server with another --port, such as {_suggestion(settings)}.",
    )


def _told(ports: list[int]) -> str:
    return " and ".join(map(str, ports))


def _is_free(host: str, port: int) -> bool:
    try:
        listen(host, port).close()
    except HoldfastError:
        return False
    return True


def _suggestion(settings: Settings) -> int:
    """A port above that is free, with its successor."""
    for port in range(settings.port + 2, _HIGHEST, 2):
        if _is_free(settings.host, port) and _is_free(settings.host, port + 1):
            return port
    return _HIGHEST - 1


def _server_of(data: Path) -> int | None:
    """The process that holds the folder's lock file open."""
    lock = data / "holdfast.lock"
    try:
        pid = int(lock.read_text("ascii"))
    except (OSError, ValueError):
        return None
    return pid if str(lock.resolve()) in _files_of(pid) else None


def _holder(port: int) -> str:
    """The process that listens on a port, in words."""
    for folder in _PROC.glob("[0-9]*"):
        if port in _ports_of(pid := int(folder.name)):
            return f"process {pid} ({_command(pid)})"
    return f"a process that this user may not see (as root: lsof -iTCP:{port} -sTCP:LISTEN)"


def _command(pid: int) -> str:
    try:
        words = (_PROC / f"{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return "ended meanwhile"
    return " ".join(words).strip()[:120] or "a program without arguments"


def _ports_of(pid: int) -> set[int]:
    """The ports that a process listens on; none where the system does not tell."""
    inodes = {name[8:-1] for name in _files_of(pid) if name.startswith("socket:[")}
    if not inodes:
        return set()
    ports = set[int]()
    for table in ("tcp", "tcp6"):
        try:
            rows = (_PROC / f"{pid}/net/{table}").read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for columns in (row.split() for row in rows):
            if columns[3] == _LISTENING and columns[9] in inodes:
                ports.add(int(columns[1].rpartition(":")[2], 16))
    return ports


def _files_of(pid: int) -> set[str]:
    """What a process has open, as its file system names it."""
    found = set[str]()
    with contextlib.suppress(OSError):  # it ended, or is another user's
        for entry in os.scandir(_PROC / f"{pid}/fd"):
            with contextlib.suppress(OSError):
                found.add(str(Path(entry.path).readlink()))
    return found
