"""The client of one holdfast server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from holdfast.client.api import Api
from holdfast.client.audit import AuditVerbs
from holdfast.client.channels import ChannelVerbs
from holdfast.client.collaboration import CollaborationVerbs
from holdfast.client.connection import Connection, unreachable_hint
from holdfast.client.identity import IdentityVerbs
from holdfast.client.monitoring import MonitoringVerbs
from holdfast.client.operations import OperationsVerbs
from holdfast.client.records import Endpoint, LoggedModel
from holdfast.client.registry import RegistryVerbs
from holdfast.client.search import SearchVerbs
from holdfast.client.seen import SeenCheckpoints
from holdfast.client.serving import ServingVerbs
from holdfast.client.tracking import TrackingVerbs
from holdfast.client.transport import HttpTransport, Transport
from holdfast.kernel.errors import NotFound

__all__ = ["Client"]


class Client(
    TrackingVerbs,
    RegistryVerbs,
    ServingVerbs,
    MonitoringVerbs,
    CollaborationVerbs,
    ChannelVerbs,
    AuditVerbs,
    IdentityVerbs,
    OperationsVerbs,
    SearchVerbs,
):
    """Everything that holdfast does, as methods. Thread-safe; usable as a context manager.

    Arguments win over HOLDFAST_URL, HOLDFAST_TOKEN and HOLDFAST_WORKSPACE, these over the token that `holdfast
    login` kept; the default server is http://127.0.0.1:5000. `transport` makes the transport for an address, `seen`
    remembers the audit checkpoints (tests pass their own). No connection is made before the first call. Errors are
    the classes of `holdfast.errors`: Unavailable without a server.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        workspace: str | None = None,
        transport: Callable[[str], Transport] = HttpTransport,
        seen: SeenCheckpoints | None = None,
    ) -> None:
        self.connection = Connection.resolve(url, token, workspace)
        self._make_transport = transport
        self._seen = seen or SeenCheckpoints()
        self._server = self.url
        self._transports: list[Transport] = []
        self._lock = threading.Lock()
        self._endpoints: dict[str, Endpoint] = {}
        self._inference: Api | None = None
        self._api = self.connect(self.connection.url)

    @property
    def url(self) -> str:
        """The address of the control plane."""
        return self.connection.url.rstrip("/")

    def connect(self, url: str) -> Api:
        """The interface of another server with this client's credentials."""
        transport = self._make_transport(url)
        self._transports.append(transport)
        return Api(transport, headers=self.connection.headers(), unreachable_hint=unreachable_hint(url))

    def in_workspace(self, name: str) -> Client:
        """A client of the same server with the same credential in another workspace; `*` is the deployment."""
        return Client(self.url, token=self.connection.token, workspace=name, transport=self._make_transport)

    def server_version(self) -> str:
        """The version of holdfast that the server runs."""
        return str(self._api.get("/api/v1/version", dict).get("version", ""))

    def store_model(
        self,
        run_id: str,
        name: str,
        files: Mapping[str, bytes | Path],
        *,
        model_id: str | None = None,
        register: str | None = None,
    ) -> LoggedModel:
        """Store a model's files with a run, seal them and, with `register`, make them a version of that model.

        With the same `model_id` it may be called again, after whatever went wrong: nothing is there twice.
        """
        model = self.create_logged_model(run_id, name, model_id=model_id)
        for path, content in files.items() if model.digest is None else ():
            self.upload_model_file(model.model_id, path, content)
        sealed = self.finalize_logged_model(model.model_id)
        version = None if register is None else self._version_of(register, sealed.model_id)
        return msgspec.structs.replace(sealed, registered_version=version)

    def _version_of(self, name: str, model_id: str) -> int:
        """The number of the version that is, or now becomes, this logged model."""
        try:
            known = [one.version for one in self.get_model(name).versions if one.model_id == model_id]
        except NotFound:
            known = []
        return known[0] if known else self.register_version(name, model_id).version

    def close(self) -> None:
        """Close the idle connections. The client stays usable."""
        for transport in self._transports:
            transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
