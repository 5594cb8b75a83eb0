"""What an artifact is to somebody who looks at it, by the ending of its name and, where that tells nothing, its bytes."""

from __future__ import annotations

from typing import Literal

__all__ = ["KIND_WORDS", "ArtifactKind", "is_text", "kind_by_name"]

ArtifactKind = Literal[
    "image", "drawing", "document", "json", "csv", "tsv", "parquet", "markdown", "text", "sound", "video", "pdf",
    "other",
]  # fmt: skip
KIND_WORDS: dict[ArtifactKind, str] = {
    "image": "Image", "drawing": "Drawing (SVG)", "document": "Document (HTML)", "json": "JSON", "csv": "Table (CSV)",
    "tsv": "Table (TSV)", "parquet": "Table (Parquet)", "markdown": "Markdown", "text": "Text", "sound": "Sound",
    "video": "Video", "pdf": "PDF", "other": "File",
}  # fmt: skip
_KINDS: dict[ArtifactKind, str] = {
    "image": "png jpg jpeg gif webp",
    "drawing": "svg",
    "document": "html htm",
    "json": "json ipynb",
    "csv": "csv",
    "tsv": "tsv",
    "parquet": "parquet",
    "markdown": "md markdown",
    "text": "txt log py pyi r jl sh sql yaml yml toml ini cfg conf xml js css rst tex diff patch jsonl ndjson c h cpp rs "
    "go java scala ts lock env properties",
    "sound": "wav mp3 flac ogg m4a aac",
    "video": "mp4 webm mkv mov avi mpg mpeg",
    "pdf": "pdf",
}
_ENDINGS = {ending: kind for kind, endings in _KINDS.items() for ending in endings.split()}
_ODD = frozenset(range(32)) - set(b"\t\n\r\f\x1b")


def kind_by_name(path: str) -> ArtifactKind:
    """By the ending; `other` for one that says nothing."""
    name = path.rpartition("/")[2]
    return _ENDINGS.get(name.rpartition(".")[2].lower(), "other") if "." in name else "other"


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file read as text in UTF-8; the last character may be cut."""
    if any(byte in _ODD for byte in head[:8192]):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and error.reason == "unexpected end of data"
    return True
