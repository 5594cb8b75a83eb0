from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from holdfast.cli.main import cli

_ROOT = Path(__file__).parents[2]
_PAGES = [
    *(_ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "ARCHITECTURE.md")),
    *sorted((_ROOT / "docs").rglob("*.md")),
]
_COMMANDS = [
    (page, line)
    for page in _PAGES
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("holdfast ")
]


@pytest.mark.parametrize(
    ("page", "line"),
    _COMMANDS,
    ids=[f"{page.name}: {line.partition('#')[0].strip()}" for page, line in _COMMANDS],
)
def test_a_command_in_the_documents_is_one(page: Path, line: str) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command = found
    command.make_context(name, arguments)


@pytest.mark.parametrize("page", _PAGES, ids=[page.name for page in _PAGES])
def test_a_link_between_documents_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"
