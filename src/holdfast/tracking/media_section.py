"""The images, figures and tables of a run by their keys: of each the newest step, or the one that the address names."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping

import msgspec

from holdfast.chunks import TreeFile
from holdfast.kernel.media import MEDIA_KINDS, Media, parse_media_path
from holdfast.tracking.artifact_kinds import ArtifactKind, kind_by_name
from holdfast.tracking.artifact_page import artifact_address, download_address
from holdfast.tracking.artifact_views import PICTURE_LIMIT, ArtifactViews, Picture
from holdfast.tracking.grids import Grid, Window
from holdfast.tracking.records import Run

__all__ = ["MOST_KEYS", "MediaCard", "MediaSection", "media_of", "media_section"]

MOST_KEYS = 12
_TABLE_LIMIT = 256_000
_PREVIEW = Window(most_rows=5, most_columns=6)
_LOGGED = "mlflow.loggedArtifacts"
# Percent signs stand between the parts up to 3.6, plus signs since; a slash of the key is # or ~.
_MLFLOW_IMAGE = re.compile(
    r"images/([^/]+)([%+])step\2(0|[1-9][0-9]{0,15})\2timestamp\2([0-9]{1,16})\2[0-9a-f-]{36}(?:\2compressed)?\.(png|webp)"
)


class MediaCard(msgspec.Struct, frozen=True):
    """One key with the step that is shown."""

    id: str
    kind: str
    key: str
    step: int
    place: int
    """Which of its steps this is, from 1."""
    steps: int
    previous: int | None
    next: int | None
    newest: int
    name: str
    """What the address calls its step: `media.val/sample`."""
    path: str
    page: str
    source: str
    form: ArtifactKind
    picture: Picture | None
    table: Grid | None


class MediaSection(msgspec.Struct, frozen=True):
    """What a run's page shows of media, and how many keys there are."""

    cards: list[MediaCard]
    keys: int
    at: str


class _Logged(msgspec.Struct):
    """What MLflow's `log_table` notes in a tag of the run."""

    path: str
    type: str


def media_section(
    run: Run, files: Iterable[TreeFile], query: Mapping[str, str], views: ArtifactViews
) -> MediaSection:
    """The first keys, those that the address names before all others."""
    groups = media_of(files, _mlflow_tables(run.tags.get(_LOGGED, "[]")))
    asked = {at for at in groups if _name(*at) in query}
    order = sorted(groups, key=lambda at: (at not in asked, list(MEDIA_KINDS).index(at[0]), at[1]))
    cards = [
        _card(f"media-{number}", at, groups[at], run.run_id, query, views)
        for number, at in enumerate(order[:MOST_KEYS], 1)
    ]
    return MediaSection(cards, len(groups), artifact_address(run.run_id))


def media_of(
    files: Iterable[TreeFile], tables: Container[str] = ()
) -> dict[tuple[str, str], dict[int, TreeFile]]:
    """The files by kind and key, of each by step; one file of a step, the picture before the document before the data.

    `tables` are paths of JSON files that are tables by themselves, whatever their names.
    """
    found: dict[tuple[str, str], dict[int, tuple[int, int, TreeFile]]] = {}
    for file in files:
        media, logged_at = parse_media_path(file.path), 0
        if media is None:
            media, logged_at = _mlflow_image(file.path)
        if media is None and file.path in tables and file.path.endswith(".json"):
            media = Media("table", file.path, 0, "json")
        if media is None:
            continue
        rank = MEDIA_KINDS[media.kind][1].index(media.extension)
        steps = found.setdefault((media.kind, media.key), {})
        # Of MLflow's images of one step the last is shown, and rather the whole than its small copy.
        known = steps.get(media.step)
        if known is None or (-logged_at, rank) < known[:2]:
            steps[media.step] = (-logged_at, rank, file)
    return {at: {step: steps[step][2] for step in sorted(steps)} for at, steps in found.items()}


def _mlflow_image(path: str) -> tuple[Media | None, int]:
    """What MLflow's `log_image` says by the name of its file, and the time of it."""
    named = _MLFLOW_IMAGE.fullmatch(path)
    if named is None:
        return None, 0
    key, mark, step, logged_at, extension = named.groups()
    return Media("image", key.replace("~" if mark == "+" else "#", "/"), int(step), extension), int(logged_at)


def _mlflow_tables(tag: str) -> frozenset[str]:
    """The paths of the tables that the tag names; none for a tag that somebody else wrote."""
    try:
        logged = msgspec.json.decode(tag, type=list[_Logged])
    except msgspec.DecodeError:
        return frozenset()
    return frozenset(one.path for one in logged if one.type == "table")


def _name(kind: str, key: str) -> str:
    return f"{MEDIA_KINDS[kind][0]}.{key}"


def _card(
    card_id: str,
    at: tuple[str, str],
    files: Mapping[int, TreeFile],
    run_id: str,
    query: Mapping[str, str],
    views: ArtifactViews,
) -> MediaCard:
    kind, key = at
    steps = list(files)
    asked = query.get(_name(kind, key), "")
    shown = int(asked) if asked.isdecimal() and len(asked) < 17 else steps[-1]
    place = steps.index(shown) if shown in files else len(steps) - 1
    file = files[steps[place]]
    form = kind_by_name(file.path)
    is_shown = form == "image" and file.size <= PICTURE_LIMIT
    return MediaCard(
        id=card_id,
        kind=kind,
        key=key,
        step=steps[place],
        place=place + 1,
        steps=len(steps),
        previous=steps[place - 1] if place else None,
        next=steps[place + 1] if place + 1 < len(steps) else None,
        newest=steps[-1],
        name=_name(kind, key),
        path=file.path,
        page=artifact_address(run_id, file.path),
        source=download_address(run_id, file.path),
        form=form if form != "image" or is_shown else "other",
        picture=views.picture(file) if is_shown else None,
        table=views.table(file, _PREVIEW, _TABLE_LIMIT) if kind == "table" else None,
    )
