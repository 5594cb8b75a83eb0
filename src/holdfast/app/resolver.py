"""What stands behind `kind:name`, asked of the room that keeps it: for comments, feeds and channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from holdfast.audit.service import AuditLog
from holdfast.audit.words import object_address
from holdfast.collaboration.records import ResolvedObject
from holdfast.identity.service import require
from holdfast.kernel.errors import NotFound
from holdfast.kernel.principal import Caller
from holdfast.monitoring.service import Monitor
from holdfast.predictions.service import Predictions
from holdfast.registry.records import ModelVersion
from holdfast.registry.rules import parse_version
from holdfast.registry.service import Registry
from holdfast.tracking.experiments import Experiments
from holdfast.tracking.models import LoggedModels
from holdfast.tracking.service import Tracking

__all__ = ["RoomObjects"]

_Find = Callable[[Caller, str], ResolvedObject]


class RoomObjects:
    """The `ObjectResolver` of collaboration. Each room's own reading checks whether the caller may see the object."""

    def __init__(
        self,
        audit: AuditLog,
        experiments: Experiments,
        tracking: Tracking,
        models: LoggedModels,
        registry: Registry,
        predictions: Predictions,
        monitor: Monitor,
    ) -> None:
        self._audit = audit
        self._experiments = experiments
        self._tracking = tracking
        self._models = models
        self._registry = registry
        self._predictions = predictions
        self._monitor = monitor
        self._kinds: dict[str, _Find] = {
            "alert": self._alert,
            "audit": self._entry,
            "endpoint": self._endpoint,
            "experiment": self._experiment,
            "logged-model": self._logged_model,
            "model": self._model,
            "run": self._run,
        }

    def resolve(self, caller: Caller, object: str) -> ResolvedObject:
        """Raises NotFound for an unknown kind or name, Forbidden when the caller may not read it."""
        kind, colon, name = object.partition(":")
        find = self._kinds.get(kind)
        if not colon or not name or find is None:
            raise NotFound(
                f"There is no object {object[:120]!r}.",
                hint=f"Name it KIND:NAME, with a kind of {', '.join(self._kinds)}; for example model:flights/3.",
            )
        return find(caller, name)

    def _run(self, caller: Caller, name: str) -> ResolvedObject:
        run = self._tracking.get_run(caller, name)
        return _found(f"run:{run.run_id}", f"Run {run.name}", run.tags)

    def _experiment(self, caller: Caller, name: str) -> ResolvedObject:
        found = self._experiments.get_experiment(caller, name)
        return _found(f"experiment:{found.experiment_id}", f"Experiment {found.name}")

    def _logged_model(self, caller: Caller, name: str) -> ResolvedObject:
        model = self._models.get_model(caller, name)
        return _found(f"logged-model:{model.model_id}", f"Logged model {model.name}")

    def _model(self, caller: Caller, name: str) -> ResolvedObject:
        """A model, a version of it, or, as the audit log names aliases, the model that an alias is of."""
        model, slash, number = name.partition("@")[0].partition("/")
        if not slash:
            return _found(f"model:{self._registry.get_model(caller, model).name}", f"Model {model}")
        version = self._registry.get_version(caller, model, parse_version(number))
        title = f"{version.name} version {version.version}"
        return _found(f"model:{version.name}/{version.version}", title, self._tags_of(caller, version))

    def _tags_of(self, caller: Caller, version: ModelVersion) -> Mapping[str, str]:
        """The tags of the run that a version came out of; none when it is gone."""
        if version.run_id is None:
            return {}
        try:
            return self._tracking.get_run(caller, version.run_id).tags
        except NotFound:
            return {}

    def _endpoint(self, caller: Caller, name: str) -> ResolvedObject:
        endpoint = self._predictions.get_endpoint(caller, name)
        return _found(f"endpoint:{endpoint.name}", f"Endpoint {endpoint.name}")

    def _alert(self, caller: Caller, name: str) -> ResolvedObject:
        alert = self._monitor.get_alert(caller, _number(name, "alert"))
        return _found(f"alert:{alert.id}", f"Incident {alert.id} of {alert.endpoint}")

    def _entry(self, caller: Caller, name: str) -> ResolvedObject:
        require(caller, "audit:read")
        entry = self._audit.get_entry(caller, _number(name, "audit entry"))
        return _found(f"audit:{entry.index}", f"Audit entry {entry.index}")


def _found(object: str, title: str, tags: Mapping[str, str] | None = None) -> ResolvedObject:
    return ResolvedObject(object, title, object_address(object), tags or {})


def _number(text: str, what: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise NotFound(f"There is no {what} {text[:40]!r}.", hint="It is named by its number.")
    return int(text)
