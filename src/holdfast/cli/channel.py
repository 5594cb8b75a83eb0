"""`holdfast alert channel`: where news leaves holdfast; and what webhooks have in common with it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from holdfast.cli.errors import suggesting
from holdfast.cli.groups import NounGroup
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json, print_pairs, print_table, when

if TYPE_CHECKING:
    from holdfast.client import Channel, Client

__all__ = ["add_verbs", "channel", "match_options", "tags_of"]

Command = TypeVar("Command", bound=Callable[..., Any])
_SHOWN = 20


@click.group(cls=NounGroup)
def channel() -> None:
    """Where news leaves holdfast: mail, Slack, Teams, PagerDuty, JSON. For administrators."""


def match_options(command: Command) -> Command:
    """Add --event, --severity, --object and --tag."""
    for option in (
        click.option(
            "--tag", "tags", metavar="KEY=VALUE", multiple=True, help="Only of objects with this tag."
        ),
        click.option(
            "--object",
            "objects",
            metavar="PATTERN",
            multiple=True,
            help="Only of these, as endpoint:flight-*.",
        ),
        click.option(
            "--severity",
            default="info",
            show_default=True,
            help="At least this severe: info, warning, critical.",
        ),
        click.option(
            "--event",
            "events",
            metavar="TYPE",
            multiple=True,
            help="Only of this type, as alert or run.finished.",
        ),
    ):
        command = option(command)
    return command


def tags_of(texts: tuple[str, ...]) -> dict[str, str]:
    """The tags of --tag options."""
    wrong = [text for text in texts if "=" not in text]
    if wrong:
        raise click.UsageError(f"--tag {wrong[0]!r} is not KEY=VALUE.")
    return dict(text.split("=", 1) for text in texts)


@channel.command("add")
@with_client
@click.argument("name", metavar="NAME")
@click.argument("url", metavar="ADDRESS")
@match_options
@json_option
def add_channel(
    client: Client,
    name: str,
    url: str,
    events: tuple[str, ...],
    severity: str,
    objects: tuple[str, ...],
    tags: tuple[str, ...],
    as_json: bool,
) -> None:
    """Add the channel NAME to ADDRESS (mailto, mailtos, slack, msteams, workflows, pagerduty, json, jsons; a single
    '-' reads it from standard input, so that no secret stands in the shell's history)."""
    address = sys.stdin.readline().strip() if url == "-" else url
    made = client.add_channel(
        name, address, events=events, severity=severity, objects=objects, tags=tags_of(tags)
    )
    if as_json:
        print_json(made)
        return
    click.echo(f"Added the channel {made.name}: {made.kind} to {made.target}.")
    click.echo(f"Try it: holdfast alert channel test {made.name}")


def add_verbs(group: click.Group, noun: str, is_own: Callable[[Channel], bool]) -> None:
    """Give a group the verbs list, show, test, resume and remove for the channels that are its own."""

    def names(client: Client) -> list[str]:
        return [one.name for one in client.list_channels() if is_own(one)]

    @group.command("list", help=f"List {noun}s.")
    @with_client
    @json_option
    def list_them(client: Client, as_json: bool) -> None:
        found = [one for one in client.list_channels() if is_own(one)]
        if as_json:
            print_json({"items": found})
            return
        rows = [
            (one.name, one.kind, one.target, _told(one), one.state, one.failures or None) for one in found
        ]
        heads = ("name", "kind", "to", "tells of", "state", "failures")
        print_table(heads, rows, empty=f"No {noun}s.")

    @group.command("show", help=f"Show a {noun} and its latest deliveries, dead letters first.")
    @with_client
    @click.argument("name", metavar="NAME")
    @json_option
    def show(client: Client, name: str, as_json: bool) -> None:
        with suggesting(name, lambda: names(client)):
            found = client.get_channel(name)
            dead = list(
                itertools.islice(client.list_deliveries(name, state="dead", page_size=_SHOWN), _SHOWN)
            )
            latest = list(itertools.islice(client.list_deliveries(name, page_size=_SHOWN), _SHOWN))
        known = {report["delivery"]["delivery_id"] for report in dead}
        reports = dead + [report for report in latest if report["delivery"]["delivery_id"] not in known]
        if as_json:
            print_json({"channel": found, "deliveries": reports})
            return
        print_pairs([
            ("name", found.name), ("kind", found.kind), ("to", found.target), ("tells of", _told(found)),
            ("state", found.state), ("why", found.message), ("failures in a row", found.failures or None),
            ("added", when(found.created_at)), ("by", found.created_by),
        ])  # fmt: skip
        click.echo()
        rows = [
            (
                when(one["created_at"]),
                one["type"],
                one["state"],
                one["attempts"],
                one["delivery_id"],
                one["error"],
            )
            for one in (report["delivery"] for report in reports)
        ]
        heads = ("time", "event", "state", "attempts", "delivery", "last error")
        print_table(heads, rows, empty="Nothing has gone through it yet.")

    @group.command("test", help="Send one test message now; exit code 1 when it is not taken.")
    @with_client
    @click.argument("name", metavar="NAME")
    @json_option
    def test(client: Client, name: str, as_json: bool) -> None:
        with suggesting(name, lambda: names(client)):
            report = client.test_channel(name)
        delivery = report["delivery"]
        if as_json:
            print_json(report)
        elif delivery["error"]:
            click.echo(f"Error: {delivery['error']}", err=True)
        else:
            click.echo(f"{name} took the test message.")
        sys.exit(0 if delivery["state"] == "delivered" else 1)

    @group.command("retry", help="Send a dead letter again.")
    @with_client
    @click.argument("name", metavar="NAME")
    @click.argument("delivery_id", metavar="DELIVERY")
    def retry(client: Client, name: str, delivery_id: str) -> None:
        with suggesting(name, lambda: names(client)):
            client.redeliver(name, delivery_id)
        click.echo(f"{delivery_id} is sent again.")

    @group.command("resume", help="Let it send again after it was paused for repeated failure.")
    @with_client
    @click.argument("name", metavar="NAME")
    def resume(client: Client, name: str) -> None:
        with suggesting(name, lambda: names(client)):
            client.resume_channel(name)
        click.echo(f"{name} is active.")

    @group.command("remove", help=f"Remove a {noun} with what waits for it.")
    @with_client
    @click.argument("name", metavar="NAME")
    def remove(client: Client, name: str) -> None:
        with suggesting(name, lambda: names(client)):
            client.remove_channel(name)
        click.echo(f"Removed the {noun} {name}.")


def _told(one: Channel) -> str:
    match = one.match
    parts = [", ".join(match.get("events", [])) or "everything"]
    if match.get("severity", "info") != "info":
        parts.append(f"{match['severity']} or worse")
    parts += [f"of {', '.join(match['objects'])}"] if match.get("objects") else []
    parts += [f"{key}={value}" for key, value in match.get("tags", {}).items()]
    return "; ".join(parts)


add_verbs(channel, "channel", lambda one: one.kind != "webhook")
