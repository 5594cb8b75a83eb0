"""MLflow's webhooks: what their calls answer, and what receivers on loopback are told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.collaboration.deliver import Courier
from holdfast.collaboration.hooks import HookSender
from holdfast.web.egress import Egress
from tests.collaboration.receivers import Receiver, Request

from .conftest import Protocol

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

URL = "https://192.0.32.10/hook?key=1"
CREATED = [{"entity": "REGISTERED_MODEL", "action": "CREATED"}]
GOOD: dict[str, Any] = {"name": "ci", "url": URL, "events": CREATED}


def test_a_webhook_is_made_read_changed_listed_and_deleted(mlflow: Protocol) -> None:
    made = mlflow.post("webhooks", **GOOD, description="for CI", secret="s3cr3t")["webhook"]
    assert {key: made[key] for key in ("name", "url", "events", "status", "description")} == {
        **GOOD,
        "status": "ACTIVE",
        "description": "for CI",
    }
    assert "s3cr3t" not in json.dumps(made)
    one = f"webhooks/{made['webhook_id']}"
    assert mlflow.get(one)["webhook"] == made
    tags = [{"entity": "MODEL_VERSION_TAG", "action": action} for action in ("SET", "DELETED")]
    changed = mlflow.patch(one, name="cd", events=tags, status="DISABLED")["webhook"]
    assert (changed["name"], changed["events"], changed["status"]) == ("cd", tags, "DISABLED")
    assert (changed["url"], changed["description"]) == (URL, "for CI")
    second = mlflow.post("webhooks", **GOOD)["webhook"]
    page = mlflow.get("webhooks", max_results=1)
    assert page["webhooks"] == [second]
    rest = mlflow.get("webhooks", max_results=1, page_token=page["next_page_token"])
    assert rest == {"webhooks": [changed]}
    assert mlflow.delete(one) == {}
    mlflow.refused("GET", one, 404)
    mlflow.refused("DELETE", one, 404)
    assert mlflow.get("webhooks") == {"webhooks": [second]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "'name'"),
        ({"name": "-x"}, "Webhook name '-x' is invalid"),
        ({"name": "x" * 64}, "is invalid"),
        ({"url": "http://192.0.32.10/"}, "Invalid webhook URL scheme: 'http'"),
        ({"url": "ftp://192.0.32.10/"}, "Invalid webhook URL scheme: 'ftp'"),
        ({"url": "https:///x"}, "must include a hostname"),
        ({"url": "  "}, "cannot be empty"),
        ({"url": "https://127.0.0.1/"}, "not a public address"),
        ({"url": "https://[::1]/"}, "not a public address"),
        ({"url": "https://user:word@example.org/"}, "user name or password"),
        ({"events": []}, "non-empty list"),
        ({"events": "x"}, "'events'"),
        ({"events": [{"entity": "NOPE", "action": "CREATED"}]}, "Invalid webhook entity 'nope'"),
        ({"events": [{"entity": "REGISTERED_MODEL", "action": "SET"}]}, "Invalid action 'set'"),
        ({"events": [{"entity": "REGISTERED_MODEL"}]}, "Invalid action ''"),
        ({"status": "ON"}, "Invalid webhook status 'ON'"),
    ],
)
def test_what_makes_no_webhook_is_refused(mlflow: Protocol, change: dict[str, Any], said: str) -> None:
    assert said in mlflow.refused("POST", "webhooks", **{**GOOD, **change})
    assert mlflow.get("webhooks") == {"webhooks": []}


def test_unknown_ones_and_bad_pages(mlflow: Protocol) -> None:
    for method, path in (
        ("PATCH", "webhooks/nope"),
        ("DELETE", "webhooks/nope"),
        ("POST", "webhooks/nope/test"),
    ):
        assert "not found" in mlflow.refused(method, path, 404)
    mlflow.refused("GET", "webhooks", max_results=1001)
    mlflow.refused("GET", "webhooks", page_token="zzz")


@pytest.fixture
def receiver(composition: Composition) -> Iterator[Receiver]:
    """A receiver that an administrator has listed."""
    opened = Receiver()
    egress = Egress([f"127.0.0.1:{opened.port}"])
    composition.hooks._egress = egress
    composition.courier = Courier(
        composition.storage, composition.keys.secret_box, {"mlflow": HookSender(egress)}, composition.clock
    )
    yield opened
    opened.close()


def told(composition: Composition, receiver: Receiver) -> list[tuple[str, dict[str, Any]]]:
    """What the receiver was told, in order, after everything was followed and delivered."""
    while composition.follower.follow(composition.clock.now_ms()):
        continue
    while composition.courier.deliver_due():
        continue
    bodies = [json.loads(request.body) for request in receiver.got]
    receiver.got.clear()
    return sorted((f"{one['entity']}.{one['action']}", one["data"]) for one in bodies)


def is_signed(request: Request, secret: str) -> bool:
    """As MLflow's documentation has a receiver verify it."""
    signed = f"{request.headers['x-mlflow-delivery-id']}.{request.headers['x-mlflow-timestamp']}.".encode()
    digest = hmac.new(secret.encode(), signed + request.body, hashlib.sha256).digest()
    return request.headers["x-mlflow-signature"] == f"v1,{base64.b64encode(digest).decode()}"


def test_receivers_are_told_of_the_registry(
    mlflow: Protocol, composition: Composition, receiver: Receiver
) -> None:
    pairs = [
        ("REGISTERED_MODEL", "CREATED"), ("MODEL_VERSION", "CREATED"), ("MODEL_VERSION_TAG", "SET"),
        ("MODEL_VERSION_TAG", "DELETED"), ("MODEL_VERSION_ALIAS", "CREATED"), ("MODEL_VERSION_ALIAS", "DELETED"),
    ]  # fmt: skip
    events = [{"entity": entity, "action": action} for entity, action in pairs]
    mlflow.post("webhooks", name="all", url=receiver.url, events=events, secret="s3cr3t")
    mlflow.post("registered-models/create", name="m", tags=[{"key": "a", "value": "b"}], description="Mine")
    mlflow.post(
        "model-versions/create", name="m", source="s3://b/x", run_id="r1", tags=[{"key": "k", "value": "v"}]
    )
    mlflow.post("model-versions/set-tag", name="m", version="1", key="t", value="1")
    mlflow.delete("model-versions/delete-tag", name="m", version="1", key="t")
    mlflow.post("registered-models/alias", name="m", alias="best", version="1")
    mlflow.delete("registered-models/alias", name="m", alias="best")
    mlflow.post("registered-models/set-tag", name="m", key="t", value="1")  # no event of MLflow's
    version = {"name": "m", "version": "1"}
    while composition.follower.follow(composition.clock.now_ms()):
        continue
    assert composition.courier.deliver_due() == 6
    assert all(is_signed(request, "s3cr3t") for request in receiver.got)
    assert told(composition, receiver) == [
        ("model_version.created",
         {**version, "source": "s3://b/x", "run_id": "r1", "tags": {"k": "v"}, "description": None}),
        ("model_version_alias.created", {**version, "alias": "best"}),
        ("model_version_alias.deleted", {"name": "m", "alias": "best"}),
        ("model_version_tag.deleted", {**version, "key": "t"}),
        ("model_version_tag.set", {**version, "key": "t", "value": "1"}),
        # As it is when receivers are told.
        ("registered_model.created", {"name": "m", "tags": {"a": "b", "t": "1"}, "description": "Mine"}),
    ]  # fmt: skip


def test_receivers_are_told_of_prompts_apart(
    mlflow: Protocol, composition: Composition, receiver: Receiver
) -> None:
    events = [
        {"entity": entity, "action": action}
        for entity, action in (("PROMPT", "CREATED"), ("PROMPT_VERSION", "CREATED"), ("PROMPT_TAG", "SET"))
    ]
    mlflow.post("webhooks", name="prompts", url=receiver.url, events=[*events, *CREATED])
    is_prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    mlflow.post("registered-models/create", name="p", tags=[is_prompt])
    text = {"key": "mlflow.prompt.text", "value": "Hello {{name}}!"}
    mlflow.post("model-versions/create", name="p", source="dummy-source", tags=[is_prompt, text])
    mlflow.post("registered-models/set-tag", name="p", key="team", value="blue")
    assert told(composition, receiver) == [
        ("prompt.created", {"name": "p", "tags": {"team": "blue"}, "description": None}),
        ("prompt_tag.set", {"name": "p", "key": "team", "value": "blue"}),
        ("prompt_version.created",
         {"name": "p", "version": "1", "template": "Hello {{name}}!", "tags": {}, "description": None}),
    ]  # fmt: skip


def test_a_disabled_webhook_is_told_nothing_and_a_failed_message_waits(
    mlflow: Protocol, composition: Composition, receiver: Receiver
) -> None:
    hook = mlflow.post("webhooks", name="w", url=receiver.url, events=CREATED, status="DISABLED")["webhook"]
    mlflow.post("registered-models/create", name="unheard")
    assert told(composition, receiver) == []
    mlflow.patch(f"webhooks/{hook['webhook_id']}", status="ACTIVE")
    receiver.answer = lambda _request: 503
    mlflow.post("registered-models/create", name="heard")
    assert [data["name"] for _, data in told(composition, receiver)] == ["heard"]
    assert composition.courier.waiting() == 1


def test_a_test_says_what_the_receiver_answers(mlflow: Protocol, receiver: Receiver) -> None:
    hook = mlflow.post("webhooks", name="w", url=receiver.url, events=CREATED, secret="word")["webhook"]
    path = f"webhooks/{hook['webhook_id']}/test"
    assert mlflow.post(path)["result"] == {"success": True, "response_status": 204, "response_body": ""}
    (request,) = receiver.got
    assert is_signed(request, "word")
    assert json.loads(request.body)["data"]["name"] == "example_model"
    receiver.answer = lambda _request: 500
    said = mlflow.post(path, event={"entity": "PROMPT_VERSION", "action": "CREATED"})["result"]
    assert (said["success"], said["response_status"]) == (False, 500)
    assert json.loads(receiver.got[1].body)["entity"] == "prompt_version"
    receiver.close()
    assert mlflow.post(path)["result"]["success"] is False
