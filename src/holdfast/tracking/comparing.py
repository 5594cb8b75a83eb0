"""Runs side by side: what differs in their figures, params, tags, code and packages, and by how much from a baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from holdfast.storage import Objects
from holdfast.tracking.records import Run
from holdfast.tracking.service import Tracking

__all__ = ["MOST_COMPARED", "Compared", "ComparedRow", "Comparison", "Kind", "compare_runs", "read_changes"]

Kind = Literal["run", "metric", "min", "max", "param", "tag", "data", "code", "package"]
MOST_COMPARED = 500
_TEXT_LIMIT = 200_000
_CONTEXT = "mlflow.data.context"
_OWN_TAGS = "mlflow."
"""Tags that clients write by themselves begin so."""


class Compared(msgspec.Struct, frozen=True):
    """A run as it heads its column. Times are ms UTC."""

    run_id: str
    name: str
    experiment_id: int
    status: str
    start_time: int
    end_time: int | None


class ComparedRow(msgspec.Struct, frozen=True):
    """One thing and what each run has of it, in the order of the runs; None for nothing.

    `deltas` are the differences to the baseline's number, where both are finite.
    """

    kind: Kind
    key: str
    values: list[float | str | None]
    deltas: list[float | None]
    is_different: bool


class Comparison(msgspec.Struct, frozen=True):
    """Several runs; `baseline` is the place of the one that others are measured by."""

    runs: list[Compared]
    baseline: int
    rows: list[ComparedRow]


def compare_runs(
    tracking: Tracking,
    objects: Objects,
    caller: Caller,
    run_ids: Sequence[str],
    baseline: str = "",
    *,
    all_rows: bool = False,
) -> Comparison:
    """Compare 2 to 500 runs; without `all_rows`, by what differs among them. The first is the baseline by default.

    Raises InvalidInput for too few or too many, or a baseline that is none of them; NotFound.
    """
    wanted = list(dict.fromkeys(run_ids))
    if not 2 <= len(wanted) <= MOST_COMPARED:
        raise InvalidInput(
            f"{len(wanted)} different runs can't be compared.", hint=f"Name 2 to {MOST_COMPARED} of them."
        )
    if baseline and baseline not in wanted:
        raise InvalidInput(
            f"The baseline {baseline[:80]!r} is not among the runs.", hint="Name it with them."
        )
    runs = [tracking.get_run(caller, run_id) for run_id in wanted]
    at = wanted.index(baseline) if baseline else 0
    packages = [_packages(tracking, objects, caller, run) for run in runs]
    rows = [_row(kind, key, values, at) for kind, key, values in _things(runs, packages)]
    heads = [Compared(r.run_id, r.name, r.experiment_id, r.status, r.start_time, r.end_time) for r in runs]
    return Comparison(heads, at, [row for row in rows if all_rows or row.is_different])


_Thing = tuple[Kind, str, list[float | str | None]]


def _things(runs: Sequence[Run], packages: Sequence[Mapping[str, str]]) -> list[_Thing]:
    found: list[_Thing] = [
        ("run", "status", [run.status for run in runs]),
        ("run", "user", [run.user for run in runs]),
        ("run", "duration (s)", [_seconds(run) for run in runs]),
    ]
    kinds: tuple[tuple[Kind, str], ...] = (("metric", "last"), ("min", "min"), ("max", "max"))
    for key in _keys(run.metrics for run in runs):
        for kind, name in kinds:
            values = [None if key not in run.metrics else getattr(run.metrics[key], name) for run in runs]
            # Of one point the extremes say nothing that the last value does not.
            if kind == "metric" or any(run.metrics[key].count > 1 for run in runs if key in run.metrics):
                found.append((kind, key, values))
    found += [
        ("param", key, [run.params.get(key) for run in runs]) for key in _keys(run.params for run in runs)
    ]
    tags = [{key: value for key, value in run.tags.items() if not key.startswith(_OWN_TAGS)} for run in runs]
    found += [("tag", key, [one.get(key) for one in tags]) for key in _keys(tags)]
    data = [_datasets(run) for run in runs]
    found += [("data", key, [one.get(key) for one in data]) for key in _keys(data)]
    found += [("code", name, [of(run) for run in runs]) for name, of in _CODE]
    found += [("package", key, [one.get(key) for one in packages]) for key in _keys(packages)]
    return found


_CODE: tuple[tuple[str, Callable[[Run], str | None]], ...] = (
    (
        "git commit",
        lambda run: (run.recipe and run.recipe.git_commit) or run.tags.get("mlflow.source.git.commit"),
    ),
    (
        "uncommitted changes",
        lambda run: None if run.recipe is None else "yes" if run.recipe.git_dirty else "no",
    ),
    ("command", lambda run: " ".join(run.recipe.command) if run.recipe and run.recipe.command else None),
    ("Python", lambda run: (run.recipe and run.recipe.python) or None),
)


def _seconds(run: Run) -> float | None:
    return None if run.end_time is None else (run.end_time - run.start_time) / 1000


def _keys(parts: Iterable[Iterable[str]]) -> list[str]:
    return sorted({key for part in parts for key in part})


def _row(kind: Kind, key: str, values: list[float | str | None], baseline: int) -> ComparedRow:
    own = values[baseline]
    deltas = [
        float(value) - float(own)  # type: ignore[arg-type]
        if at != baseline and _is_finite(value) and _is_finite(own)
        else None
        for at, value in enumerate(values)
    ]
    return ComparedRow(kind, key, values, deltas, len({repr(value) for value in values}) > 1)


def _is_finite(value: float | str | None) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _datasets(run: Run) -> dict[str, str]:
    """The data sets that a run used, by name and context: their digests."""
    found: dict[str, list[str]] = {}
    for link in run.links.datasets:
        context = link.tags.get(_CONTEXT, "")
        found.setdefault(f"{link.dataset.name} ({context})" if context else link.dataset.name, []).append(
            link.dataset.digest
        )
    return {name: ", ".join(sorted(digests)) for name, digests in found.items()}


def _packages(tracking: Tracking, objects: Objects, caller: Caller, run: Run) -> dict[str, str]:
    """The packages that a run was made with, as `holdfast run` wrote them."""
    text = _text(tracking, objects, caller, run, "" if run.recipe is None else run.recipe.packages_artifact)
    lines = (line.partition("==") for line in text.splitlines())
    return {name.strip(): version.strip() for name, found, version in lines if found}


def read_changes(tracking: Tracking, objects: Objects, caller: Caller, run: Run) -> str:
    """What a run's code had beyond its commit, as a unified diff; empty without any. The first 200 kB of it."""
    return _text(tracking, objects, caller, run, "" if run.recipe is None else run.recipe.git_diff_artifact)


def _text(tracking: Tracking, objects: Objects, caller: Caller, run: Run, path: str) -> str:
    """The start of an artifact of a run; empty when it is not there."""
    if not path:
        return ""
    try:
        file = tracking.artifacts.find(caller, run.run_id, path)
    except NotFound:
        return ""
    with objects.open(file.sha256) as stream:
        return stream.read(_TEXT_LIMIT).decode(errors="replace")
