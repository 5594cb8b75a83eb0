"""Command groups that load their commands on use and answer a mistyped one with the nearest."""

from __future__ import annotations

import difflib
import importlib
import keyword
from collections.abc import Mapping
from typing import Any

import click

__all__ = ["LazyGroup", "NounGroup"]


class NounGroup(click.Group):
    """A group that says which command was probably meant."""

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = arguments[0]
        if self.get_command(context, name) is None and not name.startswith("-"):
            close = difflib.get_close_matches(name, self.list_commands(context), n=1, cutoff=0.5)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"There is no command {name!r}.{meant}", context)
        return super().resolve_command(context, arguments)


class LazyGroup(NounGroup):
    """A group whose commands live in modules that are imported on use: `modules` maps command to module.

    The command stands in its module under the command's own name, with a `_` behind it where that is a word of Python's.
    """

    def __init__(self, *args: Any, modules: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = dict(modules)

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self._modules)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        module = self._modules.get(name)
        if module is None:
            return None
        attribute = name.replace("-", "_")
        found = importlib.import_module(module)
        command = getattr(found, f"{attribute}_" if keyword.iskeyword(attribute) else attribute)
        assert isinstance(command, click.Command)
        return command
