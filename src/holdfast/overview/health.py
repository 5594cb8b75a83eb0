"""An endpoint's health in a word, and the words for drift."""

from __future__ import annotations

import msgspec

from holdfast.monitoring.records import FeatureDrift, Summary, WindowReport
from holdfast.predictions.records import Endpoint

__all__ = ["DRIFT_WORDS", "Health", "drift_level", "drift_word", "judge", "needs_attention"]

DRIFT_WORDS = ("none", "slight", "within chance", "moderate", "strong", "very strong")
"""Levels of drift, 0 to 5; from 3 on it is more than chance gives."""


class Health(msgspec.Struct, frozen=True):
    """Colour and word: kind is ok, attention, harm, busy or neutral."""

    kind: str
    word: str


_STATUS = {
    "failed": Health("harm", "failed"),
    "preparing": Health("busy", "preparing"),
    "starting": Health("busy", "starting"),
}
_STATES = {
    "no data": Health("neutral", "no predictions"),
    "counting": Health("neutral", "counting"),
    "learning": Health("neutral", "learning"),
    "no truth": Health("neutral", "drift alone"),
}


def judge(endpoint: Endpoint, summary: Summary | None) -> Health:
    """What the fleet shows of an endpoint: harm before a failed deployment before what the monitor can't tell."""
    if summary is not None and summary.alert is not None:
        return Health("harm", "does harm")
    if endpoint.status in _STATUS:
        return _STATUS[endpoint.status]
    if summary is None:
        return _STATES["no data"]
    if summary.state in _STATES:
        return _STATES[summary.state]
    error = _error(summary.latest)
    return Health("neutral", "waiting for labels") if error is None else Health("ok", "doing well")


def needs_attention(health: Health) -> bool:
    """Whether a person should look now."""
    return health.kind in ("harm", "attention")


def drift_level(drift: FeatureDrift) -> int | None:
    """0 to 5 for the heat map; None when there are too few rows to tell."""
    if drift.threshold is None:
        return None
    if drift.drifted:
        return 3 if drift.psi < 0.25 else 4 if drift.psi < 0.5 else 5
    share = drift.psi / drift.threshold
    return 0 if share < 0.25 else 1 if share < 0.6 else 2


def drift_word(level: int | None) -> str:
    """The word of a level."""
    return "too few rows" if level is None else DRIFT_WORDS[level]


def _error(window: WindowReport | None) -> float | None:
    metric = window.metrics.get("error") if window else None
    return metric.realised if metric else None
