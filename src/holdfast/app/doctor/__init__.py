"""`python -m holdfast.app doctor`: looks at everything that a deployment stands on and says what to do.

On a data folder (or a database) it works while the server is down; the server's route gives the same report from
inside. It reads, and changes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

import msgspec

from holdfast.app.__main__ import settings_of
from holdfast.app.doctor import machine, stores, work
from holdfast.app.doctor.clocks import ClockWatch, check_clock
from holdfast.app.doctor.records import Finding, Report, bad
from holdfast.app.services import Services, open_services
from holdfast.kernel.errors import HoldfastError
from holdfast.settings import Settings
from holdfast.web.logs import configure_logs

__all__ = ["Report", "examine", "run"]


def run(options: argparse.Namespace) -> int:
    """Print the report as JSON, for the command line to show; the exit code is 1 when something is bad."""
    configure_logs("doctor", options.log_level)
    report = _examine_folder(settings_of(options))
    print(msgspec.json.encode(report).decode())  # noqa: T201 - the answer
    return 0 if report.ok else 1


def examine(settings: Settings, services: Services | None, watch: ClockWatch | None = None) -> Report:
    """Look at everything; without `services`, at what can be seen of a deployment whose database does not open."""
    findings = [*machine.check_machine(settings), *stores.check_files(settings)]
    findings += _told("database", lambda: stores.check_database(settings))
    if services is not None:
        open_ones = services
        findings += _told("objects", lambda: stores.check_objects(open_ones))
        findings += _told("clock", lambda: check_clock(open_ones, watch))
        findings += _told("work", lambda: work.check_work(open_ones))
    return Report(all(finding.state != "bad" for finding in findings), findings)


def _examine_folder(settings: Settings) -> Report:
    try:
        services = open_services(settings)
    except HoldfastError:
        return examine(settings, None)  # the check of the database says why
    try:
        return examine(settings, services)
    finally:
        services.close()


def _told(check: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What `look` finds; an error of it is a finding too, since the doctor goes on."""
    try:
        return list(look())
    except HoldfastError as error:
        return [bad(check, error.message, error.hint)]
