"""`python -m holdfast.app doctor`: looks at everything that a deployment stands on and says what to do.

On a data folder (or a database) it works while the server is down; the server's route gives the same report from
inside. It reads, and changes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from holdfast.app.__main__ import settings_of
from holdfast.app.doctor import contents, machine, ports, stores, work
from holdfast.app.doctor.clocks import ClockWatch, check_clock
from holdfast.app.doctor.records import Finding, Report, bad
from holdfast.app.services import Services, open_services
from holdfast.kernel.errors import HoldfastError
from holdfast.settings import Settings
from holdfast.web.logs import configure_logs

__all__ = ["Report", "examine", "examine_folder", "run"]


def run(options: argparse.Namespace) -> int:
    """Print the report as JSON, for the command line to show; the exit code is 1 when something is bad."""
    configure_logs("doctor", options.log_level)
    report = examine_folder(settings_of(options), deep=options.deep)
    print(msgspec.json.encode(report).decode())  # noqa: T201 - the answer
    return 0 if report.ok else 1


def examine(
    settings: Settings, services: Services | None, watch: ClockWatch | None = None, *, deep: bool = False
) -> Report:
    """Look at everything; without `services`, at what can be seen of a deployment whose database does not open.

    `deep` reads the whole database, which takes its time: its indexes, the audit log, what digests bind.
    """
    findings = [*machine.check_machine(settings), *ports.check_ports(settings), *stores.check_files(settings)]
    findings += _told("database", lambda: stores.check_database(settings, is_whole=not deep))
    if deep and isinstance(settings.database, Path) and settings.database.exists():
        findings += contents.check_file(settings.database)
    if services is not None:
        open_ones = services
        findings += _told("objects", lambda: stores.check_objects(open_ones))
        findings += _told("clock", lambda: check_clock(open_ones, watch))
        findings += _told("work", lambda: work.check_work(open_ones))
        if deep:
            findings += _told("contents", lambda: contents.check_contents(open_ones))
    return Report(all(finding.state != "bad" for finding in findings), findings)


def examine_folder(settings: Settings, *, deep: bool = False) -> Report:
    """As `examine`, of a data folder whose server may be down."""
    try:
        services = open_services(settings)
    except HoldfastError:
        return examine(settings, None, deep=deep)  # the check of the database says why
    except SQLAlchemyError as error:
        found = bad("database", f"can't be used: {error}", "Restore it from a backup: holdfast restore FILE.")
        return Report(False, [found, *examine(settings, None, deep=deep).findings])
    try:
        return examine(settings, services, deep=deep)
    finally:
        services.close()


def _told(check: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What `look` finds; an error of it is a finding too, since the doctor goes on."""
    try:
        return list(look())
    except HoldfastError as error:
        return [bad(check, error.message, error.hint)]
    except SQLAlchemyError as error:
        said = f"the database does not answer: {getattr(error, 'orig', error)}"
        return [bad(check, said, "It may be damaged: look with holdfast doctor --deep.")]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        said = f"a stored value can't be read: {type(error).__name__}: {error}"
        return [bad(check, said, "The database may be damaged: look with holdfast doctor --deep.")]
