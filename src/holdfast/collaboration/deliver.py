"""Delivering what waits: at least once, later each time it fails, and at last kept as a dead letter.

A worker claims a delivery by putting its next attempt off before it sends, so one that is killed in between leaves a
delivery that is due again when the claim ends. Messages of one channel are sent one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from holdfast.audit import service as audit
from holdfast.collaboration.channel_records import Attempt, Channel, Delivery
from holdfast.collaboration.senders import Outcome, Secret, Sender
from holdfast.collaboration.store import channels as store
from holdfast.identity.service import system_caller
from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import IntegrityError
from holdfast.storage import Storage, Tx, lock
from holdfast.storage.secret_box import SecretBox

__all__ = ["CLAIM_MS", "MOST_ATTEMPTS", "PAUSE_AFTER", "PURPOSE", "Courier", "backoff_ms"]

CLAIM_MS = 30_000
MOST_ATTEMPTS = 8
PAUSE_AFTER = 24
"""Attempts that failed without a success between; then the channel is paused until somebody resumes it."""
PURPOSE = "channel"
TEST = "test"
"""The type of a test's message, which is attempted once."""
_FIRST_MS, _LONGEST_MS = 10_000, 6 * 3_600_000
_KEPT_MS = 30 * 86_400_000
_AT_ONCE = 4
_BLOCK = 64


def backoff_ms(failures: int) -> int:
    """The wait after so many failures: 10 s, then three times as long each, at most 6 hours."""
    return int(min(_FIRST_MS * 3 ** min(failures - 1, 20), _LONGEST_MS))


class Courier:
    """Sends deliveries and writes down what became of them."""

    def __init__(self, storage: Storage, box: SecretBox, senders: Mapping[str, Sender], clock: Clock) -> None:
        """`senders` by kind of channel."""
        self._storage = storage
        self._box = box
        self._senders = senders
        self._clock = clock

    def deliver_due(self) -> int:
        """Attempt what is due, at most 64; gives how many attempts were made."""
        now_ms = self._clock.now_ms()
        due = self._storage.read(lambda tx: store.due_deliveries(tx, now_ms, _LONGEST_MS, _BLOCK))
        by_channel: dict[tuple[str, str], list[Delivery]] = {}
        for workspace, delivery in due:
            by_channel.setdefault((workspace, delivery.channel_id), []).append(delivery)
        if not by_channel:
            return 0
        with ThreadPoolExecutor(_AT_ONCE, "holdfast-deliver") as pool:
            return sum(pool.map(lambda one: self._deliver_all(one[0][0], one[1]), by_channel.items()))

    def waiting(self) -> int:
        """How many deliveries wait in all workspaces, for the operator."""
        return self._storage.read(store.count_deliveries).get("pending", 0)

    def forget_old(self) -> None:
        """Delete what ended more than 30 days ago, dead letters too."""
        before = self._clock.now_ms() - _KEPT_MS
        while self._storage.write(lambda tx: store.delete_deliveries(tx, before, _BLOCK)):
            continue

    def _deliver_all(self, workspace: str, deliveries: Sequence[Delivery]) -> int:
        """Attempt a channel's deliveries in order, up to the first that fails."""
        for number, delivery in enumerate(deliveries, 1):
            outcome = self.attempt(workspace, delivery)
            if outcome is None or outcome.error:
                return number
        return len(deliveries)

    def attempt(self, workspace: str, delivery: Delivery) -> Outcome | None:
        """Claim a delivery, send it, write down the outcome; None when it is not there to be sent any more."""
        started = self._clock.now_ms()

        def claim(tx: Tx) -> tuple[Channel, str] | None:
            channel = store.load_channel(tx, workspace, delivery.channel_id)
            if channel is None or not store.claim(tx, workspace, delivery, started + CLAIM_MS):
                return None
            return channel, store.load_sealed(tx, workspace, channel.channel_id)

        claimed = self._storage.write(claim)
        if claimed is None:
            return None
        channel, sealed = claimed
        outcome = self._send(workspace, channel, sealed, delivery, started)
        self._storage.write(
            lambda tx: _settle(
                tx, workspace, channel.name, delivery, outcome, started, max(started, self._clock.now_ms())
            )
        )
        return outcome

    def _send(
        self, workspace: str, channel: Channel, sealed: str, delivery: Delivery, now_ms: int
    ) -> Outcome:
        try:
            opened = self._box.open(sealed, purpose=PURPOSE, row=f"{workspace}/{channel.channel_id}")
        except IntegrityError as error:
            return Outcome(error=str(error))
        secret = msgspec.json.decode(opened, type=Secret)
        return self._senders[channel.kind].send(secret, delivery.delivery_id, delivery.body, now_ms)


def _settle(
    tx: Tx, workspace: str, name: str, claimed: Delivery, outcome: Outcome, started: int, ended: int
) -> None:
    """Write an attempt and what it means for the delivery and its channel."""
    lock(tx, "channel", workspace, name)
    delivery = store.load_delivery(tx, workspace, claimed.delivery_id)
    channel = store.load_channel(tx, workspace, claimed.channel_id)
    if delivery is None or channel is None:
        return  # removed meanwhile
    known = store.list_attempts(tx, workspace, [delivery.delivery_id]).get(delivery.delivery_id, [])
    attempt = Attempt(len(known) + 1, started, ended, outcome.status, outcome.error)
    store.insert_attempt(tx, workspace, delivery.delivery_id, attempt)
    if not outcome.error:
        done = msgspec.structs.replace(delivery, state="delivered", ended_at=ended, error="")
        store.update_delivery(tx, workspace, done)
        if channel.failures:
            store.update_channel(tx, workspace, msgspec.structs.replace(channel, failures=0))
        return
    is_last = delivery.attempts >= MOST_ATTEMPTS or delivery.type == TEST
    failures = channel.failures + (delivery.type != TEST)
    next_at = ended + backoff_ms(max(1, failures if _is_away(outcome) else delivery.attempts))
    failed = msgspec.structs.replace(
        delivery,
        state="dead" if is_last else "pending",
        ended_at=ended if is_last else None,
        due_at=next_at,
        error=outcome.error,
    )
    store.update_delivery(tx, workspace, failed)
    if delivery.type == TEST:
        return
    if _is_away(outcome):
        store.put_off(tx, workspace, channel.channel_id, next_at)
    _count_failure(tx, workspace, channel, failures, outcome, ended)


def _is_away(outcome: Outcome) -> bool:
    """Whether the other side can't take anything now, rather than not this message."""
    return outcome.status is None or outcome.status == 429 or outcome.status >= 500


def _count_failure(
    tx: Tx, workspace: str, channel: Channel, failures: int, outcome: Outcome, now_ms: int
) -> None:
    if failures < PAUSE_AFTER or channel.state == "paused":
        store.update_channel(tx, workspace, msgspec.structs.replace(channel, failures=failures))
        return
    message = f"{failures} attempts in a row failed; the last: {outcome.error}"
    paused = msgspec.structs.replace(channel, failures=failures, state="paused", message=message)
    store.update_channel(tx, workspace, paused)
    caller = system_caller(workspace, now_ms)
    audit.append(
        tx,
        caller,
        action="channel.pause",
        object=f"channel:{channel.name}",
        before={"state": "active"},
        after={"state": "paused", "message": message},
    )
