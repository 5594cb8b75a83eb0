"""Channels and webhooks against real receivers on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.client.webhooks import verify_webhook
from holdfast.collaboration.channels import Channels
from holdfast.collaboration.deliver import CLAIM_MS, MOST_ATTEMPTS, PAUSE_AFTER, Courier, backoff_ms
from holdfast.collaboration.events import EVENT_TYPES, Match
from holdfast.collaboration.senders import AppriseSender, WebhookSender
from holdfast.identity.service import system_caller
from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from holdfast.kernel.principal import Caller
from holdfast.storage import Tx
from holdfast.web.egress import Egress

from .dump import dump
from .receivers import MailServer, Receiver

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

EVERYTHING = Match()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    opened = Receiver()
    yield opened
    opened.close()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    opened = MailServer()
    yield opened
    opened.close()


class Post:
    """Channels and their courier over a composition, with loopback open and a clock that is moved."""

    def __init__(self, composition: Composition, clock: ManualClock, egress: Egress) -> None:
        self.composition, self.clock = composition, clock
        apprise, webhook = AppriseSender(egress), WebhookSender(egress)
        senders = dict.fromkeys(("mail", "slack", "teams", "pagerduty", "json"), apprise)
        storage, box = composition.storage, composition.keys.secret_box
        self.courier = Courier(storage, box, {**senders, "webhook": webhook}, clock)
        self.channels = Channels(storage, box, egress, apprise, self.courier)

    def happen(self, action: str, object: str, **after: Any) -> None:
        """Let something happen and follow the audit log."""
        from holdfast.audit.service import append

        caller = system_caller("default", self.clock.now_ms())

        def fn(tx: Tx) -> None:
            append(tx, caller, action=action, object=object, after=after)

        self.composition.storage.write(fn)
        self.follow()

    def follow(self) -> None:
        while self.composition.follower.follow(self.clock.now_ms()):
            continue

    def states(self, caller: Caller, name: str) -> list[tuple[str, int]]:
        """(state, attempts) of a channel's deliveries, the oldest first."""
        found = self.channels.list_deliveries(caller, name).items[::-1]
        return [(report.delivery.state, len(report.attempts)) for report in found]


@pytest.fixture
def post(composition: Composition, clock: ManualClock) -> Post:
    return Post(composition, clock, Egress(["127.0.0.1"]))


@pytest.fixture
def admin(make_caller: Callable[..., Caller]) -> Caller:
    return make_caller("admin", name="root")


def test_a_webhook_gets_signed_events(post: Post, admin: Caller, receiver: Receiver) -> None:
    made = post.channels.add_webhook(admin, "ci", f"{receiver.url}/hook?key=s3cr3t", EVERYTHING)
    assert made.secret.startswith("whsec_")
    assert (made.channel.kind, made.channel.target) == ("webhook", f"http://127.0.0.1:{receiver.port}/…")
    post.happen("alert.raise", "endpoint:clicks", alert=3)
    assert post.courier.deliver_due() == 1
    assert post.courier.deliver_due() == 0
    (request,) = receiver.got
    event = verify_webhook(made.secret, request.headers, request.body, now_s=post.clock.now_ms() / 1000)
    assert (event["type"], event["object"], event["severity"]) == (
        "alert.raised",
        "endpoint:clicks",
        "critical",
    )
    assert event["text"] == "holdfast raised an alert on the endpoint clicks."
    assert request.path == "/hook?key=s3cr3t"
    (report,) = post.channels.list_deliveries(admin, "ci").items
    assert (report.delivery.state, report.attempts[0].status) == ("delivered", 204)


def test_a_changed_or_late_message_does_not_verify(post: Post, admin: Caller, receiver: Receiver) -> None:
    secret = post.channels.add_webhook(admin, "ci", receiver.url, EVERYTHING).secret
    post.happen("model.create", "model:flights")
    post.courier.deliver_due()
    (request,) = receiver.got
    now = post.clock.now_ms() / 1000
    verify_webhook(secret, request.headers, request.body, now_s=now + 299)
    other = post.channels.add_webhook(admin, "other", receiver.url, EVERYTHING).secret
    for wrong in (
        lambda: verify_webhook(secret, request.headers, request.body + b" ", now_s=now),
        lambda: verify_webhook(other, request.headers, request.body, now_s=now),
        lambda: verify_webhook(secret, {**request.headers, "webhook-id": "d-1"}, request.body, now_s=now),
        lambda: verify_webhook(
            secret, {**request.headers, "webhook-timestamp": f"{int(now) + 1}"}, request.body, now_s=now
        ),
        lambda: verify_webhook(secret, request.headers, request.body, now_s=now + 301),
        lambda: verify_webhook(secret, {}, request.body, now_s=now),
    ):
        with pytest.raises(Unauthenticated):
            wrong()


def test_no_secret_stands_in_the_database_or_an_answer(
    post: Post, composition: Composition, admin: Caller, receiver: Receiver
) -> None:
    made = post.channels.add_webhook(admin, "ci", f"{receiver.url}/hook?key=s3cr3t-webhook", EVERYTHING)
    post.channels.add_channel(
        admin, "ops", f"json://user:s3cr3t-word@127.0.0.1:{receiver.port}/s3cr3t-path", EVERYTHING
    )
    receiver.answer = lambda _request: 500
    post.happen("model.create", "model:flights")
    post.courier.deliver_due()
    held = dump(composition.storage)
    assert "s3cr3t" not in held
    assert made.secret not in held
    shown = repr([post.channels.list_channels(admin), post.channels.list_deliveries(admin, "ci"),
                  post.channels.list_deliveries(admin, "ops"), composition.audit.list_entries(admin)])  # fmt: skip
    assert "s3cr3t" not in shown
    assert made.secret not in shown


def test_mail_goes_by_smtp(post: Post, admin: Caller, mail: MailServer) -> None:
    url = f"mailto://127.0.0.1:{mail.port}?from=holdfast@example.org&to=ops@example.org&format=text"
    made = post.channels.add_channel(admin, "ops", url, Match(events=("alert",)))
    assert (made.kind, made.target) == ("mail", "ops@example.org")
    post.happen("alert.raise", "endpoint:clicks", alert=3)
    post.happen("model.create", "model:flights")
    assert post.courier.deliver_due() == 1
    assert post.states(admin, "ops") == [("delivered", 1)]
    ((sender, receivers, data),) = mail.mails
    assert (sender, receivers) == ("holdfast@example.org", ["ops@example.org"])
    assert "[critical] endpoint:clicks" in data
    assert "holdfast raised an alert on the endpoint clicks." in data


def test_a_mail_server_that_refuses_is_told(post: Post, admin: Caller, mail: MailServer) -> None:
    url = f"mailto://127.0.0.1:{mail.port}?from=holdfast@example.org&to=ops@example.org"
    post.channels.add_channel(admin, "ops", url, EVERYTHING)
    mail.refuse = True
    report = post.channels.test_channel(admin, "ops")
    assert report.delivery.state == "dead"
    assert report.delivery.error
    mail.refuse = False
    assert post.channels.test_channel(admin, "ops").delivery.state == "delivered"
    assert "Nothing happened" in mail.mails[0][2]
    assert post.channels.get_channel(admin, "ops").failures == 0


def test_json_goes_to_a_program(post: Post, admin: Caller, receiver: Receiver) -> None:
    post.channels.add_channel(
        admin, "ops", f"json://127.0.0.1:{receiver.port}/in?+X-Team=pricing", EVERYTHING
    )
    post.happen("endpoint.fail", "endpoint:clicks")
    post.courier.deliver_due()
    (request,) = receiver.got
    assert json.loads(request.body)["title"] == "[warning] endpoint:clicks"
    assert request.headers["x-team"] == "pricing"


@pytest.mark.parametrize(("url", "host"), [
    ("slack://TokenAAAA1/BBBBBBBBB/CCCCCCCCCCCCCCCCCCCCCCCC/#ops", "hooks.slack.com"),
    ("pagerduty://0123456789abcdef@0123456789abcdef0123456789abcdef", "events.pagerduty.com"),
    ("workflows://prod-1.westeurope.logic.azure.com:443/643e69f83c8944438d68119179a10a64/sig4567890sig4567890sig4567890sig45678901234",
     "prod-1.westeurope.logic.azure.com"),
    ("mailtos://user:pass1word@mail.example.org?to=ops@example.org", "mail.example.org"),
])  # fmt: skip
def test_every_service_leaves_by_the_one_door(
    composition: Composition, clock: ManualClock, admin: Caller, url: str, host: str
) -> None:
    asked: list[str] = []

    def resolve(name: str, _port: int) -> list[str]:
        asked.append(name)
        return ["10.0.0.1"]

    post = Post(composition, clock, Egress(resolve=resolve))
    made = post.channels.add_channel(admin, "ops", url, EVERYTHING)
    assert asked == []
    report = post.channels.test_channel(admin, "ops")
    assert set(asked) == {host}
    assert report.delivery.state == "dead"
    for secret in ("TokenAAAA1", "BBBBBBBBB", "0123456789abcdef", "sig4567890", "pass1word"):
        assert secret not in report.delivery.error
        assert secret not in made.target


@pytest.mark.parametrize(("url", "told"), [
    ("discord://a/b", "'discord'"), ("tgram://a/b", "'tgram'"), ("syslog://", "'syslog'"),
    ("file:///etc/passwd", "'file'"),
    ("https://hooks.slack.com/services/a/b/c", "'https'"), ("exec://rm", "'exec'"), ("dbus://", "'dbus'"), ("", "''"),
    ("ops", "'ops'"),
    ("msteams://a/b/c?template=/etc/passwd", "'template'"), ("mailto://x.org?pgpkey=/etc/passwd", "'pgpkey'"),
    ("jsons://x/?verify=no", "'verify'"),
    ("json://a b", "spaces"), ("json://listed.test/x?format=text;verify=no", "'verify'"),
    ("slack://a/b/c/#ops?template=/etc/passwd", "'template'"), ("MAILTO://x", "'MAILTO'"),
    ("slack://x", "does not hold"), ("json://127.0.0.1:9/a", "not a public address"),
    ("jsons://[", "not a URL"),
    ("json://example.org", "in the clear"),
])  # fmt: skip
def test_an_address_that_is_refused(
    composition: Composition, clock: ManualClock, admin: Caller, url: str, told: str
) -> None:
    post = Post(composition, clock, Egress(["listed.test"]))
    with pytest.raises(InvalidInput) as caught:
        post.channels.add_channel(admin, "ops", url, EVERYTHING)
    assert told in str(caught.value)
    assert post.channels.list_channels(admin).items == []


@pytest.mark.parametrize("url", [
    "http://example.org/x", "ftp://example.org", "https://127.0.0.1/x", "https://10.0.0.1/x", "https://[::1]/",
    "https://a:b@example.org/",
    "https://169.254.169.254/latest", "https://example.org:22/", "file:///etc/passwd", "x",
])  # fmt: skip
def test_a_webhook_leads_to_public_https_alone(
    composition: Composition, clock: ManualClock, admin: Caller, url: str
) -> None:
    post = Post(composition, clock, Egress())
    with pytest.raises(InvalidInput):
        post.channels.add_webhook(admin, "ci", url, EVERYTHING)


def test_names_matches_and_permissions(
    post: Post, admin: Caller, receiver: Receiver, make_caller: Callable[..., Caller]
) -> None:
    add = post.channels.add_webhook
    add(admin, "ci", receiver.url, EVERYTHING)
    with pytest.raises(Conflict, match="'ci' already"):
        add(admin, "ci", receiver.url, EVERYTHING)
    for name in ("", "A", "a b", "x" * 64, "-a"):
        with pytest.raises(InvalidInput, match="not a name"):
            add(admin, name, receiver.url, EVERYTHING)
    wrong = {
        "'alrt'": Match(events=("alrt",)),
        "'bad'": Match(severity="bad"),
        "4,000": Match(objects=("x" * 5000,)),
    }
    for told, match in wrong.items():
        with pytest.raises(InvalidInput, match=told):
            add(admin, "other", receiver.url, match)
    contributor = make_caller()
    for refused in (
        lambda: add(contributor, "x", receiver.url, EVERYTHING),
        lambda: post.channels.list_channels(contributor),
        lambda: post.channels.get_channel(contributor, "ci"),
        lambda: post.channels.test_channel(contributor, "ci"),
        lambda: post.channels.remove_channel(contributor, "ci"),
        lambda: post.channels.resume_channel(contributor, "ci"),
        lambda: post.channels.list_deliveries(contributor, "ci"),
        lambda: post.channels.redeliver(contributor, "ci", "d-1"),
    ):
        with pytest.raises(Forbidden):
            refused()
    with pytest.raises(NotFound, match="no channel 'cj'"):
        post.channels.get_channel(admin, "cj")
    with pytest.raises(NotFound):
        post.channels.get_channel(make_caller("admin", workspace="other"), "ci")


@pytest.mark.parametrize(("match", "wanted"), [
    (Match(), ["alert.raised", "alert.ended", "deployment.failed", "run.finished", "version.prepared"]),
    (Match(events=("alert",)), ["alert.raised", "alert.ended"]),
    (Match(events=("alert.raised", "run.finished")), ["alert.raised", "run.finished"]),
    (Match(severity="critical"), ["alert.raised"]),
    (Match(severity="warning"), ["alert.raised", "deployment.failed", "version.prepared"]),
    (Match(objects=("endpoint:*",)), ["alert.raised", "alert.ended", "deployment.failed"]),
    (Match(objects=("endpoint:cl?cks",), events=("deployment",)), ["deployment.failed"]),
    (Match(objects=("endpoint:other",)), []),
])  # fmt: skip
def test_a_channel_gets_what_it_asks_for(
    post: Post, admin: Caller, receiver: Receiver, match: Match, wanted: list[str]
) -> None:
    post.channels.add_webhook(admin, "ci", receiver.url, match)
    post.happen("alert.raise", "endpoint:clicks", alert=1)
    post.happen("alert.end", "endpoint:clicks", alert=1)
    post.happen("endpoint.fail", "endpoint:clicks")
    post.happen("run.finish", "run:1", status="finished")
    post.happen("version.prepare", "model:flights/1", status="failed")
    post.courier.deliver_due()
    assert [json.loads(request.body)["type"] for request in receiver.got] == wanted


def test_tags_of_the_object_route(
    post: Post, composition: Composition, admin: Caller, receiver: Receiver
) -> None:
    from holdfast.tracking.records import Batch

    post.channels.add_webhook(admin, "ci", receiver.url, Match(events=("run",), tags={"team": "pricing"}))
    for team in ("pricing", "ads"):
        run = composition.tracking.create_run(admin)
        composition.tracking.metrics.log_batch(admin, run.run_id, Batch(tags={"team": team}), team)
        composition.tracking.finish_run(admin, run.run_id, "finished")
    post.follow()
    post.courier.deliver_due()
    assert len(receiver.got) == 1


def test_a_delivery_is_tried_again_later_each_time_and_then_dead(
    post: Post, admin: Caller, receiver: Receiver
) -> None:
    post.channels.add_webhook(admin, "ci", receiver.url, EVERYTHING)
    receiver.answer = lambda _request: 503
    post.happen("model.create", "model:flights")
    waits = []
    for attempt in range(1, MOST_ATTEMPTS + 1):
        assert post.courier.deliver_due() == 1
        assert post.courier.deliver_due() == 0
        assert len(receiver.got) == attempt
        waits.append(backoff_ms(attempt))
        post.clock.advance(waits[-1] - 1)
        assert post.courier.deliver_due() == 0
        post.clock.advance(1)
    assert waits[:4] == [10_000, 30_000, 90_000, 270_000]
    assert post.states(admin, "ci") == [("dead", MOST_ATTEMPTS)]
    assert len({request.headers["webhook-id"] for request in receiver.got}) == 1
    assert len({request.body for request in receiver.got}) == 1
    (report,) = post.channels.list_deliveries(admin, "ci", state="dead").items
    assert report.delivery.error == "It answered 503."
    receiver.answer = lambda _request: 200
    post.channels.redeliver(admin, "ci", report.delivery.delivery_id)
    with pytest.raises(Conflict, match="only a dead letter"):
        post.channels.redeliver(admin, "ci", report.delivery.delivery_id)
    post.courier.deliver_due()
    assert post.states(admin, "ci") == [("delivered", MOST_ATTEMPTS + 1)]


def test_what_waits_for_a_side_that_is_away_waits_together(
    post: Post, admin: Caller, receiver: Receiver
) -> None:
    post.channels.add_webhook(admin, "ci", receiver.url, EVERYTHING)
    receiver.answer = lambda _request: 500
    for number in range(5):
        post.happen("model.create", f"model:m{number}")
    assert post.courier.deliver_due() == 1
    assert post.courier.deliver_due() == 0
    receiver.answer = lambda _request: 200
    post.clock.advance(10_000)
    assert post.courier.deliver_due() == 5
    assert [state for state, _ in post.states(admin, "ci")] == ["delivered"] * 5
    assert post.channels.get_channel(admin, "ci").failures == 0


def test_a_clock_that_ran_a_year_ahead_puts_nothing_off_for_a_year(
    post: Post, admin: Caller, receiver: Receiver
) -> None:
    post.channels.add_webhook(admin, "ci", receiver.url, EVERYTHING)
    receiver.answer = lambda _request: 500
    post.clock.advance(365 * 86_400_000)
    post.happen("model.create", "model:flights")
    assert post.courier.deliver_due() == 1
    receiver.answer = lambda _request: 200
    post.clock.advance(-365 * 86_400_000)
    assert post.courier.deliver_due() == 1
    assert [state for state, _ in post.states(admin, "ci")] == ["delivered"]


def test_a_message_that_is_refused_holds_up_no_other(post: Post, admin: Caller, receiver: Receiver) -> None:
    post.channels.add_webhook(admin, "ci", receiver.url, EVERYTHING)
    receiver.answer = lambda request: 422 if b"model:bad" in request.body else 200
    for name in ("bad", "good"):
        post.happen("model.create", f"model:{name}")
    while post.courier.deliver_due():
        continue
    assert [state for state, _ in post.states(admin, "ci")] == ["pending", "delivered"]


def test_a_redirect_is_not_followed(post: Post, admin: Caller, receiver: Receiver) -> None:
    post.channels.add_webhook(admin, "ci", receiver.url, EVERYTHING)
    receiver.answer = lambda _request: 302
    report = post.channels.test_channel(admin, "ci")
    assert report.delivery.error == "It answered 302; redirects are not followed."
    assert len(receiver.got) == 1


def test_a_channel_that_keeps_failing_is_paused_and_said_so(
    post: Post, composition: Composition, admin: Caller, receiver: Receiver
) -> None:
    post.channels.add_webhook(admin, "ci", receiver.url, EVERYTHING)
    post.follow()
    receiver.answer = lambda _request: 500
    for number in range(4):
        post.happen("model.create", f"model:m{number}")
    while post.channels.get_channel(admin, "ci").state == "active":
        post.courier.deliver_due()
        post.clock.advance(6 * 3_600_000)
    assert len(receiver.got) == PAUSE_AFTER
    assert post.courier.deliver_due() == 0
    paused = post.channels.get_channel(admin, "ci")
    assert paused.message == f"{PAUSE_AFTER} attempts in a row failed; the last: It answered 500."
    post.follow()
    (news,) = composition.collaboration.list_notifications(admin).items
    assert (news.text, news.address) == ("holdfast paused the channel ci.", "/settings/channels#ci")
    receiver.answer = lambda _request: 200
    assert post.channels.resume_channel(admin, "ci").state == "active"
    while post.courier.deliver_due():
        continue
    assert {state for state, _ in post.states(admin, "ci")} == {"dead", "delivered"}
    actions = [entry.action for entry in composition.audit.list_entries(admin, object="channel:ci").items]
    assert actions == ["channel.resume", "channel.pause", "channel.add"]


def test_a_removed_channel_takes_its_messages_with_it(
    post: Post, composition: Composition, admin: Caller, receiver: Receiver
) -> None:
    post.channels.add_webhook(admin, "ci", receiver.url, EVERYTHING)
    post.happen("model.create", "model:flights")
    post.channels.remove_channel(admin, "ci")
    assert post.courier.deliver_due() == 0
    assert receiver.got == []
    with pytest.raises(NotFound):
        post.channels.remove_channel(admin, "ci")
    made = post.channels.add_webhook(admin, "ci", receiver.url, EVERYTHING)
    assert post.channels.list_deliveries(admin, made.channel.name).items == []


def test_a_claim_that_nobody_settled_is_due_again(post: Post, admin: Caller, receiver: Receiver) -> None:
    """A worker that dies after it has sent: the message comes again, with the same id."""
    from holdfast.collaboration.store import channels as store

    post.channels.add_webhook(admin, "ci", receiver.url, EVERYTHING)
    post.happen("model.create", "model:flights")
    now = post.clock.now_ms()
    storage = post.composition.storage
    ((workspace, delivery),) = storage.read(lambda tx: store.due_deliveries(tx, now, 3_600_000, 9))
    assert storage.write(lambda tx: store.claim(tx, workspace, delivery, now + CLAIM_MS))
    assert not storage.write(lambda tx: store.claim(tx, workspace, delivery, now + CLAIM_MS))
    assert post.courier.deliver_due() == 0
    post.clock.advance(CLAIM_MS)
    assert post.courier.deliver_due() == 1
    assert [request.headers["webhook-id"] for request in receiver.got] == [delivery.delivery_id]


def test_what_ended_long_ago_is_forgotten(post: Post, admin: Caller, receiver: Receiver) -> None:
    post.channels.add_webhook(admin, "ci", receiver.url, EVERYTHING)
    post.happen("model.create", "model:old")
    post.courier.deliver_due()
    post.clock.advance(31 * 86_400_000)
    post.happen("model.create", "model:new")
    post.courier.deliver_due()
    post.courier.forget_old()
    assert post.states(admin, "ci") == [("delivered", 1)]
    assert "model:new" in post.channels.list_deliveries(admin, "ci").items[0].delivery.body


def test_another_key_is_an_error_of_the_delivery(post: Post, admin: Caller, receiver: Receiver) -> None:
    post.channels.add_webhook(admin, "ci", receiver.url, EVERYTHING)
    post.composition.storage.write(
        lambda tx: tx.exec_driver_sql("UPDATE channel SET sealed = 'hfs1.x.y'").rowcount
    )
    report = post.channels.test_channel(admin, "ci")
    assert "damaged" in report.delivery.error
    assert receiver.got == []


def test_deliveries_are_paged(post: Post, admin: Caller, receiver: Receiver) -> None:
    post.channels.add_webhook(admin, "ci", receiver.url, EVERYTHING)
    for number in range(5):
        post.happen("model.create", f"model:m{number}")
    first = post.channels.list_deliveries(admin, "ci", limit=3)
    rest = post.channels.list_deliveries(admin, "ci", limit=3, page_token=first.next_page_token or "")
    events = [report.delivery.event for report in [*first.items, *rest.items]]
    assert events == sorted(events, reverse=True)
    assert (len(events), rest.next_page_token) == (5, None)
    with pytest.raises(InvalidInput, match="'odd'"):
        post.channels.list_deliveries(admin, "ci", state="odd")


def test_types_have_the_form_of_a_noun_and_a_verb() -> None:
    assert all(type.count(".") == 1 for type in EVENT_TYPES)
    assert {"run.finished", "version.registered", "alias.set", "alert.raised", "comment.created"} <= set(
        EVENT_TYPES
    )
