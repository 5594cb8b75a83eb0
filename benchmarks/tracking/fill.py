"""A deployment with many runs, made in the rows themselves: by HTTP a million would take hours.

Each run has 5 metrics, 5 params and 2 tags of 12,000 names; `m0` to `m2`, `p0` to `p2` and `team` are common to all.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Table, insert

from holdfast.app.services import Services, open_services
from holdfast.identity.service import system_caller
from holdfast.settings import Settings
from holdfast.storage import Tx, metadata
from holdfast.storage.migrate import migrate

__all__ = ["EXPERIMENT", "NAMES", "fill"]

EXPERIMENT = "speed"
NAMES = 12_000
_BORN = 1_760_000_000_000
_PART = 5_000


def fill(data: Path, count: int) -> str:
    """Fill a new data folder with so many runs; gives the experiment's id."""
    data.mkdir(mode=0o700, parents=True)
    settings = Settings(data=data)
    migrate(settings.database)
    services = open_services(settings)
    try:
        return _fill(services, count)
    finally:
        services.close()


def _fill(services: Services, count: int) -> str:
    caller = system_caller("default", services.clock.now_ms())
    experiment = services.experiments.create_experiment(caller, EXPERIMENT)
    number = int(experiment.experiment_id)
    names = [
        "team",
        *(f"{kind}{at}" for kind in "mpt" for at in range(3)),
        *(f"x{at}" for at in range(NAMES)),
    ]
    keys = {name: at for at, name in enumerate(names, 1)}
    rows = [{"workspace_id": "default", "key_id": at, "name": name} for name, at in keys.items()]
    services.storage.write(lambda tx: _insert(tx, "attribute_key", rows))
    chance = random.Random(count)
    for start in range(1, count + 1, _PART):
        part = range(start, min(start + _PART, count + 1))
        made = [_run(chance, number, run, keys) for run in part]

        def write(tx: Tx, made: Sequence[Any] = made) -> None:
            for at, table in enumerate(("run", "metric_summary", "run_param", "run_tag")):
                _insert(tx, table, [row for one in made for row in one[at]])

        services.storage.write(write)
    return experiment.experiment_id


def _insert(tx: Tx, table: str, rows: list[dict[str, Any]]) -> None:
    found: Table = metadata.tables[table]
    tx.execute(insert(found), rows)


def _run(chance: random.Random, experiment: int, run: int, keys: dict[str, int]) -> tuple[list[Any], ...]:
    own = {"workspace_id": "default", "run_no": run}
    start = _BORN + run * 1000
    row = {
        **own, "run_id": f"{chance.getrandbits(128):032x}", "experiment_id": experiment, "name": f"run-{run}",
        "status": chance.choice(("finished", "finished", "failed", "running")), "start_time": start,
        "end_time": start + chance.randrange(100_000), "user": chance.choice(("ada", "bob", "eve")),
        "recipe": None, "exit_code": None, "digest": None, "deleted_at": None, "changed": run, "compacted_to": 0,
    }  # fmt: skip

    def few(common: Sequence[str]) -> Iterator[int]:
        yield from (keys[name] for name in common)
        yield from {keys[f"x{chance.randrange(NAMES)}"] for _ in range(2)}

    metrics = []
    for key in few(("m0", "m1", "m2")):
        last = chance.random()
        low, high = last * chance.random(), last + chance.random()
        values = {"last": last, "min": low, "max": high, "count": 100, "last_step": 99, "last_time": start}
        metrics.append({**own, "key_id": key, **values})
    params = [{**own, "key_id": key, "value": str(chance.randrange(1000))} for key in few(("p0", "p1", "p2"))]
    tags = [{**own, "key_id": keys["team"], "value": chance.choice(("red", "green", "blue"))}]
    return [row], metrics, params, tags
