"""Verbs on registered models, versions and aliases."""

from __future__ import annotations

from pathlib import Path

from holdfast.client.api import Api, segment
from holdfast.client.records import Alias, AliasChange, Artifact, ModelVersion, RegisteredModel
from holdfast.kernel.errors import Conflict

__all__ = ["RegistryVerbs"]

_MODELS = "/api/v1/models"


class RegistryVerbs:
    """The registry part of `Client`."""

    _api: Api

    def create_model(self, name: str) -> RegisteredModel:
        """A new registered model without versions. Raises Conflict when the name is taken."""
        return self._api.post(_MODELS, {"name": name}, RegisteredModel)

    def list_models(self) -> list[RegisteredModel]:
        """Every registered model of the workspace."""
        return list(self._api.pages(_MODELS, RegisteredModel))

    def get_model(self, name: str) -> RegisteredModel:
        """One registered model with its aliases and versions. Raises NotFound."""
        return self._api.get(f"{_MODELS}/{segment(name)}", RegisteredModel)

    def register_version(self, name: str, model_id: str) -> ModelVersion:
        """Make a finalized logged model the next version of `name`, which is created when there is none."""
        try:
            self.create_model(name)
        except Conflict:
            pass
        return self._api.post(f"{_MODELS}/{segment(name)}/versions", {"model_id": model_id}, ModelVersion)

    def get_version(self, name: str, version: int) -> ModelVersion:
        """One version. Raises NotFound."""
        return self._api.get(f"{_MODELS}/{segment(name)}/versions/{version}", ModelVersion)

    def list_version_files(self, name: str, version: int) -> list[Artifact]:
        """The sealed files of a version."""
        return list(self._api.pages(f"{_MODELS}/{segment(name)}/versions/{version}/files", Artifact))

    def download_version_file(self, name: str, version: int, path: str, destination: str | Path) -> Path:
        """Write one file of a version to a local file and give its path."""
        target = Path(destination)
        quoted = "/".join(segment(part) for part in path.split("/"))
        with target.open("w+b") as sink:
            self._api.download(f"{_MODELS}/{segment(name)}/versions/{version}/files/{quoted}", sink)
        return target

    def set_alias(self, name: str, alias: str, version: int, *, reason: str = "") -> Alias:
        """Point an alias at a version; the reason goes to the audit log."""
        path = f"{_MODELS}/{segment(name)}/aliases/{segment(alias)}"
        return self._api.put(path, {"version": version, "reason": reason}, Alias)

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias. Raises NotFound."""
        self._api.delete(f"{_MODELS}/{segment(name)}/aliases/{segment(alias)}")

    def model_history(
        self, name: str, *, alias: str | None = None, at: int | None = None
    ) -> list[AliasChange]:
        """The moves of a model's aliases, newest first; with `at` (ms, UTC) what each named at that time."""
        path = f"{_MODELS}/{segment(name)}/history"
        return list(self._api.pages(path, AliasChange, alias=alias, at=at))
