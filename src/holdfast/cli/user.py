"""`holdfast user`: people and service accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.groups import NounGroup
from holdfast.cli.offline import on_folder, read_password
from holdfast.cli.options import json_option, with_client, with_client_or_folder
from holdfast.cli.output import print_json, print_pairs, print_table, when

if TYPE_CHECKING:
    from holdfast.client import Client
    from holdfast.client.people import Person

__all__ = ["user"]

_password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input."
)


@click.group(cls=NounGroup)
def user() -> None:
    """People and service accounts."""


@user.command("add")
@with_client_or_folder
@click.argument("name")
@click.option("--admin", "is_admin", is_flag=True, help="Administrator of the whole deployment.")
@click.option("--service", is_flag=True, help="A service account: it has tokens and no password.")
@click.option("--display-name", default="", metavar="TEXT", help="The name to show.")
@click.option("--email", default="", metavar="ADDRESS", help="E-mail address.")
@_password_stdin
@json_option
def add_user(
    client: Client | None,
    data: str | None,
    name: str,
    is_admin: bool,
    service: bool,
    display_name: str,
    email: str,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Add a user; with --data to a data folder itself, which makes the first administrator.

    Without a password the user signs in by single sign-on, or not before one is set.
    """
    from holdfast.client.people import Person

    password = None if service else read_password(from_stdin=password_stdin, needed=False)
    body: dict[str, Any] = {
        "kind": "service" if service else "user",
        "display_name": display_name,
        "email": email,
        "password": password,
        "is_admin": is_admin,
    }
    if data is not None:
        made = on_folder("add-user", data, {"name": name, **body}, Person)
    else:
        assert client is not None
        made = client.add_user(name, **body)
    _show(made, as_json)


@user.command("list")
@with_client
@json_option
def list_users(client: Client, as_json: bool) -> None:
    """List users and service accounts."""
    found = client.list_users()
    if as_json:
        print_json({"items": found})
        return
    rows = [(p.name, p.kind, p.display_name, p.email, _state(p), when(p.created_at)) for p in found]
    print_table(("name", "kind", "shown as", "e-mail", "state", "added"), rows, empty="No users.")


@user.command("show")
@with_client
@click.argument("name")
@json_option
def show_user(client: Client, name: str, as_json: bool) -> None:
    """Show a user or service account."""
    _show(client.get_user(name), as_json)


@user.command("disable")
@with_client
@click.argument("name")
def disable_user(client: Client, name: str) -> None:
    """End a user's sessions and stop its tokens."""
    client.disable_user(name)
    click.echo(f"{name} is disabled.")


@user.command("enable")
@with_client
@click.argument("name")
def enable_user(client: Client, name: str) -> None:
    """Let a disabled user in again."""
    client.enable_user(name)
    click.echo(f"{name} is enabled.")


@user.command("password")
@with_client_or_folder
@click.argument("name")
@_password_stdin
def set_password(client: Client | None, data: str | None, name: str, password_stdin: bool) -> None:
    """Set a user's password, which ends its sessions; with --data on a data folder itself."""
    password = read_password(from_stdin=password_stdin, needed=True) or ""
    if data is not None:
        on_folder("set-password", data, {"name": name, "password": password}, dict)
    else:
        assert client is not None
        client.set_password(name, password)
    click.echo(f"The password of {name} is set.")


@user.command("remove")
@with_client
@click.argument("name")
def remove_user(client: Client, name: str) -> None:
    """Erase a user: name, e-mail and password go, the audit log keeps a pseudonym."""
    client.remove_user(name)
    click.echo(f"{name} is erased.")


def _state(person: Person) -> str:
    if person.is_disabled:
        return "disabled"
    if person.kind == "service":
        return "token"
    return "single sign-on" if person.issuer else "password" if person.has_password else "no password"


def _show(person: Person, as_json: bool) -> None:
    if as_json:
        print_json(person)
        return
    print_pairs(
        [
            ("name", person.name),
            ("kind", person.kind),
            ("shown as", person.display_name),
            ("e-mail", person.email),
            ("signs in by", _state(person)),
            ("id", person.id),
            ("added", when(person.created_at)),
        ]
    )
