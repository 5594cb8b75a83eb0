from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from holdfast.kernel.times import DAY_MS
from holdfast.monitoring.routes import routes
from holdfast.monitoring.service import Monitor
from holdfast.predictions.records import Endpoint
from holdfast.web import Call
from tests.monitoring.conftest import MONDAY, FrameLog, make_rows, reference_columns


@pytest.fixture
def get(monitor: Monitor, caller: Caller) -> Callable[..., Any]:
    """Call the GET route declared as this path."""
    table = {route.path: route for route in routes(monitor)}

    def call(path: str, query: dict[str, str] | None = None, **names: str) -> Any:
        route = table[path]
        params = None if route.query is None else msgspec.convert(query or {}, route.query, strict=False)
        return route.handler(Call(caller, names, {}, {}, params))

    return call


def test_every_answer_over_http(
    get: Callable[..., Any], log: FrameLog, add_endpoint: Callable[..., Endpoint], monitor: Monitor
) -> None:
    add_endpoint(reference_columns(make_rows(MONDAY - DAY_MS, 4000, 0.2)), window="1d")
    for day, error in enumerate((0.2, 0.45, 0.45)):
        log.add(make_rows(MONDAY + day * DAY_MS, 500, error))
    monitor.fold_pending()
    base = "/api/v1/endpoints/{name}/monitor"
    assert len(get(base, name="delays").windows) == 3
    assert len(get(base, {"window": "1w", "limit": "5"}, name="delays").windows) == 1
    assert get(base + "/summary", name="delays").alert.id == 1
    shape = get(base + "/features/{feature:path}", {"at": "2024-01-01"}, name="delays", feature="x")
    assert sum(shape.window) == pytest.approx(1.0)
    assert [alert.id for alert in get("/api/v1/alerts", {"endpoint": "delays", "state": "open"}).items] == [1]
    with pytest.raises(NotFound):
        get("/api/v1/alerts", {"endpoint": "other"})
    assert get("/api/v1/alerts/{alert_id}", alert_id="1").state == "open"
    for bad in ("x", "-1", "1" * 40, "²"):
        with pytest.raises(InvalidInput):
            get("/api/v1/alerts/{alert_id}", alert_id=bad)


def test_every_route_declares_a_permission(monitor: Monitor) -> None:
    assert {route.permission for route in routes(monitor)} == {"monitoring:read"}
