"""Images, figures, tables, texts and documents of a run: artifacts whose paths say what they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from holdfast.client.rendering import render_document, render_figure, render_image, render_table
from holdfast.client.values import checked_key, checked_step
from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.media import Media, media_path

__all__ = ["MediaVerbs"]


class MediaVerbs(ABC):
    """The part of a run that logs more than numbers. Each call keeps a copy and returns at once; the same path again
    replaces what stands there."""

    def __init__(self) -> None:
        self._media_steps: dict[tuple[str, str], int] = {}

    @abstractmethod
    def add_artifact(self, path: str, content: bytes | Path) -> None:
        """Store bytes, or a copy of a file, as the artifact `path`. Returns at once."""

    def log_image(self, key: str, image: Any, step: int | None = None) -> str:
        """Log an image: an array (H x W, H x W x 3 or 4), a PIL image, or the path or bytes of an image file. Gives its
        path, `media/<key>/<step>.png`; without `step` it is one after the key's last."""
        return self._log_media("image", key, step, render_image(image))

    def log_figure(self, key: str, figure: Any, step: int | None = None, *, form: str | None = None) -> str:
        """Log a figure of matplotlib (`png`) or plotly (`html`, `json` or `png`). Gives its path,
        `figures/<key>/<step>.<form>`."""
        return self._log_media("figure", key, step, render_figure(figure, form))

    def log_table(self, key: str, table: Any, step: int | None = None, *, form: str | None = None) -> str:
        """Log a table: a pandas or polars frame, a dict of columns or a list of dicts, as `json` or `parquet`. Gives its
        path, `tables/<key>/<step>.<form>`."""
        return self._log_media("table", key, step, render_table(table, form))

    def log_text(self, text: str, path: str) -> None:
        """Store a text as the artifact `path`."""
        if not isinstance(text, str):
            raise InvalidInput(f"A {type(text).__name__} is no text.", hint="Log bytes by log_artifact.")
        self.add_artifact(path, text.encode())

    def log_dict(self, document: Any, path: str) -> None:
        """Store a dict or list as the artifact `path`, JSON or YAML by its ending."""
        self.add_artifact(path, render_document(document, path))

    def _log_media(self, kind: str, key: str, step: int | None, rendered: tuple[bytes, str]) -> str:
        checked_key(kind, key)
        at = self._media_steps.get((kind, key), -1) + 1 if step is None else checked_step(key, step)
        if at < 0:
            raise InvalidInput(f"The step {at} of the {kind} {key!r} is below 0.")
        content, extension = rendered
        path = media_path(Media(kind, key, at, extension))
        self.add_artifact(path, content)
        self._media_steps[kind, key] = at
        return path
