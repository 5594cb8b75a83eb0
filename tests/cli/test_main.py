from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from holdfast.cli.main import cli
from holdfast.version import __version__

_ROOT = Path(__file__).parents[2]


def test_version(holdfast) -> None:
    done = holdfast("--version")
    assert (done.returncode, done.stdout) == (0, f"holdfast {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rns"], "There is no command 'rns'. Did you mean 'runs'?"),
        (["model", "shwo"], "There is no command 'shwo'. Did you mean 'show'?"),
        (["runs", "list", "--lmit", "3"], "No such option '--lmit'"),
        (["deploy", "m"], "Missing option '--endpoint'"),
        (["run"], "Missing argument"),
        (["monitor", "set", "e"], "Give at least one of"),
    ],
)
def test_wrong_usage_is_exit_code_2(holdfast, arguments: list[str], told: str) -> None:
    done = holdfast(*arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_an_error_is_a_sentence_a_hint_and_a_code_that_the_docs_explain(holdfast) -> None:
    done = holdfast("runs", "list", HOLDFAST_URL="http://127.0.0.1:9")
    assert done.returncode == 1 and done.stdout == ""
    sentence, hint, code = done.stderr.splitlines()
    assert sentence.startswith("Error: No server answers at http://127.0.0.1:9")
    assert hint.startswith("Hint: Start one with: holdfast server")
    path, anchor = re.search(r"\((\S+)#(\w+)", code).groups()
    assert f"## {anchor}\n" in (_ROOT / path).read_text()


def _commands(
    group: click.Group, before: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        path = (*before, name)
        found += _commands(command, path) if isinstance(command, click.Group) else [(path, command)]
    return found


def test_every_reading_command_has_json() -> None:
    reading = [
        (path, command)
        for path, command in _commands(cli)
        if path[-1] in ("list", "show", "log", "history", "verify")
    ]
    assert len(reading) >= 12
    for path, command in reading:
        assert any("--json" in option.opts for option in command.params), path


def test_every_command_says_what_it_does_and_what_each_option_is() -> None:
    for path, command in _commands(cli):
        assert command.help, path
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, (path, option.name)
