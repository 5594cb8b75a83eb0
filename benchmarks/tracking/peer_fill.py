"""Runs in MLflow's own database, as `fill` makes ours: `python peer_fill.py DATABASE COUNT`, after its server made it."""

from __future__ import annotations

import random
import sqlite3
import sys

_USERS, _STATES = ("ada", "bob", "eve"), ("FINISHED", "FAILED", "RUNNING")
_BORN = 1_760_000_000_000


def main(path: str, count: int) -> None:
    """Five metrics, five params and a tag each, of 12,000 names."""
    chance = random.Random(count)
    with sqlite3.connect(path) as connection:
        connection.execute(
            "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time) "
            "VALUES ('speed', 'mlflow-artifacts:/1', 'active', ?, ?)",
            (_BORN, _BORN),
        )
        (experiment,) = connection.execute("SELECT max(experiment_id) FROM experiments").fetchone()
        for number in range(1, count + 1):
            run, start = f"{chance.getrandbits(128):032x}", _BORN + number * 1000
            connection.execute(
                "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, end_time, lifecycle_stage, "
                "artifact_uri, experiment_id) VALUES (?, ?, 'UNKNOWN', ?, ?, ?, ?, 'active', ?, ?)",
                (run, f"run-{number}", chance.choice(_USERS), chance.choice(_STATES), start,
                 start + chance.randrange(100_000), f"mlflow-artifacts:/1/{run}/artifacts", experiment),
            )  # fmt: skip
            metrics = ["m0", "m1", "m2", *{f"x{chance.randrange(12_000)}" for _ in range(2)}]
            for table in ("metrics", "latest_metrics"):
                connection.executemany(
                    f"INSERT INTO {table} (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, 99, 0)",
                    [(key, chance.random(), start, run) for key in metrics],
                )
            params = ["p0", "p1", "p2", *{f"x{chance.randrange(12_000)}" for _ in range(2)}]
            connection.executemany(
                "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
                [(key, str(chance.randrange(1000)), run) for key in params],
            )
            connection.execute(
                "INSERT INTO tags (key, value, run_uuid) VALUES ('team', ?, ?)",
                (chance.choice(("red", "green", "blue")), run),
            )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
