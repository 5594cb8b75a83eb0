"""Comments, the inbox and channels from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.client import Client

Holdfast = Callable[..., Any]


@pytest.fixture
def run(client: Client) -> str:
    return f"run:{client.create_run('talked-about').run_id}"


def test_comments_are_added_answered_and_listed(holdfast: Holdfast, client: Client, run: str) -> None:
    assert holdfast("comment", "list", run).stdout == f"No comments on {run}.\n"
    first = json.loads(holdfast("comment", "add", run, "Is this **right**?", "--json").stdout)
    done = holdfast("comment", "add", run, "Yes.\x1b[31m", "--reply-to", first["comment_id"])
    assert (done.returncode, "control character" in done.stderr) == (1, True)
    done = holdfast("comment", "add", run, "Yes.", "--reply-to", first["comment_id"])
    assert done.stdout.startswith("Comment c-")
    listed = holdfast("comment", "list", run).stdout
    assert listed.index("Is this **right**?") < listed.index("    open mode")
    assert [
        len(thread["replies"])
        for thread in json.loads(holdfast("comment", "list", run, "--json").stdout)["items"]
    ] == [1]
    client.delete_comment(first["comment_id"])
    assert "[deleted by open mode]" in holdfast("comment", "list", run).stdout


@pytest.mark.parametrize(("arguments", "code", "told"), [
    (["comment", "add", "run:nothing", "x"], 1, "no run 'nothing'"),
    (["comment", "add", "nothing", "x"], 1, "KIND:NAME"),
    (["comment", "list", "model:nothing"], 1, "'nothing'"),
    (["comment", "add", "experiment:talked-about", " "], 1, "empty"),
    (["inbox", "read"], 2, "--all"), (["inbox", "read", "x"], 2, "not a valid integer"),
    (["alert", "channel", "list"], 1, "channels:admin"),
    (["webhook", "add", "ci", "https://example.org/"], 1, "channels:admin"),
    (["alert", "channel", "add", "x", "json://x", "--tag", "team"], 2, "KEY=VALUE"),
])  # fmt: skip
def test_what_is_refused(holdfast: Holdfast, run: str, arguments: list[str], code: int, told: str) -> None:
    done = holdfast(*arguments)
    assert (done.returncode, told in done.stderr) == (code, True), done.stderr


def test_an_inbox_is_read(holdfast: Holdfast) -> None:
    assert holdfast("inbox", "list").stdout == "Nothing is in the inbox.\n"
    assert json.loads(holdfast("inbox", "list", "--unread", "--json").stdout) == {"items": []}
    assert holdfast("inbox", "read", "--all").stdout == "0 marked as read.\n"


def test_channels_and_webhooks_by_an_administrator(holdfast: Holdfast, admin_token: str) -> None:
    def admin(*arguments: object) -> Any:
        return holdfast(*arguments, HOLDFAST_TOKEN=admin_token)

    done = admin(
        "alert",
        "channel",
        "add",
        "ops",
        "mailtos://user:pass1word@mail.example.org?to=ops@example.org",
        "--event",
        "alert",
    )
    assert done.stdout.startswith("Added the channel ops: mail to ops@example.org."), done.stderr
    made = json.loads(
        admin("webhook", "add", "ci", "https://ci.example.org/hook", "--severity", "warning", "--json").stdout
    )
    assert made["secret"].startswith("whsec_")
    assert "ci" not in admin("alert", "channel", "list").stdout
    listed = admin("webhook", "list").stdout
    assert "https://ci.example.org/…" in listed and "warning or worse" in listed
    assert "Nothing has gone through it yet." in admin("alert", "channel", "show", "ops").stdout
    done = admin("alert", "channel", "show", "opps")
    assert (done.returncode, "Did you mean 'ops'?" in done.stderr) == (1, True)
    done = admin("alert", "channel", "add", "chat", "discord://a/b")
    assert (done.returncode, "'discord'" in done.stderr) == (1, True)
    for kind, name in ((["alert", "channel"], "ops"), (["webhook"], "ci")):
        assert admin(*kind, "resume", name).returncode == 0
        assert admin(*kind, "remove", name).returncode == 0
    assert admin("webhook", "list", "--json").stdout == '{\n  "items": []\n}\n'
