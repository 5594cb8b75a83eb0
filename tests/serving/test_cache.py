"""What a replica keeps on disk: verified before use, whole or not at all; only validly signed, newer states."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from holdfast.chunks import TreeFile, tree_digest
from holdfast.kernel.errors import IntegrityError, InvalidInput, Unavailable
from holdfast.kernel.hashing import sha256_hex
from holdfast.serving.inference.cache import Cache
from holdfast.serving.records import DesiredEndpoint, DesiredState, SignedState
from holdfast.serving.signing import sign_state
from holdfast.storage.keys import open_keyring

CONTENTS = {"model.onnx": b"weights", "sub/holdfast.json": b"{}"}


def desired(contents: dict[str, bytes] = CONTENTS) -> DesiredEndpoint:
    files = [TreeFile(path, sha256_hex(data), len(data)) for path, data in contents.items()]
    return DesiredEndpoint("f", "e1", "default", "wall", "d1", "m", 1, tree_digest(files), "onnx", files, {})


def server(contents: dict[str, bytes] = CONTENTS) -> Callable[[str, Callable[[bytes], object]], None]:
    stored = {sha256_hex(data): data for data in contents.values()}

    def fetch(sha256: str, write: Callable[[bytes], object]) -> None:
        write(stored[sha256])

    return fetch


def unreachable(sha256: str, write: Callable[[bytes], object]) -> None:
    write(b"half")
    raise Unavailable("gone")


def sign(tmp_path: Path, generation: int, key: str = "keys") -> SignedState:
    return sign_state(
        DesiredState(generation, [desired()]), open_keyring(tmp_path / key).signing_key("serving")
    )


def test_a_model_is_fetched_once_and_served_without_the_control_plane(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    folder = cache.ensure_model(desired(), server())
    assert {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    } == CONTENTS
    assert Cache(tmp_path).ensure_model(desired(), unreachable) == folder


def test_damage_on_disk_is_found_and_the_model_fetched_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    folder = cache.ensure_model(desired(), server())
    (folder / "model.onnx").write_bytes(b"w3ights")
    assert (cache.ensure_model(desired(), server()) / "model.onnx").read_bytes() == b"weights"
    (folder / "extra.py").write_bytes(b"")
    cache.ensure_model(desired(), server())
    assert not (folder / "extra.py").exists()


def test_other_bytes_than_named_are_refused_and_nothing_half_written_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with pytest.raises(IntegrityError, match=r"model\.onnx"):
        cache.ensure_model(desired(), lambda _sha256, write: write(b"forged!"))
    with pytest.raises(Unavailable):
        cache.ensure_model(desired(), unreachable)
    assert list((tmp_path / "models").iterdir()) == list((tmp_path / "incoming").iterdir()) == []


def test_files_that_are_not_the_named_tree_are_refused(tmp_path: Path) -> None:
    forged = msgspec.structs.replace(desired(), deployable_digest="0" * 64)
    with pytest.raises(IntegrityError, match="not the tree"):
        Cache(tmp_path).ensure_model(forged, server())
    outside = msgspec.structs.replace(desired(), files=[TreeFile("../x", "0" * 64, 1)])
    with pytest.raises(InvalidInput, match=r"\.\./x"):
        Cache(tmp_path).ensure_model(outside, server())


def test_models_that_nobody_names_are_removed(tmp_path: Path) -> None:
    cache, other = Cache(tmp_path), {"a": b"b"}
    cache.ensure_model(desired(), server())
    kept = cache.ensure_model(desired(other), server(other))
    cache.keep_only({kept.name})
    assert list((tmp_path / "models").iterdir()) == [kept]


def test_the_first_key_is_pinned(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "replica")
    assert cache.check(sign(tmp_path, 1), 0).generation == 1
    with pytest.raises(IntegrityError, match="not by the pinned"):
        Cache(tmp_path / "replica").check(sign(tmp_path, 2, "other.key"), 1)


def test_a_given_key_is_pinned_from_the_start(tmp_path: Path) -> None:
    public = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    with pytest.raises(IntegrityError, match="not by the pinned"):
        Cache(tmp_path / "replica", public).check(sign(tmp_path, 1), 0)


def test_a_changed_document_is_refused(tmp_path: Path) -> None:
    signed = sign(tmp_path, 1)
    document = base64.b64decode(signed.document).replace(b'"generation":1', b'"generation":9')
    forged = msgspec.structs.replace(signed, document=base64.b64encode(document).decode())
    with pytest.raises(IntegrityError, match="not validly signed"):
        Cache(tmp_path / "replica").check(forged, 0)


def test_a_lower_generation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"generation 4 .*; 5 is in force"):
        Cache(tmp_path / "replica").check(sign(tmp_path, 4), 5)


def test_the_kept_state_is_checked_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "replica")
    assert cache.load_state() is None
    signed = sign(tmp_path, 3)
    state = cache.check(signed, 0)
    cache.save_state(signed)
    assert Cache(tmp_path / "replica").load_state() == state
    path = tmp_path / "replica" / "state.json"
    path.write_bytes(path.read_bytes().replace(b'"signature":"', b'"signature":"AAAA'))
    with pytest.raises(IntegrityError):
        Cache(tmp_path / "replica").load_state()
