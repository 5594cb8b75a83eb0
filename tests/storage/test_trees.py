"""Open trees and their seals."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from holdfast.chunks import TreeFile, tree_digest
from holdfast.kernel.errors import Conflict, InvalidInput, NotFound
from holdfast.storage import Storage, Tx, trees

A, B = hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest()
Do = Callable[..., Any]


@pytest.fixture
def do(storage: Storage) -> Do:
    """Call a function of `trees` on one run's tree in a transaction of its own."""

    def call(fn: Callable[..., Any], *args: Any, owner: str = "r1", workspace: str = "default") -> Any:
        return storage.write(lambda tx: fn(tx, workspace, "run", owner, *args))

    return call


def test_files_are_listed_by_path(do: Do) -> None:
    for path in ("b", "a/z", "a.b", "é"):
        do(trees.put_file, path, A, 1)
    assert [file.path for file in do(trees.list_files)] == ["a.b", "a/z", "b", "é"]
    assert do(trees.find_file, "b") == TreeFile("b", A, 1)


def test_a_file_of_an_open_tree_can_be_replaced_and_removed(do: Do) -> None:
    do(trees.put_file, "a", A, 1)
    do(trees.put_file, "a", B, 2)
    assert do(trees.list_files) == [TreeFile("a", B, 2)]
    do(trees.remove_file, "a")
    assert do(trees.list_files) == []


def test_what_is_not_there_is_not_found(do: Do) -> None:
    for fn in (trees.find_file, trees.remove_file):
        with pytest.raises(NotFound, match="'nothing'"):
            do(fn, "nothing")


def test_a_seal_is_the_digest_of_the_files(do: Do) -> None:
    do(trees.put_file, "b", B, 2)
    do(trees.put_file, "a", A, 1)
    assert do(trees.sealed_digest) is None
    digest = do(trees.seal)
    assert digest == tree_digest([TreeFile("a", A, 1), TreeFile("b", B, 2)])
    assert do(trees.seal) == do(trees.sealed_digest) == digest


def test_under_a_seal_identical_bytes_are_accepted(do: Do) -> None:
    do(trees.put_file, "a", A, 1)
    digest = do(trees.seal)
    assert do(trees.put_file, "a", A, 1) == TreeFile("a", A, 1)
    assert do(trees.sealed_digest) == digest


def test_under_a_seal_every_change_is_refused(do: Do) -> None:
    do(trees.put_file, "a", A, 1)
    do(trees.seal)
    for change in (partial(do, trees.put_file, "a", B, 1), partial(do, trees.put_file, "new", A, 1),
                   partial(do, trees.remove_file, "a")):  # fmt: skip
        with pytest.raises(InvalidInput, match="sealed"):
            change()
    assert do(trees.list_files) == [TreeFile("a", A, 1)]


def test_a_tree_without_files_is_not_sealed(do: Do) -> None:
    with pytest.raises(Conflict, match="holds no file"):
        do(trees.seal)


@pytest.mark.parametrize(
    ("first", "second"), [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b"), ("a", "a/b/c/d")]
)
def test_a_path_is_a_file_or_a_folder(do: Do, first: str, second: str) -> None:
    do(trees.put_file, first, A, 1)
    do(trees.put_file, "a.b", A, 1)
    with pytest.raises(InvalidInput, match="clashes"):
        do(trees.put_file, second, A, 1)


def test_traversal_is_refused(do: Do) -> None:
    with pytest.raises(InvalidInput, match="path"):
        do(trees.put_file, "../../etc/passwd", A, 1)
    with pytest.raises(InvalidInput, match="path"):
        do(trees.find_file, "../secret")


def test_a_copy_outlives_its_source(do: Do, storage: Storage) -> None:
    for number in range(20):
        do(trees.put_file, f"part-{number}", A, number)
    files = do(trees.list_files)
    storage.write(lambda tx: trees.copy_tree(tx, "default", ("run", "r1"), ("model_version", "v1")))
    for file in files:
        do(trees.remove_file, file.path)
    assert storage.read(lambda tx: trees.list_files(tx, "default", "model_version", "v1")) == files
    assert storage.read(lambda tx: trees.holds_object(tx, "default", "model_version", A))


def test_owners_and_workspaces_do_not_see_each_other(do: Do, storage: Storage) -> None:
    do(trees.put_file, "a", A, 1)
    assert do(trees.list_files, owner="r2") == []
    assert do(trees.list_files, workspace="other") == []
    assert not storage.read(lambda tx: trees.holds_object(tx, "other", "run", A))


@pytest.mark.parametrize("seed", range(5))
def test_many_files_at_once_are_taken_and_refused_as_one_by_one(storage: Storage, seed: int) -> None:
    chance = random.Random(seed)
    # What stands before and after "/" in the order of texts, and names that begin with each other.
    names = ["a", "a-b", "a.b", "a0", "aa", "b", "ü"]
    for number in range(40):
        drawn = {"/".join(chance.choices(names, k=chance.choice((1, 1, 2, 3)))) for _ in range(12)}
        files = [TreeFile(path, hashlib.sha256(b"%d" % chance.randrange(2)).hexdigest(), 1) for path in drawn]
        outcomes = []
        for owner, at_once in ((f"many{number}", True), (f"one{number}", False)):
            outcomes.append(_put_all(storage, owner, files, 6 if at_once else 1))
        assert outcomes[0] == outcomes[1], files


def _put_all(storage: Storage, owner: str, files: list[TreeFile], size: int) -> list[TreeFile]:
    """Put the files in groups of `size`, each whole or not at all; what the tree then holds."""
    for first in range(0, len(files), 6):
        group = files[first : first + 6]

        def fn(tx: Tx, group: list[TreeFile] = group) -> None:
            if size > 1:
                trees.put_files(tx, "w", "run", owner, group)
                return
            for file in group:
                trees.put_file(tx, "w", "run", owner, file.path, file.sha256, file.size)

        with contextlib.suppress(InvalidInput):
            storage.write(fn)
    return storage.read(lambda tx: trees.list_files(tx, "w", "run", owner))
