"""Fixtures that every room's tests share: a real database, a real object folder, a clock that is moved, and the whole
application in this process.

What stands on a database runs on SQLite and on a PostgreSQL that is started here: in `make test-full` every such test,
in `make test` those that `BOTH_DATABASES` names. `HOLDFAST_TEST_DATABASES=postgresql` runs all on that one alone.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from holdfast.kernel.clock import ManualClock
from holdfast.kernel.principal import Caller, Principal
from holdfast.storage import Objects, Storage, open_backend
from holdfast.testing.postgres import PostgresServer, find_programs

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

BOTH_DATABASES = (
    "tests/faults/",
    "tests/storage/",
    "tests/app/test_backup",
    "tests/app/test_doctor",
    "tests/collaboration/test_inbox",
    "tests/overview/test_search",
    "tests/registry/test_service",
    "tests/tracking/test_service",
)


def pytest_configure() -> None:
    """A shell starts what it runs in the background deaf to Ctrl-C; the programs that tests end by it must hear it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A test that starts a process' main in this one leaves its log handler to no other test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_760_000_000_000)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what stands on a database on each that is asked for."""
    if "database" not in metafunc.fixturenames:
        return
    asked = os.environ.get("HOLDFAST_TEST_DATABASES", "").split(",")
    path = str(metafunc.definition.nodeid)
    both = "HOLDFAST_FULL" in os.environ or path.startswith(BOTH_DATABASES)
    kinds = asked if asked != [""] else ["sqlite", "postgresql"] if both else ["sqlite"]
    only = metafunc.definition.get_closest_marker("database")
    metafunc.parametrize(
        "database", [kind for kind in kinds if only is None or kind in only.args], indirect=True
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this session."""
    if find_programs() is None:
        pytest.skip("there is no PostgreSQL server on this machine: apt-get install postgresql")
    server = PostgresServer(durable=False, settings={"deadlock_timeout": "100ms"})
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """The name of a database at this version's schema, to be copied."""
    from holdfast.storage.migrate import migrate  # here, so that tests of one room load that room alone

    migrate(postgres.create_database("migrated"))
    return "migrated"


_numbers = itertools.count(1)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """Where a new database at this version's schema is: a SQLite file or a PostgreSQL address."""
    if request.param == "sqlite":
        path = tmp_path / "holdfast.db"
        shutil.copy(request.getfixturevalue("migrated"), path)
        yield path
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"test{next(_numbers)}"
    yield server.create_database(name, request.getfixturevalue("postgres_template"))
    server.drop_database(name)


@pytest.fixture
def storage(database: Path | str) -> Iterator[Storage]:
    opened = Storage(database)
    yield opened
    opened.close()


@pytest.fixture
def objects(tmp_path: Path, storage: Storage) -> Objects:
    return Objects(storage, open_backend(tmp_path / "objects"))


@pytest.fixture
def make_caller(clock: ManualClock) -> Callable[..., Caller]:
    numbers = itertools.count(1)

    def make(role: str = "contributor", workspace: str = "default", name: str = "ada") -> Caller:
        principal = Principal(
            id=f"p-{name}", name=name, role=role, auth="open", extra=("predictions:replay", "serving:plane")
        )
        return Caller(principal, workspace, f"req-{next(numbers)}", clock.now_ms())

    return make


@pytest.fixture
def caller(make_caller: Callable[..., Caller]) -> Caller:
    return make_caller()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new SQLite database at this version's schema, to be copied."""
    from holdfast.storage.migrate import migrate  # here, so that tests of one room load that room alone

    path = tmp_path_factory.mktemp("migrated") / "holdfast.db"
    migrate(path)
    return path


@pytest.fixture
def composition(tmp_path: Path, database: Path | str) -> Iterator[Composition]:
    """Every service of the control plane over a data folder of its own."""
    from holdfast.app.compose import Composition
    from holdfast.settings import Settings

    data = tmp_path / "data"
    data.mkdir()
    opened = Composition(Settings(data=data, database_url=str(database)))
    yield opened
    opened.close()


class Http:
    """A client of an application in this process; `url` may be a path."""

    def __init__(self, portal: BlockingPortal, app: Any) -> None:
        self._portal = portal
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:5000")

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        answer = self._portal.call(functools.partial(self._client.request, method, url, **options))
        self._client.cookies.clear()  # a test says itself which cookies its browser sends
        return answer

    def __getattr__(self, method: str) -> Callable[..., httpx.Response]:
        """`get`, `post`, `put`, `delete` and the other methods of HTTP."""
        return functools.partial(self.request, method.upper())

    def close(self) -> None:
        self._portal.call(self._client.aclose)


@pytest.fixture
def serve() -> Iterator[Callable[[Any], Http]]:
    """Give an HTTP client of an ASGI application."""
    clients: list[Http] = []
    with start_blocking_portal() as portal:

        def start(app: Any) -> Http:
            clients.append(Http(portal, app))
            return clients[-1]

        yield start
        for client in clients:
            client.close()


@pytest.fixture
def http(composition: Composition, serve: Callable[[Any], Http]) -> Http:
    """An HTTP client of the whole control plane."""
    from holdfast.app.compose import build_app

    return serve(build_app(composition))
