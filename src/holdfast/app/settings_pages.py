"""The settings of the deployment itself: this server with what the doctor finds, and its keys."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from holdfast.app.doctor import Report, examine
from holdfast.app.doctor.clocks import ClockWatch
from holdfast.app.services import Services
from holdfast.audit.records import KeyView
from holdfast.identity.records import DEPLOYMENT_ADMIN, SIGNED_IN
from holdfast.identity.service import of_deployment
from holdfast.kernel.errors import Forbidden, InvalidInput
from holdfast.overview.places import settings_of
from holdfast.storage.location import describe, parse_location
from holdfast.version import __version__
from holdfast.web import Call, Form, Page, Redirect, Route
from holdfast.web.forms import FORM_LIMIT, attempt, field
from holdfast.web.wording import plural

__all__ = ["settings_pages"]

_SERVER, _KEYS = "/settings/server", "/settings/keys"
_WHAT = {
    "checkpoint": "signs the audit log's checkpoints",
    "approval": "signs approvals",
    "serving": "signs the desired state that inference servers obey",
    "secret-box": "seals the secrets of channels, webhooks and single sign-on",
}
_CHIPS = {"ok": "ok", "attention": "attention", "bad": "harm"}


class _KeyRow(msgspec.Struct, frozen=True):
    key: KeyView
    what: str
    since: int | None
    """When the key that is used now came; None for the first one."""


def settings_pages(services: Services, clock_watch: ClockWatch) -> list[Route]:
    """`/settings`, `/settings/server` and `/settings/keys`."""

    def lead(call: Call) -> Redirect:
        pages = settings_of(call.caller)
        if not pages:
            raise Forbidden(
                f"{call.caller.principal.name!r} may see no settings page.",
                hint="Sign in as a user, or by the one-time address that the server shows when it starts in a terminal.",
            )
        return Redirect(pages[0][0])

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
        Route(
            "GET", "/settings", lead, SIGNED_IN, summary="Leads to the first settings page that one may see"
        ),
        Route("GET", _SERVER, server, DEPLOYMENT_ADMIN, summary="This server and what the doctor finds"),
        *_keys(services),
    ]


def _keys(services: Services) -> list[Route]:
    def page(call: Call, problem: str = "", status: int = 200) -> Page:
        rows = [_row(key) for key in services.signing.list_keys()]
        context = {
            "rows": rows,
            "problem": problem,
            "sentence": f"{plural(len(rows), 'key')}, kept outside the database and the objects.",
        }
        return Page("app/settings_keys.html", context, "Keys", status)

    def rotate(call: Call) -> Redirect | Page:
        def change() -> Redirect:
            name = call.path["name"]
            if field(call, "confirm") != name:
                raise InvalidInput(
                    f"{field(call, 'confirm')[:80]!r} is not the key's name.",
                    hint=f"Type {name!r} to rotate it.",
                )
            services.signing.rotate(of_deployment(call.caller), name)
            return Redirect(f"{_KEYS}#{name}")

        show: Callable[[str, int], Page] = lambda *told: page(call, *told)  # noqa: E731
        return attempt(change, show)

    return [
        Route("GET", _KEYS, page, DEPLOYMENT_ADMIN, summary="The deployment's keys"),
        Route("POST", _KEYS + "/{name}/rotate", rotate, DEPLOYMENT_ADMIN, Form, "Rotate a key, by a form", FORM_LIMIT),
    ]  # fmt: skip


def _row(key: KeyView) -> _KeyRow:
    return _KeyRow(key, _WHAT[key.name], key.rotations[-1].time_ms if key.rotations else None)


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
        ("Database", describe(parse_location(settings.database))),
        ("Objects", str(services.objects.url)),
        ("Data folder", str(settings.data)),
        ("Keys", "by a command" if settings.keys_command else str(settings.keys)),
        ("Requests a minute", f"{settings.request_limit:,} of each principal"),
    ]
