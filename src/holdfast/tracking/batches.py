"""What one request logs to a run: its rules, and its metrics summarised."""

from __future__ import annotations

import re

from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.times import EARLIEST_MS, LATEST_MS, parse_time
from holdfast.tracking.records import Batch, RunLinks

__all__ = ["check_batch", "check_key", "check_links", "check_value"]

_KEY = re.compile(r"[\w.\- :/]{1,250}")
_MOST = {"metrics": 1000, "params": 1000, "tags": 1000}
_PARAM_LIMIT, _TAG_LIMIT = 6000, 8000
_INT64 = 2**63
_MOST_DATASETS = 1000
_DATASET_LIMITS = {
    "name": 500,
    "digest": 36,
    "source_type": 500,
    "source": 65_535,
    "schema": 1_048_575,
    "profile": 16_777_215,
}


def check_key(kind: str, key: str) -> None:
    """Raises InvalidInput unless `key` may name a metric, param or tag."""
    if not _KEY.fullmatch(key) or (
        ("/" in key or key.startswith(".")) and any(part in ("", ".", "..") for part in key.split("/"))
    ):
        raise InvalidInput(
            f"The {kind} name {key[:260]!r} is not valid.",
            hint="Use 1 to 250 letters, digits, '_', '-', '.', ' ', ':' or '/', without empty or '..' parts.",
            details={"name": key[:1000], "of": kind},
        )


def check_batch(batch: Batch) -> None:
    """Raises InvalidInput when a batch is too large, or a name, step, time or value in it is not valid."""
    for what, most in _MOST.items():
        if len(getattr(batch, what)) > most:
            raise InvalidInput(
                f"{len(getattr(batch, what))} {what} in one batch are more than {most}.",
                hint="Send several batches.",
            )
    for key in {point.key for point in batch.metrics}:
        check_key("metric", key)
    for point in batch.metrics:
        if not -_INT64 <= point.step < _INT64:
            raise InvalidInput(f"The step {point.step} of the metric {point.key!r} is beyond 64 bits.")
        if point.time is not None and not EARLIEST_MS <= point.time <= LATEST_MS:
            parse_time(point.time, f"The time of the metric {point.key!r}:")
    for kind, values, most in (("param", batch.params, _PARAM_LIMIT), ("tag", batch.tags, _TAG_LIMIT)):
        for key, value in values.items():
            check_value(kind, key, value, most)


def check_value(kind: str, key: str, value: str, most: int) -> None:
    """Raises InvalidInput unless a param or tag (`kind`) may be so; `most` characters at the most."""
    check_key(kind, key)
    _check_value(kind, key, value, most)


def check_links(links: RunLinks) -> None:
    """Raises InvalidInput when there are too many data sets, or one is not described as it must be."""
    if len(links.datasets) > _MOST_DATASETS:
        raise InvalidInput(f"{len(links.datasets)} data sets at once are more than {_MOST_DATASETS}.")
    for one in links.datasets:
        for name, most in _DATASET_LIMITS.items():
            value = getattr(one.dataset, name)
            if len(value) > most or "\0" in value:
                raise InvalidInput(
                    f"The {name} of the data set {one.dataset.name[:80]!r} has {len(value)} characters or a NUL "
                    f"character; the limit is {most}."
                )
        if not one.dataset.name or not one.dataset.digest:
            raise InvalidInput(
                f"The data set {one.dataset.name[:80]!r} lacks its {'digest' if one.dataset.name else 'name'}."
            )
        for key, value in one.tags.items():
            if len(key) > 255 or len(value) > 500:
                raise InvalidInput(
                    f"The input tag {key[:80]!r} is longer than 255, or its value than 500 characters."
                )


def _check_value(kind: str, key: str, value: str, most: int) -> None:
    if len(value) > most:
        raise InvalidInput(
            f"The value of the {kind} {key!r} has {len(value)} characters, more than {most}.",
            hint="Log it as an artifact.",
        )
    if "\0" in value:
        raise InvalidInput(
            f"The value of the {kind} {key!r} holds a NUL character.", hint="Log bytes as an artifact."
        )
