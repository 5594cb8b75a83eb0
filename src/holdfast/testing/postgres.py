"""A real PostgreSQL server of one's own, on loopback and in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from holdfast.kernel.errors import Unavailable

__all__ = ["PostgresServer", "find_programs"]

_START_S = 60.0
_USER = "holdfast"
_SETTINGS = {
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "logging_collector": "off",
}


def find_programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs (Debian's place, or that of `postgres` on PATH)."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return None if on_path is None else Path(on_path).resolve().parent


class PostgresServer:
    """A server that can be started, killed and started again on the same data.

    Run as root it becomes the user `postgres`, as the server demands. `durable=False` skips fsync: for tests whose
    machine does not lose power. `host` is the address to listen on; `prefix` goes before each command of the server
    itself (such as `ip netns exec NAME`, for a server across a network of the test's own). `settings`: of the server's
    configuration, by name.
    """

    def __init__(
        self,
        *,
        durable: bool = True,
        host: str = "127.0.0.1",
        prefix: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        programs = find_programs()
        if programs is None:
            raise Unavailable(
                "There is no PostgreSQL server on this machine.",
                hint="Install it: apt-get install postgresql",
            )
        self._programs = programs
        self._host = host
        self._prefix = list(prefix)
        self._as = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-postgres-"))
        if self._as:
            entry = pwd.getpwnam("postgres")
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        self._data = self.folder / "data"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", str(self._data), "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync",
                  "--locale=C.UTF-8")  # fmt: skip
        self._settings = {**_SETTINGS, "port": str(self.port), "listen_addresses": host}
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet trust\n")
        if not durable:
            self._settings |= {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
        self._settings |= settings or {}

    def url(self, database: str = "postgres") -> str:
        """The address of a database."""
        return f"postgresql://{_USER}@{self._host}:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = [
            *self._prefix,
            *self._as,
            str(self._programs / "postgres"),
            "-D",
            str(self._data),
            *options,
        ]
        ready = ["pg_isready", "-q", "-U", _USER, "-h", self._host, "-p", str(self.port)]
        ready[0] = str(self._programs / ready[0])
        self._spawn(command)
        until = time.monotonic() + _START_S
        while subprocess.run(ready, check=False).returncode != 0:
            if time.monotonic() > until:
                raise Unavailable(f"PostgreSQL does not start: {(self.folder / 'log').read_text()[-2000:]}")
            if self._process is not None and self._process.poll() is not None:
                self._spawn(command)  # children of a killed server may hold its memory for a moment
            time.sleep(0.05)

    def _spawn(self, command: Sequence[str]) -> None:
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/"
            )

    def create_database(self, name: str, template: str = "template1") -> str:
        """A new database; its address."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, with the connections to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run one statement outside a transaction; its rows as text, a line each, columns joined by `|`."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            done = connection.execute(sql.encode())
            rows = done.fetchall() if done.description else []
        return "".join("|".join(map(str, row)) + "\n" for row in rows)

    def kill(self) -> None:
        """End every process of the server at once, as a power cut would."""
        self._signal(signal.SIGKILL)
        self._wait()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop every process of the server for the block: the kernel takes connections, and nobody answers."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)
            if self._process is not None:
                self._process.send_signal(signal.SIGCONT)  # runuser stops itself with what it runs

    def _signal(self, number: int) -> None:
        pid = self._postmaster()
        if pid is None:
            return
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for process in (pid, *map(int, children)):
            try:
                os.kill(process, number)
            except ProcessLookupError:
                continue

    def stop(self) -> None:
        """Shut the server down, ending its connections."""
        pid = self._postmaster()
        if pid is not None:
            os.kill(pid, signal.SIGINT)
        self._wait()

    def close(self) -> None:
        """Shut down and remove everything."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _postmaster(self) -> int | None:
        try:
            return int((self._data / "postmaster.pid").read_text().splitlines()[0])
        except (FileNotFoundError, IndexError):
            return None

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait(_START_S)
            self._process = None
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _run(self, program: str, *arguments: str) -> str:
        command: Sequence[str] = [*self._as, str(self._programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
        if done.returncode != 0:
            raise Unavailable(f"{program} failed: {done.stderr.strip()[-1000:]}")
        return done.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
