"""System metrics by the real psutil; NVIDIA's library by one that answers as it does."""

from __future__ import annotations

import subprocess
import sys
import types

import msgspec
import pytest

import holdfast
from holdfast.client.machine import Machine, Sampler, checked_interval
from holdfast.kernel.errors import InvalidInput, Unavailable


def test_a_sample_tells_of_process_and_machine() -> None:
    times = iter([0.0, 2.0, 4.0])
    machine = Machine(clock=lambda: next(times))
    block = bytearray(200_000_000)
    child = subprocess.Popen([sys.executable, "-c", "x = 'y' * 10**8; input()"], stdin=subprocess.PIPE)
    alone = machine.read()
    assert alone["system/process_memory_mb"] > len(block) / 1e6
    assert 0 < alone["system/memory_percent"] <= 100 and 0 <= alone["system/disk_percent"] <= 100
    rates = ("process_cpu_percent", "network_received_mb_s", "network_sent_mb_s")
    assert all(alone[f"system/{name}"] >= 0 for name in rates)
    child.communicate(b"\n")
    assert machine.read()["system/process_memory_mb"] > 0
    machine.close()


def test_gpus_tell_what_they_can(monkeypatch: pytest.MonkeyPatch) -> None:
    class NVMLError(Exception):
        pass

    def cannot(_: object) -> object:
        raise NVMLError("not supported")

    library = types.SimpleNamespace(
        NVMLError=NVMLError, NVML_TEMPERATURE_GPU=0, nvmlInit=lambda: None, nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 2, nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetUtilizationRates=lambda handle: types.SimpleNamespace(gpu=40 + handle),
        nvmlDeviceGetMemoryInfo=lambda handle: types.SimpleNamespace(used=2e9, total=8e9),
        nvmlDeviceGetPowerUsage=cannot, nvmlDeviceGetTemperature=lambda handle, kind: 61,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "pynvml", library)
    machine = Machine()
    told = {key: value for key, value in machine.read().items() if "gpu1" in key}
    machine.close()
    assert told == {
        "system/gpu1_percent": 41.0, "system/gpu1_memory_used_mb": 2000.0, "system/gpu1_memory_percent": 25.0,
        "system/gpu1_temperature_c": 61.0,
    }  # fmt: skip


def test_a_run_logs_samples_by_argument_and_by_environment(plane, run_document, monkeypatch) -> None:
    plane.on("POST /api/v1/runs", (200, run_document))
    plane.on("POST /api/v1/runs/r1/batch", (200, {}))
    plane.on("POST /api/v1/runs/r1/finish", (200, {**run_document, "status": "finished"}))
    holdfast.init(plane.url)
    for given, variable in ((True, "0"), (None, "30"), (False, "30"), (None, "")):
        plane.seen.clear()
        monkeypatch.setenv("HOLDFAST_SYSTEM_METRICS", variable)
        with holdfast.start_run(system_metrics=given):
            pass
        bodies = plane.bodies("POST /api/v1/runs/r1/batch")
        keys = {point["key"] for body in bodies for point in msgspec.json.decode(body)["metrics"]}
        wanted = given is True or (given is None and variable == "30")
        assert ("system/cpu_percent" in keys) == wanted


def test_a_run_that_is_joined_is_sampled_by_its_own_process(plane, run_document, monkeypatch) -> None:
    plane.on("GET /api/v1/runs/r1", (200, run_document))
    monkeypatch.setenv("HOLDFAST_SYSTEM_METRICS", "0.1")
    holdfast.init(plane.url)
    with holdfast.start_run(run_id="r1"):
        pass
    assert not plane.bodies("POST /api/v1/runs/r1/batch")


def test_what_is_no_interval_starts_no_run(plane) -> None:
    assert checked_interval("2.5") == 2.5 and checked_interval(0) == 0
    holdfast.init(plane.url)
    for given in (0.01, -1, "often", float("nan")):
        with pytest.raises(InvalidInput, match="seconds are not possible"):
            holdfast.start_run(system_metrics=given)  # type: ignore[arg-type]
    assert not plane.seen


def test_without_psutil_it_says_what_to_install(plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(InvalidInput, match="psutil is not installed") as told:
        holdfast.start_run(system_metrics=True)
    assert "holdfast[system]" in told.value.hint and not plane.seen


def test_what_ends_a_sampler_is_told_at_its_end() -> None:
    def full(_: dict[str, float]) -> None:
        raise Unavailable("The disk is full.")

    sampler = Sampler(full, 0.1, Machine())
    with pytest.raises(Unavailable, match="full"):
        sampler.stop()
