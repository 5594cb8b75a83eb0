"""The code that a command runs from: the commit of its git working tree, and what differs from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec

__all__ = ["CodeState", "code_state"]

_LARGEST_DIFF = 50 * 1024 * 1024


class CodeState(msgspec.Struct, frozen=True):
    """A working tree: commit (empty before the first), whether it differs, and the difference as a binary
    diff.

    The diff holds changed and new files that are not ignored; it is empty when the tree is clean, and without
    the new files when these make it larger than 50 MB.
    """

    commit: str
    dirty: bool
    diff: bytes


def code_state(folder: Path) -> CodeState | None:
    """The state of the git working tree that `folder` is in; None outside of one or without git."""
    if shutil.which("git") is None or _git(folder, "rev-parse", "--is-inside-work-tree").strip() != b"true":
        return None
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD").decode().strip()
    dirty = bool(_git(folder, "status", "--porcelain").strip())
    return CodeState(commit, dirty, _diff(folder, commit) if dirty and commit else b"")


def _diff(folder: Path, commit: str) -> bytes:
    """The tree against the commit, new files included, by way of a copy of the index that is thrown away."""
    tracked = _git(folder, "diff", "--binary", commit)
    index = Path(_git(folder, "rev-parse", "--path-format=absolute", "--git-path", "index").decode().strip())
    top = Path(_git(folder, "rev-parse", "--show-toplevel").decode().strip())
    if not index.is_file():
        return tracked
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "index"
        # With its time: by it git tells which files changed in the very second in which it last looked at them.
        shutil.copy2(index, copy)
        _git(top, "add", "--intent-to-add", ".", index=copy)
        everything = _git(top, "diff", "--binary", commit, index=copy)
    return everything if len(everything) <= _LARGEST_DIFF else tracked


def _git(folder: Path, *arguments: str, index: Path | None = None) -> bytes:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, check=False)
    return done.stdout
