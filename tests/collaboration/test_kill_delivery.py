"""kill -9 in the middle of following and delivering: every message arrives, at least once, told by its id."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import holdfast
from holdfast.client.seen import SeenCheckpoints
from holdfast.collaboration.channels import Channels
from holdfast.collaboration.deliver import CLAIM_MS, Courier
from holdfast.collaboration.events import Match
from holdfast.collaboration.senders import AppriseSender, WebhookSender
from holdfast.kernel.clock import ManualClock
from holdfast.web.egress import Egress

from .receivers import Receiver, Request

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

pytestmark = pytest.mark.faults


def test_a_courier_that_is_killed_loses_nothing(
    composition: Composition, clock: ManualClock, make_caller: Any
) -> None:
    """The receiver holds a request until the sending process is dead; five times in a row."""
    receiver, admin = Receiver(), make_caller("admin")
    egress = Egress(["127.0.0.1"])
    courier = Courier(
        composition.storage, composition.keys.secret_box, {"webhook": WebhookSender(egress)}, clock
    )
    channels = Channels(
        composition.storage, composition.keys.secret_box, egress, AppriseSender(egress), courier
    )
    channels.add_webhook(admin, "ci", receiver.url, Match())
    for number in range(6):
        composition.registry.create_model(admin, f"m{number}")
    while composition.follower.follow(clock.now_ms()):
        continue
    for _ in range(5):
        arrived, killed = threading.Event(), threading.Event()

        def hold(_request: Request, arrived: Any = arrived, killed: Any = killed) -> int:
            arrived.set()
            killed.wait(60)
            return 200

        receiver.answer = hold
        program = Path(__file__).with_name("courier_child.py")
        command = [sys.executable, str(program), str(composition.data), str(clock.now_ms())]
        command.append(composition.settings.database_url)
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert arrived.wait(60)
        child.kill()
        child.communicate()
        killed.set()
        clock.advance(CLAIM_MS)
    receiver.answer = lambda _request: 200
    while courier.deliver_due():
        continue
    receiver.close()
    events = {json.loads(request.body)["object"] for request in receiver.got}
    assert events == {f"model:m{number}" for number in range(6)}
    ids = [request.headers["webhook-id"] for request in receiver.got]
    assert (len(ids), len(set(ids))) == (11, 6)
    reports = channels.list_deliveries(admin, "ci").items
    assert {report.delivery.state for report in reports} == {"delivered"}


@pytest.mark.slow
def test_a_worker_that_is_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    from tests.faults.system import System, wait_until

    receiver = Receiver()
    rounds = 10
    with System(tmp_path / "data", options=("--allow-egress", "127.0.0.1")) as system:
        token = (tmp_path / "data" / "admin.token").read_text().strip()
        admin = holdfast.Client(system.url, token=token)
        client = holdfast.Client(system.url, seen=SeenCheckpoints(tmp_path / "seen"))
        admin.add_webhook("ci", receiver.url, events=["comment"])
        run = f"run:{client.create_run('talk').run_id}"
        said = []
        for number in range(rounds):
            for part in range(5):
                said.append(client.comment(run, f"@administrator {number}.{part}").comment_id)
            if worker := system.child("worker"):
                worker.kill()
        count = len(said)
        wait_until("all events", lambda: len({r.headers["webhook-id"] for r in receiver.got}) == count, 180)
        wait_until("all news", lambda: len(list(admin.inbox())) == count, 60)
        assert len({one.event for one in admin.inbox()}) == count
        assert client.verify_audit().ok
    receiver.close()
