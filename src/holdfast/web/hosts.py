"""By which names a server may be reached: the Host header, and what proxies say."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from holdfast.kernel.errors import InvalidInput

__all__ = ["LOOPBACK_HOSTS", "Hosts", "host_of", "is_address", "is_loopback_host"]

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


def host_of(netloc: str) -> str:
    """The host of `host:port`, lower-case, without the port."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").lower()
    except ValueError:
        return ""


def is_loopback_host(host: str) -> bool:
    """Whether a host name or address stands for this machine alone."""
    return host in LOOPBACK_HOSTS or (host.startswith("127.") and host.replace(".", "").isdigit())


class Hosts:
    """By which names this server may be reached, and which proxies are believed.

    `allowed`: host names beside loopback's; `*.example.com` stands for every name below it. `proxies`: addresses or
    networks. `allows_addresses`: a Host that is an IP address is fine too, which no rebound name is; for servers
    beyond loopback. Raises InvalidInput for a proxy that is neither.
    """

    def __init__(
        self, allowed: Iterable[str] = (), proxies: Iterable[str] = (), *, allows_addresses: bool = False
    ) -> None:
        names = {name.lower().rstrip(".") for name in allowed}
        self._names = frozenset(name for name in names if not name.startswith("*."))
        self._endings = tuple(name[1:] for name in names if name.startswith("*."))
        self._allows_addresses = allows_addresses
        try:
            self._proxies = [ipaddress.ip_network(proxy, strict=False) for proxy in proxies]
        except ValueError as error:
            raise InvalidInput(
                f"A trusted proxy is not an address or a network: {error}.",
                hint="Give it like --trusted-proxy 10.0.0.7 or --trusted-proxy 10.0.0.0/8.",
            ) from None

    def allows(self, netloc: str) -> bool:
        """Whether a Host header names this server."""
        host = host_of(netloc)
        if is_loopback_host(host) or host in self._names or (host and host.endswith(self._endings)):
            return True
        return self._allows_addresses and is_address(host)

    def believe(self, scope: MutableMapping[str, Any], headers: Mapping[str, str]) -> None:
        """Take the client's address and scheme from a trusted proxy's headers into the scope."""
        client = scope.get("client")
        if not self._proxies or client is None or not self._is_proxy(client[0]):
            return
        hops = [hop.strip() for hop in headers.get("x-forwarded-for", "").split(",") if hop.strip()]
        while hops and len(hops) > 1 and self._is_proxy(hops[-1]):
            hops.pop()
        if hops and is_address(hops[-1]):
            scope["client"] = (hops[-1], 0)
        if headers.get("x-forwarded-proto", "") in ("http", "https"):
            scope["scheme"] = headers["x-forwarded-proto"]

    def _is_proxy(self, address: str) -> bool:
        return is_address(address) and any(ipaddress.ip_address(address) in proxy for proxy in self._proxies)


def is_address(host: str) -> bool:
    """Whether a host is an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
