from __future__ import annotations

import math
import multiprocessing
import os
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from holdfast.client import Client
from holdfast.client.active import ActiveRun
from holdfast.client.journal import Courier, Head, Journal, Shipper, ship_leftovers
from holdfast.client.journal.batches import JournalReader, encode_batch
from holdfast.client.journal.position import Place, Position, PositionFile
from holdfast.client.journal.records import Operation
from holdfast.client.journal.segment import FIRST, SegmentReader, SegmentWriter
from holdfast.client.records import Run
from holdfast.kernel.errors import Conflict, IntegrityError, InvalidInput, NotFound, Unavailable

HEAD = Head("r1", "http://127.0.0.1:1", is_owned=False)
REFUSED = (400, {"error": {"code": "invalid_input", "message": "The param 'depth' is '2' already."}})
BUSY = (503, {"error": {"code": "unavailable", "message": "Later."}})


def _record(path: Path, *payloads: bytes) -> None:
    writer = SegmentWriter(path)
    for payload in payloads:
        assert writer.append(payload)
    writer.close()


def _log(journal: Journal, count: int, first: int = 0) -> None:
    with journal.lock:
        for step in range(first, first + count):
            journal.add_point("loss", float(step), step, 1000 + step)


def _pieces(folder: Path) -> list:
    reader, found, start = JournalReader(folder), [], Place(1, FIRST)
    while True:
        piece = reader.next_piece(start)
        if piece.is_empty:
            reader.close()
            return found
        found.append((start, piece))
        start = piece.end


def _body(piece) -> bytes:
    return encode_batch(metrics=piece.points, params=piece.params, tags=piece.tags)


def _sent(plane) -> list[tuple[str, object, int]]:
    bodies = dict.fromkeys(plane.bodies("POST /api/v1/runs/r1/batch"))
    return [
        (point["key"], point["value"], point["step"])
        for body in bodies
        for point in msgspec.json.decode(body).get("metrics", [])
    ]


# Segments


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    payloads = [b"a", b"12345678", b"x" * 1000]
    _record(tmp_path / "s", *payloads)
    reader = SegmentReader(tmp_path / "s")
    assert [payload for payload, _ in reader.read()] == payloads
    second = next(iter(reader.read()))[1]
    assert [payload for payload, _ in reader.read(second)] == payloads[1:]


def test_a_record_without_its_commit_word_is_not_there(tmp_path: Path) -> None:
    _record(tmp_path / "s", b"first", b"second")
    reader = SegmentReader(tmp_path / "s")
    at = next(iter(reader.read()))[1]
    with (tmp_path / "s").open("r+b") as file:
        file.seek(at)
        file.write(bytes(4))
    assert [payload for payload, _ in reader.read()] == [b"first"]


@pytest.mark.parametrize(
    ("at", "what"), [(FIRST + 8, b"F"), (FIRST + 4, b"\0"), (FIRST, struct.pack("<I", 2**31))]
)
def test_a_changed_record_is_told(tmp_path: Path, at: int, what: bytes) -> None:
    _record(tmp_path / "s", b"first")
    with (tmp_path / "s").open("r+b") as file:
        file.seek(at)
        file.write(what)
    with pytest.raises(IntegrityError, match=r"byte 8 of .* damaged"):
        list(SegmentReader(tmp_path / "s").read())


def test_what_is_no_segment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(bytes(64))
    with pytest.raises(IntegrityError, match="not a segment"):
        SegmentReader(tmp_path / "s")


def test_a_segment_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    journal = Journal(HEAD, tmp_path)
    _log(journal, 10)
    for moment in ("posix_fallocate", "lseek", "rename"):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Path if moment == "rename" else os, moment, kill)
            SegmentWriter(journal.folder / "00000002.segment")
        assert len([point for _, piece in _pieces(journal.folder) for point in piece.points]) == 10
        (journal.folder / ".new-00000002.segment").unlink()
    journal.forget()


def test_a_position_outlives_a_write_that_was_cut_off(tmp_path: Path) -> None:
    file = PositionFile(tmp_path / "p")
    assert file.position == Position()
    first, second = Position(Place(1, 8), Place(1, 64)), Position(Place(2, 16), Place(2, 16), True)
    file.write(first)
    file.write(second)
    file.close()
    again = PositionFile(tmp_path / "p")
    assert again.position == second
    again.close()
    data = bytearray((tmp_path / "p").read_bytes())
    data[3] ^= 1  # the place that was written last is the first
    (tmp_path / "p").write_bytes(data)
    cut = PositionFile(tmp_path / "p")
    assert cut.position == first
    cut.close()


# Batches


def test_a_journal_over_several_segments_is_read_whole_and_the_same_from_anywhere(tmp_path: Path) -> None:
    journal = Journal(HEAD, tmp_path)
    journal.add(Operation("params", values={"depth": "3"}))
    _log(journal, 30_000)
    assert journal.segment > 1
    journal.close()
    pieces = _pieces(journal.folder)
    assert pieces[0][1].params == {"depth": "3"}
    assert [point.step for _, piece in pieces for point in piece.points] == list(range(30_000))
    assert max(len(piece.points) for _, piece in pieces) == 1000
    for start, piece in pieces[:: len(pieces) // 7]:
        reader = JournalReader(journal.folder)
        assert _body(reader.next_piece(start, piece.end)) == _body(piece)
        reader.close()
    journal.let_go()


def test_a_request_that_began_has_the_same_bytes_whatever_came_after(tmp_path: Path) -> None:
    journal = Journal(HEAD, tmp_path)
    _log(journal, 10)
    reader = JournalReader(journal.folder)
    piece = reader.next_piece(Position().done)
    _log(journal, 10, 10)
    assert _body(reader.next_piece(Position().done, piece.end)) == _body(piece)
    assert len(reader.next_piece(Position().done).points) == 20
    reader.close()
    journal.forget()


def test_dicts_steps_and_values_that_json_has_not(tmp_path: Path) -> None:
    journal = Journal(HEAD, tmp_path)
    keys = tuple(f"m{number}" for number in range(2500))
    with journal.lock:
        journal.add_points(("a", "b"), [math.nan, math.inf], 3, 9)
        journal.add_points(("a", "b"), [1.0, -math.inf], [4, 5], 9)
        journal.add_points(keys, [1.0] * 2500, 6, 9)
    found = [point for _, piece in _pieces(journal.folder) for point in piece.points]
    assert [(one.key, one.value, one.step) for one in found[:4]] == [
        ("a", "NaN", 3), ("b", "Infinity", 3), ("a", 1.0, 4), ("b", "-Infinity", 5),
    ]  # fmt: skip
    assert [one.key for one in found[4:]] == list(keys)
    journal.forget()


def test_a_record_larger_than_a_segment_has_one_of_its_own(tmp_path: Path) -> None:
    journal = Journal(HEAD, tmp_path)
    values = {f"k{number}": "v" * 6000 for number in range(400)}
    journal.add(Operation("tags", values=values))
    _log(journal, 1)
    assert _pieces(journal.folder)[0][1].tags == values
    journal.forget()


# Courier and shipper


def test_a_refused_param_costs_no_metric(plane, client: Client, tmp_path: Path) -> None:
    def answer(seen):
        return REFUSED if b'"depth"' in seen.body else (200, {})

    plane.routes["POST /api/v1/runs/r1/batch"] = answer
    journal = Journal(HEAD, tmp_path)
    journal.add(Operation("params", values={"depth": "3"}))
    _log(journal, 3)
    courier = Courier(client, journal.folder, HEAD)
    count, refusal = courier.ship_next()
    assert count == 4 and isinstance(refusal, InvalidInput)
    (kept,) = (tmp_path / "refused").iterdir()
    assert str(kept) in refusal.message and msgspec.json.decode(kept.read_bytes())["params"] == {"depth": "3"}
    assert _sent(plane)[-3:] == [("loss", float(step), step) for step in range(3)]
    assert courier.ship_next() == (0, None)
    courier.close()
    journal.forget()


def test_what_is_delivered_takes_no_room(plane, client: Client, tmp_path: Path) -> None:
    plane.on("POST /api/v1/runs/r1/batch", (200, {}))
    plane.on("PUT /api/v1/runs/r1/artifacts/a.txt", (200, {}))
    journal = Journal(HEAD, tmp_path)
    _log(journal, 30_000)
    journal.add(Operation("artifact", path="a.txt", file=journal.keep_file(b"text")))
    courier = Courier(client, journal.folder, HEAD)
    while courier.ship_next()[0]:
        pass
    assert [path.name for path in journal.folder.glob("*.segment")] == [f"{journal.segment:08d}.segment"]
    assert not list(journal.folder.glob("*.file"))
    assert plane.bodies("PUT /api/v1/runs/r1/artifacts/a.txt") == [b"text"]
    courier.close()
    journal.forget()


def test_a_request_under_way_is_made_again_with_the_same_bytes(plane, client: Client, tmp_path: Path) -> None:
    plane.on("POST /api/v1/runs/r1/batch", *[BUSY] * 4, (200, {}))
    journal = Journal(HEAD, tmp_path)
    _log(journal, 5)
    courier = Courier(client, journal.folder, HEAD)
    with pytest.raises(Unavailable):
        courier.ship_next()
    courier.close()
    _log(journal, 5, 5)
    again = Courier(client, journal.folder, HEAD)
    assert [again.ship_next()[0] for _ in range(3)] == [5, 5, 0]
    bodies = plane.bodies("POST /api/v1/runs/r1/batch")
    assert len(set(bodies[:5])) == 1 and bodies[5] != bodies[0]
    again.close()
    journal.forget()


def test_a_server_that_is_away_is_told_and_the_journal_stays(
    plane, client: Client, tmp_path: Path, capsys
) -> None:
    plane.on("POST /api/v1/runs/r1/batch", BUSY)
    journal = Journal(HEAD, tmp_path)
    shipper = Shipper(journal, lambda: Courier(client, journal.folder, HEAD), retry_s=0.05)
    _log(journal, 5)
    shipper.wake()
    with pytest.raises(Unavailable) as raised:
        shipper.close()
    assert str(journal.folder) in raised.value.message and "holdfast sync" in raised.value.hint
    assert capsys.readouterr().err.count(str(journal.folder)) == 1
    journal.close()
    journal.let_go()
    plane.on("POST /api/v1/runs/r1/batch", (200, {}))
    (shipped,) = ship_leftovers(tmp_path, lambda _: client)
    assert shipped.is_done and shipped.values == 5 and not list(tmp_path.iterdir())


def test_a_live_journal_is_left_to_its_process(tmp_path: Path, client: Client) -> None:
    journal = Journal(HEAD, tmp_path)
    (shipped,) = ship_leftovers(tmp_path, lambda _: client)
    assert shipped.is_live and not shipped.is_done
    journal.forget()


def test_a_removal_that_was_cut_off_is_ended(tmp_path: Path, client: Client) -> None:
    (tmp_path / ".done-1.2").mkdir()
    (tmp_path / ".done-1.2" / "position").write_bytes(b"x")
    assert list(ship_leftovers(tmp_path, lambda head: client)) == [] and not list(tmp_path.iterdir())


def test_a_damaged_journal_is_told_and_kept(plane, client: Client, tmp_path: Path) -> None:
    plane.on("POST /api/v1/runs/r1/batch", (200, {}))
    journal = Journal(HEAD, tmp_path)
    _log(journal, 2000)
    journal.close()
    journal.let_go()
    segment = journal.folder / "00000001.segment"
    data = bytearray(segment.read_bytes())
    data[60_000] ^= 1
    segment.write_bytes(data)
    (shipped,) = ship_leftovers(tmp_path, lambda _: client)
    assert isinstance(shipped.error, IntegrityError) and segment.exists() and len(_sent(plane)) >= 1000


def test_a_full_disk_is_an_error_and_no_signal(tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    journal = Journal(HEAD, tmp_path)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(Unavailable, match="No space left"):
        _log(journal, 100_000)
    journal.close(Operation("finish", status="failed"))
    pieces = [piece for _, piece in _pieces(journal.folder)]
    assert sum(len(piece.points) for piece in pieces) > 10_000
    assert pieces[-1].operation == Operation("finish", status="failed"), "there is room for the end"
    journal.let_go()


# Runs


@pytest.fixture
def run(plane, client: Client, run_document, tmp_path: Path) -> ActiveRun:
    plane.on("POST /api/v1/runs/r1/batch", (200, {}))
    plane.on("POST /api/v1/runs/r1/finish", (200, {**run_document, "status": "finished"}))
    plane.on("GET /api/v1/runs/r1", (200, run_document))
    return ActiveRun(client, msgspec.convert(run_document, Run), root=tmp_path)


def test_many_threads_lose_nothing(run: ActiveRun, plane, tmp_path: Path) -> None:
    def log(number: int) -> None:
        for step in range(500):
            run.log_metric(f"m{number}", 1.0)
            run.log_metrics({"a": step, f"n{number}": 2}, step)

    threads = [threading.Thread(target=log, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish()
    sent = [point for point in _sent(plane) if point[0].startswith("m")]
    assert sorted(sent) == sorted((f"m{number}", 1.0, step) for number in range(4) for step in range(500))
    assert len(_sent(plane)) == 4 * 500 * 3 and not list(tmp_path.iterdir())


def test_nothing_is_logged_after_the_end(run: ActiveRun) -> None:
    run.log_metric("loss", 1.0)
    assert run.finish().status == "finished" and run.finish().status == "finished"
    with pytest.raises(Conflict, match="r1 has ended"):
        run.log_metric("loss", 1.0)


def test_one_bad_value_of_a_dict_logs_nothing(run: ActiveRun, plane) -> None:
    for bad in ({"a": 1.0, "b": None}, {"a": 1.0, "*": 2.0}, {"a": 1.0, 3: 2.0}):
        with pytest.raises(InvalidInput):
            run.log_metrics(bad)  # type: ignore[arg-type]
    for step, time_ms in ((1.5, None), (0, "now"), (0, -(10**18))):
        with pytest.raises(InvalidInput):
            run.log_metric("a", 1.0, step, time_ms=time_ms)  # type: ignore[arg-type]
    run.log_metrics({})
    run.finish()
    assert _sent(plane) == []


def test_steps_count_up_by_key(run: ActiveRun, plane) -> None:
    run.log_metric("a", 1, 5)
    run.log_metrics({"a": 2, "b": 3})
    run.log_metrics({"b": 4, "a": 5})
    run.finish()
    assert [(key, step) for key, _, step in _sent(plane)] == [
        ("a", 5),
        ("a", 6),
        ("b", 0),
        ("b", 1),
        ("a", 7),
    ]


_CHILDREN = """
import multiprocessing, os, signal, sys
import holdfast

def work(number):
    for step in range(100):
        holdfast.log_metric(f"child{{number}}", step, step)
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    holdfast.init({url!r})
    with holdfast.start_run():
        holdfast.log_metric("parent", 0.0)
        context = multiprocessing.get_context({method!r})
        children = [context.Process(target=work, args=(number,)) for number in range(3)]
        for child in children:
            child.start()
        for child in children:
            child.join()
        holdfast.log_metric("parent", 1.0)
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_log_to_the_run_even_when_killed(
    plane, run_document, tmp_path: Path, method: str
) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method} here")
    plane.on("POST /api/v1/runs", (200, run_document))
    plane.on("GET /api/v1/runs/r1", (200, run_document))
    plane.on("POST /api/v1/runs/r1/batch", (200, {}))
    plane.on("POST /api/v1/runs/r1/finish", (200, {**run_document, "status": "finished"}))
    script = tmp_path / "script.py"
    script.write_text(_CHILDREN.format(url=plane.url, method=method))
    environment = {**os.environ, "HOLDFAST_JOURNAL": str(tmp_path / "journal")}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = [(f"child{number}", float(step), step) for number in range(3) for step in range(100)]
    assert sorted(_sent(plane)) == sorted([*expected, ("parent", 0.0, 0), ("parent", 1.0, 1)])
    assert len(plane.bodies("POST /api/v1/runs")) == 1
    assert plane.seen[-1].path == "/api/v1/runs/r1/finish" and not list((tmp_path / "journal").iterdir())


def test_the_next_process_ships_what_a_killed_one_left_and_ends_its_run(
    plane, run_document, tmp_path: Path
) -> None:
    plane.on("POST /api/v1/runs", (200, run_document))
    plane.on("POST /api/v1/runs/r1/batch", BUSY)
    plane.on("POST /api/v1/runs/r1/finish", (200, {**run_document, "status": "killed"}))
    code = f"""
import os, signal, holdfast
holdfast.init({plane.url!r})
holdfast.log_metric("loss", 1.0)
holdfast.log_metrics({{"loss": 2.0, "acc": 3.0}})
os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {**os.environ, "HOLDFAST_JOURNAL": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL and len(list(tmp_path.iterdir())) == 1
    plane.on("POST /api/v1/runs/r1/batch", (200, {}))
    code = f"""
import holdfast, threading
holdfast.init({plane.url!r})
with holdfast.start_run():
    [one.join() for one in threading.enumerate() if one.name == "holdfast-leftovers"]
"""
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert sorted(_sent(plane)) == [("acc", 3.0, 0), ("loss", 1.0, 0), ("loss", 2.0, 1)]
    ends = [msgspec.json.decode(body)["status"] for body in plane.bodies("POST /api/v1/runs/r1/finish")]
    assert ends == ["killed", "finished"] and not list(tmp_path.iterdir())


def test_a_run_that_is_not_there_is_refused_and_kept(
    plane, client: Client, run_document, tmp_path: Path
) -> None:
    run = ActiveRun(client, msgspec.convert(run_document, Run), root=tmp_path)
    run.log_metric("loss", 1.0)
    with pytest.raises(NotFound, match="kept in"):
        run.flush()
    with pytest.raises(NotFound):
        run.finish()
