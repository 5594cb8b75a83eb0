"""What monitoring says in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from holdfast.monitoring.profile import BOUND_DELTA, LEARNING_ROWS, TOLERANCE, Profile
from holdfast.monitoring.records import Bounds, FeatureDrift, InputChange
from holdfast.statistics.edetector import ALPHA

__all__ = ["alert_advice", "alert_text", "input_change", "reference_text", "rule_text", "state_text"]


def day_text(ms: int) -> str:
    """A day as '3 June 2013', with the time of day where it is not midnight."""
    moment = datetime.fromtimestamp(ms / 1000.0, timezone.utc)
    clock = "" if moment.hour == moment.minute == 0 else f" {moment:%H:%M} UTC"
    return f"{moment.day} {moment:%B %Y}{clock}"


def percent(share: float) -> str:
    """A share as '31.2 %'; below 1 % with two digits."""
    return f"{share * 100:.1f} %" if share >= 0.01 or share == 0 else f"{share * 100:.2f} %"


def number(value: float) -> str:
    """A number with four significant digits, thousands separated."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def rule_text(profile: Profile | None) -> str:
    """The alert rule and its rate of false alarms, or why there is none."""
    if profile is None:
        return "There are no predictions yet, so there is nothing to judge."
    if profile.task == "regression":
        return "No alert is raised for a regression: the alert rule judges wrong answers."
    tolerated = profile.tolerated
    if tolerated is None:
        return (
            "No alert is raised on errors: the reference has no rows with both a prediction and its truth. "
            "Give one that has the columns prediction, score and the target: holdfast monitor set --reference."
        )
    if tolerated >= 1.0:
        return f"No alert is raised: the reference's {profile.judged} judged rows are too few to say what error is normal."
    error = profile.errors / profile.judged
    return (
        f"An alert is raised when the realised error is above {percent(tolerated)}: the reference's {percent(error)}, "
        f"of {profile.judged:,} rows, could be as high as {percent(tolerated - TOLERANCE)} "
        f"({1 - BOUND_DELTA:.0%} confidence), and {percent(TOLERANCE)} is tolerated. While the error stays below, "
        f"a false alarm comes on average at most once in {round(1 / ALPHA):,} windows."
    )


def reference_text(profile: Profile | None, seen: int) -> str:
    """Where the reference comes from."""
    if profile is None:
        return "There is no reference yet."
    if profile.source == "learning":
        if not profile.columns:
            return (
                f"Learning: the first {LEARNING_ROWS:,} predictions become the reference for drift; "
                f"{min(seen, LEARNING_ROWS):,} are in. There is no reference error, so no alert is raised."
            )
        return (
            f"The first {profile.rows:,} predictions, which nobody says were normal. They tell drift alone: there is "
            "no reference error, so no alert is raised."
        )
    if profile.judged_by:
        return (
            f"{profile.rows:,} rows from a file tell drift. They hold no predictions, so errors are compared with "
            f"those of the {profile.judged:,} rows that the model version carries."
        )
    where = "the model version, which was not fitted on them" if profile.source == "model" else "a file"
    return f"{profile.rows:,} rows from {where}; {profile.compared:,} have a prediction and its truth."


def state_text(state: str, profile: Profile | None, seen: int) -> str:
    """The state of a monitor as a sentence."""
    if state == "no data":
        return "No prediction has been counted yet."
    if state == "counting":
        return (
            "All predictions are being counted from the beginning, as after a change of the window or the reference. "
            "Until that is done, windows may lack rows, and no alert is raised or ended."
        )
    if state == "learning":
        missing = max(LEARNING_ROWS - seen, 0)
        return f"Learning what is normal: {missing:,} more predictions are needed before drift can be told."
    if state == "no truth":
        return "Inputs are watched for drift. There is no reference error, so no alert is raised on errors."
    if profile is not None and profile.task == "regression":
        return "Errors and drift are watched; alerts are raised on wrong answers of classifiers alone."
    return "Errors are judged by their labels; drift of the inputs explains, it raises no alert."


def input_change(feature: str, drift: FeatureDrift) -> InputChange:
    """The change of one input, in words that say what moved."""
    parts = []
    if drift.mean is not None and drift.reference_mean is not None:
        # The distance between the means is at most W1; far less of it means another shape, not another place.
        has_moved = drift.w1 is None or abs(drift.mean - drift.reference_mean) >= drift.w1 / 2
        instead = f"mean {number(drift.mean)} instead of {number(drift.reference_mean)}"
        parts.append(instead if has_moved else f"spread otherwise around {number(drift.mean)}")
    if abs(drift.missing - drift.reference_missing) >= 0.05:
        parts.append(f"missing in {percent(drift.missing)} instead of {percent(drift.reference_missing)}")
    if drift.unseen >= 0.01:
        parts.append(f"values unknown to the reference in {percent(drift.unseen)}")
    return InputChange(
        feature, drift.psi, drift.drifted, f"PSI {drift.psi:.2f}" + "".join(f", {p}" for p in parts)
    )


def alert_text(
    error: float,
    interval: Bounds,
    rows: int,
    since: int,
    reference_error: float,
    inputs: Sequence[InputChange],
) -> str:
    """What is wrong, since when, how bad, and which inputs changed most."""
    harm = (
        f"Since {day_text(since)}, {percent(error)} of {rows:,} predictions with a known truth were wrong "
        f"(95 % interval {percent(interval[0])} to {percent(interval[1])}), against {percent(reference_error)} on "
        "the reference."
    )
    moved = [change for change in inputs if change.drifted]
    if not moved:
        return f"{harm} No input changed beyond chance: the relation between inputs and outcome has changed."
    most = "; ".join(f"{change.feature} ({change.text})" for change in moved[:3])
    rest = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
    return f"{harm} The inputs that changed most: {most}{rest}."


def alert_advice(since: int, inputs: Sequence[InputChange]) -> str:
    """What to do now."""
    broken = [c.feature for c in inputs if c.drifted and ("missing in" in c.text or "unknown to" in c.text)]
    check = f"Check the source of {', '.join(broken[:3])}: values are missing or new. " if broken else ""
    return (
        f"{check}If an earlier version does better, deploy it. Otherwise retrain on data since {day_text(since)} "
        "and compare both versions on it. If the error is acceptable, set a newer reference with "
        "holdfast monitor set --reference."
    )
