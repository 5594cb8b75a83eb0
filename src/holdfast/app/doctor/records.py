"""What the doctor finds."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Finding", "Report", "attention", "bad", "ok"]

State = Literal["ok", "attention", "bad"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. `advice` says what to do unless it is ok."""

    check: str
    state: State
    message: str
    advice: str = ""


class Report(msgspec.Struct, frozen=True):
    """Everything that was looked at; `ok` while nothing is bad."""

    ok: bool
    findings: list[Finding]


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", message)


def attention(check: str, message: str, advice: str) -> Finding:
    """Works now; somebody should look at it."""
    return Finding(check, "attention", message, advice)


def bad(check: str, message: str, advice: str) -> Finding:
    """Does not work, or will not much longer."""
    return Finding(check, "bad", message, advice)
