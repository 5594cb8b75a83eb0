"""A training process that is killed: it says after each call what has been logged."""

from __future__ import annotations

import os
import sys

import holdfast


def main() -> None:
    """Log for ever; each returned call is told in the file `argv[1]` by one write of its number."""
    acknowledged = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    run = holdfast.start_run(name=sys.argv[2], experiment="killed")
    for step in range(10_000_000):
        if step % 3 == 0:
            run.log_metrics({"a": step, "b": -step, "c": 0.5}, step)
        else:
            run.log_metric("loss", 1 / (step + 1), step)
        os.write(acknowledged, b"%d\n" % step)


if __name__ == "__main__":
    main()
