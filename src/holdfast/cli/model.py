"""`holdfast model`: registered models, versions, aliases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli.errors import suggesting
from holdfast.cli.groups import NounGroup
from holdfast.cli.names import parse_reference
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json, print_pairs, print_table, short, when

if TYPE_CHECKING:
    from holdfast.client import Client, ModelVersion, RegisteredModel

__all__ = ["model"]


@click.group(cls=NounGroup)
def model() -> None:
    """Registered models, their versions and aliases."""


@model.command("register")
@with_client
@click.argument("model_id", metavar="MODEL_ID")
@click.argument("name", metavar="NAME")
@json_option
def register(client: Client, model_id: str, name: str, as_json: bool) -> None:
    """Make the logged model MODEL_ID the next version of NAME."""
    version = client.register_version(name, model_id)
    if as_json:
        print_json(version)
        return
    click.echo(f"Registered {name}/{version.version} ({short(version.digest)}).")


@model.command("list")
@with_client
@json_option
def list_models(client: Client, as_json: bool) -> None:
    """List registered models."""
    found = client.list_models()
    if as_json:
        print_json({"items": found})
        return
    rows = [(item.name, _latest(item), _aliases(item), when(item.created_at)) for item in found]
    print_table(
        ("model", "latest", "aliases", "created"), rows,
        empty="No models yet. Log one: holdfast.log_model(model, reference=FRAME, target=COLUMN, register=NAME)",
    )  # fmt: skip


@model.command("show")
@with_client
@click.argument("reference", metavar="NAME[/VERSION | @ALIAS]")
@json_option
def show_model(client: Client, reference: str, as_json: bool) -> None:
    """Show a model with its versions, or one version."""
    name, version, alias = parse_reference(reference)
    with suggesting(name, lambda: _names(client)):
        found = client.get_model(name)
        if alias is not None:
            version = _version_of(found, alias)
        one = client.get_version(name, version) if version is not None else None
    if as_json:
        print_json(found if one is None else one)
    elif one is None:
        _print_model(client, found)
    else:
        _print_version(client, one)


@model.command("alias")
@with_client
@click.argument("reference", metavar="NAME/VERSION")
@click.argument("alias", metavar="ALIAS")
@click.option("--reason", default="", help="Why, for the audit log.")
@click.option("--delete", is_flag=True, help="Remove the alias from NAME instead.")
def set_alias(client: Client, reference: str, alias: str, reason: str, delete: bool) -> None:
    """Point ALIAS at a version."""
    name, version, _ = parse_reference(reference)
    with suggesting(name, lambda: _names(client)):
        if delete:
            client.delete_alias(name, alias)
            click.echo(f"{name}@{alias} is gone.")
            return
        if version is None:
            raise click.UsageError(f"Name the version too: holdfast model alias {name}/VERSION {alias}")
        client.set_alias(name, alias, version, reason=reason)
    click.echo(f"{name}@{alias} is version {version}.")


@model.command("history")
@with_client
@click.argument("name", metavar="NAME")
@click.option("--alias", metavar="ALIAS", help="Only this alias.")
@click.option("--at", metavar="TIME", help="What each alias named at this time (ISO 8601).")
@json_option
def history(client: Client, name: str, alias: str | None, at: str | None, as_json: bool) -> None:
    """Show how a model's aliases moved, or what they named at a time."""
    from holdfast.kernel.times import parse_time  # only with --at

    with suggesting(name, lambda: _names(client)):
        moves = client.model_history(name, alias=alias, at=parse_time(at, "--at") if at else None)
    if as_json:
        print_json({"items": moves})
        return
    rows = [(when(move.time), move.alias, move.version or "deleted", move.by) for move in moves]
    print_table(("time", "alias", "version", "by"), rows, empty=f"No alias of {name!r} has moved.")


def _names(client: Client) -> list[str]:
    return [item.name for item in client.list_models()]


def _latest(found: RegisteredModel) -> int | None:
    return max((version.version for version in found.versions), default=None)


def _aliases(found: RegisteredModel) -> str:
    return ", ".join(f"{item.alias} -> {item.version}" for item in found.aliases)


def _version_of(found: RegisteredModel, alias: str) -> int:
    from holdfast.kernel.errors import NotFound

    for item in found.aliases:
        if item.alias == alias:
            return item.version
    known = ", ".join(item.alias for item in found.aliases)
    raise NotFound(
        f"The model {found.name!r} has no alias {alias!r}.",
        hint=f"It has {known}." if known else "It has none.",
    )


def _print_model(client: Client, found: RegisteredModel) -> None:
    print_pairs([
        ("model", found.name), ("created", when(found.created_at)), ("aliases", _aliases(found)),
        ("page", f"{client.url}/models/{found.name}"),
    ])  # fmt: skip
    click.echo()
    rows = [
        (item.version, item.status, item.runtime, short(item.digest), when(item.created_at), item.created_by)
        for item in found.versions
    ]
    print_table(("version", "status", "runtime", "digest", "created", "by"), rows, empty="No versions yet.")


def _print_version(client: Client, found: ModelVersion) -> None:
    described = found.description or {}
    signature = described.get("signature", {})
    inputs = ", ".join(f"{item['name']} ({item['type']})" for item in signature.get("inputs", []))
    print_pairs([
        ("version", f"{found.name}/{found.version}"), ("status", found.status), ("runtime", found.runtime),
        ("message", found.message), ("aliases", ", ".join(found.aliases)), ("digest", found.digest),
        ("deployable", found.deployable_digest), ("task", described.get("task")),
        ("target", described.get("target")), ("inputs", inputs), ("run", found.run_id),
        ("created", when(found.created_at)), ("by", found.created_by),
        ("page", f"{client.url}/models/{found.name}/{found.version}"),
    ])  # fmt: skip
