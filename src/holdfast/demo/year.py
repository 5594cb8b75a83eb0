"""Living through the year: predict a week, then deliver the outcomes of the week before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.client import Client
from holdfast.client.bulk import Rows, predict_all
from holdfast.demo.flights import FEATURES, FIRST_MONDAY_MS, TARGET, WEEK_MS
from holdfast.kernel.errors import NotFound
from holdfast.kernel.times import parse_time

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Week", "deliver_outcomes", "live_through", "predict_week", "weeks_of"]

_BATCH = 1000


class Week(msgspec.Struct, frozen=True):
    """One week of flights: its number, start (ms UTC), flights and how many of them have an outcome."""

    number: int
    start: int
    flights: Any
    labelled: int

    @property
    def rows(self) -> int:
        """The number of flights."""
        return int(self.flights.height)


def weeks_of(flights: pl.DataFrame, numbers: range) -> list[Week]:
    """The weeks of `numbers` that have flights."""
    weeks = []
    for number in numbers:
        rows = flights.filter(flights["week"] == number)
        if rows.height:
            start = FIRST_MONDAY_MS + number * WEEK_MS
            weeks.append(Week(number, start, rows, int(rows[TARGET].count())))
    return weeks


def live_through(
    client: Client, endpoint: str, weeks: list[Week], on_rows: Callable[[Week, int], None]
) -> None:
    """Predict each week in turn and deliver each week's outcomes one week late. Safe to repeat.

    `on_rows` is called with the week and a number of flights whenever so many more were predicted.
    """
    done = _known_weeks(client, endpoint)
    before: Week | None = None
    for week in weeks:
        predicted, labelled = done.get(week.start, (0, 0))
        if predicted < week.rows:
            for count in predict_week(client, endpoint, week):
                on_rows(week, count)
        else:
            on_rows(week, week.rows)
        if before is not None:
            deliver_outcomes(client, endpoint, before)
        before = week if labelled < week.labelled else None
    if before is not None:
        deliver_outcomes(client, endpoint, before)


def predict_week(client: Client, endpoint: str, week: Week) -> Iterator[int]:
    """Predict a week's flights through the inference server; yields the size of each batch as it is
    answered.
    """
    for rows, _ in predict_all(client, endpoint, _batches(week)):
        yield rows.count


def deliver_outcomes(client: Client, endpoint: str, week: Week) -> None:
    """Tell which of a week's flights were late, one week after the week's end. Diverted flights have no
    outcome.
    """
    known = week.flights.filter(week.flights[TARGET].is_not_null())
    told_at = week.start + 2 * WEEK_MS
    client.feedback(
        endpoint, known[TARGET].to_list(), keys=known["key"].to_list(), event_times=[told_at] * known.height
    )


def _batches(week: Week) -> Iterator[Rows]:
    for start in range(0, week.rows, _BATCH):
        part = week.flights.slice(start, _BATCH)
        columns = {name: part[name].to_list() for name in FEATURES}
        yield Rows(columns, part["key"].to_list(), part["event_time"].to_list())


def _known_weeks(client: Client, endpoint: str) -> dict[int, tuple[int, int]]:
    """Rows and labels per week (by its start) that the monitor has already: from an earlier demo on this
    folder.
    """
    try:
        windows = client.monitor(endpoint, window="1w").get("windows", [])
    except NotFound:
        return {}
    return {parse_time(item["start"]): (item["rows"], item["labelled"]) for item in windows}
