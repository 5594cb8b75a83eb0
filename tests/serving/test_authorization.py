"""Who may predict: a real control plane with users, and a real inference server that asks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.identity.people import NewPerson
from holdfast.identity.service import system_caller
from holdfast.identity.tokens import NewToken
from holdfast.kernel.principal import DEPLOYMENT, Caller
from holdfast.serving.records import DeployRequest
from tests.serving.plane import ENDPOINT, Plane, Replica, infer_body, wait_until

INFER = f"/v2/models/{ENDPOINT}/infer"


class People:
    """Roles and tokens on the plane's database, as an administrator's process beside the server makes them."""

    def __init__(self, plane: Plane) -> None:
        self.services = plane.services

    def root(self, workspace: str = DEPLOYMENT) -> Caller:
        return system_caller(workspace, self.services.clock.now_ms())

    def add(self, name: str, role: str, workspace: str = "default", **more: Any) -> str:
        """The secret of a token of a new service account with a role."""
        self.services.people.add(self.root(), NewPerson(name, kind="service"))
        self.services.roles.grant(self.root(workspace), name, role)
        return self.token(name, **more)

    def token(self, name: str, **scope: Any) -> str:
        return self.services.tokens.create(self.root(), NewToken("test", of=name, **scope)).secret


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    made = Plane(tmp_path_factory.mktemp("authorization") / "data")
    made.deploy(made.add_version().version)
    yield made
    made.close()


@pytest.fixture(scope="module")
def people(plane: Plane) -> People:
    """The workspace `labs` serves the same model, and there is a user: open mode is over."""
    made = People(plane)
    services = plane.services
    services.workspaces.create(made.root(), "labs")
    plane.workspace = "labs"
    version = plane.add_version()
    services.serving.deploy(
        plane.caller, DeployRequest(ENDPOINT, f"flights/{version.version}", clock="event")
    )
    plane.workspace = "default"
    services.people.add(made.root(), NewPerson("root", is_admin=True))
    return made


@pytest.fixture(scope="module")
def replica(plane: Plane, people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with Replica(plane, tmp_path_factory.mktemp("replica")) as running:
        wait_until("both endpoints", lambda: running.get("/v2/health/ready")[0] == 200)
        yield running


def ask(replica: Replica, token: str, path: str = INFER, body: bytes | None = None) -> tuple[int, Any]:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    status, _, answer = replica.request("POST", path, body or infer_body(), headers)
    return status, answer


def test_a_token_predicts_in_its_workspace_alone(replica: Replica, people: People) -> None:
    token = people.add("default-only", "contributor")
    assert ask(replica, token)[0] == 200
    there = ask(replica, token, f"/v2/models/labs.{ENDPOINT}/infer")
    nowhere = ask(replica, token, f"/v2/models/none.{ENDPOINT}/infer")
    assert (there[0], nowhere[0]) == (404, 404)
    assert there[1]["message"].replace("labs", "none") == nowhere[1]["message"]
    assert "labs" not in there[1]["hint"]
    labs = people.add("labs-only", "contributor", "labs")
    assert ask(replica, labs, f"/v2/models/labs.{ENDPOINT}/infer")[0] == 200
    assert ask(replica, labs)[0] == 404


def test_without_a_good_credential_nobody_predicts(replica: Replica, people: People) -> None:
    for token in ("", "holdfast_wrong"):
        status, answer = ask(replica, token)
        assert (status, answer["code"]) == (401, "unauthenticated")
    headers = {"content-type": "application/json", "authorization": "Basic YTpi"}
    assert replica.request("POST", INFER, infer_body(), headers)[0] == 401


def test_a_viewer_reads_and_does_not_predict(replica: Replica, people: People) -> None:
    token = people.add("watcher", "viewer")
    status, answer = ask(replica, token)
    assert (status, answer["details"]) == (403, {"permission": "predictions:infer"})
    read = replica.request("GET", f"/v2/models/{ENDPOINT}", None, {"authorization": f"Bearer {token}"})
    assert read[0] == 200
    assert replica.get(f"/v2/models/{ENDPOINT}")[0] == 401


def test_event_times_need_their_own_permission(replica: Replica, people: People) -> None:
    body = infer_body(parameters={"event_time": 1_760_000_000_000, "key": "a"})
    assert ask(replica, people.add("worker", "contributor"), body=body)[0] == 403
    assert ask(replica, people.token("worker"), body=infer_body(parameters={"key": "a"}))[0] == 200
    assert ask(replica, people.add("replayer", "admin"), body=body)[0] == 200


def test_a_scope_narrows_predicting(replica: Replica, people: People) -> None:
    people.add("scoped", "contributor")
    assert ask(replica, people.token("scoped", permissions=["predictions:infer"]))[0] == 200
    assert ask(replica, people.token("scoped", permissions=["tracking:read"]))[0] == 403
    assert ask(replica, people.token("scoped", workspace="labs"))[0] == 404


def test_health_and_figures_are_public(replica: Replica, people: People) -> None:
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/metrics"):
        assert replica.get(path)[0] == 200


def test_a_revoked_token_is_refused_soon(replica: Replica, people: People) -> None:
    token = people.add("leaver", "contributor")
    assert ask(replica, token)[0] == 200
    services = people.services
    (known,) = services.tokens.list_tokens(people.root(), "leaver")
    services.tokens.revoke(people.root(), known.id)
    wait_until("the refusal", lambda: ask(replica, token)[0] == 401)


def test_an_archived_workspace_is_served_no_more(replica: Replica, people: People) -> None:
    token = people.add("archivist", "contributor", "labs")
    path = f"/v2/models/labs.{ENDPOINT}/infer"
    assert ask(replica, token, path)[0] == 200
    people.services.workspaces.archive(people.root(), "labs")
    wait_until("the end of the endpoint", lambda: ask(replica, token, path)[0] == 404)
    people.services.workspaces.restore(people.root(), "labs")
    wait_until("the endpoint back", lambda: ask(replica, token, path)[0] == 200)


def test_without_the_control_plane_known_callers_are_served(
    plane: Plane, people: People, tmp_path: Path
) -> None:
    known, unknown = people.add("known", "contributor"), people.add("unknown", "contributor")
    with Replica(plane, tmp_path / "replica") as replica:
        wait_until("the answer", lambda: ask(replica, known)[0] == 200)
        plane.stop()
        try:
            assert ask(replica, known)[0] == 200
            assert ask(replica, unknown)[0] == 503
            assert ask(replica, "")[0] == 503
            replica.stop()
            assert replica.process is not None and replica.process.stdin is not None
            replica.process.stdin.close()
            replica.start()
            wait_until("the answer after a restart", lambda: ask(replica, known)[0] == 200)
            kept = (tmp_path / "replica" / "callers.json").read_text()
            assert known not in kept
        finally:
            plane.start()


def test_the_inference_server_s_secret_does_nothing_else(plane: Plane, people: People) -> None:
    import httpx

    headers = {"Authorization": f"Bearer {(plane.data / 'inference.token').read_text().strip()}"}
    for path, status in (
        ("/api/v1/serving/desired-state", 200),
        ("/api/v1/runs", 403),
        ("/api/v1/users", 403),
    ):
        assert httpx.get(plane.url + path, headers=headers).status_code == status
    open_headers = {"Authorization": f"Bearer {people.token('default-only')}"}
    assert httpx.get(plane.url + "/api/v1/serving/desired-state", headers=open_headers).status_code == 403
