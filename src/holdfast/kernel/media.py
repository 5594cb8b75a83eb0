"""Where a run's images, figures and tables stand among its artifacts, so that whoever reads paths finds them.

`media/<key>/<step>.<png|jpg|gif|webp>` · `figures/<key>/<step>.<png|html|json>` · `tables/<key>/<step>.<parquet|json>`.
The key may have several parts (`val/confusion`); the step is a whole number from 0.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["MEDIA_KINDS", "Media", "media_path", "parse_media_path"]

MEDIA_KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "image": ("media", ("png", "jpg", "gif", "webp")),
    "figure": ("figures", ("png", "html", "json")),
    "table": ("tables", ("parquet", "json")),
}
"""Each kind's folder and the extensions of its files."""
_KIND_OF = {folder: kind for kind, (folder, _) in MEDIA_KINDS.items()}
_PATH = re.compile(r"(media|figures|tables)/(.+)/(0|[1-9][0-9]{0,15})\.([a-z]+)", re.DOTALL)


class Media(NamedTuple):
    """What a path says: the kind (image, figure or table), the key, the step and the file's extension."""

    kind: str
    key: str
    step: int
    extension: str


def media_path(media: Media) -> str:
    """The path of the artifact."""
    folder, extensions = MEDIA_KINDS[media.kind]
    assert media.extension in extensions and media.step >= 0
    return f"{folder}/{media.key}/{media.step}.{media.extension}"


def parse_media_path(path: str) -> Media | None:
    """What an artifact is by its path; None for any other artifact."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    folder, key, step, extension = found.groups()
    kind = _KIND_OF[folder]
    return Media(kind, key, int(step), extension) if extension in MEDIA_KINDS[kind][1] else None
