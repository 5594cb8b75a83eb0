"""`holdfast comment`: what people say about runs, models, endpoints and alerts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json, when

if TYPE_CHECKING:
    from holdfast.client import Client, Comment

__all__ = ["comment"]


@click.group(cls=NounGroup)
def comment() -> None:
    """Comments on any object, named KIND:NAME: run:ID, model:NAME/VERSION, endpoint:NAME, alert:NUMBER."""


@comment.command("add")
@with_client
@click.argument("object", metavar="OBJECT")
@click.argument("body", metavar="TEXT")
@click.option("--reply-to", metavar="COMMENT", help="Answer this comment.")
@json_option
def add_comment(client: Client, object: str, body: str, reply_to: str | None, as_json: bool) -> None:
    """Comment on OBJECT in Markdown; @NAME tells somebody. A single '-' reads TEXT from standard input."""
    text = sys.stdin.read() if body == "-" else body
    made = client.comment(object, text, reply_to=reply_to)
    if as_json:
        print_json(made)
        return
    click.echo(f"Comment {made.comment_id} on {made.object}.")


@comment.command("list")
@with_client
@click.argument("object", metavar="OBJECT")
@json_option
def list_comments(client: Client, object: str, as_json: bool) -> None:
    """Show the comments on OBJECT, newest thread first."""
    threads = client.list_comments(object)
    if as_json:
        print_json({"items": threads})
        return
    if not threads:
        click.echo(f"No comments on {object}.")
    for thread in threads:
        _print(thread.comment, "")
        for reply in thread.replies:
            _print(reply, "    ")


def _print(one: Comment, indent: str) -> None:
    edited = ", edited" if one.edited_at and not one.deleted_at else ""
    click.echo(f"{indent}{one.author}, {when(one.created_at)}{edited} ({one.comment_id})")
    text = f"[deleted by {one.deleted_by}]" if one.deleted_at else one.body
    for line in text.splitlines():
        click.echo(f"{indent}  {_printable(line)}")
    click.echo()


def _printable(line: str) -> str:
    """Without characters that could steer a terminal."""
    return "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in line)
