"""Notes in Markdown on runs and experiments: the tag that MLflow's clients and pages keep theirs in."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from markupsafe import Markup

from holdfast.collaboration.markdown import render_markdown
from holdfast.identity.service import may
from holdfast.kernel.errors import InvalidInput
from holdfast.tracking.changing import RunChange, RunChanges
from holdfast.tracking.experiments import Experiments
from holdfast.web import Call, Form, Redirect, Route
from holdfast.web.forms import FORM_LIMIT, field

__all__ = ["NOTE_LIMIT", "NoteView", "note_routes", "view_note"]

NOTE_LIMIT = 8000
"""Characters of a note."""
_TAG = "mlflow.note.content"


class NoteView(msgspec.Struct, frozen=True):
    """A note as it is shown, and where its form goes."""

    html: Markup
    text: str
    action: str
    may_write: bool
    limit: int


def view_note(call: Call, tags: Mapping[str, str], action: str) -> NoteView:
    """The note among the tags of a run or experiment; empty without one."""
    text = tags.get(_TAG, "")
    html = Markup(render_markdown(text)) if text else Markup()
    return NoteView(html, text, action, may(call.caller.principal, "tracking:write"), NOTE_LIMIT)


def note_routes(experiments: Experiments, changes: RunChanges) -> list[Route]:
    """Where the forms of notes go."""

    def of_run(call: Call) -> Redirect:
        run_id, text = call.path["run_id"], _text(call)
        changes.change_runs(
            call.caller,
            RunChange([run_id], tags={_TAG: text}) if text else RunChange([run_id], drop_tags=[_TAG]),
        )
        return Redirect(f"/runs/{run_id}#note")

    def of_experiment(call: Call) -> Redirect:
        found, text = experiments.get_experiment(call.caller, call.path["experiment"]), _text(call)
        if text:
            experiments.set_tags(call.caller, found.experiment_id, {_TAG: text})
        elif _TAG in found.tags:
            experiments.delete_tag(call.caller, found.experiment_id, _TAG)
        return Redirect(f"/experiments/{found.experiment_id}#note")

    write = "tracking:write"
    return [
        Route(
            "POST", "/runs/{run_id}/note", of_run, write, Form, "Write a run's note, by a form", FORM_LIMIT
        ),
        Route(
            "POST",
            "/experiments/{experiment}/note",
            of_experiment,
            write,
            Form,
            "Write an experiment's note, by a form",
            FORM_LIMIT,
        ),
    ]


def _text(call: Call) -> str:
    text = field(call, "note")
    if len(text) > NOTE_LIMIT:
        raise InvalidInput(
            f"The note has {len(text)} characters, more than {NOTE_LIMIT}.", hint="Log it as an artifact."
        )
    return text
