"""The prediction log on the replica's disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from holdfast.kernel.errors import Unavailable
from holdfast.predictions.segments import Batch, Schema, scan
from holdfast.serving.inference.spool import Spool, SpoolWriter

SCHEMA = Schema(0, 1, ["x"], ["double"], "regression", [], None)


def batch(number: int, schema_id: int = 0) -> Batch:
    return Batch(schema_id, f"r{number}", number, 1, ["1"], [[1.0]], [[float(number)]])


def writer(folder: Path, boot: str = "b1", segment_bytes: int = 1 << 20) -> SpoolWriter:
    return SpoolWriter(folder, "e1", "local", boot, segment_bytes, lambda: None)


def request_ids(data: bytes) -> list[str]:
    return [record.request_id for record in scan(data).records if isinstance(record, Batch)]


def test_what_is_appended_is_in_the_file_before_append_returns(tmp_path: Path) -> None:
    log = writer(tmp_path)
    log.append(batch(1), 1, SCHEMA)
    log.append(batch(2), 2, SCHEMA)
    (path,) = tmp_path.glob("e1/b1/*.open")
    found = scan(path.read_bytes())
    assert found.records == [SCHEMA, batch(1), batch(2)]
    assert (found.header.seq, found.header.boot) == (1, "b1")


def test_segments_are_closed_by_size_and_age_and_each_holds_its_schemas(tmp_path: Path) -> None:
    closed: list[int] = []
    log = SpoolWriter(tmp_path, "e1", "local", "b1", 400, lambda: closed.append(1))
    for number in range(8):
        log.append(batch(number), 1_000 + number, SCHEMA)
    assert len(closed) >= 1
    log.close_if_older(100, 1_020)
    before = len(closed)
    log.close_if_older(100, 2_100)
    assert len(closed) == before + 1
    segments = list(Spool(tmp_path).closed())
    assert [segment.seq for segment in segments] == list(range(1, len(segments) + 1))
    found = [scan(segment.path.read_bytes()) for segment in segments]
    assert all(one.records[0] == SCHEMA for one in found)
    assert [i for one in segments for i in request_ids(one.path.read_bytes())] == [
        f"r{number}" for number in range(8)
    ]


def test_a_clock_that_goes_back_by_a_year_keeps_no_segment_open(tmp_path: Path) -> None:
    log, year = writer(tmp_path), 365 * 86_400_000
    log.append(batch(0), 1_000 + year, SCHEMA)
    log.close_if_older(100, 1_000)
    log.append(batch(1), 1_000, SCHEMA)
    log.close_if_older(100, 1_000)
    assert [request_ids(one.path.read_bytes()) for one in Spool(tmp_path).closed()] == [["r0"]]


def test_another_schema_is_written_before_its_first_batch(tmp_path: Path) -> None:
    log, other = writer(tmp_path), Schema(1, 2, ["x"], ["double"], "regression", [], None)
    for record, schema in ((batch(1), SCHEMA), (batch(2, 1), other), (batch(3), SCHEMA)):
        log.append(record, 1, schema)
    log.close()
    (segment,) = Spool(tmp_path).closed()
    assert scan(segment.path.read_bytes()).records == [SCHEMA, batch(1), other, batch(2, 1), batch(3)]


def test_leftovers_of_a_killed_process_are_closed_and_empty_ones_go(tmp_path: Path) -> None:
    old = writer(tmp_path, "b0")
    old.append(batch(1), 1, SCHEMA)
    (path,) = tmp_path.glob("e1/b0/*.open")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[-30:-5])  # torn
    empty = tmp_path / "e2" / "b0" / "000000000001.open"
    empty.parent.mkdir(parents=True)
    empty.write_bytes(whole[:7])
    spool = Spool(tmp_path)
    assert spool.close_leftovers() == 1
    (segment,) = spool.closed()
    assert request_ids(segment.path.read_bytes()) == ["r1"]
    assert not empty.exists()


def test_a_full_disk_refuses_the_record_and_keeps_the_segment_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = writer(tmp_path)
    log.append(batch(1), 1, SCHEMA)
    real, calls = os.write, iter([10, None])

    def full(fd: int, data: bytes) -> int:
        size = next(calls)
        if size is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, memoryview(data)[:size])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Unavailable, match="No space left"):
        log.append(batch(2), 2, SCHEMA)
    monkeypatch.undo()
    log.append(batch(3), 3, SCHEMA)
    log.close()
    (segment,) = Spool(tmp_path).closed()
    found = scan(segment.path.read_bytes())
    assert (found.damages, found.torn) == ([], 0)
    assert request_ids(segment.path.read_bytes()) == ["r1", "r3"]
