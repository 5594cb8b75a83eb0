"""The control plane's own figures for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from holdfast.version import __version__
from holdfast.web.routing import Call, Raw

__all__ = ["Metrics"]


class Metrics:
    """Counts requests by method, declared route and status, and their seconds; `more` gives further figures."""

    def __init__(self, *more: Collector) -> None:
        self.registry = CollectorRegistry()
        for collector in more:
            self.registry.register(collector)
        ProcessCollector(registry=self.registry)
        info = Gauge("holdfast_build_info", "The version that runs.", ["version"], registry=self.registry)
        info.labels(__version__).set(1)
        self._requests = Counter(
            "holdfast_http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "holdfast_http_request_duration_seconds",
            "Time from the first byte of a request to the end of its answer.",
            ["route"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=self.registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(
            method if method.isalpha() and len(method) < 8 else "other", route, str(status)
        ).inc()
        self._seconds.labels(route).observe(seconds)

    def expose(self, _call: Call) -> Raw:
        """The figures in Prometheus' text format."""
        return Raw(generate_latest(self.registry), "text/plain; version=0.0.4; charset=utf-8")
