"""The listening socket of a server, bound before anything else starts."""

from __future__ import annotations

import errno
import socket

from holdfast.kernel.errors import Conflict, InvalidInput

__all__ = ["listen", "netloc"]


def listen(host: str, port: int, hint: str = "Give another one with --port.") -> socket.socket:
    """A non-blocking listening socket (IPv4 or IPv6, TCP_NODELAY).

    Raises Conflict naming the port when it is in use or reserved, InvalidInput when the address can't be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            what = "is in use" if error.errno == errno.EADDRINUSE else "may not be used by this user"
            raise Conflict(f"The port {port} on {host} {what}.", hint=hint) from error
        raise InvalidInput(f"The address {host!r} can't be bound: {error.strerror}.") from error
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def netloc(host: str) -> str:
    """The host as it stands in a URL: IPv6 in brackets."""
    return f"[{host.strip('[]')}]" if ":" in host else host
