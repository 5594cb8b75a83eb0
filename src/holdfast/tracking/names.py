"""Names for runs that were given none."""

from __future__ import annotations

import random

__all__ = ["invent_name"]

_ADJECTIVES = """
    able amber bold brave brisk calm clear crisp deft eager early fair firm fleet fresh glad keen
    kind light lively lucid merry neat noble plain proud quick quiet rapid sharp sleek smart solid
    stark steady sunny swift tidy vivid warm wise
"""
_NOUNS = """
    anchor arch beacon birch brook cedar cliff cloud coast comet crane delta dune ember falcon fern
    field finch fjord gull harbor hawk heron hill inlet lark ledge maple marsh meadow oak orbit
    otter pine plover raven reef ridge river robin shore spruce stone swan tern tide vale wave
    willow wren
"""


def invent_name() -> str:
    """A name that people can say and tell from others: `calm-heron-417`."""
    chooser = random.SystemRandom()
    return f"{chooser.choice(_ADJECTIVES.split())}-{chooser.choice(_NOUNS.split())}-{chooser.randrange(1000)}"
