"""A process that delivers what is due, to be killed in between: python courier_child.py DATA TIME_MS DATABASE."""

from __future__ import annotations

import sys
from pathlib import Path

from holdfast.app.services import open_services
from holdfast.collaboration.deliver import Courier
from holdfast.collaboration.senders import WebhookSender
from holdfast.kernel.clock import ManualClock
from holdfast.settings import Settings
from holdfast.web.egress import Egress

services = open_services(Settings(data=Path(sys.argv[1]), database_url=sys.argv[3]))
sender = WebhookSender(Egress(["127.0.0.1"]))
courier = Courier(
    services.storage, services.keys.secret_box, {"webhook": sender}, ManualClock(int(sys.argv[2]))
)
courier.deliver_due()
services.close()
