"""A run in a notebook: how it shows itself, and a chart in the cell that follows its metrics."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from holdfast.client.client import Client
from holdfast.client.pictures import line_chart, run_html
from holdfast.client.records import Run
from holdfast.kernel.errors import HoldfastError, InvalidInput, Unavailable

__all__ = ["LiveChart", "NotebookVerbs", "display_handle"]

_MOST = 500
"""Points of a metric that are drawn."""


class NotebookVerbs(ABC):
    """The part of a run that notebooks see."""

    client: Client
    run_id: str
    is_offline: bool
    _run: Run
    _at_end: list[Callable[[], None]]

    @property
    def url(self) -> str:
        """The address of the run's page."""
        return f"{self.client.url}/runs/{self.run_id}"

    @abstractmethod
    def flush(self) -> None:
        """Wait until everything logged so far is on the server."""

    def live_chart(self, *keys: str, every_s: float = 2.0) -> None:
        """Show a chart of metrics in this notebook's cell, by default of the first eight, that follows them until the run
        ends. Raises InvalidInput outside IPython, of an offline run, and for less than 0.5 s."""
        if self.is_offline:
            raise InvalidInput("An offline run has no live chart: its points are not at a server yet.")
        if not every_s >= 0.5:
            raise InvalidInput(f"A chart cannot follow every {every_s} s.", hint="Give at least 0.5.")
        chart = LiveChart(self.client, self.run_id, keys, display_handle(), every_s)

        def end() -> None:
            try:
                self.flush()
            finally:
                chart.stop()

        self._at_end.append(end)

    def _repr_html_(self) -> str:
        return run_html(self._run, self.url)


class LiveChart:
    """A thread that draws the metrics of a run through a display handle, until it is stopped: then a last time."""

    def __init__(
        self, client: Client, run_id: str, keys: tuple[str, ...], handle: Any, every_s: float
    ) -> None:
        self._client, self._run_id, self._keys = client, run_id, keys
        self._handle = handle
        self._every_s = every_s
        self._ended = threading.Event()
        self._failure: HoldfastError | None = None
        self._thread = threading.Thread(target=self._run, name="holdfast-live-chart", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Draw a last time and end. Raises what kept it from drawing."""
        self._ended.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._ended.wait(self._every_s)
            try:
                self._draw()
            except Unavailable:
                continue  # it is drawn when the server is there again
            except HoldfastError as error:
                self._failure = error
                return

    def _draw(self) -> None:
        known = self._client.get_run(self._run_id).metrics
        keys = [key for key in self._keys if key in known] if self._keys else sorted(known)[:8]
        found = {key: self._client.metric_history(self._run_id, key, points=_MOST) for key in keys}
        chart = line_chart({key: (one.steps, one.values) for key, one in found.items()})
        self._handle.update({"text/html": chart, "text/plain": ", ".join(keys)}, raw=True)


def display_handle() -> Any:
    """A place in the cell that can be drawn anew. Raises InvalidInput outside IPython."""
    try:
        from IPython import get_ipython  # optional
        from IPython.display import display
    except ImportError:
        raise InvalidInput(
            "IPython is not installed, which it takes to draw in a notebook.", hint="pip install ipython"
        ) from None
    if get_ipython() is None:
        raise InvalidInput("A live chart needs a notebook: this is no IPython.", hint="Open the run's page.")
    start = {"text/html": line_chart({}), "text/plain": "No points yet."}
    return display(start, raw=True, display_id=True)
