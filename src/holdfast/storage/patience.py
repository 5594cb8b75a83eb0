"""Connections to a PostgreSQL that may take connections and never answer: stopped, swapping, or hung on its disk."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

__all__ = ["PatientConnection"]

R = TypeVar("R")
_ASK_S = 5.0
_LONGEST_S = 300.0


class PatientConnection(psycopg.Connection[Any]):
    """Waits for an answer only while the server is there.

    Keepalives do not tell: the kernel of a hung server's machine answers them. So after 5 s without a byte, and every 5 s
    from then on, the server is asked over a second connection. When that times out, or after 300 s without a byte, the
    connection is closed and OperationalError raised, as for one that was lost.
    """

    _where: dict[str, Any]

    @classmethod
    def connect(cls, conninfo: str = "", **options: Any) -> PatientConnection:
        """As psycopg's."""
        made = super().connect(conninfo, **options)
        assert isinstance(made, PatientConnection)
        made._where = {"conninfo": conninfo, **options}
        return made

    def wait(self, gen: Generator[Any, Any, R], *arguments: Any, **options: Any) -> R:
        """Run a step of the protocol. Raises OperationalError when the server does not answer."""
        return super().wait(self._limited(gen), *arguments, **options)

    def _limited(self, steps: Generator[Any, Any, R]) -> Generator[Any, Any, R]:
        heard = asked = time.monotonic()
        try:
            wanted = next(steps)
            while True:
                ready = yield wanted  # nothing, several times a second, while there is nothing to read
                now = time.monotonic()
                if ready:
                    heard = asked = now
                elif now - asked > _ASK_S:
                    self._ask(now - heard)
                    asked = time.monotonic()
                wanted = steps.send(ready)
        except StopIteration as end:
            answer: R = end.value
            return answer

    def _ask(self, silent_s: float) -> None:
        """Raises OperationalError unless another connection is answered, or when this one waited too long."""
        if silent_s < _LONGEST_S:
            try:
                psycopg.connect(**self._where).close()
                return
            except psycopg.errors.ConnectionTimeout:
                pass
            except psycopg.OperationalError:
                return  # it refuses, so it is there
        self.pgconn.finish()
        raise psycopg.OperationalError(
            f"the server takes connections, and has not answered for {silent_s:.0f} s"
        )
