"""Looking predictions up by id or key, in a child process: Polars and Delta stay out of the server's memory."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec

from holdfast.identity.service import require
from holdfast.kernel.errors import HoldfastError, InvalidInput, NotFound, Unavailable
from holdfast.kernel.principal import Caller
from holdfast.predictions.keys import prediction_time, read_keys
from holdfast.predictions.service import Predictions

__all__ = ["look_up"]

_MOST_SECONDS = 60


def look_up(
    predictions: Predictions, caller: Caller, name: str, prediction_id: str | None, key: str | None
) -> list[dict[str, Any]]:
    """The compacted predictions of an endpoint with this id, or with this key, oldest first, with their labels.

    Raises NotFound when an id is not in the table: a prediction stands there some seconds after its answer.
    """
    require(caller, "predictions:read")
    if (prediction_id is None) == (key is None):
        raise InvalidInput("Give one of prediction_id and key.")
    endpoint = predictions.get_endpoint(caller, name)
    tables = predictions.tables(endpoint.endpoint_id)
    if prediction_id is not None:
        found = _in_child([*tables, "id", prediction_id, str(prediction_time(prediction_id))])
        if not found:
            raise NotFound(
                f"The endpoint {name!r} has no prediction {prediction_id!r} in its table.",
                hint="Predictions arrive there some seconds after their answer.",
            )
        return found
    return _in_child([*tables, "key", str(read_keys([key], needed=True)[0])])


def _in_child(arguments: list[str]) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "holdfast.predictions.lookup_child", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_MOST_SECONDS, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(
            f"The look-up took more than {_MOST_SECONDS} s.", hint="Look up by prediction id."
        ) from None
    if done.returncode != 0:
        raise HoldfastError(f"The look-up failed: {done.stderr.decode('utf-8', 'replace').strip()[-500:]}.")
    rows: list[dict[str, Any]] = msgspec.json.decode(done.stdout)
    return rows
