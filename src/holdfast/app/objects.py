"""`python -m holdfast.app objects show|verify|pack|gc`: upkeep of the object store by hand, beside a running server."""

from __future__ import annotations

import argparse
import sys
import threading
from typing import Any

import msgspec

from holdfast.app.__main__ import settings_of
from holdfast.app.services import Services, open_services
from holdfast.app.upkeep import collect_garbage, pack_objects
from holdfast.kernel.errors import Conflict
from holdfast.kernel.ids import new_id
from holdfast.storage.objects import Damage
from holdfast.web.logs import configure_logs

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Do one verb; the exit code is 1 when `verify` found damage."""
    configure_logs("objects", options.log_level)
    services = open_services(settings_of(options))
    try:
        answer, ok = _VERBS[options.verb](services)
    finally:
        services.close()
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())  # noqa: T201 - the answer
    else:
        print("\n".join(_lines(answer)))  # noqa: T201
    return 0 if ok else 1


def _show(services: Services) -> tuple[dict[str, Any], bool]:
    return msgspec.structs.asdict(services.objects.stats()), True


def _verify(services: Services) -> tuple[dict[str, Any], bool]:
    checked, damaged = 0, list[Damage]()
    for found in services.objects.verify(services.gc_roots):
        checked += 1
        if found is not None:
            damaged.append(found)
        if sys.stderr.isatty() and checked % 100 == 0:
            print(f"\r{checked:,} checked", end="", file=sys.stderr)  # noqa: T201 - progress
    return {"ok": not damaged, "checked": checked, "damaged": damaged}, not damaged


def _pack(services: Services) -> tuple[dict[str, Any], bool]:
    packed = pack_objects(services, new_id("cli"), threading.Event(), after_ms=-1)
    if packed is None:
        raise _busy("packing")
    return {"packed": packed}, True


def _gc(services: Services) -> tuple[dict[str, Any], bool]:
    done = collect_garbage(services, new_id("cli"), threading.Event())
    if done is None:
        raise _busy("collecting")
    return msgspec.structs.asdict(done), True


def _busy(what: str) -> Conflict:
    return Conflict(f"A worker is {what} just now.", hint="Try again in two minutes.")


def _lines(answer: dict[str, Any]) -> list[str]:
    damaged: list[Damage] = answer.pop("damaged", [])
    width = max(len(name) for name in answer)
    lines = [f"{name.replace('_', ' ').ljust(width)}  {_text(value)}" for name, value in answer.items()]
    for damage in damaged:
        lines.append(f"DAMAGED {damage.name}: {damage.problem}")
        lines += [f"  referred to by {text}" for text in damage.referrers]
    return lines


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


_VERBS = {"show": _show, "verify": _verify, "pack": _pack, "gc": _gc}
