"""The settings of the deployment itself: this server with what the doctor finds."""

from __future__ import annotations

from holdfast.app.doctor import Report, examine
from holdfast.app.doctor.clocks import ClockWatch
from holdfast.app.services import Services
from holdfast.identity.records import DEPLOYMENT_ADMIN
from holdfast.version import __version__
from holdfast.web import Call, Page, Route
from holdfast.web.wording import plural

__all__ = ["settings_pages"]

_SERVER = "/settings/server"
_CHIPS = {"ok": "ok", "attention": "attention", "bad": "harm"}


def settings_pages(services: Services, clock_watch: ClockWatch) -> list[Route]:
    """`/settings/server`."""

    def server(call: Call) -> Page:
        report = examine(services.settings, services, clock_watch)
        kind, sentence = _describe(report)
        context = {
            "report": report,
            "chips": _CHIPS,
            "kind": kind,
            "sentence": sentence,
            "facts": _facts(services, call),
        }
        return Page("app/settings_server.html", context, "This server")

    return [
        Route("GET", _SERVER, server, DEPLOYMENT_ADMIN, summary="This server and what the doctor finds"),
    ]


def _describe(report: Report) -> tuple[str, str]:
    bad = sum(one.state == "bad" for one in report.findings)
    attention = sum(one.state == "attention" for one in report.findings)
    if bad:
        return "harm", f"{plural(bad, 'thing')} does not work, or will not much longer."
    if attention:
        return "attention", f"It works; {plural(attention, 'thing')} should be looked at."
    return "ok", f"All is well: {plural(len(report.findings), 'thing')} looked at."


def _facts(services: Services, call: Call) -> list[tuple[str, str]]:
    settings = services.settings
    return [
        ("Version", __version__),
        ("Address", call.url),
        ("Listens on", f"{settings.host}:{settings.port}"),
        ("Also called", ", ".join(settings.allow_hosts) or "nothing else"),
        ("Trusted proxies", ", ".join(settings.trusted_proxies) or "none"),
        ("May reach outside", ", ".join(settings.allow_egress) or "public https addresses alone"),
        ("Database", str(settings.database)),
        ("Objects", str(services.objects)),
        ("Data folder", str(settings.data)),
        ("Keys", "by a command" if settings.keys_command else str(settings.keys)),
        ("Requests a minute", f"{settings.request_limit:,} of each principal"),
    ]
