"""`python -m holdfast.collaboration.apprise_child`: one notification through apprise, in a process of its own.

Every connection of this process goes through the guarded door: `confine` runs before apprise is loaded. What to do
comes by standard input as JSON, so that no secret stands in the arguments; the answer is one line of JSON.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec

from holdfast.collaboration.addresses import check_options, host_of_url, kind_of
from holdfast.kernel.errors import InvalidInput
from holdfast.web.egress_proxy import confine

__all__ = ["Answer", "Order", "main"]


class Order(msgspec.Struct, frozen=True):
    """What the child is to do: check the address, and with a body send it."""

    port: int
    secret: str
    url: str
    title: str = ""
    body: str = ""
    severity: str = "info"


class Answer(msgspec.Struct, frozen=True):
    """Whether it worked, the address without secrets, and what apprise said."""

    ok: bool
    target: str = ""
    error: str = ""


class _Said(logging.Handler):
    """What apprise logs, which is the only place where it says why something failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def main() -> None:
    """Carry out the order of standard input."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    confine(order.port, order.secret)
    sys.stdout.buffer.write(msgspec.json.encode(_carry_out(order)))


def _carry_out(order: Order) -> Answer:
    import apprise  # after `confine`, and 15 MB: in this short-lived process alone
    from apprise.utils.parse import parse_url

    said = _Said()
    logger = logging.getLogger("apprise")
    logger.addHandler(said)
    logger.propagate = False
    try:
        # As apprise itself reads them, so that nothing can mean one thing here and another there.
        found = parse_url(order.url, verify_host=False)  # type: ignore[no-untyped-call]
        check_options(kind_of(order.url), (found or {}).get("qsd", ()))
    except InvalidInput as error:
        return Answer(False, error=error.message.rstrip("."))
    service = apprise.Apprise.instantiate(order.url)
    if service is None or order.url.partition(":")[0] not in service.schemas():  # type: ignore[no-untyped-call]
        return Answer(False, error=" ".join(said.lines) or "apprise does not understand the address")
    target = _target(service, order.url)
    if not order.body:
        return Answer(True, target)
    kinds = {
        "warning": apprise.NotifyType.WARNING,
        "critical": apprise.NotifyType.FAILURE,
    }
    sent = service.notify(
        body=order.body, title=order.title, notify_type=kinds.get(order.severity, apprise.NotifyType.INFO)
    )
    return Answer(bool(sent), target, "" if sent else " ".join(said.lines) or "apprise could not send it")


def _target(service: Any, url: str) -> str:
    """Where a service sends to, without secrets: addresses of mail, the host of JSON, else what apprise shows."""
    if kind_of(url) == "mail":
        return ", ".join(str(address) for _, address in service.targets)
    if kind_of(url) == "json":
        return host_of_url(url)
    return str(service.url(privacy=True)).partition("?")[0]


if __name__ == "__main__":
    main()
