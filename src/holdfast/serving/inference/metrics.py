"""The inference server's figures in Prometheus' text format, kept as plain counters: one dict update per request."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

__all__ = ["EndpointFigures", "expose"]

_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class EndpointFigures:
    """Requests by status, rows, and a histogram of seconds, of one endpoint."""

    __slots__ = ("buckets", "rows", "seconds", "statuses")

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.rows = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(_BOUNDS) + 1)

    def observe(self, status: int, rows: int, seconds: float) -> None:
        """Count one request."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.rows += rows
        self.seconds += seconds
        self.buckets[bisect_left(_BOUNDS, seconds)] += 1


def expose(
    endpoints: Mapping[str, EndpointFigures],
    gauges: Iterable[tuple[str, str, float]],
    live: Mapping[str, bool],
) -> bytes:
    """The text: per-endpoint figures, then `gauges` (name, help, value)."""
    lines = _head("holdfast_inference_requests_total", "counter", "Inference requests by HTTP status.")
    for name, figures in endpoints.items():
        for status, count in sorted(figures.statuses.items()):
            lines.append(f'holdfast_inference_requests_total{{endpoint="{name}",status="{status}"}} {count}')
    lines += _head("holdfast_inference_errors_total", "counter", "Inference requests that got no prediction.")
    for name, figures in endpoints.items():
        errors = sum(count for status, count in figures.statuses.items() if status >= 400)
        lines.append(f'holdfast_inference_errors_total{{endpoint="{name}"}} {errors}')
    lines += _head("holdfast_inference_rows_total", "counter", "Rows predicted.")
    lines += [f'holdfast_inference_rows_total{{endpoint="{name}"}} {f.rows}' for name, f in endpoints.items()]
    lines += _head(
        "holdfast_inference_duration_seconds", "histogram", "Time from the body's arrival to the answer."
    )
    for name, figures in endpoints.items():
        lines += _histogram(name, figures)
    lines += _head("holdfast_inference_endpoint_live", "gauge", "1 when the desired version answers.")
    lines += [
        f'holdfast_inference_endpoint_live{{endpoint="{name}"}} {int(is_live)}'
        for name, is_live in live.items()
    ]
    for name, text, value in gauges:
        lines += [*_head(name, "gauge", text), f"{name} {value:g}"]
    return ("\n".join(lines) + "\n").encode()


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _histogram(name: str, figures: EndpointFigures) -> list[str]:
    lines, total = [], 0
    for bound, count in zip((*map(str, _BOUNDS), "+Inf"), figures.buckets, strict=True):
        total += count
        lines.append(f'holdfast_inference_duration_seconds_bucket{{endpoint="{name}",le="{bound}"}} {total}')
    lines.append(f'holdfast_inference_duration_seconds_sum{{endpoint="{name}"}} {figures.seconds:.6f}')
    lines.append(f'holdfast_inference_duration_seconds_count{{endpoint="{name}"}} {total}')
    return lines
