"""MLflow's messages: protobuf as JSON, read leniently and written as its servers do.

Unknown fields are passed over, names may be snake_case or lowerCamelCase, numbers may come as texts. GET takes the
same messages from its query. An answer leaves out what has no value.
"""

from __future__ import annotations

import datetime
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar, get_args
from urllib.parse import parse_qsl

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.paging import decode_token, encode_token
from holdfast.web import Call, Raw, Route

__all__ = [
    "Message",
    "MissingParameter",
    "answer",
    "answer_whole",
    "decode_offset",
    "encode_offset",
    "limit_of",
    "number_of",
    "route",
    "timestamp_of",
    "value_of",
]

T = TypeVar("T", bound=msgspec.Struct)
_SEE_DOCS = "See the API docs for more information about request parameters."
_AT = re.compile(r" - at `\$\.(\w+)[^`]*`$")
LARGEST = 1.7976931348623157e308
_encoder = msgspec.json.Encoder()


class MissingParameter(InvalidInput):
    """A field that the request must have is not there, or is empty."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Missing value for required parameter '{name}'. {_SEE_DOCS}")


class Message(Generic[T]):
    """How one kind of request is read: its record, and the fields that it must have."""

    def __init__(self, record: type[T], *required: str) -> None:
        self._record = record
        self._required = required
        # What stands for a body that can't be read: an empty message, which mostly lacks its first required field.
        self._garbled = record()
        self._decoder = msgspec.json.Decoder(record, strict=False)
        names = _field_names(record)
        self._snake = {_camel(name): name for name in names if _camel(name) != name}
        camel = b"|".join(sorted(name.encode() for name in self._snake))
        self._is_camel = re.compile(b'"(?:' + camel + b')"\\s*:') if camel else None
        self._lists = {field.name for field in msgspec.structs.fields(record) if _is_list(field.type)}

    def read(self, call: Call, path: Mapping[str, str] | None = None) -> T:
        """The record that a request carries; `path`: fields that stand in its address.

        Raises InvalidInput that names the parameter in MLflow's words.
        """
        found = self._from_query(call) if call.raw_query and not call.raw else self._from_body(call)
        if path and found is not self._garbled:
            found = msgspec.structs.replace(found, **path)
        for name in self._required:
            if getattr(found, name) in (None, ""):
                raise MissingParameter(name)
        if found is self._garbled:
            raise InvalidInput(f"The request's body is no JSON object. {_SEE_DOCS}")
        return found

    def _from_query(self, call: Call) -> T:
        values: dict[str, Any] = {}
        for key, value in parse_qsl(call.raw_query, keep_blank_values=True, max_num_fields=10_000):
            name = self._snake.get(key, key)
            if name in self._lists:
                values.setdefault(name, []).append(value)
            else:
                values[name] = value
        return self._convert(values)

    def _from_body(self, call: Call) -> T:
        media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        if call.raw and media != "application/json":
            raise InvalidInput(
                f"Bad Request. Content-Type must be one of ['application/json'] (got {media[:80]!r})."
            )
        if self._is_camel is not None and self._is_camel.search(call.raw):
            return self._loose(call.raw)
        try:
            return self._decoder.decode(call.raw or b"{}")
        except msgspec.ValidationError:
            return self._loose(call.raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._garbled

    def _loose(self, raw: bytes) -> T:
        """The record out of JSON that is not exactly its own: other spellings, or an object within a text."""
        try:
            found = msgspec.json.decode(raw)
            if isinstance(found, str):  # as the first clients sent it
                found = msgspec.json.decode(found)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._garbled
        if found is None:
            found = {}
        return self._convert(_renamed(found, self._record)) if isinstance(found, dict) else self._garbled

    def _convert(self, values: dict[str, Any]) -> T:
        present = {key: value for key, value in values.items() if value is not None}
        try:
            return msgspec.convert(present, self._record, strict=False)
        except msgspec.ValidationError as error:
            raise _invalid(present, str(error)) from None


def _invalid(values: dict[str, Any], why: str) -> InvalidInput:
    """MLflow's words for a field of the wrong type: they name the outermost field, with its whole value."""
    at = _AT.search(why)
    name = at.group(1) if at else ""
    if not name or name not in values:
        return InvalidInput(f"The request does not fit: {why}. {_SEE_DOCS}")
    value = values[name]
    return InvalidInput(
        f"Invalid value {_encoder.encode(value).decode()[:1000]} for parameter '{name}' supplied. "
        f"Hint: Value was of type '{type(value).__name__}'. {_SEE_DOCS}"
    )


@functools.cache
def _field_names(record: type[msgspec.Struct]) -> frozenset[str]:
    names: set[str] = set()
    for field in msgspec.structs.fields(record):
        names.add(field.encode_name)
        for inner in _inner_types(field.type):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                names |= _field_names(inner)
    return frozenset(names)


def _renamed(value: Any, kind: Any) -> Any:
    """A value with its fields' names in snake_case, by the record that it is read as; keys of maps stay as they are."""
    if isinstance(value, list):
        return [_renamed(item, kind) for item in value]
    fields = _fields_of(kind) if isinstance(value, dict) else None
    if fields is None:
        return value
    found = {}
    for key, item in value.items():
        name, inner = fields.get(key, (key, None))
        found[name] = _renamed(item, inner)
    return found


@functools.cache
def _fields_of(kind: Any) -> dict[str, tuple[str, Any]] | None:
    """The name and type of each field of the record that stands in a type, by both its spellings; None for a map."""
    for inner in _inner_types(kind):
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            fields = msgspec.structs.fields(inner)
            return {
                spelling: (field.encode_name, field.type)
                for field in fields
                for spelling in (field.encode_name, _camel(field.encode_name))
            }
    return None


def _inner_types(kind: Any) -> Iterator[Any]:
    """The type itself and those that stand within it: `list[Pair] | None` holds Pair."""
    yield kind
    for inner in get_args(kind):
        yield from _inner_types(inner)


def _is_list(kind: Any) -> bool:
    return any(getattr(one, "__origin__", None) is list for one in (kind, *get_args(kind)))


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def answer(body: Mapping[str, Any] | None = None) -> Raw:
    """An answer; what is None is left out."""
    return Raw(_encoder.encode(_without_none(body or {})), "application/json")


def answer_whole(body: Mapping[str, Any]) -> Raw:
    """An answer in which nothing is None: long ones are written in a third of the time."""
    return Raw(_encoder.encode(body), "application/json")


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def number_of(value: float) -> float | str:
    """A double as MLflow's servers write it: infinities as the largest numbers, NaN as a text."""
    if math.isfinite(value):
        return value
    return "NaN" if value != value else math.copysign(LARGEST, value)


def value_of(number: float) -> float:
    """The double behind a number of MLflow's: its clients send back as the largest number what was infinite."""
    return math.copysign(math.inf, number) if abs(number) >= LARGEST else number


def timestamp_of(time_ms: int) -> str:
    """A time as protobuf's JSON has it."""
    moment = datetime.datetime.fromtimestamp(time_ms // 1000, datetime.timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03}Z"


def limit_of(value: int | None, *, default: int, most: int, name: str = "max_results") -> int:
    """A page size within 1 to `most`. Raises InvalidInput."""
    if value is None:
        return default
    if value < 1:
        raise InvalidInput(
            f"Invalid value {value} for parameter '{name}' supplied. It must be a positive integer."
        )
    if value > most:
        raise InvalidInput(
            f"Invalid value {value} for parameter '{name}' supplied. It must be at most {most}."
        )
    return value


def encode_offset(offset: int, bound: object = None) -> str:
    """The token of a page that starts at `offset` of the answer to the question `bound`."""
    return encode_token([offset, _fingerprint(bound)])


def decode_offset(token: str, bound: object = None) -> int:
    """Where a page starts. Raises InvalidInput for a token that is not ours, or of another question."""
    if not token:
        return 0
    key = decode_token(token)
    if (
        not isinstance(key, list)
        or len(key) != 2
        or not isinstance(key[0], int)
        or not 0 <= key[0] < 2**53
        or key[1] != _fingerprint(bound)
    ):
        raise InvalidInput(
            f"Invalid page token {token[:80]!r}: it is not of this question.",
            hint="Use next_page_token of the answer before, with the same filter and order.",
        )
    return int(key[0])


def _fingerprint(bound: object) -> str:
    return "" if bound is None else sha256_hex(repr(bound).encode())[:16]


def route(
    method: str, path: str, handler: Callable[[Call], Any], permission: str, body: Any = bytes
) -> Route:
    """A route of MLflow's protocol, summed up by the name that its handler's description begins with."""
    name = (handler.__doc__ or "").strip().partition("\n")[0].partition(":")[0].partition(",")[0].rstrip(".")
    return Route(method, path, handler, permission, body, f"MLflow's {name}")
