"""Users and service accounts: adding, finding, disabling, erasing, passwords."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from holdfast.audit.service import append, erase_actor
from holdfast.identity.passwords import Passwords, check_password
from holdfast.identity.records import ACCOUNT, DEPLOYMENT_ADMIN, Grant, Kind, PersonRecord
from holdfast.identity.service import BUILT_IN_NAMES, of_deployment, require
from holdfast.identity.store import credentials
from holdfast.identity.store import people as store
from holdfast.identity.watched import Watched
from holdfast.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from holdfast.kernel.ids import new_id
from holdfast.kernel.matching import Found, Hit, Wanted, fit
from holdfast.kernel.principal import DEPLOYMENT, Caller
from holdfast.storage import Tx, lock

__all__ = ["NewPerson", "People", "check_name", "keep_an_administrator", "person_of"]

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_EMAIL = re.compile(r"[^\s@<>]{1,64}@[^\s@<>]{1,189}")
_Records = list[PersonRecord]
_PREFIX = {"user": "u-", "service": "s-"}


class NewPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user or service account to add. `is_admin`: administrator of the deployment."""

    name: str
    kind: Kind = "user"
    display_name: str = ""
    email: str = ""
    password: str | None = None
    is_admin: bool = False


def check_name(name: str) -> str:
    """The name itself when a user may have it. Raises InvalidInput."""
    if _NAME.fullmatch(name) is None or name in BUILT_IN_NAMES:
        raise InvalidInput(
            f"{name[:80]!r} is not a name for a user.",
            hint="Use up to 63 of a-z, 0-9, '.', '_' and '-', with a letter or digit at both ends; "
            f"{', '.join(sorted(BUILT_IN_NAMES))} are holdfast's own.",
        )
    return name


class People:
    """Users and service accounts of the deployment.

    `find`, `get` and `list` ask for no permission: they are for services of higher rooms, which ask for theirs.
    """

    def __init__(self, storage: Watched, passwords: Passwords) -> None:
        self._storage = storage
        self._passwords = passwords

    def find(self, name: str) -> PersonRecord | None:
        """The user or service account of this name; None when there is none, or no more."""
        return self._storage.read(lambda tx: store.find_person(tx, name=name))

    def get(self, principal_id: str) -> PersonRecord | None:
        """The user or service account of this id (`Principal.id`), erased ones too."""
        return self._storage.read(lambda tx: store.find_person(tx, principal_id=principal_id))

    def list(self, kind: Kind | None = None) -> _Records:
        """Every user and service account that is not erased, the oldest first."""
        return self._storage.read(lambda tx: store.list_people(tx, kind))

    def search(self, caller: Caller, wanted: Wanted, limit: int) -> Found:
        """The best users and service accounts for the words. For administrators of the deployment."""
        require(caller, DEPLOYMENT_ADMIN)
        found = self._storage.read(lambda tx: store.search_people(tx, wanted, limit))
        return Found([_hit(wanted, person) for person in found])

    def has_administrator(self) -> bool:
        """Whether a user administers the deployment."""
        return self._storage.read(_has_administrator)

    def add(self, caller: Caller, new: NewPerson) -> PersonRecord:
        """Add a user or a service account. Audited. Raises Conflict when the name is taken."""
        require(caller, DEPLOYMENT_ADMIN)
        hashed = _hashed(self._passwords, new)
        caller = of_deployment(caller)
        person = PersonRecord(
            id=new_id(_PREFIX[new.kind]),
            kind=new.kind,
            name=check_name(new.name),
            display_name=_text(new.display_name or new.name, "display name", 200),
            email=_checked_email(new.email),
            is_disabled=False,
            has_password=hashed is not None,
            created_at=caller.time_ms,
        )
        grant = Grant(person.id, DEPLOYMENT, "admin", "manual", caller.time_ms)

        def fn(tx: Tx) -> PersonRecord:
            lock(tx, "principal", person.name)
            if store.find_person(tx, name=person.name) is not None:
                raise Conflict(f"The name {person.name!r} is taken.", hint="Choose another.")
            store.insert_person(tx, person, hashed, None)
            if new.is_admin:
                store.put_grant(tx, grant)
            after = {"kind": person.kind, "admin": new.is_admin, "password": person.has_password}
            append(tx, caller, action=f"{person.kind}.add", object=f"principal:{person.id}", after=after)
            return person

        return self._storage.write(fn)

    def set_disabled(self, caller: Caller, name: str, is_disabled: bool) -> PersonRecord:
        """Disable a principal, which ends its sessions and stops its tokens, or enable it again. Audited."""
        require(caller, DEPLOYMENT_ADMIN)
        caller = of_deployment(caller)

        def fn(tx: Tx) -> PersonRecord:
            lock(tx, "administrators")
            person, had_one = person_of(tx, name), _has_administrator(tx)
            store.update_person(tx, person.id, {"disabled": is_disabled})
            if is_disabled:
                if had_one:
                    keep_an_administrator(tx)
                credentials.delete_sessions(tx, principal_id=person.id)
            verb = "disable" if is_disabled else "enable"
            append(tx, caller, action=f"{person.kind}.{verb}", object=f"principal:{person.id}")
            return msgspec.structs.replace(person, is_disabled=is_disabled)

        return self._storage.write(fn)

    def erase(self, caller: Caller, name: str) -> None:
        """Forget who a principal was and end all that it held; its id stays in the audit log as a pseudonym. Audited."""
        require(caller, DEPLOYMENT_ADMIN)
        caller = of_deployment(caller)
        gone: dict[str, Any] = {
            "name": None,
            "display_name": "",
            "email": "",
            "password": None,
            "disabled": True,
        }
        gone |= {"issuer": None, "subject": None, "erased_at": caller.time_ms}

        def fn(tx: Tx) -> None:
            lock(tx, "administrators")
            person, had_one = person_of(tx, name), _has_administrator(tx)
            store.update_person(tx, person.id, gone)
            store.remove_grants(tx, person.id)
            credentials.revoke_tokens(tx, caller.time_ms, principal_id=person.id)
            credentials.delete_sessions(tx, principal_id=person.id)
            if had_one:
                keep_an_administrator(tx)
            append(tx, caller, action=f"{person.kind}.erase", object=f"principal:{person.id}")
            erase_actor(tx, person.name)

        self._storage.write(fn)

    def set_password(self, caller: Caller, name: str, password: str) -> None:
        """Give a user another password, which ends its sessions. Audited."""
        require(caller, DEPLOYMENT_ADMIN)
        hashed = self._passwords.make_hash(check_password(password, name))
        caller = of_deployment(caller)

        def fn(tx: Tx) -> None:
            person = person_of(tx, name)
            if person.kind != "user":
                raise Conflict(
                    f"{name!r} is a service account.", hint="It signs in by a token: holdfast token create."
                )
            self._put_password(tx, caller, person.id, hashed, keep_session="")

        self._storage.write(fn)

    def change_password(self, caller: Caller, old: str, new: str) -> None:
        """Change one's own password, knowing the old one; ends one's other sessions. Audited."""
        require(caller, ACCOUNT)
        who = caller.principal
        if who.auth != "session":
            raise Forbidden(
                "A token can't change its user's password.", hint="Sign in at /login and use /account."
            )
        stored = self._storage.read(lambda tx: store.password_of(tx, who.id))
        if not self._passwords.is_right(stored, old):
            raise Unauthenticated(
                "The present password is not right.", hint="An administrator can set another."
            )
        hashed = self._passwords.make_hash(check_password(new, who.name))
        caller = of_deployment(caller)
        self._storage.write(
            lambda tx: self._put_password(tx, caller, who.id, hashed, keep_session=who.token_id)
        )

    @staticmethod
    def _put_password(tx: Tx, caller: Caller, principal_id: str, hashed: str, keep_session: str) -> None:
        store.update_person(tx, principal_id, {"password": hashed})
        credentials.delete_sessions(tx, principal_id=principal_id, but=keep_session)
        append(tx, caller, action="user.password", object=f"principal:{principal_id}")


def person_of(tx: Tx, name: str) -> PersonRecord:
    """The user or service account of this name. Raises NotFound."""
    person = store.find_person(tx, name=name)
    if person is None:
        raise NotFound(
            f"There is no user or service account {name[:80]!r}.", hint="List them with: holdfast user list"
        )
    return person


def _hit(wanted: Wanted, person: PersonRecord) -> Hit:
    kind = "service account" if person.kind == "service" else "user"
    about = " · ".join(part for part in (kind, person.display_name, person.email) if part)
    score = max(fit(wanted, person.name), fit(wanted, person.display_name))
    return Hit("person", person.name, f"/settings/people#{person.name}", about, score, person.created_at)


def keep_an_administrator(tx: Tx) -> None:
    """Raises Conflict when a change leaves no user who administers the deployment."""
    if not _has_administrator(tx):
        raise Conflict(
            "No administrator of the deployment would be left.",
            hint="Make another first: holdfast user add NAME --admin, or holdfast role grant NAME admin --deployment.",
        )


def _has_administrator(tx: Tx) -> bool:
    for grant in store.grants_in(tx, DEPLOYMENT):
        person = store.find_person(tx, principal_id=grant.principal_id)
        if grant.role == "admin" and person is not None and person.kind == "user" and not person.is_disabled:
            return True
    return False


def _hashed(passwords: Passwords, new: NewPerson) -> str | None:
    if new.password is None:
        return None
    if new.kind == "service":
        raise InvalidInput(
            "A service account has no password.", hint="Give it a token: holdfast token create."
        )
    return passwords.make_hash(check_password(new.password, new.name))


def _checked_email(email: str) -> str:
    if email and _EMAIL.fullmatch(email) is None:
        raise InvalidInput(f"{email[:80]!r} is not an e-mail address.")
    return email


def _text(text: str, what: str, most: int) -> str:
    if len(text) > most or not text.isprintable():
        raise InvalidInput(
            f"The {what} {text[:80]!r} is not fit.", hint=f"Use up to {most} printable characters."
        )
    return text
