"""Verbs on the deployment itself."""

from __future__ import annotations

from holdfast.client.api import Api
from holdfast.client.records import DoctorReport

__all__ = ["OperationsVerbs"]


class OperationsVerbs:
    """The part of `Client` for who operates a server."""

    _api: Api

    def doctor(self) -> DoctorReport:
        """Have the server look for what is wrong with its deployment. For its administrators."""
        return self._api.get("/api/v1/doctor", DoctorReport)
