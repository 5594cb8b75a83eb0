"""schemathesis over the described API as five identities, on a real socket: no fault, no mismatch with the permissions,
described answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import hypothesis
import pytest
import schemathesis
from schemathesis.core import NOT_SET, NotSet

from holdfast.identity.records import DEPLOYMENT_ROLES, PUBLIC, ROLE_PERMISSIONS
from tests.app.conftest import CONTROL_PLANE_ALONE, Server
from tests.identity.conftest import PASSWORD

pytestmark = pytest.mark.timeout(3600)
EXAMPLES = 60 if os.environ.get("HOLDFAST_FULL") else 2
OF_EVERYBODY = (PUBLIC, "signed-in", "account")
WHO = ("anonymous", "viewer", "contributor", "approver", "admin")
HELD = {
    **ROLE_PERMISSIONS,
    "admin": ROLE_PERMISSIONS["admin"] | DEPLOYMENT_ROLES["admin"],
    "anonymous": frozenset(),
}
# What reaches outside answers so when it may not, or nobody is there.
REACHES_OUT = ("/api/v1/single-sign-on", "/api/v1/channels/{name}/test")


class Site(Server):
    """A server for the fuzzer."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        secret = (self.data / "admin.token").read_text().strip()
        self._admin = {"Authorization": f"Bearer {secret}"}
        self.known: dict[str, list[str]] = {}

    def live(self) -> None:
        """Put a little of everything into it."""
        run = self._send("POST", "/runs", {"experiment": "flights"})
        self._send("POST", f"/runs/{run['run_id']}/batch", {"metrics": [{"key": "loss", "value": 1}]})
        logged = self._send("POST", "/logged-models", {"name": "m", "run_id": run["run_id"]})
        self._send("POST", "/models", {"name": "flights"})
        self._send("POST", "/channels", {"name": "ops", "url": "jsons://ops.invalid/in"})
        monitor = {"task": "binary", "features": {"size": "numeric"}}
        httpx.put(f"{self.url}/api/v1/endpoints/clicks/monitor", json=monitor, headers=self._admin)
        said = self._send("POST", "/comments", {"object": f"run:{run['run_id']}", "body": "hello"})
        self.known = {
            "run_id": [run["run_id"]], "experiment": ["flights", str(run["experiment_id"])], "key": ["loss"],
            "model_id": [logged["model_id"]], "comment_id": [said["comment_id"]], "alias": ["prod"], "version": ["1"],
            "name": ["flights", "clicks", "ops"], "index": ["0", "3"], "object": [f"run:{run['run_id']}", "model:flights"],
        }  # fmt: skip

    def _send(self, method: str, path: str, body: Any) -> Any:
        answer = httpx.request(method, f"{self.url}/api/v1{path}", json=body, headers=self._admin)
        assert answer.is_success, answer.text
        return answer.json()

    def credential(self, who: str) -> dict[str, str]:
        """The headers of a request by somebody of this role; a wrong credential for nobody."""
        if who == "anonymous":
            return {"Authorization": "Bearer holdfast_nobody"}
        name = f"the-{who}"
        self._send("POST", "/users", {"name": name, "password": PASSWORD, "is_admin": who == "admin"})
        self._send("PUT", f"/role-grants/{name}", {"role": who})
        secret = self._send("POST", "/tokens", {"name": "fuzz", "of": name})["secret"]
        return {"Authorization": f"Bearer {secret}"}

    def operations(self) -> list[Any]:
        """Every described operation; the names in its address are often those of things that are there."""
        document = httpx.get(f"{self.url}/api/v1/openapi.json", headers=self._admin).json()
        for item in document["paths"].values():
            for operation in item.values():
                for parameter in operation["parameters"]:
                    known = self.known.get(parameter["name"])
                    if known and parameter["schema"].get("type") == "string":
                        parameter["schema"] = {"anyOf": [{"enum": known}, parameter["schema"]]}
        schema = schemathesis.openapi.from_dict(document)
        return [result.ok() for result in schema.get_all_operations()]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    started = Site(tmp_path_factory.mktemp("fuzz") / "data", *CONTROL_PLANE_ALONE, "--request-limit", "0")
    try:
        started.live()
        yield started
    finally:
        started.end()


def send(http: Any, case: Any, headers: dict[str, str]) -> Any:
    """Send a generated case; None when it can't be put on the wire."""
    path = case.formatted_path
    asked = case.query if isinstance(case.query, dict) else {}
    query = urlencode({key: str(value) for key, value in asked.items()}, errors="surrogatepass")
    body, options = case.body, {"headers": dict(headers)}
    if case.media_type is not None:
        options["headers"]["Content-Type"] = case.media_type
    if case.media_type == "application/json" and not isinstance(body, (bytes, NotSet)):
        options["json"] = body
    elif case.media_type is not None and body is not NOT_SET:
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
        self._may = HELD[who]
        self.problems: set[str] = set()
        self.asked = self.done = 0

    def fuzz(self, operation: Any, mode: schemathesis.GenerationMode) -> None:
        """Generate requests of one operation: such as are described, or such as are not."""

        @hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            self._ask(operation, case)

        ask()

    def _ask(self, operation: Any, case: Any) -> None:
        answer = send(self._http, case, self._headers)
        if answer is None:
            return
        self.asked += 1
        permission, status = operation.definition.raw["x-permission"], answer.status_code
        self.done += status == 200
        label = f"{operation.method.upper()} {operation.path} as {self._who}: {status}"
        if status >= 500 and not (status == 503 and operation.path in REACHES_OUT):
            self.problems.add(f"{label} {answer.text[:300]}")
        if status >= 400 and set(answer.json()) != {"error"}:
            self.problems.add(f"{label}, not our error: {answer.text[:100]}")
        if self._who == "anonymous":
            is_nowhere = (
                status == 404 and b"%0A" in answer.request.url.raw_path
            )  # no address of ours has a line's end
            if status != 401 and not is_nowhere:
                self.problems.add(f"{label}, with a wrong credential")
        elif permission in OF_EVERYBODY or permission in self._may:
            if status == 401 and permission != PUBLIC:
                self.problems.add(f"{label}, holds {permission}")
        elif status not in (401, 403, 404):
            self.problems.add(f"{label}, lacks {permission}")


@pytest.mark.parametrize("who", WHO)
def test_no_fault_and_no_mismatch(site: Site, who: str) -> None:
    asker = Asker(site.http, who, site.credential(who))
    for operation in site.operations():
        asker.fuzz(operation, schemathesis.GenerationMode.POSITIVE)
        if operation.query or operation.body:
            asker.fuzz(operation, schemathesis.GenerationMode.NEGATIVE)
    assert not asker.problems, "\n".join(sorted(asker.problems)[:60])
    assert asker.asked > 50 * EXAMPLES
    assert asker.done > 20 or who == "anonymous"
    assert site.http.get("/health").text == "OK"
