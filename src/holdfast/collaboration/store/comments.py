"""The tables of comments and of what they said before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from holdfast.collaboration.records import Comment, Revision
from holdfast.storage import ALL_WORKSPACES, Tx, metadata

__all__ = [
    "add_revision",
    "all_comments",
    "count_threads",
    "delete_revisions",
    "erase_author",
    "insert_comment",
    "list_replies",
    "list_revisions",
    "list_threads",
    "load_comment",
    "load_comments",
    "update_comment",
]

_comments = Table(
    "comment",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("comment_id", String(40), nullable=False),
    Column("object", String(600), nullable=False),
    Column("parent_id", String(40)),
    Column("author_id", String(64), nullable=False),
    Column("author", String(200), nullable=False),
    Column("body", Text, nullable=False),
    Column("mentions", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("edited_at", BigInteger),
    Column("deleted_at", BigInteger),
    Column("deleted_by", String(200), nullable=False),
    PrimaryKeyConstraint("workspace_id", "comment_id"),
    Index("ix_comment_object", "workspace_id", "object", "comment_id"),
    Index("ix_comment_parent_id", "workspace_id", "parent_id", "comment_id"),
)
_revisions = Table(
    "comment_revision",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("comment_id", String(40), nullable=False),
    Column("number", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("written_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "comment_id", "number"),
)


def insert_comment(tx: Tx, workspace: str, comment: Comment) -> None:
    """Write a new comment."""
    tx.execute(insert(_comments).values(workspace_id=workspace, **_values(comment)))


def update_comment(tx: Tx, workspace: str, comment: Comment) -> None:
    """Write a comment over itself."""
    where = _comments.c.workspace_id == workspace, _comments.c.comment_id == comment.comment_id
    tx.execute(update(_comments).where(*where).values(**_values(comment)))


def load_comment(tx: Tx, workspace: str, comment_id: str) -> Comment | None:
    """One comment."""
    return load_comments(tx, workspace, [comment_id]).get(comment_id)


def load_comments(tx: Tx, workspace: str, comment_ids: Sequence[str]) -> dict[str, Comment]:
    """Comments by id."""
    if not comment_ids:
        return {}
    query = select(_comments).where(
        _comments.c.workspace_id == workspace, _comments.c.comment_id.in_(comment_ids)
    )
    return {row.comment_id: _comment(row) for row in tx.execute(query)}


def list_threads(tx: Tx, workspace: str, object: str, below: str | None, limit: int) -> list[Comment]:
    """The comments on an object that begin a thread, newest first, below the id `below`."""
    query = select(_comments).where(
        _comments.c.workspace_id == workspace, _comments.c.object == object, _comments.c.parent_id.is_(None)
    )
    if below is not None:
        query = query.where(_comments.c.comment_id < below)
    return [_comment(row) for row in tx.execute(query.order_by(_comments.c.comment_id.desc()).limit(limit))]


def list_replies(tx: Tx, workspace: str, parent_ids: Sequence[str]) -> dict[str, list[Comment]]:
    """The answers to each of these comments that has any, oldest first."""
    found: dict[str, list[Comment]] = {}
    if parent_ids:
        query = select(_comments).where(
            _comments.c.workspace_id == workspace, _comments.c.parent_id.in_(parent_ids)
        )
        for row in tx.execute(query.order_by(_comments.c.comment_id)):
            found.setdefault(row.parent_id, []).append(_comment(row))
    return found


def count_threads(tx: Tx, workspace: str, object: str) -> int:
    """How many comments and answers an object has that are not deleted."""
    query = select(func.count()).where(
        _comments.c.workspace_id == workspace, _comments.c.object == object, _comments.c.deleted_at.is_(None)
    )
    return int(tx.execute(query).scalar_one())


def add_revision(tx: Tx, workspace: str, comment: Comment) -> None:
    """Keep what a comment says now, before it is changed."""
    same = _revisions.c.workspace_id == workspace, _revisions.c.comment_id == comment.comment_id
    last = tx.execute(select(func.max(_revisions.c.number)).where(*same)).scalar()
    tx.execute(
        insert(_revisions).values(
            workspace_id=workspace,
            comment_id=comment.comment_id,
            number=(last or 0) + 1,
            body=comment.body,
            written_at=comment.edited_at or comment.created_at,
        )
    )


def list_revisions(tx: Tx, workspace: str, comment_id: str) -> list[Revision]:
    """What a comment said before, oldest first."""
    query = select(_revisions.c.number, _revisions.c.body, _revisions.c.written_at).where(
        _revisions.c.workspace_id == workspace, _revisions.c.comment_id == comment_id
    )
    return [Revision(*row) for row in tx.execute(query.order_by(_revisions.c.number))]


def delete_revisions(tx: Tx, workspace: str, comment_id: str) -> None:
    """Forget what a comment said before."""
    where = _revisions.c.workspace_id == workspace, _revisions.c.comment_id == comment_id
    tx.execute(delete(_revisions).where(*where))


def all_comments(tx: Tx) -> list[tuple[str, str, str, str, int | None]]:
    """(workspace, id, object, body, when it was deleted) of every comment of all workspaces."""
    c = _comments.c
    query = select(c.workspace_id, c.comment_id, c.object, c.body, c.deleted_at)
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]


def erase_author(tx: Tx, principal_id: str) -> None:
    """Write `erased` in place of an author's name, in every workspace; what was said stays."""
    mine = _comments.c.author_id == principal_id
    authors = select(_comments.c.author).where(mine).distinct().execution_options(**ALL_WORKSPACES)
    names = list(tx.execute(authors).scalars())
    for change in (
        update(_comments).where(mine).values(author="erased"),
        update(_comments).where(_comments.c.deleted_by.in_(names)).values(deleted_by="erased"),
    ):
        tx.execute(change.execution_options(**ALL_WORKSPACES))


def _values(comment: Comment) -> dict[str, Any]:
    values = msgspec.structs.asdict(comment)
    return {**values, "mentions": msgspec.json.encode(comment.mentions).decode()}


def _comment(row: Row[Any]) -> Comment:
    values = {name: getattr(row, name) for name in Comment.__struct_fields__}
    return Comment(**{**values, "mentions": msgspec.json.decode(row.mentions, type=dict[str, str])})
