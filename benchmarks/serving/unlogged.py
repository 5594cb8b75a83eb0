"""The inference server without its prediction log, to measure what logging costs. The product has no such switch, so
this replaces, in a process of its own, what builds, encodes and writes the records.

`python -m benchmarks.serving.unlogged CONTROL_PLANE_URL DATA_DIR PORT`
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from holdfast.serving import inference
from holdfast.serving.inference import turn
from holdfast.serving.inference.model import Model
from holdfast.serving.inference.spool import SpoolWriter

__all__ = ["main"]


def _nothing(*_: Any) -> None:
    return None


def _no_bytes(_: Any) -> bytes:
    return b""


def main() -> None:
    url, data, port = sys.argv[1:4]
    for owner, name, instead in (
        (Model, "record_row", _nothing),
        (turn, "encode_record", _no_bytes),
        (SpoolWriter, "append_encoded", _nothing),
    ):
        getattr(owner, name)  # so that a new name of theirs is an error here
        setattr(owner, name, instead)
    sys.exit(inference.main(control_plane_url=url, data_dir=Path(data), port=int(port), replica="unlogged"))


if __name__ == "__main__":
    main()
