"""Bytes flipped anywhere in the SQLite file: what a digest, a seal or the audit log binds is named, and nothing falls over.

What is bound stands in BOUND, and what is not in UNBOUND; `docs/explanation/integrity.md` says the same in words.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.app.doctor import examine_folder
from holdfast.app.services import Services, open_services
from holdfast.collaboration.events import Match
from holdfast.identity.people import NewPerson
from holdfast.identity.service import system_caller
from holdfast.identity.tokens import NewToken
from holdfast.kernel.errors import IntegrityError
from holdfast.registry.records import Preparation
from holdfast.runtimes.records import Column, ModelDescription, Output, Parity, Signature
from holdfast.serving.records import DeployRequest
from holdfast.settings import Settings
from holdfast.storage.migrate import migrate
from holdfast.tracking.compaction import compact_metrics
from holdfast.tracking.points import decode_points
from holdfast.tracking.records import Batch, MetricPoint

pytestmark = [pytest.mark.faults, pytest.mark.database("sqlite"), pytest.mark.timeout(5400)]
FLIPS = 10_000 if os.environ.get("HOLDFAST_FULL") else 200
BOUND = {
    "audit_checkpoint": "origin root note",
    "audit_head": "id size peaks",
    "audit_leaf": "leaf leaf_hash reason salt before after",
    "audit_node": "hash",
    "channel": "kind target match",
    "chunk": "start stored size codec",
    "comment": "body deleted_at",
    "deployment": "endpoint model version deployable_digest runtime",
    "endpoint": "name kind model version state",
    "group_role": "role",
    "key_rotation": "old new time_ms signature",
    "label_batch": "batch_id rows",
    "logged_model": "status digest",
    "metric_batch": "blob",
    "metric_segment": "blob overview",
    "metric_summary": "last_step last_time min max count",
    "model_alias": "version",
    "model_version": "digest deployable_digest runtime",
    "object": "size chunks",
    "pack": "size",
    "principal": "kind disabled",
    "role_grant": "role",
    "run": "status digest",
    "run_param": "value",
    "run_tag": "value",
    "sign_on_provider": "issuer client_id scopes groups_claim",
    "token": "scope_workspace scope_permissions expires_at revoked_at",
    "tree_file": "size",
    "tree_seal": "digest",
    "workspace": "archived_at",
}
"""By digests, seals and the log. Every column of an index is bound too: each row must stand in its index."""
UNBOUND = {
    "attribute_key": "key_id",
    "audit_checkpoint": "cosignatures made_at is_kept",
    "audit_follower": "position",
    "audit_leaf": "actor_name",
    "channel": "sealed state failures message created_at created_by",
    "comment": "author_id author mentions created_at edited_at deleted_by",
    "comment_revision": "body written_at",
    "delivery": "event type body attempts ended_at error",
    "delivery_attempt": "started_at ended_at status error",
    "deployment": "message deployed requested_at activated_at",
    "endpoint": "clock window task target positive classes deployable_digest live_version status message signature "
    "reference created_at updated_at",
    "experiment": "experiment_id created_at updated_at deleted_at location",
    "experiment_tag": "value",
    "label_batch": "received_at matched",
    "lease": "owner token expires_at",
    "logged_dataset": "dataset_no source_type source schema profile",
    "logged_model": "model_no name type updated_at deleted_at",
    "logged_model_metric": "value dataset_name dataset_digest",
    "logged_model_param": "value",
    "logged_model_tag": "value",
    "login_attempt": "failures",
    "metric_batch": "received_at points",
    "metric_loose": "newest_at",
    "metric_pending": "first_batch",
    "metric_segment": "segment_id points",
    "model_alias": "since by",
    "model_alias_change": "version time by",
    "model_version": "created_at created_by description parity message prepared_at updated_at note source link archived_at",
    "model_version_tag": "value",
    "monitor_alert": "endpoint version state raised_at ended_at recovered_at body",
    "monitor_bucket": "reference_id rows failures labelled judged errors last_event last_label body",
    "monitor_reference": "body",
    "monitor_state": "body",
    "notification": "kind object actor text address created_at",
    "object": "lasting marked_at",
    "one_time_secret": "body",
    "pack": "touched_at suspect_at",
    "run_view": "query is_shared owner updated_at",
    "prediction_change": "first_day last_day",
    "prediction_segment": "size received_at rows damage",
    "principal": "display_name email password created_at erased_at",
    "registered_model": "created_at last_version updated_at note",
    "registered_model_tag": "value",
    "replica": "url generation status endpoints seen_at",
    "role_grant": "granted_at",
    "run": "end_time user recipe exit_code deleted_at compacted_to",
    "run_dataset": "context tags",
    "run_model": "step",
    "serving_generation": "generation",
    "session": "auth address agent created_at seen_at",
    "sign_on_provider": "provider_no secret updated_at",
    "sqlite_sequence": "name seq",
    "subscription": "reason created_at",
    "trace": "trace_no state duration client_request_id request response is_told",
    "trace_assessment": "body",
    "trace_metadata": "value",
    "trace_span": "parent_id name type status start_ns end_ns content",
    "trace_tag": "value",
    "token": "name hint created_at last_used_at",
    "workspace": "description created_at",
    "write_token": "written_at",
}
DESCRIPTION = ModelDescription(
    format=1, flavor="sklearn", file="model.pkl", python="3.11.7", task="binary", target="late",
    signature=Signature((Column("distance", "double"),), (Output("label", "long"),)), classes=(0, 1), positive=1,
)  # fmt: skip


def live(s: Services) -> None:
    """Everything that the log binds, two or three of each."""
    caller, deployment = system_caller("default", s.clock.now_ms()), system_caller("*", s.clock.now_ms())
    s.workspaces.create(deployment, "lab")
    for name in ("ada", "bob"):
        s.people.add(deployment, NewPerson(name, is_admin=name == "ada"))
        s.roles.grant(caller, name, "contributor")
        s.tokens.create(deployment, NewToken("ci", of=name, permissions=["registry:read"], days=30))
    s.people.set_disabled(deployment, "bob", True)
    s.roles.grant_group(caller, "staff", "viewer")
    s.channels.add_webhook(caller, "ci", "https://example.com/hook", Match())
    for number in range(3):
        run = s.tracking.create_run(caller, experiment="flights", name=f"run {number}")
        points = [MetricPoint("loss", 1 / (step + number + 1), step, step) for step in range(200)]
        batch = Batch(metrics=points, params={"depth": str(number)}, tags={"team": "blue"})
        s.tracking.metrics.log_batch(caller, run.run_id, batch, f"{number:064x}")
        later = Batch(metrics=[MetricPoint("loss", 0.1, step, step) for step in range(200, 1200)])
        s.tracking.metrics.log_batch(caller, run.run_id, later, f"{number + 7:064x}")
        s.tracking.artifacts.put(caller, run.run_id, "plots/a.bin", iter([os.urandom(30_000)]))
        s.tracking.finish_run(caller, run.run_id, "finished")
        model = s.models.create_model(caller, name="classifier", run_id=run.run_id)
        for path, data in (
            ("model.pkl", b"%d" % number),
            ("holdfast-model.json", msgspec.json.encode(DESCRIPTION)),
        ):
            s.models.put_file(caller, model.model_id, path, iter([data]))
        s.models.finalize_model(caller, model.model_id)
        s.registry.register_version(caller, "flights", model.model_id)
        onnx = s.objects.put(b"onnx %d" % number)
        parity = Parity(True, "", 100, 1e-5, 1e-4, {}, 0)
        made = Preparation("ready", "onnx", parity, "", {"model.onnx": (onnx.sha256, onnx.size)}, {})
        s.registry.preparations.record(caller, "flights", number + 1, made)
        s.registry.set_alias(caller, "flights", f"stage{number}", number + 1, reason="because")
        s.serving.deploy(caller, DeployRequest(f"live{number}", f"flights/{number + 1}"))
        s.predictions.accept_feedback(caller, f"live{number}", {"key": ["a", "b"], "label": [0, 1]})
        s.collaboration.create_comment(caller, "model:flights", f"Looks good, {number}.")
        s.checkpoints.record(s.clock.now_ms() + number * 60_000)
    s.tracking.metrics.settle()
    compact_metrics(s.storage, caller.time_ms + 86_400_000)
    s.objects.pack(lambda: None, after_ms=-1)
    s.signing.rotate(deployment, "checkpoint")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A deployment that has been lived in, and is shut down: everything is in the one file."""
    found = Settings(data=tmp_path / "data")
    found.data.mkdir(mode=0o700)
    migrate(found.database)
    services = open_services(found)
    try:
        live(services)
    finally:
        services.close()
    assert not (found.data / "holdfast.db-wal").exists()
    return found


Contents = dict[str, dict[int, tuple[Any, ...]]]


def columns_of(path: Path) -> dict[str, list[str]]:
    """The columns of every table."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {t: [row[1] for row in connection.execute(f"PRAGMA table_info('{t}')")] for t in tables}


def indexed(path: Path) -> dict[str, set[str]]:
    """The columns of each table that stand in an index."""
    with closing(sqlite3.connect(path)) as connection:
        found: dict[str, set[str]] = {}
        for table in columns_of(path):
            names = [row[1] for row in connection.execute(f"PRAGMA index_list('{table}')")]
            found[table] = {row[2] for n in names for row in connection.execute(f"PRAGMA index_info('{n}')")}
        return found


def read(path: Path, columns: dict[str, list[str]]) -> tuple[Contents | None, bool]:
    """Every row of every table past all indexes, None when that fails; and whether SQLite finds the file whole."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.text_factory = bytes
            rows = {
                table: {
                    row[0]: row[1:]
                    for row in connection.execute(
                        f"SELECT rowid, {', '.join(map(quoted, names))} FROM {quoted(table)} NOT INDEXED"
                    )
                }
                for table, names in columns.items()
            }
            is_whole = [row[0] for row in connection.execute("PRAGMA integrity_check(1)")] == [b"ok"]
    except (sqlite3.Error, UnicodeDecodeError):
        return None, False
    return rows, is_whole


def quoted(name: str) -> str:
    return f'"{name}"'


def changes(before: Contents, after: Contents, columns: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """(table, column) of every value that is another; every column of a row that came or went."""
    for table, names in columns.items():
        old, new = before[table], after[table]
        if old == new:
            continue
        for number in old.keys() | new.keys():
            for at, name in enumerate(names):
                one, other = (rows[number][at] if number in rows else None for rows in (old, new))
                if (one != other or number not in old or number not in new) and not same_points(
                    table, name, one, other
                ):
                    yield table, name


def same_points(table: str, column: str, old: Any, new: Any) -> bool:
    """Whether a blob of points is another and gives the same points: a bit that the format leaves open."""
    if (table, column) not in {("metric_batch", "blob"), ("metric_segment", "blob")} or not isinstance(
        new, bytes
    ):
        return False
    try:
        return repr(decode_points(old)) == repr(decode_points(new))
    except IntegrityError:
        return False


def named(settings: Settings, tables: set[str]) -> list[str]:
    """What the doctor finds bad; of what refers to objects, what `holdfast objects verify` finds."""
    found = [
        f"{one.check}: {one.message}"
        for one in examine_folder(settings, deep=True).findings
        if one.state == "bad"
    ]
    if not found and tables & {"object", "chunk", "pack"}:
        services = open_services(settings)
        try:
            found = [
                f"{one.name}: {one.problem}" for one in services.objects.verify(services.gc_roots) if one
            ]
        finally:
            services.close()
    return found


def test_every_column_is_bound_or_known_not_to_be(settings: Settings) -> None:
    path = settings.data / "holdfast.db"
    by_index = indexed(path)
    for table, names in columns_of(path).items():
        bound, unbound = BOUND.get(table, "").split(), UNBOUND.get(table, "").split()
        assert sorted([*bound, *unbound]) == sorted(set(names) - by_index[table]), table


def test_flipped_bytes_of_the_database_are_named(settings: Settings) -> None:
    path, chance, outcomes = settings.data / "holdfast.db", random.Random(FLIPS), Counter[str]()
    whole, columns, by_index = path.read_bytes(), columns_of(path), indexed(path)
    bound = {
        (t, c) for t, cs in columns.items() for c in cs if c in by_index[t] or c in BOUND.get(t, "").split()
    }
    used = [at for at, byte in enumerate(whole) if byte]
    before, is_whole = read(path, columns)
    assert is_whole and before is not None and named(settings, {"object"}) == []
    for number in range(FLIPS):
        at = chance.choice(used) if number % 4 else chance.randrange(len(whole))
        flipped = bytearray(whole)
        flipped[at] ^= 1 << chance.randrange(8)
        for beside in settings.data.glob("holdfast.db-*"):
            beside.unlink()
        path.write_bytes(flipped)
        after, is_whole = read(path, columns)
        changed = None if after is None else set(changes(before, after, columns))
        matters = changed is None or not is_whole or bool(changed & bound)
        if not matters and number % 20:
            outcomes["changed what nothing binds" if changed else "changed nothing"] += 1
            continue
        found = named(settings, {table for table, _ in changed or ()})
        assert found or not matters, f"byte {at} of {whole[at]:#x}: {changed}, whole: {is_whole}"
        outcomes["named" if found else "nothing to name"] += 1
    print(f"{FLIPS:,} flips: {dict(outcomes)}")


STRANGE: list[str | bytes | float] = ["\x01\u00e9", b"\x80", 0.5]


def strange_values(path: Path) -> Iterator[tuple[str, str, str | bytes | float]]:
    """(table, column, value of another type) for every column that has a value; one of them each without FULL."""
    kept = {str: "text", bytes: "blob", float: "real"}
    with closing(sqlite3.connect(path)) as connection:
        for table, names in columns_of(path).items():
            if table.startswith("sqlite_"):
                continue
            first = f"FROM {quoted(table)} WHERE rowid = (SELECT min(rowid) FROM {quoted(table)})"
            told = connection.execute(f"PRAGMA table_info({quoted(table)})").fetchall()
            declared = {row[1]: row[2].upper() for row in told}
            row_number = [row[1] for row in told if row[2].upper() == "INTEGER" and row[5] == 1]
            for number, name in enumerate(names):
                kind = connection.execute(f"SELECT typeof({quoted(name)}) {first}").fetchone()
                # A number in a column of texts is kept as text; a number that names the row can be nothing else.
                other = [
                    value
                    for value in STRANGE
                    if kind is not None
                    and kind[0] not in ("null", kept[type(value)])
                    and not (
                        isinstance(value, float) and declared[name].startswith(("VARCHAR", "TEXT", "FLOAT"))
                    )
                    and row_number != [name]
                ]
                for value in other if os.environ.get("HOLDFAST_FULL") else other[number % 3 :][:1]:
                    yield table, name, value


def test_a_value_of_another_type_is_named(settings: Settings) -> None:
    """A flipped bit in a row's header turns a number into a text, bytes or a fraction, and a text into bytes."""
    path, asked = settings.data / "holdfast.db", 0
    whole, every = path.read_bytes(), list(strange_values(path))
    for table, column, value in every:
        for beside in settings.data.glob("holdfast.db-*"):
            beside.unlink()
        path.write_bytes(whole)
        where = f"WHERE rowid = (SELECT min(rowid) FROM {quoted(table)})"
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"UPDATE {quoted(table)} SET {quoted(column)} = ? {where}", (value,))
        assert named(settings, {table}), f"{table}.{column} = {value!r}"
        asked += 1
    assert asked > 100


@pytest.mark.parametrize("table", ["object", "chunk", "pack"])
def test_verifying_objects_names_a_size_that_is_no_number(settings: Settings, table: str) -> None:
    with closing(sqlite3.connect(settings.data / "holdfast.db")) as connection, connection:
        connection.execute(f"UPDATE {table} SET size = 'many' WHERE rowid = (SELECT min(rowid) FROM {table})")
    services = open_services(settings)
    try:
        found = [one for one in services.objects.verify(services.gc_roots) if one]
    finally:
        services.close()
    assert [one.problem for one in found] == [f"{table}.size in row 1 is text in place of integer"]


def test_verifying_the_log_names_an_index_that_is_no_number(settings: Settings) -> None:
    with closing(sqlite3.connect(settings.data / "holdfast.db")) as connection, connection:
        connection.execute("UPDATE audit_leaf SET idx = 'one' WHERE idx = 1")
    services = open_services(settings)
    try:
        report = services.checkpoints.verify()
    finally:
        services.close()
    assert not report.ok
    assert "audit_leaf.idx in row 2 is text in place of integer" in [one.problem for one in report.damaged]
