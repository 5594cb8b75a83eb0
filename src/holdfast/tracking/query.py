"""What is searched for: clauses joined by AND, and orders; and the text in which people write them.

    metrics.accuracy > 0.9 AND params."a b" = 'x' AND tags.team LIKE '%risk%' AND start_time >= 1700000000000

The grammar is that of MLflow's search, so that what people know works: entity.key, keys with other characters in
backticks or double quotes, texts in quotes, numbers bare, no OR. Parsing takes time linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import msgspec

from holdfast.kernel.errors import InvalidInput

__all__ = ["RUNS", "Clause", "Filter", "Grammar", "Kind", "Order", "parse_filter", "parse_order"]

Kind = Literal["text", "number", "listed"]
"""How an attribute compares: as text, as a number, or as text that may also be looked for in a list."""
Operator = Literal["=", "!=", ">", ">=", "<", "<=", "LIKE", "ILIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL"]
_OPERATORS: dict[str, Operator] = {one: one for one in get_args(Operator)}
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("metric", "min", "max", "count"), "number"),
    "dataset": "listed",
    "span": "listed",
}
"""Of what is no attribute; the rest is text."""
_NUMERIC = frozenset({"=", "!=", ">", ">=", "<", "<="})
_TEXTUAL = frozenset({"=", "!=", "LIKE", "ILIKE"})
_LISTS = frozenset({"IN", "NOT IN"})
_NULLS = frozenset({"IS NULL", "IS NOT NULL"})
_MOST_CHARACTERS, _MOST_CLAUSES, _MOST_LISTED, _MOST_ORDERS = 1_000_000, 200, 10_000, 30
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<quoted>`[^`]*`|"[^"]*"|'[^']*')
    | (?P<symbol>>=|<=|!=|<>|=|>|<|\(|\)|,)
    | (?P<word>[^\s`"'=<>!(),]+)
    )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?")


class Clause(msgspec.Struct, frozen=True):
    """One condition: `entity` is attribute, metric (its last value), min, max or count (of a metric), param, tag,
    dataset, metadata or span (of a trace); `value` a text, number, list or None."""

    entity: str
    key: str
    operator: Operator
    value: str | float | tuple[str, ...] | None = None


Filter = Sequence[Clause]


class Order(msgspec.Struct, frozen=True):
    """What to sort by; what has no value comes last in both directions."""

    entity: str
    key: str
    descending: bool = False


class Grammar(msgspec.Struct, frozen=True):
    """What one kind of thing can be searched by.

    entities: as people write them -> what they are. attributes: name -> how it compares. aliases: other names of
    attributes. orders: attributes that can be sorted by beside those. nulls: entities that may be compared with NULL.
    """

    what: str
    entities: Mapping[str, str]
    attributes: Mapping[str, Kind]
    aliases: Mapping[str, str] = {}
    orders: frozenset[str] = frozenset()
    nulls: frozenset[str] = frozenset()
    inner: Mapping[str, frozenset[str]] = {}
    """Of entities that have a few keys alone, which."""


RUNS = Grammar(
    "runs",
    {
        **dict.fromkeys(("attribute", "attributes"), "attribute"),
        **dict.fromkeys(("metric", "metrics", "last"), "metric"),
        **{name: name for name in ("min", "max", "count")},
        **dict.fromkeys(("param", "params"), "param"),
        **dict.fromkeys(("tag", "tags"), "tag"),
        **dict.fromkeys(("dataset", "datasets"), "dataset"),
    },
    {
        "run_id": "listed",
        "name": "text",
        "status": "listed",
        "user": "text",
        "start_time": "number",
        "end_time": "number",
        "duration": "number",
    },
    nulls=frozenset({"param", "tag"}),
    inner={"dataset": frozenset({"name", "digest", "context"})},
)
"""What runs are searched by in holdfast's own words. Of a metric `metrics.loss` is the last value, `min.loss`,
`max.loss` and `count.loss` what they say; times are ms UTC, `duration` ms (of a finished run)."""


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    at: int


def parse_filter(text: str, grammar: Grammar) -> list[Clause]:
    """The clauses of a filter; none for an empty one. Raises InvalidInput that names the part that is wrong."""
    tokens = _Tokens(text)
    clauses: list[Clause] = []
    while not tokens.at_end():
        if clauses:
            tokens.expect("AND")
        if len(clauses) == _MOST_CLAUSES:
            raise InvalidInput(f"The filter has more than {_MOST_CLAUSES} conditions.", hint="Ask in parts.")
        clauses.append(_clause(tokens, grammar))
    return clauses


def parse_order(texts: Sequence[str], grammar: Grammar) -> list[Order]:
    """The orders: each `entity.key [ASC|DESC]`. Raises InvalidInput, also for one that stands twice."""
    if len(texts) > _MOST_ORDERS:
        raise InvalidInput(f"There are more than {_MOST_ORDERS} orders.")
    orders: list[Order] = []
    for text in texts:
        tokens = _Tokens(text)
        if tokens.at_end():
            raise InvalidInput("An order is empty.", hint="Use entity.key and ASC or DESC: metrics.loss ASC.")
        entity, key = _identifier(tokens, grammar, grammar.orders)
        descending = not tokens.at_end() and tokens.word() == "DESC"
        if not tokens.at_end() and tokens.word() in ("ASC", "DESC"):
            tokens.next()
        if not tokens.at_end():
            raise InvalidInput(
                f"The order {text[:120]!r} was found where entity.key and ASC or DESC belongs.",
                details={"order": text[:120]},
            )
        if any((one.entity, one.key) == (entity, key) for one in orders):
            raise InvalidInput(f"The order {key[:80]!r} stands twice.", hint="Give each once.")
        orders.append(Order(entity, key, descending))
    return orders


class _Tokens:
    """The tokens of a text, one after the other."""

    def __init__(self, text: str) -> None:
        if len(text) > _MOST_CHARACTERS:
            raise InvalidInput(f"The text has more than {_MOST_CHARACTERS} characters.")
        self.text = text
        self._tokens: list[_Token] = []
        self._at = 0
        position, end = 0, len(text.rstrip().rstrip(";").rstrip())
        while position < end:
            found = _TOKEN.match(text, position, end)
            if found is None:
                raise InvalidInput(
                    f"The filter can't be read from {text[position : position + 40]!r} on.",
                    hint="Close every quote; compare with = != > >= < <= LIKE ILIKE IN.",
                    details={"clause": text[position : position + 40]},
                )
            kind = str(found.lastgroup)
            self._tokens.append(_Token(kind, found.group(kind), found.start(kind)))
            position = found.end()

    def at_end(self) -> bool:
        return self._at >= len(self._tokens)

    def peek(self) -> _Token:
        if self.at_end():
            raise InvalidInput(
                f"The filter ends too early: {self.text[-60:]!r}.",
                hint="A condition is entity.key = 'value'.",
                details={"clause": self.text[-60:]},
            )
        return self._tokens[self._at]

    def next(self) -> _Token:
        token = self.peek()
        self._at += 1
        return token

    def word(self) -> str:
        """The next token in capitals when it is a bare word."""
        token = self.peek()
        return token.text.upper() if token.kind == "word" else ""

    def expect(self, word: str) -> None:
        if self.word() != word and self.peek().text != word:
            raise _wrong(self.peek().text, word, f" in {self.near()!r}")
        self.next()

    def near(self) -> str:
        at = self.peek().at
        return self.text[max(0, at - 30) : at + 30]

    def joined(self) -> bool:
        """Whether the next token stands directly behind the one before."""
        before = self._tokens[self._at - 1]
        return not self.at_end() and self._tokens[self._at].at == before.at + len(before.text)


def _clause(tokens: _Tokens, grammar: Grammar) -> Clause:
    entity, key = _identifier(tokens, grammar, frozenset())
    kind = _kind(entity, key, grammar)
    operator = _operator(tokens)
    _check_operator(entity, key, kind, operator, grammar)
    if operator in _NULLS:
        return Clause(entity, key, operator)
    if operator in _LISTS:
        return Clause(entity, key, operator, _listed(tokens, entity, key))
    return Clause(entity, key, operator, _value(tokens, entity, key, kind))


def _identifier(tokens: _Tokens, grammar: Grammar, more: frozenset[str]) -> tuple[str, str]:
    token = tokens.next()
    if token.kind == "quoted" and token.text[0] != "'":
        entity, key = "attribute", token.text[1:-1]
    elif token.kind == "word":
        head, dot, key = token.text.partition(".")
        entity = grammar.entities.get(head.lower(), "") if dot else "attribute"
        if not dot:
            key = head
        elif not key and tokens.joined() and tokens.peek().kind == "quoted":
            key = tokens.next().text[1:-1]
        if not entity:
            raise InvalidInput(
                f"{head[:80]!r} is nothing that {grammar.what} are searched by.",
                hint=f"There are: {', '.join(sorted(set(grammar.entities.values())))}.",
                details={"entity": head[:80], "entities": sorted(set(grammar.entities.values()))},
            )
    else:
        raise _wrong(token.text, "entity.key")
    if not key:
        raise InvalidInput(f"A key is missing behind {token.text[:80]!r}.")
    if entity == "attribute":
        key = grammar.aliases.get(key, key)
        if key not in grammar.attributes and key not in more:
            raise InvalidInput(
                f"{key[:80]!r} is no attribute of {grammar.what}.",
                hint=f"There are: {', '.join(sorted(grammar.attributes))}.",
                details={"attribute": key[:80], "attributes": sorted({*grammar.attributes, *more})},
            )
    if key not in grammar.inner.get(entity, (key,)):
        raise InvalidInput(
            f"{key[:80]!r} is nothing that a {entity} is searched by.",
            hint=f"There are: {', '.join(sorted(grammar.inner[entity]))}.",
            details={"key": key[:80], "of": entity, "keys": sorted(grammar.inner[entity])},
        )
    return entity, key


def _kind(entity: str, key: str, grammar: Grammar) -> Kind:
    if entity == "attribute":
        return grammar.attributes[key]
    return _KINDS.get(entity, "text")


def _operator(tokens: _Tokens) -> Operator:
    token = tokens.next()
    text = token.text.upper() if token.kind == "word" else token.text
    if text == "IS":
        text = "IS NOT NULL" if tokens.word() == "NOT" else "IS NULL"
        if text == "IS NOT NULL":
            tokens.next()
        tokens.expect("NULL")
    elif text == "NOT":
        tokens.expect("IN")
        text = "NOT IN"
    elif text == "<>":
        text = "!="
    found = _OPERATORS.get(text)
    if found is None:
        raise _wrong(token.text, "a comparison: = != > >= < <= LIKE ILIKE IN")
    return found


def _check_operator(entity: str, key: str, kind: Kind, operator: Operator, grammar: Grammar) -> None:
    fitting = {*(_NUMERIC if kind == "number" else _TEXTUAL)}
    fitting |= _LISTS if kind == "listed" else set()
    fitting |= _NULLS if entity in grammar.nulls else set()
    if operator not in fitting:
        raise InvalidInput(
            f"The {entity} {key[:80]!r} of {grammar.what} can't be compared by {operator}.",
            hint=f"Compare it by: {' '.join(sorted(fitting))}.",
            details={"operator": operator, "operators": sorted(fitting)},
        )


def _value(tokens: _Tokens, entity: str, key: str, kind: Kind) -> str | float:
    token = tokens.next()
    found = {"value": token.text[:60], "of": entity, "key": key[:80]}
    if kind == "number":
        if token.kind != "word" or not _NUMBER.fullmatch(token.text):
            raise InvalidInput(
                f"{token.text[:60]!r} is not a number to compare {key[:80]!r} with.",
                hint="Write it without quotes.",
                details={**found, "wanted": "number"},
            )
        return float(token.text)
    if token.kind != "quoted" or token.text[0] == "`":
        raise InvalidInput(
            f"{token.text[:60]!r} is not a text to compare {key[:80]!r} with.",
            hint="Put it in quotes: 'value'.",
            details={**found, "wanted": "text"},
        )
    return token.text[1:-1]


def _listed(tokens: _Tokens, entity: str, key: str) -> tuple[str, ...]:
    tokens.expect("(")
    values = [str(_value(tokens, entity, key, "text"))]
    while tokens.peek().text == ",":
        tokens.next()
        if tokens.peek().text == ")":
            break
        values.append(str(_value(tokens, entity, key, "text")))
        if len(values) > _MOST_LISTED:
            raise InvalidInput(
                f"The list for {key[:80]!r} has more than {_MOST_LISTED} values.", hint="Ask in parts."
            )
    tokens.expect(")")
    return tuple(values)


def _wrong(found: str, wanted: str, place: str = "") -> InvalidInput:
    return InvalidInput(
        f"{found[:60]!r}{place} was found where {wanted} belongs.", details={"clause": found[:60]}
    )
