"""schemathesis over the described API as five identities: no fault, no mismatch with the permissions, described answers."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlencode

import hypothesis
import pytest
import schemathesis

from holdfast.identity.records import PUBLIC, ROLE_PERMISSIONS
from tests.identity.conftest import Crew

pytestmark = pytest.mark.timeout(1800)
EXAMPLES = 60 if os.environ.get("HOLDFAST_FULL") else 2
OF_EVERYBODY = (PUBLIC, "signed-in", "account")
WHO = ("anonymous", "viewer", "contributor", "approver", "admin")


def operations(http: Any, crew: Crew) -> list[Any]:
    document = http.get("/api/v1/openapi.json", headers=crew.headers("the-admin")).json()
    schema = schemathesis.openapi.from_dict(document)
    return [result.ok() for result in schema.get_all_operations()]


def send(http: Any, case: Any, headers: dict[str, str]) -> Any:
    """Send a generated case; None when it can't be put on the wire."""
    path = case.formatted_path
    query = urlencode({key: str(value) for key, value in (case.query or {}).items()})
    options: dict[str, Any] = {"headers": headers}
    if case.media_type == "application/json":
        options["json"] = case.body
    elif case.media_type is not None:
        body = case.body
        options["content"] = body if isinstance(body, bytes) else str(body).encode("utf-8", "surrogatepass")
    try:
        return http.request(case.method.upper(), f"{path}?{query}" if query else path, **options)
    except (ValueError, UnicodeEncodeError):
        return None


class Asker:
    """Sends generated requests as one identity and collects what should not be."""

    def __init__(self, http: Any, who: str, headers: dict[str, str]) -> None:
        self._http = http
        self._who = who
        self._headers = headers
        self._may = frozenset() if who == "anonymous" else ROLE_PERMISSIONS[who]
        self.problems: set[str] = set()
        self.asked = 0

    def fuzz(self, operation: Any) -> None:
        """Generate requests of one operation."""

        @hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        )
        @hypothesis.given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            self._ask(operation, case)

        ask()

    def _ask(self, operation: Any, case: Any) -> None:
        answer = send(self._http, case, self._headers)
        if answer is None:
            return
        self.asked += 1
        permission, status = operation.definition.raw["x-permission"], answer.status_code
        label = f"{operation.method.upper()} {operation.path} as {self._who}: {status}"
        if status >= 500:
            self.problems.add(f"{label} {answer.text[:300]}")
        if status >= 400 and set(answer.json()) != {"error"}:
            self.problems.add(f"{label}, not our error: {answer.text[:100]}")
        if self._who == "anonymous":
            if status != 401:
                self.problems.add(f"{label}, with a wrong credential")
        elif permission in OF_EVERYBODY or permission in self._may:
            if status == 401 and permission != PUBLIC:
                self.problems.add(f"{label}, holds {permission}")
        elif status not in (401, 403, 404):
            self.problems.add(f"{label}, lacks {permission}")


@pytest.mark.parametrize("who", WHO)
def test_no_fault_and_no_mismatch(http: Any, crew: Crew, who: str) -> None:
    for role in ("viewer", "contributor", "approver", "admin"):
        crew.add(f"the-{role}", role)
    headers = {"Authorization": "Bearer hf_nobody"} if who == "anonymous" else crew.headers(f"the-{who}")
    asker = Asker(http, who, headers)
    for operation in operations(http, crew):
        asker.fuzz(operation)
    assert not asker.problems, "\n".join(sorted(asker.problems)[:60])
    assert asker.asked > 50
