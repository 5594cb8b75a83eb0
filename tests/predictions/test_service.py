"""Endpoints, shipped segments and feedback through the service, on a real database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.audit.service import AuditLog
from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from holdfast.kernel.ids import uuid7
from holdfast.kernel.principal import Caller
from holdfast.predictions.records import Deployed, MonitorFields, Reference, SegmentName
from holdfast.predictions.segments import SegmentHeader, encode_record
from holdfast.predictions.service import Predictions, close_endpoint, deploy_endpoint, set_status
from holdfast.storage import Storage

NOTHING = MonitorFields()


def external(predictions: Predictions, caller: Caller, name: str = "watched") -> str:
    return predictions.set_monitor(caller, name, NOTHING).endpoint_id


def test_an_unknown_name_becomes_an_external_endpoint_with_event_clock(
    predictions: Predictions, caller: Caller
) -> None:
    made = predictions.set_monitor(
        caller, "watched", MonitorFields(window="1w", task="binary", target="late")
    )
    assert (made.kind, made.clock, made.window, made.task, made.target) == (
        "external",
        "event",
        "1w",
        "binary",
        "late",
    )
    assert predictions.get_endpoint(caller, "watched") == made


def test_set_monitor_changes_only_what_is_given_and_is_audited(
    predictions: Predictions, storage: Storage, caller: Caller
) -> None:
    predictions.set_monitor(caller, "watched", MonitorFields(window="1w", target="late"))
    changed = predictions.set_monitor(caller, "watched", MonitorFields(clock="wall"))
    assert (changed.clock, changed.window, changed.target) == ("wall", "1w", "late")
    entries = AuditLog(storage).list_entries(caller).items
    assert [entry.action for entry in entries] == ["endpoint.monitor", "endpoint.monitor"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"clock": "sun"}, "'sun'"),
        ({"window": "3weeks"}, "'3weeks'"),
        ({"task": "guess"}, "'guess'"),
        ({"target": ""}, "''"),
        ({"reference": {"columns": {"a": [1], "b": [1, 2]}}}, "'b'"),
        ({"reference": {"columns": {}}}, "columns"),
        ({"reference": {"columns": {"a": [[1]]}}}, "row 0"),
    ],
)
def test_a_bad_field_is_refused_by_name(
    predictions: Predictions, caller: Caller, fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidInput, match=named):
        predictions.set_monitor(caller, "watched", MonitorFields(**fields))


@pytest.mark.parametrize("name", ["", "Upper", "a.b", "-a", "a" * 64, "../x", "ä"])
def test_a_bad_name_is_refused(predictions: Predictions, caller: Caller, name: str) -> None:
    with pytest.raises(InvalidInput, match="not a name"):
        predictions.set_monitor(caller, name, NOTHING)


def test_a_reference_file_is_stored_as_an_object(predictions: Predictions, caller: Caller) -> None:
    fields = MonitorFields(reference={"columns": {"x": [1, None], "late": [0, 1]}})
    made = predictions.set_monitor(caller, "watched", fields)
    assert (made.reference.source, made.reference.rows) == ("file", 2)
    assert predictions.objects.exists(made.reference.sha256)


def test_settings_that_do_not_fit_the_served_model_are_refused_and_change_nothing(
    storage: Storage, predictions: Predictions, caller: Caller
) -> None:
    inputs = {"inputs": [{"name": "x", "type": "double"}, {"name": "y", "type": "double"}]}
    deployed = Deployed("flights", 1, "binary", "late", "1", ["0", "1"], inputs, Reference("model"))
    _, made = storage.write(lambda tx: deploy_endpoint(tx, "default", "f", deployed, NOTHING, "e1", 1))
    both = {"columns": {"x": [1], "y": [2], "late": [0]}}
    for fields, named in (
        (MonitorFields(task="regression"), "'regression' does not fit the endpoint 'f'"),
        (MonitorFields(reference={"columns": {"x": [1], "late": [0]}}), "lacks the input 'y'"),
        (MonitorFields(target="delay", reference=both), "no column 'delay'"),
    ):
        with pytest.raises(InvalidInput, match=named):
            predictions.set_monitor(caller, "f", fields)
    assert predictions.get_endpoint(caller, "f") == made
    assert predictions.set_monitor(caller, "f", MonitorFields(reference=both)).reference.source == "file"


def test_viewers_may_not_set_or_label(predictions: Predictions, make_caller: Callable[..., Caller]) -> None:
    viewer = make_caller("viewer")
    with pytest.raises(Forbidden):
        predictions.set_monitor(viewer, "watched", NOTHING)
    with pytest.raises(Forbidden):
        predictions.accept_feedback(viewer, "watched", {})


def test_redeploying_keeps_the_live_signature_until_the_new_version_answers(
    storage: Storage, predictions: Predictions, caller: Caller
) -> None:
    first = Deployed("flights", 1, "binary", "late", "1", ["0", "1"], {"inputs": ["one"]}, Reference("model"))
    second = Deployed(
        "flights", 2, "binary", "late", "b", ["a", "b"], {"inputs": ["two"]}, Reference("model")
    )
    _, made = storage.write(lambda tx: deploy_endpoint(tx, "default", "f", first, NOTHING, "e1", 1))
    assert (made.status, made.classes) == ("preparing", ["0", "1"])
    storage.write(lambda tx: set_status(tx, "default", "e1", 2, status="live", live=first))
    _, again = storage.write(lambda tx: deploy_endpoint(tx, "default", "f", second, NOTHING, "e2", 3))
    assert (again.endpoint_id, again.version, again.live_version, again.classes) == ("e1", 2, 1, ["0", "1"])
    live = storage.write(lambda tx: set_status(tx, "default", "e1", 4, status="live", live=second))
    assert live is not None
    assert (live.live_version, live.classes, live.signature) == (2, ["a", "b"], {"inputs": ["two"]})


def test_a_deleted_name_is_free_again_and_its_log_is_still_taken(
    storage: Storage, predictions: Predictions, caller: Caller, ship: Callable[..., SegmentName]
) -> None:
    old = external(predictions, caller)
    storage.write(lambda tx: close_endpoint(tx, "default", "watched", 5))
    with pytest.raises(NotFound):
        predictions.get_endpoint(caller, "watched")
    ship(old, 1, [])
    assert external(predictions, caller) != old


def test_deploying_over_an_external_endpoint_is_refused(
    storage: Storage, predictions: Predictions, caller: Caller
) -> None:
    external(predictions, caller)
    with pytest.raises(Conflict, match="external"):
        storage.write(
            lambda tx: deploy_endpoint(tx, "default", "watched", Deployed("m", 1), NOTHING, "e9", 1)
        )


def test_endpoints_are_listed_in_pages(predictions: Predictions, caller: Caller) -> None:
    for name in ("b", "a", "c"):
        external(predictions, caller, name)
    page = predictions.list_endpoints(caller, limit=2)
    assert [endpoint.name for endpoint in page.items] == ["a", "b"]
    rest = predictions.list_endpoints(caller, limit=2, page_token=page.next_page_token or "")
    assert ([endpoint.name for endpoint in rest.items], rest.next_page_token) == (["c"], None)


def test_an_unknown_endpoint_is_not_found_and_the_known_are_named(
    predictions: Predictions, caller: Caller
) -> None:
    external(predictions, caller)
    with pytest.raises(NotFound, match="'nope'") as caught:
        predictions.get_endpoint(caller, "nope")
    assert "watched" in caught.value.hint


def test_shipping_a_segment_again_changes_nothing(
    predictions: Predictions, caller: Caller, ship: Callable[..., SegmentName], make_batch: Any
) -> None:
    endpoint, batch = external(predictions, caller), make_batch(["k"])
    ship(endpoint, 1, [batch])
    ship(endpoint, 1, [batch])
    assert predictions.log_status(caller, "watched").segments_waiting == 1
    with pytest.raises(Conflict, match="other bytes"):
        ship(endpoint, 1, [make_batch(["other"])])


def test_a_segment_must_carry_the_name_it_is_shipped_under(predictions: Predictions, caller: Caller) -> None:
    endpoint = external(predictions, caller)
    data = encode_record(SegmentHeader(1, endpoint, "local", "b1", 1, 0))
    with pytest.raises(InvalidInput, match="local/b1/1"):
        predictions.accept_segment(caller, SegmentName(endpoint, "local", "b1", 2), data)
    with pytest.raises(InvalidInput, match="boot"):
        predictions.accept_segment(caller, SegmentName(endpoint, "local", "../b1", 1), data)
    with pytest.raises(InvalidInput, match="no readable header"):
        predictions.accept_segment(caller, SegmentName(endpoint, "local", "b1", 1), b"rubbish")
    unknown = encode_record(SegmentHeader(1, "nobody", "local", "b1", 1, 0))
    with pytest.raises(NotFound, match="nobody"):
        predictions.accept_segment(caller, SegmentName("nobody", "local", "b1", 1), unknown)


def test_accepted_feedback_is_one_audit_entry(
    predictions: Predictions, storage: Storage, caller: Caller
) -> None:
    external(predictions, caller)
    answer = predictions.accept_feedback(caller, "watched", {"key": ["a", 2], "label": [1, True]})
    assert answer.accepted == 2
    entries = [
        entry for entry in AuditLog(storage).list_entries(caller).items if entry.action == "endpoint.feedback"
    ]
    assert len(entries) == 1
    assert AuditLog(storage).verify().ok


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"key": ["a"]}, "'label'"),
        ({"label": [1]}, "'key' and 'prediction_id'"),
        ({"key": ["a"], "prediction_id": ["b"], "label": [1]}, "'key' and 'prediction_id'"),
        ({"key": ["a"], "label": [1], "lable": [1]}, "'lable'"),
        ({"key": ["a", "b"], "label": [1]}, "2 values"),
        ({"key": [], "label": []}, "0 rows"),
        ({"key": ["a", ""], "label": [1, 0]}, "'key', row 1: ''"),
        ({"key": ["a", None], "label": [1, 0]}, "'key', row 1: None"),
        ({"key": ["k" * 129], "label": [1]}, "longer than 128 bytes"),
        ({"key": ["a", "b"], "label": [1, None]}, "'label', row 1.*None"),
        ({"key": ["a"], "label": [1], "event_time": ["soon"]}, "'event_time', row 0.*soon"),
        ({"prediction_id": ["17"], "label": [1]}, "'prediction_id', row 0: '17'"),
    ],
)
def test_bad_feedback_is_refused_naming_row_and_value(
    predictions: Predictions, caller: Caller, columns: dict[str, list[Any]], named: str
) -> None:
    external(predictions, caller)
    with pytest.raises(InvalidInput, match=named):
        predictions.accept_feedback(caller, "watched", columns)
    assert predictions.log_status(caller, "watched").labels == 0


def test_feedback_takes_prediction_ids(predictions: Predictions, caller: Caller, clock: ManualClock) -> None:
    external(predictions, caller)
    clock.advance(5)
    columns = {"prediction_id": [f"{uuid7()}.0", f"{uuid7()}.12"], "label": ["late", "on time"]}
    assert predictions.accept_feedback(caller, "watched", columns).accepted == 2
