"""Writing, answering, editing and deleting comments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from holdfast.collaboration.service import BODY_LIMIT, Collaboration
from holdfast.kernel.errors import Conflict, Forbidden, HoldfastError, InvalidInput, NotFound
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.principal import Caller

from .dump import dump

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

Make = Callable[..., Caller]


def test_a_thread(collaboration: Collaboration, make_caller: Make, run: str) -> None:
    ada, grace = make_caller(name="ada"), make_caller(name="grace")
    first = collaboration.create_comment(ada, run, "Why is *loss* flat?\r\n")
    second = collaboration.create_comment(ada, run, "Another matter.")
    reply = collaboration.create_comment(grace, run, "The rate was 0.", first.comment_id)
    threads = collaboration.list_threads(ada, run).items
    assert [thread.comment for thread in threads] == [second, first]
    assert threads[1].replies == [reply]
    assert (first.body, first.author, first.object) == ("Why is *loss* flat?", "ada", run)
    assert collaboration.count_comments(ada, run) == 3


def test_threads_are_one_level_deep(collaboration: Collaboration, caller: Caller, run: str) -> None:
    first = collaboration.create_comment(caller, run, "one")
    reply = collaboration.create_comment(caller, run, "two", first.comment_id)
    with pytest.raises(InvalidInput, match="one level deep") as caught:
        collaboration.create_comment(caller, run, "three", reply.comment_id)
    assert first.comment_id in caught.value.hint
    with pytest.raises(InvalidInput, match="not on experiment:"):
        collaboration.create_comment(caller, "experiment:Default", "elsewhere", first.comment_id)
    with pytest.raises(NotFound, match="no comment 'c-0'"):
        collaboration.create_comment(caller, run, "nowhere", "c-0")


@pytest.mark.parametrize(("object", "error"), [
    ("run:nothing", NotFound), ("model:nothing", NotFound), ("model:nothing/1", NotFound), ("endpoint:nothing", NotFound),
    ("alert:1", NotFound), ("alert:x", NotFound), ("audit:999", NotFound), ("experiment:9", NotFound), ("ghost:x", NotFound),
    ("run", NotFound), ("run:", NotFound), ("", NotFound), ("logged-model:x", NotFound), ("model:flights/x", InvalidInput),
])  # fmt: skip
def test_what_is_not_there_has_no_comments(
    collaboration: Collaboration, caller: Caller, object: str, error: type[HoldfastError]
) -> None:
    with pytest.raises(error):
        collaboration.create_comment(caller, object, "hello")
    with pytest.raises(error):
        collaboration.list_threads(caller, object)


def test_an_object_has_one_name(collaboration: Collaboration, caller: Caller, run: str) -> None:
    by_name = collaboration.create_comment(caller, "experiment:Default", "hello")
    assert by_name.object == "experiment:0"
    assert collaboration.list_threads(caller, "experiment:0").items[0].comment == by_name
    assert collaboration.create_comment(caller, "audit:0", "who was it?").object == "audit:0"


@pytest.mark.parametrize(("body", "told"), [
    ("", "empty"), (" \n\t ", "empty"), ("x" * (BODY_LIMIT + 1), "20,001 characters"), ("a\x00b", "control character"),
    ("a\x1b[31m", "control character"),
])  # fmt: skip
def test_a_body_that_is_refused(
    collaboration: Collaboration, caller: Caller, run: str, body: str, told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        collaboration.create_comment(caller, run, body)
    assert collaboration.list_threads(caller, run).items == []


def test_a_text_that_is_no_unicode_is_refused(collaboration: Collaboration, caller: Caller, run: str) -> None:
    with pytest.raises(InvalidInput):
        collaboration.create_comment(caller, run, "half \ud800")


def test_an_edit_keeps_what_was_said(collaboration: Collaboration, caller: Caller, run: str) -> None:
    made = collaboration.create_comment(caller, run, "frist")
    assert collaboration.edit_comment(caller, made.comment_id, "frist").edited_at is None
    collaboration.edit_comment(caller, made.comment_id, "first")
    edited = collaboration.edit_comment(caller, made.comment_id, "first!")
    assert (edited.body, edited.created_at) == ("first!", made.created_at)
    bodies = [one.body for one in collaboration.list_revisions(caller, made.comment_id).items]
    assert bodies == ["frist", "first", "first!"]


def test_a_deleted_comment_leaves_its_place(
    collaboration: Collaboration, composition: Composition, caller: Caller, run: str
) -> None:
    made = collaboration.create_comment(caller, run, "the password is hunter2")
    collaboration.edit_comment(caller, made.comment_id, "the password is hunter3")
    collaboration.create_comment(caller, run, "oh", made.comment_id)
    gone = collaboration.delete_comment(caller, made.comment_id)
    assert collaboration.delete_comment(caller, made.comment_id) == gone
    thread = collaboration.list_threads(caller, run).items[0]
    assert (thread.comment.body, thread.comment.deleted_by, len(thread.replies)) == ("", "ada", 1)
    assert collaboration.list_revisions(caller, made.comment_id).items == []
    with pytest.raises(Conflict, match="was deleted"):
        collaboration.edit_comment(caller, made.comment_id, "again")
    assert "hunter" not in dump(composition.storage)


def test_only_the_author_edits_and_an_administrator_may_delete(
    collaboration: Collaboration, make_caller: Make, run: str
) -> None:
    ada, grace, admin = make_caller(name="ada"), make_caller(name="grace"), make_caller("admin", name="root")
    made = collaboration.create_comment(ada, run, "mine")
    for other in (grace, admin):
        with pytest.raises(Forbidden, match="only its author"):
            collaboration.edit_comment(other, made.comment_id, "yours")
    with pytest.raises(Forbidden, match="ada's"):
        collaboration.delete_comment(grace, made.comment_id)
    assert collaboration.delete_comment(admin, made.comment_id).deleted_by == "root"


def test_who_may_only_read(collaboration: Collaboration, make_caller: Make, run: str) -> None:
    viewer = make_caller("viewer", name="vera")
    made = collaboration.create_comment(make_caller(), run, "hello")
    assert collaboration.get_comment(viewer, made.comment_id) == made
    for refused in (
        lambda: collaboration.create_comment(viewer, run, "no"),
        lambda: collaboration.edit_comment(viewer, made.comment_id, "no"),
        lambda: collaboration.delete_comment(viewer, made.comment_id),
        lambda: collaboration.list_threads(make_caller("nobody"), run),
    ):
        with pytest.raises(Forbidden, match="lacks the permission 'collaboration:"):
            refused()


def test_another_workspace_sees_nothing(collaboration: Collaboration, make_caller: Make, run: str) -> None:
    made = collaboration.create_comment(make_caller(), run, "hello")
    stranger = make_caller(workspace="other")
    for refused in (
        lambda: collaboration.get_comment(stranger, made.comment_id),
        lambda: collaboration.list_threads(stranger, run),
        lambda: collaboration.create_comment(stranger, run, "hello"),
        lambda: collaboration.edit_comment(stranger, made.comment_id, "hello"),
    ):
        with pytest.raises(NotFound):
            refused()
    assert collaboration.list_activity(stranger).items == []


def test_every_change_is_in_the_audit_log_with_its_digest_alone(
    collaboration: Collaboration, composition: Composition, caller: Caller, run: str
) -> None:
    made = collaboration.create_comment(caller, run, "for @grace")
    collaboration.edit_comment(caller, made.comment_id, "for @edsger")
    collaboration.delete_comment(caller, made.comment_id)
    entries = composition.audit.list_entries(caller, object=run).items[::-1]
    assert [entry.action for entry in entries] == ["comment.create", "comment.edit", "comment.delete"]
    assert [entry.digest for entry in entries] == [
        sha256_hex(b"for @grace"),
        sha256_hex(b"for @edsger"),
        None,
    ]
    assert [entry.after["mentions"] for entry in entries if entry.after] == [["p-grace"], ["p-edsger"], []]
    assert composition.audit.verify().ok


def test_threads_are_paged(collaboration: Collaboration, caller: Caller, run: str) -> None:
    made = [collaboration.create_comment(caller, run, f"number {n}").comment_id for n in range(7)]
    seen, token = [], ""
    while True:
        page = collaboration.list_threads(caller, run, limit=3, page_token=token)
        seen += [thread.comment.comment_id for thread in page.items]
        if page.next_page_token is None:
            break
        token = page.next_page_token
    assert seen == made[::-1]
