"""Commands on the people of a data folder, without a server: the first administrator, a forgotten password."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from holdfast.app.__main__ import settings_of
from holdfast.app.folder import hold_folder
from holdfast.app.services import Services
from holdfast.identity.people import NewPerson
from holdfast.identity.service import system_caller
from holdfast.identity.tokens import NewToken
from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.principal import DEPLOYMENT, Caller
from holdfast.settings import Settings
from holdfast.storage.migrate import migrate, revision_of

__all__ = ["run"]


class _Password(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    password: str


def run(options: argparse.Namespace) -> int:
    """Do what `action` says with the JSON on standard input, and print the result as JSON.

    Works beside a running server, which sees the change within a second. Whoever may write the data folder may do
    everything with it; the audit log says that it was done here.
    """
    settings = settings_of(options)
    _ensure_database(settings)
    services = Services(settings)
    try:
        caller = system_caller(DEPLOYMENT, services.clock.now_ms())
        done = _ACTIONS[options.action](services, caller, sys.stdin.buffer.read())
    finally:
        services.close()
    print(msgspec.json.encode(done).decode())  # noqa: T201 - the answer to the command that started this
    return 0


def _ensure_database(settings: Settings) -> None:
    if revision_of(settings.database) is None:
        with hold_folder(settings.data):
            migrate(settings.database)


def _add_user(services: Services, caller: Caller, body: bytes) -> Any:
    return services.people.add(caller, _decode(body, NewPerson))


def _set_password(services: Services, caller: Caller, body: bytes) -> Any:
    given = _decode(body, _Password)
    services.people.set_password(caller, given.name, given.password)
    return services.people.find(given.name)


def _create_token(services: Services, caller: Caller, body: bytes) -> Any:
    return services.tokens.create(caller, _decode(body, NewToken))


def _decode(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"Standard input does not fit: {error}.") from None


_ACTIONS: dict[str, Callable[[Services, Caller, bytes], Any]] = {
    "add-user": _add_user,
    "set-password": _set_password,
    "create-token": _create_token,
}
