"""Studies of Optuna as runs: `study.optimize(objective, callbacks=[holdfast.optuna.callback()])`.

Needs Optuna (`pip install 'holdfast[tune]'`). Not here: the search itself, which is Optuna's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from holdfast.client.active import ActiveRun, begun_run
from holdfast.client.client import Client
from holdfast.client.connection import user_name
from holdfast.client.session import active_run, session_client
from holdfast.kernel.errors import HoldfastError, InvalidInput, Unavailable

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

__all__ = ["PARENT_TAG", "callback"]

PARENT_TAG = "mlflow.parentRunId"
"""The tag by which MLflow's tools nest runs."""
_PATIENCE_S = 5.0


def callback(
    client: Client | None = None,
    *,
    experiment: str | None = None,
    parent: ActiveRun | str | None = None,
) -> Callable[[Study, FrozenTrial], None]:
    """A callback for `study.optimize` that makes every trial a run, as the trial ends. Thread-safe (`n_jobs`).

    The run has the trial's params, its values (`value`, or by the study's metric names), its intermediate values by
    step, and tags: `optuna.study`, `optuna.trial`, `optuna.state` (complete, pruned, fail), the user's attributes, and
    the `parent` run, by default the active one. Server and mode are the parent's, or those of
    `holdfast.init`; the experiment is by default named as the study. Optuna calls it for a
    failed trial when `optimize(catch=...)` names the error. A server that is away stops no study: what is logged is kept
    and delivered later. Raises InvalidInput where Optuna is not installed.
    """
    try:
        import optuna  # noqa: F401  # optional
    except ImportError:
        raise InvalidInput(
            "Optuna is not installed.", hint="Install it: pip install 'holdfast[tune]'"
        ) from None
    chosen = parent or active_run()
    parent_id = chosen.run_id if isinstance(chosen, ActiveRun) else chosen
    if isinstance(chosen, ActiveRun):
        server, offline = client or chosen.client, chosen.is_offline
    else:
        server, offline = session_client()
        server = client or server

    def log_trial(study: Study, trial: FrozenTrial) -> None:
        try:
            run = begun_run(
                server, experiment or study.study_name, f"{study.study_name}-{trial.number}", user=user_name(),
                start_time=_milliseconds(trial.datetime_start), offline=offline, patience_s=_PATIENCE_S,
            )  # fmt: skip
            run.log_params(trial.params)
            run.set_tags(_tags(study, trial, parent_id))
            _log_values(run, study, trial)
            run.finish("failed" if trial.state.name == "FAIL" else "finished")
        except Unavailable as error:
            print(f"holdfast: trial {trial.number}: {error}", file=sys.stderr)  # noqa: T201
        except HoldfastError as error:
            error.message = f"Trial {trial.number} of {study.study_name!r}: {error.message}"
            raise

    return log_trial


def _tags(study: Study, trial: FrozenTrial, parent_id: str | None) -> dict[str, Any]:
    tags = {f"optuna.user.{key}": value for key, value in trial.user_attrs.items()}
    tags |= {
        "optuna.study": study.study_name,
        "optuna.trial": trial.number,
        "optuna.state": trial.state.name.lower(),
    }
    tags["optuna.direction"] = ",".join(direction.name.lower() for direction in study.directions)
    return tags if parent_id is None else {**tags, PARENT_TAG: parent_id}


def _log_values(run: ActiveRun, study: Study, trial: FrozenTrial) -> None:
    ended = _milliseconds(trial.datetime_complete)
    for step, value in sorted(trial.intermediate_values.items()):
        run.log_metric("intermediate_value", value, step, time_ms=ended)
    values = trial.values or []
    names = study.metric_names or (
        ["value"] if len(values) == 1 else [f"value_{at}" for at in range(len(values))]
    )
    run.log_metrics(dict(zip(names, values, strict=False)), 0, time_ms=ended)


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
