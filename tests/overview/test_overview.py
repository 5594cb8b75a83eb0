from __future__ import annotations

import msgspec
import pytest

from holdfast.audit.records import AuditEntry
from holdfast.overview.endpoint import build_endpoint
from holdfast.overview.fleet import build_fleet
from holdfast.overview.health import drift_level, judge
from holdfast.overview.incidents import build_incident, build_incidents
from holdfast.overview.snippets import write_snippets
from tests.overview import story


def test_the_fleet_says_who_needs_attention_and_why() -> None:
    harmed, well = story.make_endpoint(), story.make_endpoint(name="cancellations")
    summaries = {
        "flight-delays": story.make_summary(alert=story.make_alert(is_open=True)),
        "cancellations": story.make_summary(),
    }
    fleet = build_fleet([well, harmed], summaries, {}, [])
    assert fleet.kind == "harm"
    assert fleet.sentence == (
        "1 of 2 endpoints needs attention: flight-delays does harm since 13 May 2013, "
        "wrong in 32.5\u00a0% instead of 24.0\u00a0%."
    )
    assert [row.name for row in fleet.rows] == ["flight-delays", "cancellations"]
    assert fleet.rows[0].incident == "4"
    assert fleet.rows[1].labelled_share == pytest.approx(0.9804, abs=1e-4)


def test_a_quiet_fleet_says_so() -> None:
    fleet = build_fleet([story.make_endpoint()] * 2, {"flight-delays": story.make_summary()}, {}, [])
    assert (fleet.kind, fleet.sentence) == ("ok", "0 of 2 endpoints need attention.")


def test_a_fleet_that_can_not_be_judged_says_which() -> None:
    fleet = build_fleet(
        [story.make_endpoint()], {"flight-delays": story.make_summary(state="no truth")}, {}, []
    )
    assert fleet.kind == "neutral"
    assert fleet.sentence == (
        "0 of 1 endpoints need attention. Not judged by their errors: flight-delays (drift alone)."
    )


def test_the_same_change_again_and_again_is_one_line() -> None:
    entries = [make_entry(index, "endpoint.feedback") for index in (5, 4, 3)] + [
        make_entry(2, "endpoint.deploy")
    ]
    fleet = build_fleet([], {}, {}, entries)
    assert [(line.index, line.sentence) for line in fleet.activity] == [
        (5, "ada delivered labels to the endpoint orders, 3 times"),
        (2, "ada deployed to the endpoint orders"),
    ]


def make_entry(index: int, action: str) -> AuditEntry:
    return AuditEntry(
        index,
        index,
        "default",
        "p1",
        "ada",
        "open",
        action,
        "endpoint:orders",
        None,
        "r",
        "",
        None,
        None,
        {},
        "",
    )


@pytest.mark.parametrize(
    ("status", "state", "kind", "word"),
    [
        ("failed", "monitoring", "harm", "failed"), ("preparing", "no data", "busy", "preparing"),
        ("live", "learning", "neutral", "learning"), ("live", "no truth", "neutral", "drift alone"),
        ("live", "counting", "neutral", "counting"),
        ("live", "no data", "neutral", "no predictions"), ("live", "monitoring", "ok", "doing well"),
    ],
)  # fmt: skip
def test_health_in_a_word(status: str, state: str, kind: str, word: str) -> None:
    health = judge(story.make_endpoint(status=status), story.make_summary(state=state))
    assert (health.kind, health.word) == (kind, word)


def test_drift_levels_are_none_within_chance_and_more() -> None:
    drift = story.make_window(0).drift["temp"]
    levels = [
        drift_level(msgspec.structs.replace(drift, psi=psi, drifted=psi > 0.1))
        for psi in (0.01, 0.04, 0.09, 0.2, 0.4, 0.9)
    ]
    assert levels == [0, 1, 2, 3, 4, 5]
    assert drift_level(msgspec.structs.replace(drift, threshold=None)) is None


def test_an_endpoint_doing_harm_says_since_when_and_marks_it() -> None:
    view = build_endpoint(
        story.make_endpoint(), story.make_report(), [story.make_alert(is_open=True)], "", False, 90
    )
    assert (view.kind, view.incident, view.metric) == ("harm", "4", "error")
    assert view.sentence.startswith("Since 13 May 2013")
    kinds = [mark.kind for mark in view.performance.marks]
    assert kinds.count("deploy") == 2
    assert kinds.count("alert") == 1
    assert view.performance.spans[0].start == story.START + 10 * story.WEEK
    assert len(view.rows) == 14
    assert view.total_windows == 44


def test_a_recovered_endpoint_says_how_it_does_and_when_it_did_harm() -> None:
    view = build_endpoint(story.make_endpoint(), story.make_report(), [story.make_alert()], "auc", True, 90)
    assert view.kind == "ok"
    assert "It did harm before, last from 13 May 2013 to 14 Jul 2013." in view.sentence
    assert view.performance.level is not None
    assert view.performance.level.label == "reference 0.686"
    words = {row.word for row in view.rows}
    assert words == {"harm", "in tolerance", "waiting for labels"}


def test_inputs_stand_in_order_of_their_drift() -> None:
    view = build_endpoint(story.make_endpoint(), story.make_report(), [], "", False, 90)
    assert [line.feature for line in view.heat[:2]] == ["temp", "dewp"]
    assert all(len(line.cells) == 44 for line in view.heat)
    assert view.heat_heads[0] == ("Mar 2013", story.START)
    assert "PSI" in view.heat[0].cells[0].text


def test_an_endpoint_without_predictions_repeats_the_monitor() -> None:
    view = build_endpoint(story.make_endpoint(), story.make_report(0), [], "", False, 90)
    assert (view.kind, view.sentence) == ("neutral", "No predictions have come yet.")
    assert view.performance.x == []


def test_another_window_joins_the_choices() -> None:
    view = build_endpoint(story.make_endpoint(), story.make_report(window="6h"), [], "", False, 90)
    assert view.windows[0] == ("6h", "6h")


def test_incidents_open_ones_first() -> None:
    kind, sentence, rows = build_incidents([story.make_alert(), story.make_alert(is_open=True)])
    assert kind == "harm"
    assert sentence == "1 incident is open: flight-delays, with harm since 13 May 2013."
    assert [row.word for row in rows] == ["open", "ended"]
    assert build_incidents([])[:2] == ("ok", "No incident is open.")


def test_an_incident_tells_its_story_in_order() -> None:
    view = build_incident(story.make_alert(), story.make_report(), [story.make_alert()])
    assert [step.text for step in view.timeline] == [
        "Harm began", "Enough evidence", "Alert raised", "Back within what is tolerated", "Incident ended",
    ]  # fmt: skip
    assert view.extra == round((0.325 - 0.24) * 11806)


def test_snippets_hold_every_input_and_the_server_s_own_address() -> None:
    texts = dict(write_snippets(story.make_endpoint(), "http://h:5000", "http://h:5001", {"temp": 39.9}))
    assert "http://h:5001/invocations/flight-delays" in texts["curl"]
    assert '"columns": ["temp", "carrier"], "data": [[39.9, "text"]]' in texts["curl"]
    compile(texts["Python"], "snippet", "exec")
    assert "http://h:5000" in texts["Python"]


def test_a_quote_in_a_value_does_not_end_the_shell_s_string() -> None:
    curl = dict(write_snippets(story.make_endpoint(), "http://h", "http://i", {"carrier": "O'Hare"}))["curl"]
    assert "O'\\''Hare" in curl


def test_an_external_endpoint_takes_labels_alone() -> None:
    snippets = write_snippets(story.make_endpoint(kind="external", signature=None), "http://h", None, {})
    assert [title for title, _ in snippets] == ["labels"]
