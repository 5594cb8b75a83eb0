"""The pages that one can go to by their names."""

from __future__ import annotations

import msgspec

from holdfast.identity.records import ACCOUNT, DEPLOYMENT_ADMIN, SIGNED_IN
from holdfast.identity.service import may
from holdfast.kernel.matching import Hit, Wanted, fit
from holdfast.kernel.principal import Caller

__all__ = ["find_places", "settings_of"]

_KIND = "page"


class _Place(msgspec.Struct, frozen=True):
    name: str
    address: str
    permission: str
    also: str
    """Other words for it."""


_PLACES = (
    _Place("Fleet", "/", "monitoring:read", "home overview start"),
    _Place("Experiments", "/experiments", "tracking:read", "runs tracking"),
    _Place("Models", "/models", "registry:read", "registry versions"),
    _Place("Endpoints", "/endpoints", "monitoring:read", "serving deployments"),
    _Place("Incidents", "/incidents", "monitoring:read", "alerts"),
    _Place("Open incidents", "/incidents?state=open", "monitoring:read", "alerts"),
    _Place("Audit log", "/audit", "audit:read", "history changes who"),
    _Place("Verify the audit log", "/audit?verify=1", "audit:read", "proof check"),
    _Place("Activity", "/activity", "audit:read", "feed news"),
    _Place("Inbox", "/inbox", "inbox:use", "notifications mentions"),
    _Place("Unread notifications", "/inbox?state=unread", "inbox:use", "inbox mentions"),
    _Place("Account", "/account", SIGNED_IN, "password sessions tokens me profile sign out"),
    _Place("People", "/settings/people", DEPLOYMENT_ADMIN, "settings users service accounts"),
    _Place("Roles", "/settings/roles", "identity:admin", "settings permissions groups"),
    _Place("Tokens", "/settings/tokens", ACCOUNT, "settings api secret"),
    _Place("Sessions", "/settings/sessions", ACCOUNT, "settings browsers login"),
    _Place("Workspaces", "/settings/workspaces", DEPLOYMENT_ADMIN, "settings"),
    _Place("Keys", "/settings/keys", DEPLOYMENT_ADMIN, "settings signing rotate"),
    _Place("Channels", "/settings/channels", "channels:admin", "settings webhooks slack e-mail notify"),
    _Place("This server", "/settings/server", DEPLOYMENT_ADMIN, "settings doctor version health"),
)


def find_places(caller: Caller, wanted: Wanted) -> list[Hit]:
    """The pages with the words that the caller may see; all of them without words."""
    rest = wanted.without("go", "to", "open", "page") if len(wanted.words) > 1 else wanted
    found = []
    for place in _PLACES:
        held = f"{place.name} {place.also}".lower()
        if _may_see(caller, place) and all(word in held for word in rest.words):
            found.append(
                Hit(_KIND, place.name, place.address, f"Go to {place.address}", fit(rest, place.name))
            )
    return found


def settings_of(caller: Caller) -> list[tuple[str, str]]:
    """Address and name of the settings pages that the caller may open."""
    shown = [place for place in _PLACES if place.address.startswith("/settings/")]
    return [(place.address, place.name) for place in shown if _may_see(caller, place)]


def _may_see(caller: Caller, place: _Place) -> bool:
    """Administrators by the secret have no account of their own, and see what everybody's accounts have."""
    held = may(caller.principal, place.permission)
    return held or (place.permission == ACCOUNT and may(caller.principal, DEPLOYMENT_ADMIN))
