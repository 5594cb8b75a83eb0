"""JSON over a transport: encoding, retries of what may be repeated, and answers turned into errors."""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from holdfast.client.transport import Body, ConnectionLostError, Response, ServerUnreachableError, Transport
from holdfast.kernel.errors import HoldfastError, Unavailable, error_from_wire

__all__ = ["Api", "encode", "non_finite_text", "segment"]

T = TypeVar("T")

_ATTEMPTS = 4
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_TRANSIENT = (502, 503, 504)
_REFUSED = 429
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})


def segment(text: str) -> str:
    """`text` as one segment of a URL path."""
    return quote(text, safe="")


def encode(value: Any) -> bytes:
    """JSON bytes; NaN and infinities become the strings "NaN", "Infinity" and "-Infinity"."""
    return msgspec.json.encode(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else non_finite_text(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def non_finite_text(value: float) -> str:
    """The wire form of a float that JSON cannot hold."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


class Api:
    """One server's JSON interface. Thread-safe.

    A request is repeated after a growing, jittered wait when it was not sent, or when it may be repeated
    (GET, PUT, DELETE, or `repeatable=True`) and the connection broke or the server answered 502, 503 or 504. One that was
    refused as one too many (429) was not acted on and is always repeated.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        headers: Mapping[str, str] | None = None,
        unreachable_hint: str = "",
        attempts: int = _ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = transport
        self._headers = {"Accept": "application/json", **(headers or {})}
        self._hint = unreachable_hint
        self._attempts = attempts
        self._sleep = sleep

    def get(self, path: str, as_type: type[T], **query: Any) -> T:
        return self._decode(self.send("GET", _target(path, query)), as_type)

    def post(self, path: str, body: Any, as_type: type[T], *, repeatable: bool = False) -> T:
        return self._decode(self.send("POST", path, json=encode(body), repeatable=repeatable), as_type)

    def put(self, path: str, body: Any, as_type: type[T]) -> T:
        return self._decode(self.send("PUT", path, json=encode(body)), as_type)

    def delete(self, path: str) -> None:
        self.send("DELETE", path)

    def upload(self, path: str, body: bytes | IO[bytes], *, size: int | None = None) -> Response:
        """PUT bytes or an open, seekable file of `size` bytes."""
        length = {"Content-Length": str(size)} if size is not None else {}
        return self.send(
            "PUT", path, body=body, headers={"Content-Type": "application/octet-stream", **length}
        )

    def download(self, path: str, sink: IO[bytes]) -> None:
        """GET into an open, seekable file."""
        self.send("GET", path, sink=sink)

    def pages(self, path: str, as_type: type[T], **query: Any) -> Iterator[T]:
        """Every item of a paged list, fetched page by page as it is consumed."""
        token: str | None = None
        while True:
            page = self.get(path, dict, **query, page_token=token)
            yield from [msgspec.convert(item, as_type, strict=False) for item in page.get("items", [])]
            token = page.get("next_page_token")
            if not token:
                return

    def send(
        self,
        method: str,
        target: str,
        *,
        json: bytes | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        sink: IO[bytes] | None = None,
        repeatable: bool = False,
    ) -> Response:
        """One exchange, repeated where that is safe; a status of 400 or more is raised as its error class."""
        sent = {**self._headers, **_trace(), **(headers or {})}
        if json is not None:
            sent["Content-Type"] = "application/json"
            body = json
        may_repeat = repeatable or method in _IDEMPOTENT
        for attempt in range(1, self._attempts + 1):
            error, retriable = self._attempt(method, target, sent, body, sink, may_repeat)
            if isinstance(error, Response):
                return error
            if not retriable or attempt == self._attempts:
                raise error
            self._sleep(_wait_s(attempt, error))
            if body is not None and not isinstance(body, (bytes, list)):
                body.seek(0)
            if sink is not None:
                sink.seek(0)
                sink.truncate()
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _attempt(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Body | None,
        sink: IO[bytes] | None,
        may_repeat: bool,
    ) -> tuple[Response | HoldfastError, bool]:
        """The response, or the error with whether another attempt is allowed."""
        try:
            response = self._transport.send(method, target, headers, body, sink)
        except ServerUnreachableError as error:
            return Unavailable(error.message, hint=self._hint, retry_after_s=0), True
        except ConnectionLostError as error:
            return Unavailable(error.message, hint=self._hint, retry_after_s=0), may_repeat
        if response.status < 400:
            return response, False
        # One that asked too often was not acted on, so that it may be repeated whatever it is.
        is_retriable = response.status == _REFUSED or (may_repeat and response.status in _TRANSIENT)
        refused = _error(response)
        return refused, is_retriable and not _is_long(refused)

    @staticmethod
    def _decode(response: Response, as_type: type[T]) -> T:
        """The body as a record; not strict, so that the strings "NaN" and "Infinity" become floats."""
        try:
            return msgspec.json.decode(response.body or b"{}", type=as_type, strict=False)
        except msgspec.DecodeError as error:
            raise HoldfastError(
                f"The server's answer could not be read: {error}.",
                hint="Check that the address is a holdfast server of the client's version.",
            ) from error


def _trace() -> dict[str, str]:
    """The headers by which the server's spans join the caller's trace (W3C Trace Context); none without a trace."""
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry import propagate  # where the program traces itself: then it is there

    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


def _target(path: str, query: Mapping[str, Any]) -> str:
    given = {key: value for key, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _error(response: Response) -> HoldfastError:
    try:
        body = msgspec.json.decode(response.body, type=dict[str, Any])
    except msgspec.DecodeError:
        text = response.body[:200].decode("utf-8", "replace").strip()
        error = error_from_wire({}, response.status)
        error.message = f"The server answered {response.status}{f': {text}' if text else ''}."
        return error
    error = error_from_wire(body, response.status)
    if isinstance(error, Unavailable):
        error.retry_after_s = _seconds(response.headers.get("retry-after"), error.retry_after_s)
    return error


def _is_long(error: HoldfastError) -> bool:
    """Whether the server asks to wait for longer than anybody would for one call."""
    return isinstance(error, Unavailable) and error.retry_after_s > 10 * _LONGEST_WAIT_S


def _seconds(text: str | None, default: float) -> float:
    try:
        return float(text) if text else default
    except ValueError:
        return default


def _wait_s(attempt: int, error: HoldfastError) -> float:
    wait = _FIRST_WAIT_S * 2 ** (attempt - 1) * random.uniform(0.8, 1.2)
    asked = error.retry_after_s if isinstance(error, Unavailable) else 0.0
    return float(min(max(wait, asked), _LONGEST_WAIT_S))
