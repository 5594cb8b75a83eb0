"""Endpoints of one replica: what is loaded does not wait for what loads slowly."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from holdfast.kernel.errors import InvalidInput
from holdfast.serving.inference.endpoints import Endpoints
from holdfast.serving.inference.model import Model
from holdfast.serving.inference.spool import SpoolWriter
from holdfast.serving.records import DesiredEndpoint, DesiredState


def desired(name: str, runtime: str) -> DesiredEndpoint:
    return DesiredEndpoint(
        name, f"e-{name}", "default", "event", f"d-{name}", name, 1, "0" * 64, runtime, [], {}
    )


def test_a_converted_model_does_not_wait_behind_an_original(tmp_path: Path) -> None:
    started, loaded = threading.Event(), threading.Event()

    def load(endpoint: DesiredEndpoint) -> Model:
        if endpoint.runtime == "process":
            started.set()
            assert loaded.wait(20), "the converted model waited for the original"
        else:
            assert started.wait(20)
            loaded.set()
        raise InvalidInput("no model in this test")

    async def follow() -> list[str]:
        def writer(endpoint_id: str) -> SpoolWriter:
            return SpoolWriter(tmp_path, endpoint_id, "local", "boot", 1 << 20, lambda: None)

        endpoints = Endpoints(load, writer, lambda: None)
        both = [desired("a-original", "process"), desired("b-converted", "onnx")]
        endpoints.apply(DesiredState(1, both))
        while any(endpoint.state == "loading" for endpoint in endpoints.by_name.values()):
            await asyncio.sleep(0.01)
        messages = [endpoint.message for endpoint in endpoints.by_name.values()]
        await endpoints.close()
        return messages

    assert asyncio.run(follow()) == ["no model in this test"] * 2
