"""The child of a look-up: `PREDICTIONS LABELS id PREDICTION_ID MS` or `PREDICTIONS LABELS key KEY`; JSON to stdout."""

from __future__ import annotations

import sys

import msgspec

from holdfast.predictions.read import find_by_id, find_by_key

__all__: list[str] = []


def _main(predictions: str, labels: str, by: str, *given: str) -> None:
    tables = predictions, labels
    found = find_by_id(*tables, given[0], int(given[1])) if by == "id" else find_by_key(*tables, given[0])
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    _main(*sys.argv[1:])
