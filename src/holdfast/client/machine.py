"""How busy a run's process and its machine are, as metrics `system/...`, sampled by a thread.

Needs psutil (`pip install holdfast[system]`); GPUs are told of where NVIDIA's library (`pip install nvidia-ml-py`) is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from holdfast.kernel.errors import HoldfastError, InvalidInput

__all__ = ["Machine", "Sampler", "checked_interval"]

_MB = 1e6


def checked_interval(given: object) -> float:
    """Seconds between samples: True is 10, False 0 (none), else a number of at least 0.1. Raises InvalidInput."""
    if isinstance(given, bool):
        return 10.0 if given else 0.0
    try:
        seconds = float(str(given))
    except ValueError:
        seconds = -1.0
    if seconds == 0 or 0.1 <= seconds <= 86_400:
        return seconds
    raise InvalidInput(
        f"System metrics every {given!r} seconds are not possible.",
        hint="Give a number of seconds from 0.1 to 86400, 0 for none (HOLDFAST_SYSTEM_METRICS).",
    )


class Machine:
    """Reads the counters; rates are since the last reading. Raises InvalidInput where psutil is not installed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        try:
            import psutil  # optional
        except ImportError:
            raise InvalidInput(
                "psutil is not installed, which it takes to log system metrics.",
                hint="Install it: pip install 'holdfast[system]'",
            ) from None
        self._psutil = psutil
        self._clock = clock
        self._process = psutil.Process()
        self._gpus = _Gpus()
        self._before: tuple[float, dict[str, float]] | None = None
        self.read()

    def read(self) -> dict[str, float]:
        """One sample: percentages, MB (10^6 bytes), MB/s; what this machine cannot tell is left out."""
        values = dict(self._gauges())
        at, counters = self._clock(), dict(self._counters())
        if self._before is not None and at > self._before[0]:
            since, earlier = self._before
            for name, count in counters.items():
                if name in earlier:
                    values[f"system/{name}"] = max(0.0, count - earlier[name]) / (at - since)
        self._before = (at, counters)
        values.update(self._gpus.read())
        return values

    def close(self) -> None:
        """Let NVIDIA's library go."""
        self._gpus.close()

    def _gauges(self) -> Iterator[tuple[str, float]]:
        memory = self._psutil.virtual_memory()
        yield "system/cpu_percent", float(self._psutil.cpu_percent())
        yield "system/memory_percent", float(memory.percent)
        yield "system/memory_used_mb", (memory.total - memory.available) / _MB
        yield "system/disk_percent", float(self._psutil.disk_usage(".").percent)
        yield "system/process_memory_mb", sum(one.memory_info().rss for one in self._processes()) / _MB

    def _counters(self) -> Iterator[tuple[str, float]]:
        """What only grows; processor time in hundredths of a second, so that its rate is a percentage of one core."""
        times = [one.cpu_times() for one in self._processes()]
        yield "process_cpu_percent", 100 * sum(time.user + time.system for time in times)
        disk, network = self._psutil.disk_io_counters(), self._psutil.net_io_counters()
        if disk is not None:
            yield "disk_read_mb_s", disk.read_bytes / _MB
            yield "disk_written_mb_s", disk.write_bytes / _MB
        if network is not None:
            yield "network_received_mb_s", network.bytes_recv / _MB
            yield "network_sent_mb_s", network.bytes_sent / _MB

    def _processes(self) -> list[Any]:
        """This process and those that it started, as far as they still run."""
        found = []
        for one in [self._process, *self._process.children(recursive=True)]:
            try:
                one.cpu_times(), one.memory_info()
            except self._psutil.Error:
                continue
            found.append(one)
        return found


class _Gpus:
    """NVIDIA's GPUs, none where there is no library or no driver."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._handles: list[Any] = []
        try:
            import pynvml  # optional
        except ImportError:
            return
        try:
            pynvml.nvmlInit()
            self._handles = [
                pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())
            ]
        except pynvml.NVMLError:
            return
        self._nvml = pynvml

    def read(self) -> Iterator[tuple[str, float]]:
        """The values of each GPU; what one cannot tell is left out."""
        for number, handle in enumerate(self._handles if self._nvml is not None else ()):
            nvml, name = self._nvml, f"system/gpu{number}"
            for read in (self._load, self._memory, self._power, self._heat):
                try:
                    yield from read(nvml, handle, name)
                except nvml.NVMLError:
                    continue

    def close(self) -> None:
        if self._nvml is not None:
            self._nvml.nvmlShutdown()
            self._nvml = None

    @staticmethod
    def _load(nvml: Any, handle: Any, name: str) -> list[tuple[str, float]]:
        return [(f"{name}_percent", float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu))]

    @staticmethod
    def _memory(nvml: Any, handle: Any, name: str) -> list[tuple[str, float]]:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        return [
            (f"{name}_memory_used_mb", memory.used / _MB),
            (f"{name}_memory_percent", 100 * memory.used / memory.total),
        ]

    @staticmethod
    def _power(nvml: Any, handle: Any, name: str) -> list[tuple[str, float]]:
        return [(f"{name}_power_w", nvml.nvmlDeviceGetPowerUsage(handle) / 1000)]

    @staticmethod
    def _heat(nvml: Any, handle: Any, name: str) -> list[tuple[str, float]]:
        degrees = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
        return [(f"{name}_temperature_c", float(degrees))]


class Sampler:
    """A thread that logs a sample of the machine every `every_s` seconds, and one at the end."""

    def __init__(self, log: Callable[[dict[str, float]], None], every_s: float, machine: Machine) -> None:
        self._log, self._every_s, self._machine = log, every_s, machine
        self._ended = threading.Event()
        self._failure: HoldfastError | None = None
        self._thread = threading.Thread(target=self._run, name="holdfast-system-metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Log a last sample and end. Raises what ended it before."""
        self._ended.set()
        self._thread.join()
        self._machine.close()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._ended.wait(self._every_s):
                self._log(self._machine.read())
            self._log(self._machine.read())
        except HoldfastError as error:
            self._failure = error
