"""What a replica keeps on its disk, so that it starts and serves while the control plane is away.

state.json            the last desired state, signed          public.key   the pinned key of the control plane
models/{digest}/...   deployable trees, verified before every load
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from holdfast.chunks import TreeFile, check_path, tree_digest
from holdfast.kernel.errors import IntegrityError
from holdfast.kernel.hashing import is_sha256
from holdfast.kernel.ids import new_id
from holdfast.serving.records import DesiredEndpoint, DesiredState, SignedState
from holdfast.serving.signing import verify_state

__all__ = ["Cache"]

_BLOCK = 1 << 20
Fetch = Callable[[str, Callable[[bytes], object]], None]


class Cache:
    """The models and the desired state in a replica's data folder."""

    def __init__(self, folder: Path, public_key: str = "") -> None:
        self._folder = folder
        self._models = folder / "models"
        self._incoming = folder / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)
        for path in (self._models, self._incoming):
            path.mkdir(parents=True, exist_ok=True)
        self._public_key = public_key

    def check(self, signed: SignedState, generation: int) -> DesiredState:
        """The state behind `signed`. The first key ever seen is pinned unless one was given.

        Raises IntegrityError for another key or a wrong signature, and for a generation below `generation`.
        """
        state = verify_state(signed, self._pinned(signed.public_key))
        if state.generation < generation:
            raise IntegrityError(
                f"The control plane offers generation {state.generation} of the desired state; {generation} is in force.",
                hint="If its database was restored from a backup on purpose, delete state.json of this data folder.",
            )
        for endpoint in state.endpoints:
            if not is_sha256(endpoint.deployable_digest):
                raise IntegrityError(f"{endpoint.deployable_digest[:80]!r} is not a digest.")
        return state

    def _pinned(self, offered: str) -> str:
        if self._public_key:
            return self._public_key
        path = self._folder / "public.key"
        try:
            return path.read_text("ascii").strip()
        except FileNotFoundError:
            _write_atomically(path, offered.encode("ascii", "replace"))
            return offered

    def save_state(self, signed: SignedState) -> None:
        """Keep a checked state for a start without the control plane, and pin the key that it follows from."""
        _write_atomically(self._folder / "state.json", msgspec.json.encode(signed))
        if not self._public_key and signed.public_key != self._pinned(signed.public_key):
            # The key was rotated: from now on what the old one signs is worth nothing.
            _write_atomically(self._folder / "public.key", signed.public_key.encode("ascii"))

    def load_state(self) -> DesiredState | None:
        """The kept state; None when there is none. Raises IntegrityError when it was changed on disk."""
        try:
            data = (self._folder / "state.json").read_bytes()
        except FileNotFoundError:
            return None
        try:
            return self.check(msgspec.json.decode(data, type=SignedState), 0)
        except msgspec.DecodeError as error:
            raise IntegrityError(f"The kept desired state can't be read: {error}.") from error

    def ensure_model(self, endpoint: DesiredEndpoint, fetch: Fetch) -> Path:
        """The folder of the endpoint's deployable tree, every file and the tree's digest verified.

        Fetches what is missing or damaged. Raises IntegrityError when what was fetched is not what was named.
        """
        folder = self._models / endpoint.deployable_digest
        if tree_digest(endpoint.files) != endpoint.deployable_digest:
            raise IntegrityError(
                f"The files named for {endpoint.name!r} are not the tree {endpoint.deployable_digest[:12]}."
            )
        if folder.is_dir():
            try:
                _verify(folder, endpoint.files)
                return folder
            except IntegrityError:
                shutil.rmtree(folder)
        incoming = self._incoming / new_id()
        incoming.mkdir()
        try:
            for file in endpoint.files:
                _fetch(incoming / check_path(file.path), file, fetch)
            _verify(incoming, endpoint.files)
            incoming.rename(folder)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return folder

    def keep_only(self, digests: Iterable[str]) -> None:
        """Remove the models that none of these digests names."""
        kept = set(digests)
        for folder in self._models.iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)


def _fetch(path: Path, file: TreeFile, fetch: Fetch) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as sink:
        fetch(file.sha256, sink.write)
        sink.flush()
        os.fsync(sink.fileno())


def _verify(folder: Path, files: Iterable[TreeFile]) -> None:
    """Raises IntegrityError unless the folder holds exactly these files with these bytes."""
    expected = {file.path: file for file in files}
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    odd = sorted(present ^ expected.keys())
    if odd:
        raise IntegrityError(
            f"The model's folder {'lacks' if odd[0] in expected else 'also holds'} the file {odd[0]!r}."
        )
    for file in expected.values():
        path = folder / file.path
        if path.is_symlink() or path.stat().st_size != file.size or _digest(path) != file.sha256:
            raise IntegrityError(f"The model's file {file.path!r} is damaged.")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
