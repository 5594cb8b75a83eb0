"""A sequential test for a risen error rate: an e-detector of the Shiryaev-Roberts kind.

Shin, Ramdas and Rinaldo, 'E-detectors: a nonparametric framework for sequential change detection' (2022),
with the tolerated risk of Podkopaev and Ramdas, 'Tracking the risk of a deployed model' (arXiv 2110.06177).

While every row is wrong with a probability of at most m given all rows before it, the bet lambda multiplies
its stake at each row by a fair or losing factor: 1 + lambda(1 - m) for an error, 1 - lambda m for a right
answer. Over n rows with k errors that is the e-value

    e(k, n) = (1 + lambda(1 - m))^k (1 - lambda m)^(n - k).

A new stake of 1 starts with each window, so all stakes together are M <- (M + 1) e, averaged over a grid of
bets. M minus the number of windows started is then a supermartingale, so that stopping at the first
M >= 1/alpha gives an average of at least 1/alpha windows until a false alarm, whatever the size of the
windows and however often one looks inside them.

The product depends on counts alone: it is the same in whatever order the rows came. So the stakes may be
recomputed from daily counts when labels arrive late, and stay valid in the order of arrival, as long as the
test looks (`looks`) at the latest bucket that has labels and never again at an earlier one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALPHA", "Detection", "bets", "detect", "log_e_values"]

ALPHA = 1.0 / 1000.0
"""On average at most one false alarm in 1/ALPHA windows."""
_GRID = np.geomspace(0.03, 0.5, 10)

Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Detection:
    """What the test saw. `evidence` is log M after each bucket, up to the alarm.

    alarm: index of the bucket at which M reached 1/alpha; None without an alarm. since: index of the bucket
    that the change most likely began with (the start that maximises the e-value); None without an alarm.
    """

    evidence: Floats
    alarm: int | None
    since: int | None


def bets(tolerated: float) -> Floats:
    """The grid of lambdas for the tolerated error rate m in (0, 1).

    lambda is best when the rate has risen by lambda m(1 - m): the grid is for rises of 0.03 to 0.5 standard
    deviations of an error. Kept under 0.95 / m, so that no factor reaches 0.
    """
    return np.minimum(_GRID / math.sqrt(tolerated * (1.0 - tolerated)), 0.95 / tolerated)


def log_e_values(errors: Counts, rows: Counts, tolerated: float) -> Floats:
    """log e of shape (buckets, bets) for `errors` wrong of `rows` rows."""
    grid = bets(tolerated)
    lost = np.log1p(grid * (1.0 - tolerated))
    kept = np.log1p(-grid * tolerated)
    return np.outer(errors, lost) + np.outer(rows - errors, kept)


def detect(
    errors: Counts,
    rows: Counts,
    windows: Counts,
    tolerated: float,
    *,
    looks: NDArray[np.bool_] | None = None,
    alpha: float = ALPHA,
) -> Detection:
    """Run the test over buckets in time order; `windows` is the number of each bucket's window, ascending.

    A window without labelled rows starts no stake. Looks for an alarm after each bucket that `looks` names; after
    every bucket without it. With `tolerated` >= 1 no error rate is too high, so nothing is evidence.
    """
    buckets = len(rows)
    if not 0.0 < tolerated < 1.0:
        return Detection(np.full(buckets, -math.inf), None, None)
    gains = log_e_values(errors, rows, tolerated)
    stakes = np.full(gains.shape[1], -math.inf)
    evidence = np.full(buckets, -math.inf)
    started: int | None = None
    for at in range(buckets):
        if rows[at]:
            if windows[at] != started:
                stakes = np.logaddexp(stakes, 0.0)
                started = int(windows[at])
            stakes = stakes + gains[at]
        evidence[at] = _log_mean(stakes)
        if (looks is None or looks[at]) and evidence[at] >= -math.log(alpha):
            return Detection(evidence[: at + 1], at, _most_likely_start(gains[: at + 1], rows))
    return Detection(evidence, None, None)


def _most_likely_start(gains: Floats, rows: Counts) -> int:
    """The bucket with labels from which on the e-value, averaged over the bets, is largest."""
    from_here = np.cumsum(gains[::-1], axis=0)[::-1]
    values = np.array([_log_mean(row) for row in from_here])
    values[rows[: len(values)] == 0] = -math.inf
    return int(values.argmax())


def _log_mean(logs: Floats) -> float:
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).mean())) if top > -math.inf else top
