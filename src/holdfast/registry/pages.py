"""The registry's pages: models, a model, a version."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

import msgspec

from holdfast.chunks import TreeFile
from holdfast.collaboration.panel import PanelOf
from holdfast.kernel.errors import NotFound
from holdfast.kernel.principal import Caller
from holdfast.registry.file_page import file_page
from holdfast.registry.records import AliasChange, ModelVersion, RegisteredModel
from holdfast.registry.rules import parse_version
from holdfast.registry.service import Registry
from holdfast.storage import Objects
from holdfast.tracking.artifact_views import ArtifactViews
from holdfast.tracking.records import Run
from holdfast.tracking.service import Tracking
from holdfast.web import Call, Page, Route
from holdfast.web.diffs import DiffLine, diff_fields
from holdfast.web.wording import number_text, plural

__all__ = ["pages"]

_KINDS = {"pending": "busy", "ready": "ok", "failed": "harm", "stored": "neutral"}
_RUNTIMES = {
    "onnx": "ONNX Runtime",
    "process": "the original, in a sandboxed process",
    None: "not prepared yet",
}
_MOST_METRICS = 4
_MOST_MOVES = 50
_WORDS = {"kinds": _KINDS, "runtimes": _RUNTIMES}


class VersionRow(msgspec.Struct, frozen=True):
    """A version in its model's table, with the metrics of the run that made it."""

    version: ModelVersion
    run_name: str
    metrics: list[float | None]


class ModelView(msgspec.Struct, frozen=True):
    """What the page of a model shows."""

    model: RegisteredModel
    kind: str
    sentence: str
    rows: list[VersionRow]
    columns: list[dict[str, object]]
    history: list[AliasChange]
    teach: str
    use: str


class SignatureRow(msgspec.Struct, frozen=True):
    """An input or output of a version."""

    name: str
    type: str
    shape: str
    direction: str


class VersionView(msgspec.Struct, frozen=True):
    """What the page of a version shows."""

    version: ModelVersion
    kind: str
    sentence: str
    run_name: str
    metrics: list[tuple[str, float]]
    signature: list[SignatureRow]
    previous: int | None
    change: list[DiffLine]
    files: list[TreeFile]
    deploy: str


def pages(registry: Registry, tracking: Tracking, objects: Objects, panel_of: PanelOf) -> list[Route]:
    """`/models`, `/models/{name}`, `/models/{name}/{version}` and its files."""

    def show_models(call: Call) -> Page:
        models = registry.list_models(call.caller).items
        context = {
            "models": models,
            "sentence": _models_sentence(models),
            "teach": _teach(call.url),
            **_WORDS,
        }
        return Page("registry/models.html", context, "Models")

    def show_model(call: Call) -> Page:
        model = registry.get_model(call.caller, call.path["name"])
        view = _model_view(call, model, registry, tracking)
        context = {"view": view, "panel": panel_of(call, f"model:{model.name}"), **_WORDS}
        return Page("registry/model.html", context, model.name)

    def show_version(call: Call) -> Page:
        version = registry.get_version(call.caller, call.path["name"], parse_version(call.path["version"]))
        view = _version_view(call, version, registry, tracking)
        panel = panel_of(call, f"model:{version.name}/{version.version}")
        context = {"view": view, "panel": panel, **_WORDS}
        return Page("registry/version.html", context, f"{version.name} version {version.version}")

    return [
        Route("GET", "/models", show_models, "registry:read", summary="Models"),
        Route("GET", "/models/{name}", show_model, "registry:read", summary="A model"),
        *file_page(registry, ArtifactViews(objects)),
        Route("GET", "/models/{name}/{version}", show_version, "registry:read", summary="A model version"),
    ]


def _teach(url: str) -> str:
    return (
        f"export HOLDFAST_URL={url}\n"
        '# in train.py: holdfast.log_model(model, reference=frame, target="late", register="flights")\n'
        "holdfast run -- python train.py\n"
        "holdfast model list"
    )


def _models_sentence(models: Sequence[RegisteredModel]) -> str:
    production = sum(any(alias.alias == "production" for alias in model.aliases) for model in models)
    if not production:
        return f"{plural(len(models), 'model')}; none has a version under the alias @production."
    return f"{production} of {plural(len(models), 'model')} {'has' if production == 1 else 'have'} a version in production."


def _model_view(call: Call, model: RegisteredModel, registry: Registry, tracking: Tracking) -> ModelView:
    runs = _runs(call.caller, tracking, model.versions)
    keys = _metric_keys(runs)
    rows = [
        VersionRow(
            version,
            runs[version.run_id].name if version.run_id in runs else "",
            [_last(runs.get(version.run_id or ""), key) for key in keys],
        )
        for version in model.versions
    ]
    columns: list[dict[str, object]] = [{"label": "Version"}, {"label": "State"}, {"label": "Served by"}]
    columns += [{"label": key, "num": True, "title": f"Metric {key} of its run"} for key in keys]
    columns += [{"label": label} for label in ("Registered", "Run", "Digest")]
    kind, sentence = _model_sentence(model)
    return ModelView(
        model, kind, sentence, rows, columns,
        registry.alias_history(call.caller, model.name).items[:_MOST_MOVES],
        _teach(call.url), _use(call.url, model),
    )  # fmt: skip


def _model_sentence(model: RegisteredModel) -> tuple[str, str]:
    production = next((alias for alias in model.aliases if alias.alias == "production"), None)
    if not model.versions:
        return "neutral", "It has no version yet."
    newest = model.versions[0]
    if production is None:
        return "attention", (
            f"Nothing is in production: no version has the alias @production. "
            f"The newest is version {newest.version}, {newest.status}."
        )
    if production.version == newest.version:
        return (
            "ok",
            f"Version {production.version}, the newest, is in production; {production.by} put it there.",
        )
    return "ok", (
        f"Version {production.version} is in production; {production.by} put it there. "
        f"The newest is version {newest.version}, {newest.status}."
    )


def _use(url: str, model: RegisteredModel) -> str:
    name = shlex.quote(model.name)
    ready = [version.version for version in model.versions if version.status == "ready"]
    newest = ready[0] if ready else 1
    return (
        f"export HOLDFAST_URL={url}\n"
        f"holdfast model alias {name}/{newest} production\n"
        f"holdfast deploy {name}@production --endpoint {name}\n"
        f"holdfast model history {name}"
    )


def _version_view(call: Call, version: ModelVersion, registry: Registry, tracking: Tracking) -> VersionView:
    runs = _runs(call.caller, tracking, [version])
    run = runs.get(version.run_id or "")
    before = _before(call.caller, registry, version)
    change: list[DiffLine] = []
    if before is not None:
        earlier = _runs(call.caller, tracking, [before]).get(before.run_id or "")
        change = diff_fields(_comparable(before, earlier), _comparable(version, run))
    kind, sentence = _version_sentence(version)
    name = shlex.quote(version.name)
    return VersionView(
        version=version,
        kind=kind,
        sentence=sentence,
        run_name=run.name if run else "",
        metrics=[(key, run.metrics[key].last) for key in sorted(run.metrics)[:8]] if run else [],
        signature=_signature_rows(version),
        previous=before.version if before else None,
        change=change,
        files=registry.list_files(call.caller, version.name, version.version).items,
        deploy=f"export HOLDFAST_URL={call.url}\nholdfast deploy {name}/{version.version} --endpoint {name}",
    )


def _signature_rows(version: ModelVersion) -> list[SignatureRow]:
    if version.description is None:
        return []
    signature = version.description.signature
    ins = [SignatureRow(column.name, column.type, "", "input") for column in signature.inputs]
    outs = [
        SignatureRow(out.name, out.type, " × ".join("rows" if n < 0 else str(n) for n in out.shape), "output")
        for out in signature.outputs
    ]
    return ins + outs


def _version_sentence(version: ModelVersion) -> tuple[str, str]:
    if version.status == "failed":
        return "harm", f"It can't be served: {version.message or 'preparing it failed'}"
    if version.status == "stored":
        return "neutral", f"It is kept with its files, and can't be served: {version.message}"
    if version.status == "pending":
        return (
            "busy",
            "The worker is converting it and comparing the result with the original; it can't be served yet.",
        )
    where = f", named by {' and '.join('@' + alias for alias in version.aliases)}" if version.aliases else ""
    if version.runtime == "onnx" and version.parity:
        rows = plural(version.parity.rows, "reference row")
        return "ok", f"It is ready{where}. It is served from ONNX, which agrees with the original on {rows}."
    return "ok", f"It is ready{where}. It is served by the original model in a sandboxed process."


def _before(caller: Caller, registry: Registry, version: ModelVersion) -> ModelVersion | None:
    older = [
        one for one in registry.get_model(caller, version.name).versions if one.version < version.version
    ]
    return older[0] if older else None


def _comparable(version: ModelVersion, run: Run | None) -> dict[str, object]:
    """What of a version is worth comparing with another."""
    fields: dict[str, object] = {"digest": version.digest, "served by": _RUNTIMES[version.runtime]}
    if version.description is not None:
        fields |= {
            "python": version.description.python,
            "task": version.description.task,
            "target": version.description.target,
            **{f"input {column.name}": column.type for column in version.description.signature.inputs},
        }
    if run is not None:
        fields |= {f"param {key}": value for key, value in sorted(run.params.items())}
        fields |= {f"metric {key}": number_text(run.metrics[key].last) for key in sorted(run.metrics)}
    return fields


def _runs(caller: Caller, tracking: Tracking, versions: Sequence[ModelVersion]) -> dict[str, Run]:
    """The runs that made these versions, without those that are gone."""
    found: dict[str, Run] = {}
    for run_id in {version.run_id for version in versions if version.run_id}:
        try:
            found[run_id] = tracking.get_run(caller, run_id)
        except NotFound:
            continue  # a version outlives its run
    return found


def _metric_keys(runs: Mapping[str, Run]) -> list[str]:
    counts: dict[str, int] = {}
    for run in runs.values():
        for key in run.metrics:
            counts[key] = counts.get(key, 0) + 1
    return sorted(counts, key=lambda key: (-counts[key], key))[:_MOST_METRICS]


def _last(run: Run | None, key: str) -> float | None:
    return run.metrics[key].last if run and key in run.metrics else None
