"""Who is told of what, once, and what happened in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from holdfast.collaboration.service import Collaboration
from holdfast.identity.people import NewPerson
from holdfast.identity.records import DEPLOYMENT_ADMIN
from holdfast.identity.service import system_caller
from holdfast.kernel.principal import Caller, Principal
from holdfast.storage import Tx

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

Make = Callable[..., Caller]
Follow = Callable[[], int]


@pytest.fixture
def people(make_caller: Make) -> dict[str, Caller]:
    return {name: make_caller(name=name) for name in ("ada", "grace", "edsger")}


def later(caller: Caller, ms: int = 1) -> Caller:
    """The same person some time later."""
    return msgspec.structs.replace(caller, time_ms=caller.time_ms + ms)


def news(collaboration: Collaboration, caller: Caller) -> list[tuple[str, str]]:
    return [(one.kind, one.text) for one in collaboration.list_notifications(caller).items]


def test_a_mention_reaches_who_is_named(
    collaboration: Collaboration, people: dict[str, Caller], run: str, follow: Follow
) -> None:
    made = collaboration.create_comment(people["ada"], run, "@grace, @nobody and `@edsger`: look")
    follow()
    assert news(collaboration, people["ada"]) == []
    assert news(collaboration, people["edsger"]) == []
    (one,) = collaboration.list_notifications(people["grace"]).items
    assert (one.kind, one.actor, one.read_at) == ("mention", "ada", None)
    assert one.text.startswith("ada mentioned you on the run ")
    assert one.text.endswith(": @grace, @nobody and `@edsger`: look")
    assert one.address == f"/runs/{run[4:]}#{made.comment_id}"
    assert collaboration.is_watching(people["grace"], run)


def test_answers_reach_the_thread_and_comments_the_watchers(
    collaboration: Collaboration, people: dict[str, Caller], run: str, follow: Follow
) -> None:
    ada, grace, edsger = people.values()
    collaboration.watch(edsger, run)
    first = collaboration.create_comment(ada, run, "one")
    collaboration.unwatch(ada, run)
    collaboration.create_comment(later(grace), run, "two", first.comment_id)
    collaboration.create_comment(later(grace), run, "aside")
    follow()
    assert [kind for kind, _ in news(collaboration, ada)] == ["reply"]
    assert [kind for kind, _ in news(collaboration, edsger)] == ["change", "change", "change"]
    assert news(collaboration, grace) == []


def test_the_nearest_reason_is_told_once(
    collaboration: Collaboration, people: dict[str, Caller], run: str, follow: Follow
) -> None:
    first = collaboration.create_comment(people["ada"], run, "one")
    collaboration.create_comment(people["grace"], run, "@ada two", first.comment_id)
    follow()
    assert [kind for kind, _ in news(collaboration, people["ada"])] == ["mention"]


def test_an_edit_tells_only_whom_it_adds(
    collaboration: Collaboration, people: dict[str, Caller], run: str, follow: Follow
) -> None:
    collaboration.watch(people["ada"], run)
    made = collaboration.create_comment(people["ada"], run, "@grace look")
    collaboration.edit_comment(later(people["ada"]), made.comment_id, "@grace and @edsger, look")
    follow()
    assert len(news(collaboration, people["grace"])) == 1
    assert [kind for kind, _ in news(collaboration, people["edsger"])] == ["mention"]


def test_who_makes_something_watches_it(
    collaboration: Collaboration, composition: Composition, people: dict[str, Caller], follow: Follow
) -> None:
    composition.registry.create_model(people["ada"], "flights")
    follow()
    assert [(one.object, one.reason) for one in collaboration.list_subscriptions(people["ada"]).items] == [
        ("model:flights", "owner")
    ]
    collaboration.create_comment(people["grace"], "model:flights", "nice")
    follow()
    assert [kind for kind, _ in news(collaboration, people["ada"])] == ["change"]


def append(composition: Composition, caller: Caller, **entry: Any) -> None:
    from holdfast.audit.service import append

    def fn(tx: Tx) -> None:
        append(tx, caller, **entry)

    composition.storage.write(fn)


def test_an_alert_reaches_who_deployed_the_endpoint(
    collaboration: Collaboration, composition: Composition, people: dict[str, Caller], follow: Follow
) -> None:
    append(composition, people["ada"], action="endpoint.deploy", object="endpoint:clicks", after={})
    system = system_caller("default", composition.clock.now_ms())
    append(composition, system, action="alert.raise", object="endpoint:clicks", after={"alert": 4})
    append(
        composition, people["grace"], action="endpoint.feedback", object="endpoint:clicks", after={"rows": 9}
    )
    append(composition, system, action="alert.end", object="endpoint:clicks", after={"alert": 4})
    follow()
    found = collaboration.list_notifications(people["ada"]).items
    assert [(one.kind, one.text, one.address) for one in found] == [
        ("alert", "holdfast ended an alert on the endpoint clicks.", "/incidents/4"),
        ("alert", "holdfast raised an alert on the endpoint clicks.", "/incidents/4"),
    ]


def test_watching_a_model_tells_of_its_versions_and_aliases(
    collaboration: Collaboration, composition: Composition, people: dict[str, Caller], follow: Follow
) -> None:
    ada = people["ada"]
    composition.registry.create_model(ada, "flights")
    append(composition, people["grace"], action="version.register", object="model:flights/1", after={})
    append(
        composition,
        people["grace"],
        action="alias.set",
        object="model:flights@production",
        after={"version": 1},
    )
    follow()
    assert [text for _, text in news(collaboration, ada)] == [
        "grace pointed @production of flights at version 1.", "grace registered flights version 1.",
    ]  # fmt: skip


def test_following_again_tells_nothing_twice(
    collaboration: Collaboration, people: dict[str, Caller], run: str, follow: Follow
) -> None:
    for number in range(40):
        collaboration.create_comment(people["ada"], run, f"@grace {number}")
    assert follow() == 41  # and the experiment
    assert follow() == 0
    assert len(news(collaboration, people["grace"])) == 40


def test_two_followers_never_tell_the_same(
    collaboration: Collaboration, composition: Composition, people: dict[str, Caller], run: str
) -> None:
    """The second reads where the first has not written yet: then the first is quicker."""
    from holdfast.audit.service import AuditLog
    from holdfast.collaboration.follow import Follower
    from holdfast.collaboration.outbox import Outbox
    from holdfast.mlflow_api.news import RegistryNews

    class Overtaken(AuditLog):
        def entries_after(self, index: int, limit: int) -> Any:
            found = super().entries_after(index, limit)
            composition.follower.follow(0)
            return found

    collaboration.create_comment(people["ada"], run, "@grace")
    storage = composition.storage
    outbox, source = Outbox(storage, composition.resolver), RegistryNews(composition.registry)
    Follower(storage, Overtaken(storage), outbox, composition.hooks, source).follow(0)
    assert len(news(collaboration, people["grace"])) == 1


def test_marking_as_read(
    collaboration: Collaboration, people: dict[str, Caller], run: str, follow: Follow
) -> None:
    grace = people["grace"]
    for number in range(5):
        collaboration.create_comment(people["ada"], run, f"@grace {number}")
    follow()
    newest = collaboration.list_notifications(grace).items[0]
    assert collaboration.count_unread(grace) == 5
    assert collaboration.mark_read(grace, [newest.event]) == 1
    assert collaboration.mark_read(grace, [newest.event]) == 0
    assert collaboration.mark_read(people["ada"]) == 0
    assert len(collaboration.list_notifications(grace, unread=True).items) == 4
    assert collaboration.mark_read(grace) == 4
    assert collaboration.count_unread(grace) == 0
    page = collaboration.list_notifications(grace, limit=2)
    rest = collaboration.list_notifications(grace, limit=9, page_token=page.next_page_token or "")
    assert len({one.event for one in [*page.items, *rest.items]}) == 5


def test_watching_is_ones_own(collaboration: Collaboration, people: dict[str, Caller], run: str) -> None:
    collaboration.watch(people["ada"], run)
    collaboration.watch(people["ada"], run)
    collaboration.watch(people["ada"], "experiment:Default")
    assert [one.object for one in collaboration.list_subscriptions(people["ada"]).items] == [
        "experiment:0",
        run,
    ]
    assert collaboration.list_subscriptions(people["grace"]).items == []
    collaboration.unwatch(people["ada"], "experiment:Default")
    collaboration.unwatch(people["ada"], "run:gone")
    assert [one.object for one in collaboration.list_subscriptions(people["ada"]).items] == [run]


def test_a_feed_tells_what_happened_and_what_people_said(
    collaboration: Collaboration, composition: Composition, people: dict[str, Caller], run: str
) -> None:
    ada = people["ada"]
    first = collaboration.create_comment(ada, run, "one")
    collaboration.create_comment(people["grace"], run, "two", first.comment_id)
    collaboration.edit_comment(ada, first.comment_id, "one!")
    composition.tracking.finish_run(ada, run[4:], "finished")
    lines = collaboration.list_activity(ada, run).items
    assert [line.action for line in lines] == ["run.finish", "comment.create"]
    thread = lines[1].thread
    assert thread is not None
    assert (thread.comment.body, [reply.body for reply in thread.replies]) == ("one!", ["two"])
    everything = [line.sentence for line in collaboration.list_activity(ada).items]
    assert len(everything) == 5
    assert everything[2].startswith("grace answered a comment on the run")


def test_equal_entries_are_one_line_and_pages_lose_none(
    collaboration: Collaboration, composition: Composition, people: dict[str, Caller]
) -> None:
    ada = people["ada"]
    for number in range(12):
        name = "endpoint:clicks" if number % 4 else "endpoint:views"
        append(composition, ada, action="endpoint.feedback", object=name, after={"rows": number})
    lines, token = [], ""
    while True:
        page = collaboration.list_activity(ada, limit=2, page_token=token)
        lines += page.items
        if page.next_page_token is None:
            break
        token = page.next_page_token
    assert [line.count for line in lines] == [3, 1, 3, 1, 3, 1]
    assert [line.object for line in lines][:2] == ["endpoint:clicks", "endpoint:views"]


def test_an_erased_person_leaves_no_name(
    collaboration: Collaboration, composition: Composition, make_caller: Make, run: str, follow: Follow
) -> None:
    """People of the real directory: found by a mention, forgotten when erased."""
    admin = make_caller("admin", name="root")
    admin = msgspec.structs.replace(
        admin, principal=msgspec.structs.replace(admin.principal, extra=(DEPLOYMENT_ADMIN,))
    )
    person = composition.people.add(admin, NewPerson("marie", kind="service"))
    composition.people.add(admin, NewPerson("pierre", kind="service"))
    marie = msgspec.structs.replace(
        make_caller(), principal=Principal(person.id, "marie", "contributor", "token")
    )
    real = composition.collaboration
    made = real.create_comment(marie, run, "@pierre, @marie and @nobody-here")
    assert set(made.mentions) == {"marie", "pierre"}
    follow()
    pierre = msgspec.structs.replace(
        make_caller(), principal=Principal(made.mentions["pierre"], "pierre", "contributor", "token")
    )
    assert news(real, pierre)[0][1].startswith("marie mentioned you on")
    composition.people.erase(admin, "marie")
    follow()
    assert real.get_comment(pierre, made.comment_id).author == "erased"
    (one,) = real.list_notifications(pierre).items
    assert (one.actor, one.text.startswith("erased mentioned you on")) == ("erased", True)
    assert real.list_subscriptions(marie).items == []
    assert [line.actor for line in real.list_activity(pierre, run).items] == ["erased"]
