"""The page that changes the runs that were marked in a table: tags, names, archived or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.tracking.changing import MOST_CHANGED, RunChange, RunChanges
from holdfast.tracking.experiments import Experiments
from holdfast.tracking.records import Experiment, Run
from holdfast.tracking.run_table import RUN_KINDS
from holdfast.tracking.service import Tracking
from holdfast.web import Call, Form, Page, Redirect, Route
from holdfast.web.forms import attempt, field
from holdfast.web.wording import plural

__all__ = ["change_page"]

_MOST_SHOWN = 100
_FORM_LIMIT = 256 * 1024


class Marked(msgspec.Struct, frozen=True):
    """A run that was marked, as a line."""

    run: Run
    kind: str


class ChangeView(msgspec.Struct, frozen=True):
    """What the page shows."""

    runs: list[Marked]
    ids: str
    """All that were marked, separated by spaces."""
    left_out: int
    archived: int
    total: int
    tags: list[tuple[str, str]]
    """The keys of tags that one of them has, as options."""
    experiment: Experiment
    """That of the first."""
    problem: str
    entered: Mapping[str, str]


def change_page(experiments: Experiments, tracking: Tracking, changes: RunChanges) -> list[Route]:
    """`/runs/change?run=...&run=...` and where its forms go."""

    def page(call: Call, ids: Sequence[str], problem: str = "", status: int = 200) -> Page:
        if not 1 <= len(ids) <= MOST_CHANGED:
            raise InvalidInput(
                f"{plural(len(ids), 'run')} can't be changed at once.",
                hint=f"Mark 1 to {MOST_CHANGED} runs in the table of an experiment.",
            )
        runs = [tracking.get_run(call.caller, run_id) for run_id in ids]
        view = ChangeView(
            runs=[Marked(run, RUN_KINDS[run.status]) for run in runs[:_MOST_SHOWN]],
            ids=" ".join(ids),
            left_out=max(0, len(runs) - _MOST_SHOWN),
            archived=sum(run.deleted_at is not None for run in runs),
            total=len(runs),
            tags=[(key, key) for key in sorted({key for run in runs for key in run.tags})],
            experiment=experiments.get_experiment(call.caller, runs[0].experiment_id),
            problem=problem,
            entered=call.body if problem else {},
        )
        return Page("tracking/change.html", {"view": view}, "Change runs", status)

    def show(call: Call) -> Page:
        return page(call, list(dict.fromkeys(parse_qs(call.raw_query).get("run", []))))

    def send(call: Call) -> Redirect | Page:
        ids = field(call, "runs").split()

        def change() -> Redirect:
            changes.change_runs(call.caller, _change_of(call, ids))
            experiment = tracking.get_run(call.caller, ids[0]).experiment_id
            return Redirect(f"/experiments/{experiment}")

        return attempt(change, lambda *told: page(call, ids, *told))

    return [
        Route("GET", "/runs/change", show, "tracking:write", summary="Change the marked runs"),
        Route("POST", "/runs/change", send, "tracking:write", Form, "Change the marked runs", _FORM_LIMIT),
    ]


def _change_of(call: Call, ids: list[str]) -> RunChange:
    verb = field(call, "verb")
    if verb == "tag":
        key = field(call, "key")
        if not key:
            raise InvalidInput("The tag has no name.", hint="Enter one, such as team.")
        return RunChange(ids, tags={key: field(call, "value")})
    if verb == "untag":
        return RunChange(ids, drop_tags=[field(call, "key")])
    if verb == "rename":
        pattern = field(call, "pattern")
        if not pattern:
            raise InvalidInput("The pattern is empty.", hint="Enter one, such as {name}-{n}.")
        return RunChange(ids, rename=pattern)
    if verb in ("archive", "restore"):
        return RunChange(ids, archive=verb == "archive")
    raise InvalidInput(f"{verb[:40]!r} is no change.", hint="Use tag, untag, rename, archive or restore.")
