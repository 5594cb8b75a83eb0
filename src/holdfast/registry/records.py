"""The nouns of the registry."""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.runtimes.records import ModelDescription, Parity, RuntimeKind

__all__ = ["AliasChange", "AliasState", "ModelVersion", "Preparation", "RegisteredModel", "VersionStatus"]

VersionStatus = Literal["pending", "ready", "failed", "stored"]
"""`stored`: kept with its files, and not to be served: it does not say how to."""


class ModelVersion(msgspec.Struct, frozen=True):
    """One version of a registered model, counted from 1 and never reused.

    `digest` names the model's files. `deployable_digest` names what is served; None until `status` is ready.
    `message` says why a version failed, or why it is not served from ONNX.
    """

    name: str
    version: int
    version_id: str
    model_id: str
    run_id: str | None
    digest: str
    created_at: int
    created_by: str
    description: ModelDescription | None
    """None for a model that was not logged by holdfast's client."""
    status: VersionStatus = "pending"
    deployable_digest: str | None = None
    runtime: RuntimeKind | None = None
    parity: Parity | None = None
    message: str = ""
    prepared_at: int | None = None
    aliases: list[str] = []
    updated_at: int = 0
    note: str = ""
    """What people say of it, in Markdown."""
    source: str = ""
    """Where its files came from, as it was registered."""
    link: str = ""
    archived_at: int | None = None
    tags: dict[str, str] = {}

    @property
    def stage(self) -> str:
        """MLflow's stage: the aliases `production` and `staging` are its stages."""
        if "production" in self.aliases:
            return "Production"
        if "staging" in self.aliases:
            return "Staging"
        return "Archived" if self.archived_at is not None else "None"


class AliasState(msgspec.Struct, frozen=True):
    """What an alias names now, since when (ms UTC) and by whom."""

    alias: str
    version: int
    since: int
    by: str


class AliasChange(msgspec.Struct, frozen=True):
    """One move of an alias; `version` is None where it was deleted."""

    alias: str
    version: int | None
    time: int
    by: str


class RegisteredModel(msgspec.Struct, frozen=True):
    """A named model with its aliases and versions, the newest version first."""

    name: str
    created_at: int
    aliases: list[AliasState]
    versions: list[ModelVersion]
    updated_at: int = 0
    note: str = ""
    tags: dict[str, str] = {}


class Preparation(msgspec.Struct, frozen=True):
    """What preparing a version gave: files to add to its deployable and beside it, by path to object digest and size."""

    status: Literal["ready", "failed"]
    runtime: RuntimeKind | None
    parity: Parity | None
    message: str
    deployable_files: dict[str, tuple[str, int]]
    beside_files: dict[str, tuple[str, int]]
