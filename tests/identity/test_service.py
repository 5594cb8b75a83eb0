"""Permissions, roles and the secrets of the server itself."""

from __future__ import annotations

import itertools
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.identity.passwords import Passwords
from holdfast.identity.records import (
    ACCOUNT,
    DEPLOYMENT_ADMIN,
    PERMISSIONS,
    PUBLIC,
    ROLE_PERMISSIONS,
    SERVING_PLANE,
    SIGNED_IN,
)
from holdfast.identity.secrets import ensure_secret_file
from holdfast.identity.service import ADMIN, INFERENCE, NOBODY, OPEN, SYSTEM, may, require, system_caller
from holdfast.kernel.errors import Conflict, Forbidden
from holdfast.kernel.principal import ROLES, Caller, Principal


def test_each_role_may_do_what_the_roles_before_it_may() -> None:
    assert list(ROLE_PERMISSIONS) == list(ROLES)
    held = list(ROLE_PERMISSIONS.values())
    assert all(less < more for less, more in itertools.pairwise(held))


@pytest.mark.parametrize("role", ROLES)
def test_everybody_may_use_what_is_public(make_caller: Callable[..., Caller], role: str) -> None:
    require(make_caller(role), PUBLIC)


def test_a_viewer_reads_and_does_not_write(make_caller: Callable[..., Caller]) -> None:
    viewer = make_caller("viewer")
    require(viewer, "tracking:read")
    with pytest.raises(
        Forbidden, match=r"'ada' \(role viewer\) lacks the permission 'tracking:write'"
    ) as caught:
        require(viewer, "tracking:write")
    assert caught.value.details == {"permission": "tracking:write"}


def test_an_unknown_role_or_permission_gives_nothing(make_caller: Callable[..., Caller]) -> None:
    assert not may(make_caller("owner").principal, "tracking:read")
    assert not may(ADMIN, "world:end")


def test_a_scope_leaves_what_it_names_and_the_principal_has() -> None:
    scoped = Principal("p", "ada", "contributor", "token", only=("tracking:read", "identity:admin"))
    assert may(scoped, "tracking:read")
    assert not may(scoped, "tracking:write")
    assert not may(scoped, "identity:admin")


def test_open_mode_works_and_does_not_administer() -> None:
    for permission in (
        "tracking:write",
        "registry:write",
        "serving:write",
        "predictions:replay",
        "audit:read",
    ):
        assert may(OPEN, permission)
    for permission in ("registry:approve", "identity:admin", DEPLOYMENT_ADMIN, SERVING_PLANE, ACCOUNT):
        assert not may(OPEN, permission)


def test_holdfast_itself_may_do_everything_that_is_not_an_account() -> None:
    assert all(may(SYSTEM, permission) for permission in PERMISSIONS - {ACCOUNT})
    assert all(may(ADMIN, permission) for permission in PERMISSIONS - {ACCOUNT, SERVING_PLANE})
    assert system_caller("default", 7).request_id != system_caller("default", 7).request_id


def test_the_inference_server_has_one_permission() -> None:
    assert {one for one in PERMISSIONS if may(INFERENCE, one)} == {PUBLIC, SIGNED_IN, SERVING_PLANE}


def test_nobody_may_see_what_is_public() -> None:
    assert {one for one in PERMISSIONS if may(NOBODY, one)} == {PUBLIC}


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin.token"
    token = ensure_secret_file(path)
    assert len(bytes.fromhex(token)) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ensure_secret_file(path) == token
    assert [one.name for one in tmp_path.iterdir()] == ["admin.token"]


def test_a_secret_that_others_could_read_is_closed_again(tmp_path: Path) -> None:
    path = tmp_path / "admin.token"
    ensure_secret_file(path)
    path.chmod(0o644)
    ensure_secret_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"\n", b"secret", b"\xff" * 64, b"g" * 64, b"0" * 63])
def test_a_secret_that_could_be_guessed_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "admin.token"
    path.write_bytes(content)
    with pytest.raises(Conflict, match=r"admin\.token"):
        ensure_secret_file(path)


def test_starts_at_once_leave_one_whole_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: ensure_secret_file(tmp_path / "admin.token"), range(8)))
    assert made == {ensure_secret_file(tmp_path / "admin.token")}
    assert [one.name for one in tmp_path.iterdir()] == ["admin.token"]


def test_a_password_is_kept_as_argon2id() -> None:
    passwords = Passwords()
    kept = passwords.make_hash("correct horse battery")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.is_right(kept, "correct horse battery") and not passwords.is_right(kept, "wrong")
    assert not passwords.is_right(None, "the password of nobody")
    assert passwords.is_outdated("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$YWJjZGVmZ2hpamtsbW5vcA")
