"""Which files of a run are its media, and which step of each is shown."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from holdfast.chunks import TreeFile
from holdfast.kernel.hashing import sha256_hex
from holdfast.storage import Objects
from holdfast.tracking.artifact_folders import list_folder
from holdfast.tracking.artifact_kinds import is_text, kind_by_name
from holdfast.tracking.artifact_views import ArtifactViews
from holdfast.tracking.media_section import MOST_KEYS, MediaSection, media_of, media_section
from holdfast.tracking.pictures import picture_size
from holdfast.tracking.records import Run

UUID = "5c2c9c1e-4f1a-4d0e-9b1f-0123456789ab"


TAG = '[{"path": "eval.json", "type": "table"}, {"path": "x.json", "type": "text"}, {"path": "t.parquet", "type": "table"}]'
RUN = Run(
    run_id="r", experiment_id=1, name="n", status="running", start_time=0, end_time=None, user="ada", params={},
    tags={"mlflow.loggedArtifacts": TAG}, metrics={}, recipe=None, exit_code=None, digest=None,
)  # fmt: skip


def files(*paths: str) -> list[TreeFile]:
    return [TreeFile(path, sha256_hex(b""), 0) for path in paths]


def section(objects: Objects, paths: list[str], query: Mapping[str, str]) -> MediaSection:
    objects.put_stream(iter([b""]), 1)
    return media_section(RUN, files(*paths), query, ArtifactViews(objects))


def test_files_are_grouped_by_kind_and_key() -> None:
    found = media_of(
        files(
            "media/val/a/10.png",
            "media/val/a/2.png",
            "figures/a/0.html",
            "figures/a/0.png",
            "tables/a/0.json",
            "b.png",
        )
    )
    assert {at: list(steps) for at, steps in found.items()} == {
        ("image", "val/a"): [2, 10],
        ("figure", "a"): [0],
        ("table", "a"): [0],
    }
    assert found["figure", "a"][0].path == "figures/a/0.png"


@pytest.mark.parametrize(("slash", "mark"), [("#", "%"), ("~", "+")])
def test_images_of_mlflow_are_media_and_their_last_whole_one_counts(slash: str, mark: str) -> None:
    names = [
        "images/" + mark.join([f"a{slash}b", "step", "3", "timestamp", str(ms), UUID + end])
        for ms in (10, 9)
        for end in (".png", f"{mark}compressed.webp")
    ]
    found = media_of(files(*names, "images/free.png"))
    assert [(at, steps[3].path) for at, steps in found.items()] == [(("image", "a/b"), names[0])]


def test_tables_of_mlflow_are_named_by_a_tag(objects: Objects) -> None:
    (card,) = section(objects, ["eval.json", "x.json", "y.json", "t.parquet"], {}).cards
    assert (card.kind, card.key, card.step, card.page) == (
        "table",
        "eval.json",
        0,
        "/runs/r/artifacts/eval.json",
    )
    for odd in ("", "{", "[1]", '{"path": 1}', "[" * 200):
        run = msgspec.structs.replace(RUN, tags={"mlflow.loggedArtifacts": odd})
        assert media_section(run, files("eval.json"), {}, ArtifactViews(objects)).cards == []


def test_the_newest_step_or_the_one_of_the_address(objects: Objects) -> None:
    paths = [f"media/k/{step}.png" for step in (0, 5, 10)]
    (newest,) = section(objects, paths, {}).cards
    assert (newest.step, newest.previous, newest.next, newest.place) == (10, 5, None, 3)
    (middle,) = section(objects, paths, {"media.k": "5"}).cards
    assert (middle.step, middle.previous, middle.next) == (5, 0, 10)
    for odd in ("7", "x", "-1", "9" * 30, ""):
        assert section(objects, paths, {"media.k": odd}).cards[0].step == 10


def test_twelve_keys_are_shown_and_one_that_is_asked_for(objects: Objects) -> None:
    paths = [f"media/k{at:02}/0.png" for at in range(30)]
    shown = section(objects, paths, {"media.k29": "0"})
    assert (len(shown.cards), shown.keys) == (MOST_KEYS, 30)
    assert [card.key for card in shown.cards[:2]] == ["k29", "k00"]


def test_folders_count_what_is_below_and_numbers_sort_by_value() -> None:
    tree = [TreeFile(path, "0" * 64, 2) for path in ("b10", "b9", "A/x/1", "A/y", "a.txt")]
    listed = list_folder(tree, "")
    assert [(one.name, one.files, one.size) for one in listed] == [
        ("A", 2, 4),
        ("a.txt", 0, 2),
        ("b9", 0, 2),
        ("b10", 0, 2),
    ]
    assert [one.path for one in list_folder(tree, "A")] == ["A/x", "A/y"]
    assert list_folder(tree, "b") == []


def test_sizes_of_pictures() -> None:
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\0\x40"
    jpeg = b"\xff\xd8\xff\xe0\0\4ab\xff\xc2\0\x11\x08\0\x30\0\x40"
    webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x3f\0\0\x2f\0\0"
    lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + (63 | 47 << 14).to_bytes(4, "little")
    assert picture_size(png) == (256, 64)
    assert picture_size(b"GIF89a\x40\0\x30\0") == (64, 48)
    assert [picture_size(one) for one in (jpeg, webp, lossless)] == [(64, 48)] * 3
    for cut in (png, jpeg, webp, lossless):
        for length in range(len(cut) - 1):
            picture_size(cut[:length])
    assert picture_size(b"\x89PNG\r\n\x1a\n" + bytes(20)) is None
    assert picture_size(b"<html>") is None


def test_kinds_by_name_and_by_bytes() -> None:
    names = {"a.PNG": "image", "a/b.svg": "drawing", "x.htm": "document", "MLmodel": "other", "a.pkl": "other",
             "x.tar.gz": "other", "t.parquet": "parquet", "png": "other", "a.ipynb": "json"}  # fmt: skip
    assert {name: kind_by_name(name) for name in names} == names
    assert is_text("é".encode()[:1]) and is_text(b"") and is_text("日本".encode()[:-1])
    assert not is_text(b"a\0b") and not is_text(b"\xff\xfe") and not is_text(b"\xe9 latin text")
