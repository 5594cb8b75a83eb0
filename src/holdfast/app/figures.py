"""The control plane's figures about what stands behind it: database, log, audit, workers, replicas, disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from holdfast.app.renewal import WORKERS
from holdfast.app.services import Services
from holdfast.kernel.errors import HoldfastError
from holdfast.storage import leases
from holdfast.storage.figures import BOUNDS_S

__all__ = ["StoreFigures"]


class StoreFigures(Collector):
    """Read anew at each scrape. While the stores can't be read, `holdfast_stores_reachable` is 0 and theirs are
    absent."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterable[Metric]:
        yield from self._process()
        found, is_reachable = list[Metric](), 1.0
        try:
            found = list(self._stores())
        except HoldfastError:
            is_reachable = 0.0
        yield _gauge("stores_reachable", "1 while the database can be read.", is_reachable)
        yield from found

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not read the stores."""
        return []

    def _process(self) -> Iterator[Metric]:
        writes = HistogramMetricFamily(
            "holdfast_storage_write_duration_seconds",
            "Time of a unit of work, until its commit was durable.",
            labels=["outcome"],
        )
        for outcome, (counts, seconds) in self._services.storage.figures.histograms().items():
            writes.add_metric([outcome], _cumulated(counts), sum_value=seconds)
        yield writes
        in_use = _family("storage_connections_in_use", "Connections to the database in use.", "pool")
        most = _family("storage_connections_limit", "Connections to the database at most.", "pool")
        for pool in self._services.storage.connections():
            in_use.add_metric([pool.pool], pool.in_use)
            most.add_metric([pool.pool], pool.most)
        yield from (in_use, most)
        disk = shutil.disk_usage(self._services.data)
        yield _gauge("data_disk_free_bytes", "Free space on the data folder's disk.", disk.free)
        yield _gauge("data_disk_size_bytes", "Size of the data folder's disk.", disk.total)

    def _stores(self) -> Iterator[Metric]:
        services, now_ms = self._services, self._services.clock.now_ms()
        log = services.predictions.backlog()
        yield _gauge("prediction_log_waiting_segments", "Shipped segments not compacted yet.", log.segments)
        yield _gauge("prediction_log_waiting_bytes", "Their size.", log.segment_bytes)
        yield _gauge(
            "prediction_log_waiting_label_batches", "Label batches not compacted yet.", log.label_batches
        )
        lag_s = 0.0 if log.oldest_at is None else max(0.0, (now_ms - log.oldest_at) / 1000)
        yield _gauge("prediction_log_lag_seconds", "Age of the oldest of what waits for compaction.", lag_s)
        yield _gauge("prediction_log_damaged_segments", "Segments that arrived damaged.", log.damaged)
        yield _gauge(
            "monitor_waiting_endpoints", "Endpoints that wait to be folded.", len(services.monitor.waiting())
        )
        yield _gauge("audit_entries", "Entries of the audit log.", services.audit.status().size)
        yield _gauge("workers", "Workers alive.", len(leases.held(services.storage, WORKERS, now_ms)))
        yield self._leases(now_ms)
        yield _gauge("outbox_waiting_deliveries", "Notifications not sent yet.", services.courier.waiting())
        count, size = services.objects.sizes()
        yield _gauge("objects", "Stored objects.", count)
        yield _gauge("objects_stored_bytes", "Bytes that they take in the object store.", size)
        replicas = [one.is_alive for one in services.serving.replicas(now_ms)]
        yield _gauge("inference_replicas", "Inference servers alive.", sum(replicas))

    def _leases(self, now_ms: int) -> Metric:
        """Pieces of background work under way, by kind."""
        kinds = ("prepare", "compact", "fold", "objects")
        family = _family("leases_held", "Pieces of background work under way.", "work")
        for kind in kinds:
            family.add_metric([kind], len(leases.held(self._services.storage, kind, now_ms)))
        return family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"holdfast_{name}", text, value=value)


def _family(name: str, text: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"holdfast_{name}", text, labels=[label])


def _cumulated(counts: list[int]) -> list[tuple[str, float]]:
    total, buckets = 0, list[tuple[str, float]]()
    for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets
