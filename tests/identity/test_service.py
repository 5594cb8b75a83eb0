"""Principals, roles and the secret of the administrator."""

from __future__ import annotations

import itertools
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.identity.records import PERMISSIONS, PUBLIC, ROLE_PERMISSIONS
from holdfast.identity.service import (
    ADMIN,
    OPEN,
    SYSTEM,
    Identity,
    ensure_admin_token,
    may,
    require,
    system_caller,
)
from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import Conflict, Forbidden, Unauthenticated
from holdfast.kernel.principal import ROLES, Caller

TOKEN = "5ec4e7" + "0" * 58


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


def test_open_mode_works_and_does_not_administer() -> None:
    for permission in (
        "tracking:write",
        "registry:write",
        "serving:write",
        "predictions:replay",
        "audit:read",
    ):
        assert may(OPEN, permission)
    assert not may(OPEN, "registry:approve")
    assert not may(OPEN, "identity:admin")


def test_the_administrator_and_holdfast_itself_may_do_everything() -> None:
    assert all(may(ADMIN, permission) and may(SYSTEM, permission) for permission in PERMISSIONS)
    assert system_caller("default", 7).request_id != system_caller("default", 7).request_id


def test_no_credential_is_the_open_principal() -> None:
    assert Identity(TOKEN, ManualClock()).authenticate({}) == OPEN


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_secret_is_the_administrator(scheme: str) -> None:
    assert Identity(TOKEN, ManualClock()).authenticate({"authorization": f"{scheme} {TOKEN}"}) == ADMIN


@pytest.mark.parametrize(
    "given", ["Bearer", "Bearer ", "Bearer x", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}0", TOKEN, f"Basic {TOKEN}",
              "Bearer é", f"Bearer {TOKEN.upper()}"],
)  # fmt: skip
def test_another_credential_is_refused(given: str) -> None:
    with pytest.raises(Unauthenticated):
        Identity(TOKEN, ManualClock()).authenticate({"authorization": given})


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin.token"
    token = ensure_admin_token(path)
    assert len(bytes.fromhex(token)) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ensure_admin_token(path) == token
    assert [one.name for one in tmp_path.iterdir()] == ["admin.token"]


def test_a_secret_that_others_could_read_is_closed_again(tmp_path: Path) -> None:
    path = tmp_path / "admin.token"
    ensure_admin_token(path)
    path.chmod(0o644)
    ensure_admin_token(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"\n", b"secret", b"\xff" * 64, b"g" * 64, b"0" * 63])
def test_a_secret_that_could_be_guessed_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "admin.token"
    path.write_bytes(content)
    with pytest.raises(Conflict, match=r"admin\.token"):
        ensure_admin_token(path)


def test_starts_at_once_leave_one_whole_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ensure_admin_token(tmp_path / "admin.token"), range(8)))
    assert ensure_admin_token(tmp_path / "admin.token") == ensure_admin_token(tmp_path / "admin.token")
    assert [one.name for one in tmp_path.iterdir()] == ["admin.token"]
