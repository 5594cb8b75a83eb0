"""A small table of the tests' own, and processes that write to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

from holdfast.storage import Storage

CHILD = Path(__file__).with_name("writing_child.py")


@pytest.fixture
def notes(storage: Storage) -> Table:
    table = Table("note", MetaData(), Column("id", Integer, primary_key=True), Column("text", String(100)))
    storage.write(table.create)
    return table


@pytest.fixture
def start_writer(storage: Storage) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process that writes the numbers from `first` on, and prints each after its commit."""
    started: list[subprocess.Popen[str]] = []

    def start(first: int, count: int) -> subprocess.Popen[str]:
        command = [sys.executable, str(CHILD), storage.address, str(first), str(count)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
