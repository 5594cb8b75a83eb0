from __future__ import annotations

import importlib.metadata

import polars as pl
import pytest

from holdfast.demo.flights import (
    CATEGORICAL,
    FEATURES,
    FIRST_MONDAY_MS,
    NUMERIC,
    WEEK_MS,
    load_flights,
    split_reference,
)
from holdfast.demo.year import weeks_of
from holdfast.kernel.errors import Unavailable


@pytest.fixture(scope="module")
def flights() -> pl.DataFrame:
    return load_flights()


def test_every_flight_of_the_year_is_there_once(flights: pl.DataFrame) -> None:
    assert flights.height == 336_776
    assert flights["key"].n_unique() == flights.height
    assert flights["event_time"].is_sorted()
    assert flights["key"].str.len_bytes().max() <= 128


def test_diverted_flights_have_no_outcome(flights: pl.DataFrame) -> None:
    assert flights["late"].null_count() == 1_175
    assert set(flights["late"].drop_nulls().unique()) == {0, 1}
    assert flights["late"].mean() == pytest.approx(0.256, abs=0.01)


def test_features_are_known_before_departure_and_typed(flights: pl.DataFrame) -> None:
    assert set(FEATURES).isdisjoint({"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "month"})
    assert all(flights[name].dtype == pl.Float64 for name in NUMERIC)
    assert all(flights[name].dtype == pl.String and flights[name].null_count() == 0 for name in CATEGORICAL)
    assert flights["hour"].null_count() == flights["weekday"].null_count() == 0


def test_weeks_are_the_monitors_weeks(flights: pl.DataFrame) -> None:
    weeks = weeks_of(flights, range(8, 54))
    assert [week.number for week in weeks] == list(range(8, 53))
    for week in weeks:
        assert week.start == FIRST_MONDAY_MS + week.number * WEEK_MS
        times = week.flights["event_time"]
        assert week.start <= times.min() and times.max() < week.start + WEEK_MS
    assert weeks[0].labelled < weeks[0].rows


def test_the_reference_is_whole_days_that_are_not_trained_on(flights: pl.DataFrame) -> None:
    train, reference = split_reference(flights, range(8))
    assert (train.height, reference.height) == (38_320, 9_527)
    assert set(train["day"]).isdisjoint(reference["day"])
    assert train["late"].null_count() == reference["late"].null_count() == 0


def test_without_the_data_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.demo.flights._PACKAGE", "no-such-package")
    with pytest.raises(Unavailable) as raised:
        load_flights()
    assert "holdfast[server,demo]" in raised.value.hint
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.distribution("no-such-package")
