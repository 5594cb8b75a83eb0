"""Every service, built once from the settings, and the application over them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.types import ASGIApp

from holdfast.app.doctor import Report, examine
from holdfast.app.doctor.clocks import ClockWatch
from holdfast.app.figures import StoreFigures
from holdfast.app.services import Services
from holdfast.app.settings_pages import settings_pages as server_settings
from holdfast.audit import pages as audit_pages
from holdfast.audit import routes as audit_routes
from holdfast.collaboration import pages as collaboration_pages
from holdfast.collaboration import routes as collaboration_routes
from holdfast.collaboration.panel import build_panel
from holdfast.identity import pages as identity_pages
from holdfast.identity import routes as identity_routes
from holdfast.identity.admission import Identity
from holdfast.identity.limits import RequestLimits
from holdfast.identity.records import DEPLOYMENT_ADMIN, PUBLIC, SIGNED_IN
from holdfast.identity.secrets import ensure_secret_file
from holdfast.identity.service import NOBODY, may
from holdfast.identity.settings_pages import settings_pages as identity_settings
from holdfast.kernel.errors import Unavailable
from holdfast.kernel.principal import Caller
from holdfast.mlflow_api import errors as mlflow_errors
from holdfast.mlflow_api import routes as mlflow_routes
from holdfast.monitoring import routes as monitoring_routes
from holdfast.overview import pages as overview_pages
from holdfast.overview import routes as overview_routes
from holdfast.overview.places import settings_of
from holdfast.overview.search import Search
from holdfast.predictions import routes as predictions_routes
from holdfast.registry import pages as registry_pages
from holdfast.registry import routes as registry_routes
from holdfast.serving import routes as serving_routes
from holdfast.settings import Settings
from holdfast.tracking import pages as tracking_pages
from holdfast.tracking import routes as tracking_routes
from holdfast.version import __version__
from holdfast.web import Call, Page, Raw, Route
from holdfast.web.dispatch import Door, visit_of
from holdfast.web.hosts import Hosts, is_loopback_host
from holdfast.web.metrics import Metrics
from holdfast.web.openapi import describe_api
from holdfast.web.shell import build_shell
from holdfast.web.templates import Frame, Templates

__all__ = ["MLFLOW_VERSION", "Composition", "all_routes", "build_app"]

MLFLOW_VERSION = "3.17.2"
"""The version of the MLflow protocol that clients are told on /version."""
_ROOMS_WITH_PAGES = ("app", "audit", "identity", "collaboration", "tracking", "registry", "overview")


class Composition(Services):
    """The services of the control plane: those over the data folder, and its own of the web."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.identity = Identity(
            self.storage,
            self.clock,
            admin_secret=ensure_secret_file(settings.data / "admin.token"),
            inference_secret=ensure_secret_file(settings.inference_secret),
            is_open_allowed=is_loopback_host(settings.host),
            limits=RequestLimits(settings.request_limit),
            check_login=lambda name, password, address: (
                self.sessions.check_login(name, password, address, "").principal
            ),
        )
        self.search = Search(
            self.audit, self.tracking, self.registry, self.predictions, self.monitor, self.people
        )
        self.clock_watch = ClockWatch(self.clock)
        self.metrics = Metrics(StoreFigures(self))

    def identity_changed(self) -> None:
        """Have the door ask the database again."""
        self.identity.forget()


def all_routes(composition: Composition) -> list[Route]:
    """Every declared route of the control plane."""
    c = composition
    declared = [
        *audit_routes.routes(c.audit, c.checkpoints, c.signing),
        *identity_routes.routes(c.identity, c.people, c.tokens, c.sessions, c.roles, c.workspaces, c.sign_on),
        *collaboration_routes.routes(c.collaboration, c.channels),
        *tracking_routes.routes(
            c.experiments, c.tracking, c.models, c.objects, c.purging, c.changes, c.views
        ),
        *registry_routes.routes(c.registry, c.objects),
        *mlflow_routes.routes(
            c.experiments, c.tracking, c.models, c.folder, c.uploads, c.registry, c.objects, c.traces, c.hooks
        ),
        *predictions_routes.routes(c.predictions),
        *serving_routes.routes(c.serving, c.identity),
        *monitoring_routes.routes(c.monitor),
        *overview_routes.routes(c.search),
        _doctor(c),
    ]
    return [*_operations(c, declared), *declared, *_pages(c)]


def build_app(
    composition: Composition, lifespan: Callable[[Any], AbstractAsyncContextManager[None]] | None = None
) -> ASGIApp:
    """The control plane as an ASGI application."""
    c = composition

    def frame(request: Request, page: Page) -> Frame:
        caller: Caller | None = request.scope["state"].get("caller")
        is_known = caller is not None and caller.principal != NOBODY
        return Frame(
            title=page.title,
            path=request.url.path,
            query=request.url.query,
            workspace=caller.workspace if caller is not None and is_known else "",
            workspaces=_workspaces(c, request) if is_known else [],
            principal=caller.principal.name if caller is not None and is_known else "",
            counts=_counts(c, caller) if caller is not None and is_known else {},
            settings=settings_of(caller) if caller is not None and is_known else [],
            url=f"{request.url.scheme}://{request.url.netloc}",
            version=__version__,
            now_ms=c.clock.now_ms(),
        )

    templates = Templates([f"holdfast.{room}" for room in _ROOMS_WITH_PAGES], frame)
    door = Door(c.identity, c.clock, templates.render)
    hosts = Hosts(
        frozenset(c.settings.allow_hosts),
        c.settings.trusted_proxies,
        allows_addresses=not is_loopback_host(c.settings.host),
    )
    return build_shell(
        all_routes(c),
        door,
        hosts=hosts,
        observe=c.metrics.observe,
        lifespan=lifespan,
        dialects=dict.fromkeys(mlflow_errors.PREFIXES, mlflow_errors.error_answer),
        mirrors=mlflow_errors.MIRRORS,
    )


def _workspaces(c: Composition, request: Request) -> list[str]:
    return [one.name for one in c.identity.reachable(visit_of(request))]


def _counts(c: Composition, caller: Caller) -> dict[str, int]:
    """The numbers beside the rail's names and on the inbox."""
    counts: dict[str, int] = {}
    if may(caller.principal, "monitoring:read"):
        counts["incidents"] = len(c.monitor.list_alerts(caller, state="open", limit=1000).items)
    if may(caller.principal, "inbox:use"):
        counts["inbox"] = c.collaboration.count_unread(caller)
    return counts


def _pages(c: Composition) -> list[Route]:
    panel_of = functools.partial(build_panel, c.collaboration)
    return [
        *audit_pages.pages(c.audit, c.checkpoints),
        *identity_pages.pages(c.people, c.tokens, c.sessions, c.sign_on),
        *identity_settings(c.people, c.tokens, c.sessions, c.roles, c.workspaces),
        *server_settings(c, c.clock_watch),
        *collaboration_pages.pages(c.collaboration, c.channels),
        *tracking_pages.pages(
            c.experiments,
            c.tracking,
            c.models,
            c.objects,
            c.changes,
            c.views,
            c.registry.versions_of_run,
            panel_of,
        ),
        *registry_pages.pages(c.registry, c.tracking, c.objects, panel_of),
        *overview_pages.pages(c.predictions, c.serving, c.monitor, c.registry, c.audit, panel_of, c.search),
    ]


def _doctor(c: Composition) -> Route:
    def doctor(_call: Call) -> Report:
        return examine(c.settings, c, c.clock_watch)

    return Route(
        "GET",
        "/api/v1/doctor",
        doctor,
        DEPLOYMENT_ADMIN,
        summary="Look for what is wrong, and say what to do",
    )


def _operations(c: Composition, declared: list[Route]) -> list[Route]:
    def health(_call: Call) -> Raw:
        return Raw(b"OK", "text/plain")

    def ready(_call: Call) -> dict[str, str]:
        try:
            c.storage.read(
                lambda tx: tx.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
            )
        except SQLAlchemyError as error:
            raise Unavailable(f"The database can't be read: {error}.") from error
        c.objects.check()
        return {"database": "ok", "objects": "ok"}

    def mlflow_version(_call: Call) -> Raw:
        return Raw(MLFLOW_VERSION.encode(), "text/plain")

    def version(_call: Call) -> dict[str, str]:
        return {"version": __version__}

    def openapi(_call: Call) -> dict[str, Any]:
        return describe_api(declared)

    return [
        Route("GET", "/health", health, PUBLIC, summary="Whether the process answers"),
        Route("GET", "/ready", ready, PUBLIC, summary="Whether the stores can be reached"),
        Route(
            "GET", "/version", mlflow_version, PUBLIC, summary="The MLflow version whose protocol is spoken"
        ),
        Route("GET", "/metrics", c.metrics.expose, "operations:read", summary="Figures for Prometheus"),
        Route("GET", "/api/v1/version", version, SIGNED_IN, summary="The version of holdfast"),
        Route("GET", "/api/v1/openapi.json", openapi, SIGNED_IN, summary="This API's description"),
    ]
