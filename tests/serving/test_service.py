"""Deployments through the service: what is asked for, what replicas are told, what they report."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable

import msgspec
import pytest

from holdfast.audit.service import AuditLog
from holdfast.chunks import tree_digest
from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.principal import Caller
from holdfast.predictions.records import MonitorFields
from holdfast.predictions.service import Predictions
from holdfast.registry.records import ModelVersion
from holdfast.registry.service import Registry
from holdfast.serving.records import DeployRequest, DesiredState, EndpointReport, Heartbeat
from holdfast.serving.service import Serving
from holdfast.serving.signing import verify_state
from holdfast.storage import Storage

Register = Callable[..., ModelVersion]
Prepare = Callable[..., ModelVersion]
NOW = 1_760_000_000_000


def state_of(serving: Serving, caller: Caller) -> DesiredState:
    signed = serving.desired_state(caller, 0, 0)
    return verify_state(signed, signed.public_key)


def beat(serving: Serving, caller: Caller, state: str, message: str = "") -> None:
    reports = {
        endpoint.name: EndpointReport(endpoint.deployment_id, state, message, endpoint.version)
        for endpoint in state_of(serving, caller).endpoints
    }
    serving.report(caller, "local", Heartbeat("http://127.0.0.1:5001", 1, "serving", reports))


def test_a_prepared_version_is_in_the_desired_state_at_once(
    serving: Serving, caller: Caller, register: Register, prepare: Prepare
) -> None:
    version = prepare(register())
    endpoint = serving.deploy(caller, DeployRequest("delays", "flights", clock="event", window="1w"))
    assert (endpoint.status, endpoint.clock, endpoint.window, endpoint.task) == (
        "starting",
        "event",
        "1w",
        "binary",
    )
    assert (endpoint.target, endpoint.positive, endpoint.classes) == ("late", "1", ["0", "1"])
    assert endpoint.reference.source == "model"
    (desired,) = state_of(serving, caller).endpoints
    assert (desired.name, desired.version, desired.clock) == ("delays", 1, "event")
    assert desired.deployable_digest == version.deployable_digest == tree_digest(desired.files)


def test_a_deployment_waits_until_its_version_is_prepared(
    serving: Serving, predictions: Predictions, caller: Caller, register: Register, prepare: Prepare
) -> None:
    version = register()
    assert serving.deploy(caller, DeployRequest("delays", "flights/1")).status == "preparing"
    assert state_of(serving, caller).endpoints == []
    assert serving.activate_prepared(NOW) == 0
    prepare(version)
    assert serving.activate_prepared(NOW) == 1
    assert serving.activate_prepared(NOW) == 0
    assert predictions.get_endpoint(caller, "delays").status == "starting"
    assert [endpoint.version for endpoint in state_of(serving, caller).endpoints] == [1]


def test_a_version_that_can_not_be_prepared_fails_its_deployment_and_is_refused_afterwards(
    serving: Serving, predictions: Predictions, caller: Caller, register: Register, prepare: Prepare
) -> None:
    version = register()
    serving.deploy(caller, DeployRequest("delays", "flights"))
    message = "The pickle does not load.\nInstall x.\n\nTraceback (most recent call last): ..."
    prepare(version, "failed", message)
    serving.activate_prepared(NOW)
    endpoint = predictions.get_endpoint(caller, "delays")
    assert (endpoint.status, endpoint.message) == ("failed", message)
    with pytest.raises(Conflict, match="does not load") as refused:
        serving.deploy(caller, DeployRequest("delays", "flights"))
    assert "Traceback" not in refused.value.message and "model show flights/1" in refused.value.hint


def test_redeploying_replaces_and_counts_generations_up(
    serving: Serving, registry: Registry, caller: Caller, register: Register, prepare: Prepare
) -> None:
    prepare(register())
    prepare(register(content=b"other"))
    registry.set_alias(caller, "flights", "production", 1)
    serving.deploy(caller, DeployRequest("delays", "flights@production"))
    first = state_of(serving, caller)
    serving.deploy(caller, DeployRequest("delays", "flights/2"))
    second = state_of(serving, caller)
    assert [e.version for s in (first, second) for e in s.endpoints] == [1, 2]
    assert second.generation == first.generation + 1
    states = [deployment.state for deployment in serving.list_deployments(caller, "delays")]
    assert states == ["active", "superseded"]


def test_replicas_reports_become_the_endpoints_status(
    serving: Serving, predictions: Predictions, caller: Caller, register: Register, prepare: Prepare
) -> None:
    prepare(register())
    serving.deploy(caller, DeployRequest("delays", "flights"))
    beat(serving, caller, "loading")
    assert predictions.get_endpoint(caller, "delays").status == "starting"
    beat(serving, caller, "live")
    endpoint = predictions.get_endpoint(caller, "delays")
    assert (endpoint.status, endpoint.live_version) == ("live", 1)
    prepare(register(content=b"broken"))
    serving.deploy(caller, DeployRequest("delays", "flights/2"))
    beat(serving, caller, "failed", "no such operator")
    endpoint = predictions.get_endpoint(caller, "delays")
    assert (endpoint.status, endpoint.message) == ("failed", "no such operator")
    assert (endpoint.version, endpoint.live_version) == (2, 1)


def test_a_report_on_an_older_deployment_changes_nothing(
    serving: Serving, predictions: Predictions, caller: Caller, register: Register, prepare: Prepare
) -> None:
    prepare(register())
    serving.deploy(caller, DeployRequest("delays", "flights"))
    reports = {"delays": EndpointReport("d-old", "live", "", 1)}
    serving.report(caller, "local", Heartbeat("http://127.0.0.1:5001", 1, "serving", reports))
    assert predictions.get_endpoint(caller, "delays").status == "starting"


def test_the_inference_address_is_that_of_a_replica_that_is_alive(
    serving: Serving, caller: Caller, clock: ManualClock, make_caller: Callable[..., Caller]
) -> None:
    assert serving.status(caller).inference_url is None
    serving.report(caller, "local", Heartbeat("http://127.0.0.1:5001", 0, "serving", {}))
    assert serving.status(caller).inference_url == "http://127.0.0.1:5001"
    clock.advance(15_001)
    status = serving.status(make_caller())
    assert (status.inference_url, status.replicas[0].is_alive) == (None, False)


def test_a_replica_heard_of_in_the_future_is_not_alive(
    serving: Serving, caller: Caller, clock: ManualClock, make_caller: Callable[..., Caller]
) -> None:
    serving.report(caller, "local", Heartbeat("http://127.0.0.1:5001", 0, "serving", {}))
    clock.advance(-365 * 86_400_000)
    assert not serving.status(make_caller()).replicas[0].is_alive
    serving.report(make_caller(), "local", Heartbeat("http://127.0.0.1:5001", 0, "serving", {}))
    assert serving.status(make_caller()).replicas[0].is_alive


def test_deleting_ends_serving_and_frees_the_name(
    serving: Serving, predictions: Predictions, caller: Caller, register: Register, prepare: Prepare
) -> None:
    prepare(register())
    serving.deploy(caller, DeployRequest("delays", "flights"))
    serving.delete(caller, "delays")
    assert state_of(serving, caller).endpoints == []
    with pytest.raises(NotFound):
        predictions.get_endpoint(caller, "delays")
    with pytest.raises(NotFound, match="'delays'"):
        serving.delete(caller, "delays")
    predictions.set_monitor(caller, "delays", MonitorFields())


def test_every_change_is_audited(
    serving: Serving, storage: Storage, caller: Caller, register: Register, prepare: Prepare
) -> None:
    prepare(register())
    waiting = register(content=b"other")
    serving.deploy(caller, DeployRequest("delays", "flights/1"))
    serving.deploy(caller, DeployRequest("delays", "flights/2"))
    version = prepare(waiting)
    serving.activate_prepared(NOW)
    serving.delete(caller, "delays")
    entries = AuditLog(storage).list_entries(caller, object="endpoint:delays").items
    actions = [entry.action for entry in entries]
    assert actions == ["endpoint.delete", "endpoint.activate", "endpoint.deploy", "endpoint.deploy"]
    assert entries[1].digest == version.deployable_digest
    assert AuditLog(storage).verify().ok


@pytest.mark.parametrize(
    ("request_", "error", "named"),
    [
        (DeployRequest("Delays!", "flights"), InvalidInput, "'Delays!'"),
        (DeployRequest("delays", "nope"), NotFound, "'nope'"),
        (DeployRequest("delays", "flights@prod"), NotFound, "'prod'"),
        (DeployRequest("delays", "flights/7"), NotFound, "no version 7"),
        (DeployRequest("delays", "flights", clock="sun"), InvalidInput, "'sun'"),
        (DeployRequest("delays", "flights", window="9x"), InvalidInput, "'9x'"),
        (DeployRequest("delays", "flights", task="regression"), InvalidInput, "its task is binary"),
    ],
)
def test_a_bad_request_is_refused_by_name_and_changes_nothing(
    serving: Serving,
    predictions: Predictions,
    caller: Caller,
    register: Register,
    prepare: Prepare,
    request_: DeployRequest,
    error: type[Exception],
    named: str,
) -> None:
    prepare(register())
    with pytest.raises(error, match=named):
        serving.deploy(caller, request_)
    assert predictions.list_endpoints(caller).items == []


def test_viewers_may_not_deploy(serving: Serving, make_caller: Callable[..., Caller]) -> None:
    with pytest.raises(Forbidden):
        serving.deploy(make_caller("viewer"), DeployRequest("delays", "flights"))


def test_only_files_of_deployed_models_are_handed_out(
    serving: Serving, caller: Caller, register: Register, prepare: Prepare
) -> None:
    version = prepare(register())
    digest = version.digest
    serving.deploy(caller, DeployRequest("delays", "flights"))
    (desired,) = state_of(serving, caller).endpoints
    for file in desired.files:
        with serving.open_file(caller, file.sha256) as opened:
            assert sha256_hex(opened.read()) == file.sha256
    serving.delete(caller, "delays")
    for name in (desired.files[0].sha256, digest, "../../etc/passwd"):
        with pytest.raises(NotFound):
            serving.open_file(caller, name)


def test_a_waiting_poll_is_answered_when_something_is_deployed(
    serving: Serving, caller: Caller, register: Register, prepare: Prepare
) -> None:
    prepare(register())
    answers: list[DesiredState] = []

    def poll() -> None:
        signed = serving.desired_state(caller, 0, 30)
        answers.append(verify_state(signed, signed.public_key))

    thread = threading.Thread(target=poll)
    thread.start()
    serving.deploy(caller, DeployRequest("delays", "flights"))
    thread.join(5)
    assert [state.generation for state in answers] == [1]


def test_a_waiting_poll_ends_with_the_server(
    serving: Serving, caller: Caller, closing: threading.Event
) -> None:
    thread = threading.Thread(target=serving.desired_state, args=(caller, 0, 30))
    thread.start()
    closing.set()
    thread.join(5)
    assert not thread.is_alive()


def test_the_desired_state_is_canonical_json(serving: Serving, caller: Caller) -> None:
    signed = serving.desired_state(caller, 0, 0)
    assert base64.b64decode(signed.document) == b'{"endpoints":[],"generation":0}'
    assert msgspec.json.decode(base64.b64decode(signed.document), type=DesiredState).endpoints == []
