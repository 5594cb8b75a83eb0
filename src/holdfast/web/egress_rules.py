"""Where holdfast may connect to: which addresses are public, and what an administrator has listed beside them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

import msgspec

from holdfast.kernel.errors import InvalidInput

__all__ = ["HTTPS_PORTS", "Address", "EgressRules", "Target", "plain_address"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_REFUSED = [
    ipaddress.ip_network(text)
    for text in (
        # IPv4: this network, private, shared (CGNAT), loopback, link-local, special, documentation, 6to4 relays,
        # benchmarks, multicast, reserved and broadcast (RFC 6890 and its registry).
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        # IPv6, within the global 2000::/3: special (Teredo and others), documentation, 6to4.
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    )
]  # fmt: skip
_GLOBAL_V6 = ipaddress.ip_network(
    "2000::/3"
)  # loopback, unique-local, link-local, multicast, NAT64: all outside
_LINK_LOCAL = [ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10")]
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
HTTPS_PORTS = frozenset({443, 8443})
_DEFAULT_PORTS = {"https": 443, "http": 80}


class Target(msgspec.Struct, frozen=True):
    """Where a URL leads: `host` is lower-case, without brackets."""

    scheme: str
    host: str
    port: int
    path: str
    """Path and query, as sent."""

    @property
    def netloc(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"


class _Host(msgspec.Struct, frozen=True):
    name: str
    port: int | None

    def matches(self, host: str, port: int) -> bool:
        return self.name == host and self.port in (None, port)


class EgressRules:
    """What may be reached. Public addresses may, by https on the ports 443 and 8443.

    `allowed` lists what else may: `HOST`, `HOST:PORT`, an address or a CIDR range. A listed host or address may be
    private, on any port (or the one given), and by plain http. A name never leads to link-local addresses, where
    clouds keep credentials: those need their own address or range in the list.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._hosts: list[_Host] = []
        self._networks: list[_Network] = []
        for entry in allowed:
            self._add(entry.strip())

    def parse_url(self, url: str) -> Target:
        """Where a URL leads. Raises InvalidInput naming what is wrong with it; its host is not resolved here."""
        shown = url[:200]
        if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
            raise InvalidInput(
                f"The address {shown!r} holds characters that a URL may not have.",
                hint="Percent-encode them, and write an international host name in its xn-- form.",
            )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise InvalidInput(f"The address {shown!r} is not a URL: {error}.") from None
        return self._target(parts, port, shown)

    def _target(self, parts: SplitResult, port: int | None, shown: str) -> Target:
        if parts.scheme not in _DEFAULT_PORTS:
            raise InvalidInput(
                f"The address {shown!r} is not an https URL.", hint="Give it like https://HOST/PATH."
            )
        if "@" in parts.netloc:
            raise InvalidInput(
                "The address holds a user name or password before its host.",
                hint="Leave them out, and give the secret in the field made for it.",
            )
        host = self.check_host(parts.hostname or "")
        found = _DEFAULT_PORTS[parts.scheme] if port is None else port
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(parts.scheme, host, found, path)

    def check_host(self, host: str) -> str:
        """The host in lower case. Raises InvalidInput unless it is a name or an address in its one usual form."""
        host = host.lower()
        if plain_address(host) is not None:
            return host
        last = host.rstrip(".").rpartition(".")[2]
        if len(host) > 253 or _NAME.fullmatch(host) is None or _NUMBER.fullmatch(last):
            raise InvalidInput(
                f"{host[:80]!r} is not a host name, nor an address as 192.0.2.1 or 2001:db8::1.",
                hint="Addresses in other notations are refused, because programs read them differently.",
            )
        return host

    def check_entered(self, target: Target) -> None:
        """Raises InvalidInput when the target could never be reached, as far as is told without resolving its name."""
        if plain_address(target.host) is not None:
            self.check(target.scheme, target.host, target.port, [target.host])
        elif not self._networks:
            self._check_use(
                target.scheme, target.host, target.port, HTTPS_PORTS, self._lists(target.host, target.port)
            )

    def check(
        self,
        scheme: str,
        host: str,
        port: int,
        addresses: Iterable[str],
        ports: frozenset[int] = HTTPS_PORTS,
    ) -> list[Address]:
        """The addresses to connect to, in order. Raises InvalidInput when one of them may not be reached.

        One forbidden address among several refuses all: an answer that mixes them is how a name is rebound. `ports`
        are open without being listed.
        """
        listed = self._lists(host, port)
        found = [plain_address(text.partition("%")[0]) for text in addresses]
        checked = [address for address in found if address is not None]
        if not checked or len(checked) != len(found):
            raise InvalidInput(f"The host {host!r} has no address that can be reached.")
        for address in checked:
            by_name = listed and not _is_in(address, _LINK_LOCAL)
            if not (_is_public(address) or by_name or _is_in(address, self._networks)):
                raise InvalidInput(
                    f"The host {host!r} leads to {address}, which is not a public address.",
                    hint=f"If that is meant, an administrator lists it: --allow-egress {_entry(host, address)}",
                )
        everywhere = listed or all(_is_in(address, self._networks) for address in checked)
        self._check_use(scheme, host, port, ports, everywhere)
        return checked

    @staticmethod
    def _check_use(scheme: str, host: str, port: int, ports: frozenset[int], is_listed: bool) -> None:
        if is_listed:
            return
        if scheme == "http":
            raise InvalidInput(
                f"Plain http to {host!r} would send its secrets in the clear.",
                hint=f"Use https, or have an administrator list the host: --allow-egress {host}",
            )
        if port not in ports:
            raise InvalidInput(
                f"The port {port} of {host!r} is not one of {', '.join(map(str, sorted(ports)))}.",
                hint=f"If that is meant, an administrator lists it: --allow-egress {host}:{port}",
            )

    def _lists(self, host: str, port: int) -> bool:
        return any(entry.matches(host.rstrip("."), port) for entry in self._hosts)

    def _add(self, entry: str) -> None:
        try:
            self._networks.append(ipaddress.ip_network(entry.strip("[]")))
            return
        except ValueError:
            pass
        name, _, port = entry.partition(":")
        if "/" in entry or (port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)):
            raise InvalidInput(
                f"{entry!r} is not a host, HOST:PORT, an address, or a range in CIDR form without host bits.",
                hint="For example: --allow-egress hooks.example.com --allow-egress 10.20.0.0/16",
            )
        self._hosts.append(_Host(self.check_host(name).rstrip("."), int(port) if port else None))


def plain_address(text: str) -> Address | None:
    """The address that a text in its usual form stands for, an IPv4-mapped one as IPv4; None for any other text."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_V6:
        return False
    return not _is_in(address, _REFUSED)


def _is_in(address: Address, networks: Iterable[_Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _entry(host: str, address: Address) -> str:
    return str(address) if _is_in(address, _LINK_LOCAL) else host
