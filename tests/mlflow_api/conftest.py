"""A client of MLflow's protocol over the whole application in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

BASE = "/api/2.0/mlflow/"
Ask = Callable[..., Any]


class Protocol:
    """Sends what a client would; gives the answer's JSON, or with `refused` the error that it must be."""

    def __init__(self, http: Any) -> None:
        self.http = http

    def get(self, path: str, /, **query: Any) -> Any:
        return self._whole(self.http.get(BASE + path, params=query))

    def post(self, path: str, /, **body: Any) -> Any:
        return self._whole(self.http.post(BASE + path, json=body))

    def patch(self, path: str, /, **body: Any) -> Any:
        return self._whole(self.http.patch(BASE + path, json=body))

    def delete(self, path: str, /, **body: Any) -> Any:
        return self._whole(self.http.request("DELETE", BASE + path, json=body))

    def refused(self, method: str, path: str, code: int = 400, /, **body: Any) -> str:
        """The message of an error with this status."""
        given = {"params": body} if method == "GET" else {"json": body}
        answer = self.http.request(method, BASE + path, **given)
        found = answer.json()
        assert answer.status_code == code, found
        codes = {
            400: ("INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS"),
            404: ("RESOURCE_DOES_NOT_EXIST",),
        }
        assert found["error_code"] in codes[code], found
        assert "sqlite" not in found["message"].lower() and "select " not in found["message"].lower()
        message: str = found["message"]
        return message

    @staticmethod
    def _whole(answer: Any) -> Any:
        assert answer.status_code == 200, answer.text
        return answer.json()

    def experiment(self, name: str = "Flights", **more: Any) -> str:
        found: str = self.post("experiments/create", name=name, **more)["experiment_id"]
        return found

    def run(self, experiment: str = "0", **more: Any) -> str:
        found = self.post("runs/create", experiment_id=experiment, start_time=1_760_000_000_000, **more)
        run_id: str = found["run"]["info"]["run_id"]
        return run_id


@pytest.fixture
def mlflow(http: Any) -> Protocol:
    return Protocol(http)
