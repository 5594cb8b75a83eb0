"""Loads a deployable: fetched and verified by the cache, run by `runtimes`. Called in a thread."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.kernel.errors import InvalidInput, Unavailable
from holdfast.kernel.structs import prepare_structs
from holdfast.serving.inference.cache import Cache
from holdfast.serving.inference.control_plane import ControlPlane
from holdfast.serving.inference.model import Model
from holdfast.serving.inference.settings import InferenceSettings
from holdfast.serving.records import DesiredEndpoint

if TYPE_CHECKING:
    from holdfast.jobs.local import LocalExecutor

__all__ = ["Loader"]

_FETCH_TIMEOUT_S = 60.0


class Loader:
    """Makes models of desired endpoints. One executor for all that run outside this process."""

    def __init__(self, settings: InferenceSettings, cache: Cache) -> None:
        self._settings = settings
        self._cache = cache
        self._executor: LocalExecutor | None = None

    def load(self, desired: DesiredEndpoint) -> Model:
        """The loaded model. Raises InvalidInput when it can't be loaded, Unavailable when it can't be fetched now."""
        # Models are rare and their runtimes heavy: an idle server has no numpy and no ONNX Runtime in memory.
        from holdfast.jobs.local import LocalExecutor
        from holdfast.runtimes.files import DEPLOYABLE_FILE, read_deployable
        from holdfast.runtimes.load import load_runtime

        prepare_structs()
        try:
            folder = self._fetch(desired)
            deployable = read_deployable((folder / DEPLOYABLE_FILE).read_bytes())
        except FileNotFoundError as error:
            raise InvalidInput(f"The deployable has no {Path(error.filename).name}.") from error
        except OSError as error:
            raise Unavailable(
                f"The model can't be written to the replica's disk: {error.strerror}."
            ) from error
        if self._executor is None:
            hidden = [self._settings.data_dir.resolve()]
            self._executor = LocalExecutor(hidden=hidden, sandbox=self._settings.sandbox)
        runtime = load_runtime(
            folder, deployable, self._executor, environments=self._settings.data_dir / "environments"
        )
        return Model(desired, deployable, runtime)

    def _fetch(self, desired: DesiredEndpoint) -> Path:
        control_plane = ControlPlane(self._settings.control_plane_url, self._settings.token, _FETCH_TIMEOUT_S)
        try:
            return self._cache.ensure_model(desired, control_plane.fetch_file)
        finally:
            control_plane.close()
