"""Tree digest v1 and the paths that a tree may hold."""

from __future__ import annotations

import hashlib
import random

import pytest

from holdfast.chunks import TreeFile, check_path, tree_digest
from holdfast.kernel.errors import InvalidInput

A, B = hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"bb").hexdigest()


def test_the_digest_of_no_files() -> None:
    assert tree_digest([]) == "bd79b0429ee56b65cfdeaac7865770b1047eb146a5e3c10f398de8ee0a57477f"


def test_golden_digest() -> None:
    """Computed once by `printf 'holdfast-tree-v1\\n%s 1 a.txt\\n%s 2 é/b.txt\\n' ... | sha256sum`; final."""
    files = [TreeFile("é/b.txt", B, 2), TreeFile("a.txt", A, 1)]
    assert tree_digest(files) == "11b54116e516b415674c2e8a9b7e6b47aec3977a2fb0231d498ff54c4c7de2fa"


def test_paths_are_ordered_by_their_utf_8_bytes() -> None:
    """U+FFFF stands before U+10000 in UTF-8 and after it in UTF-16."""
    paths = ["a", "a.b", "a/b", "b", "\uffff", "\U00010000"]
    lines = "".join(f"{A} 1 {path}\n" for path in sorted(paths, key=str.encode))
    expected = hashlib.sha256(b"holdfast-tree-v1\n" + lines.encode()).hexdigest()
    assert tree_digest(TreeFile(path, A, 1) for path in paths) == expected


def test_the_order_of_the_files_does_not_count() -> None:
    files = [TreeFile(f"part-{n}/data.bin", A if n % 2 else B, n) for n in range(50)]
    shuffled = random.Random(7).sample(files, len(files))
    assert tree_digest(shuffled) == tree_digest(files)


def test_every_field_counts() -> None:
    variants = [TreeFile("a", A, 1), TreeFile("b", A, 1), TreeFile("a", B, 1), TreeFile("a", A, 2)]
    assert len({tree_digest([file]) for file in variants}) == 4


def test_a_path_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="twice"):
        tree_digest([TreeFile("a", A, 1), TreeFile("a", B, 2)])


@pytest.mark.parametrize("file", [TreeFile("a", "A" * 64, 1), TreeFile("a", "", 1), TreeFile("a", A, -1)])
def test_a_file_without_digest_or_size_is_refused(file: TreeFile) -> None:
    with pytest.raises(InvalidInput, match="SHA-256 and size"):
        tree_digest([file])


@pytest.mark.parametrize(
    "path",
    [
        "model.pkl",
        "a/b/c.txt",
        "..a",
        "a..b/c..",
        ".hidden",
        "a b",
        "données/é.csv",
        "日本/語",
        "C:/x",
        "100%",
        "50%20of",
        "a" * 1024,
        "images/val#sample%step%3%timestamp%1760000000000%5c2c9c1e-4f1a-4d0e-9b1f-0123456789ab.png",
        "images/a%step%25%timestamp%1760000000000%002c9c1e-4f1a-4d0e-9b1f-0123456789ab%compressed.webp",
    ],
)
def test_paths_that_a_tree_may_hold(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path",
    ["", "/", "/etc/passwd", "//a", ".", "..", "../a", "a/..", "a/../b", "a/./b", "./a", "a//b", "a/",
     "..\\a", "a\\b", "\\\\host\\share", "a\x00b", "a\nb", "a\x7f", "a\x85b", "a/\x1b[31m",
     "e\u0301", "\u212b", "\ud800", "é" * 513, "%2e%2e/x", "a%2F..%2fb", "%2Fetc/passwd", "a%5cb", "a%00b",
     "%252e%252e%252fx",
     "%2e%2e/x%step%3%timestamp%1760000000000%5c2c9c1e-4f1a-4d0e-9b1f-0123456789ab.png",
     "a%5cb%timestamp%1760000000000%5c2c9c1e-4f1a-4d0e-9b1f-0123456789ab.png"],
)  # fmt: skip
def test_paths_that_a_tree_refuses(path: str) -> None:
    with pytest.raises(InvalidInput, match="path"):
        check_path(path)
    with pytest.raises(InvalidInput):
        tree_digest([TreeFile(path, A, 1)])
