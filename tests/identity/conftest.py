"""The whole control plane with people in it: one of each role, in two workspaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from argon2 import PasswordHasher

from holdfast.identity.people import NewPerson
from holdfast.identity.service import system_caller
from holdfast.identity.tokens import NewToken
from holdfast.kernel.principal import DEPLOYMENT, Caller
from tests.web.visitor import Visitor

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

PASSWORD = "correct horse battery"


class Crew:
    """Makes people, roles and tokens, as the administrator does."""

    def __init__(self, composition: Composition) -> None:
        self.c = composition
        # The real argon2id with its smallest parameters: what is tested here is not how long it takes.
        hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        vars(composition.people._passwords)["_hasher"] = hasher

    def admin(self, workspace: str = DEPLOYMENT) -> Caller:
        return system_caller(workspace, self.c.clock.now_ms())

    def add(self, name: str, role: str = "", workspace: str = "default", **more: Any) -> str:
        """A user, or a service account, with a role; gives its id."""
        person = self.c.people.add(self.admin(), NewPerson(name, **more))
        if role:
            self.c.roles.grant(self.admin(workspace), name, role)
        return person.id

    def token(self, of: str, **scope: Any) -> str:
        """The secret of a new token of somebody."""
        return self.c.tokens.create(self.admin(), NewToken("test", of=of, **scope)).secret

    def headers(self, of: str, workspace: str = "", **scope: Any) -> dict[str, str]:
        """The headers of a request by somebody, with a token of its own."""
        found = {"Authorization": f"Bearer {self.token(of, **scope)}"}
        return found | ({"X-Holdfast-Workspace": workspace} if workspace else {})


@pytest.fixture
def crew(composition: Composition) -> Crew:
    return Crew(composition)


@pytest.fixture
def login(http: Any) -> Callable[..., dict[str, str]]:
    """Signs in over the page; gives the headers of a browser that is signed in."""

    def sign_in(name: str, password: str = PASSWORD, cookie: str = "") -> dict[str, str]:
        answer = submit_login(http, name, password, cookie)
        assert answer.status_code == 303, answer.text
        session = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("holdfast_session="))
        return {"Cookie": session.partition(";")[0], "Origin": "http://127.0.0.1:5000"}

    return sign_in


def submit_login(http: Any, name: str, password: str, cookie: str = "", **fields: str) -> Any:
    """Open the login page and send its form, in a browser that has a cookie already or none."""
    visitor = Visitor(http, {"Cookie": cookie})
    return visitor.send("/login", "/login", name=name, password=password, **fields)


def csrf_of(http: Any, headers: dict[str, str]) -> str:
    """The token in the forms of a signed-in browser."""
    return Visitor(http, headers).token("/account")


def decode(answer: Any) -> Any:
    return msgspec.json.decode(answer.content)
