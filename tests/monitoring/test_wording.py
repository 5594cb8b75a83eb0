from __future__ import annotations

import pytest

from holdfast.monitoring.profile import Profile
from holdfast.monitoring.records import FeatureDrift, InputChange
from holdfast.monitoring.wording import alert_advice, alert_text, input_change, number, percent, rule_text

SINCE = 1_370_217_600_000  # 3 June 2013


def drift(**changes: object) -> FeatureDrift:
    values: dict[str, object] = {
        "psi": 1.5, "js": 0.3, "ks": 0.4, "w1": 10.0, "chi2": 99.0, "drifted": True, "threshold": 0.1, "missing": 0.0,
        "unseen": 0.0, "mean": 70.0, "reference_missing": 0.0, "reference_mean": 60.0,
    }  # fmt: skip
    return FeatureDrift(**{**values, **changes})  # type: ignore[arg-type]


def test_an_alert_says_how_bad_since_when_and_what_changed() -> None:
    changes = [input_change(name, drift()) for name in ("temp", "dewp", "wind", "rain")]
    text = alert_text(0.312, (0.298, 0.326), 4210, SINCE, 0.238, changes)
    assert text == (
        "Since 3 June 2013, 31.2 % of 4,210 predictions with a known truth were wrong (95 % interval 29.8 % to 32.6 %), "
        "against 23.8 % on the reference. The inputs that changed most: temp (PSI 1.50, mean 70 instead of 60); "
        "dewp (PSI 1.50, mean 70 instead of 60); wind (PSI 1.50, mean 70 instead of 60) and 1 more."
    )
    assert "retrain on data since 3 June 2013" in alert_advice(SINCE, changes)


def test_without_drift_the_relation_has_changed() -> None:
    calm = [input_change("temp", drift(drifted=False))]
    assert "No input changed beyond chance" in alert_text(0.3, (0.2, 0.4), 50, SINCE, 0.2, calm)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mean": 60.5}, "spread otherwise around 60.5"),
        ({"missing": 0.4}, "missing in 40.0 % instead of 0.0 %"),
        ({"unseen": 0.2, "mean": None}, "values unknown to the reference in 20.0 %"),
    ],
)
def test_what_moved_is_said_in_words(changes: dict[str, object], words: str) -> None:
    assert words in input_change("temp", drift(**changes)).text


def test_a_broken_source_is_named_first() -> None:
    broken = InputChange("temp", 3.0, True, "PSI 3.00, missing in 40.0 % instead of 0.0 %")
    assert alert_advice(SINCE, [broken]).startswith("Check the source of temp: values are missing or new.")


def test_numbers() -> None:
    assert [percent(share) for share in (0.0, 0.0042, 0.238, 1.0)] == ["0.0 %", "0.42 %", "23.8 %", "100.0 %"]
    assert [number(value) for value in (1018.2, 38.12345, -0.00123)] == ["1,018", "38.12", "-0.00123"]


def test_the_rule_is_stated_or_why_there_is_none() -> None:
    profile = Profile("i", "model", "binary", "1", rows=9527, labelled=9527, judged=9527, errors=2268)
    assert "above 25.5 %" in rule_text(profile) and "once in 1,000 windows" in rule_text(profile)
    assert "too few" in rule_text(Profile("i", "file", "binary", "1", rows=2, judged=2, errors=2))
    assert "regression" in rule_text(Profile("i", "file", "regression", None))
    assert "no rows with both" in rule_text(Profile("i", "file", "binary", "1"))
    assert "nothing to judge" in rule_text(None)
