"""The services that every process with the database shares, built once from the data folder."""

from __future__ import annotations

import threading

from holdfast.app.resolver import RoomObjects
from holdfast.audit.checkpoints import Checkpoints
from holdfast.audit.keys import Keys
from holdfast.audit.service import AuditLog
from holdfast.collaboration.channel_records import HOOK, KINDS, WEBHOOK
from holdfast.collaboration.channels import Channels
from holdfast.collaboration.deliver import Courier
from holdfast.collaboration.follow import Follower
from holdfast.collaboration.hooks import Hooks, HookSender
from holdfast.collaboration.outbox import Outbox
from holdfast.collaboration.records import Person
from holdfast.collaboration.senders import AppriseSender, Sender, WebhookSender
from holdfast.collaboration.service import Collaboration
from holdfast.identity.limits import LoginLimits
from holdfast.identity.oidc import Oidc
from holdfast.identity.passwords import Passwords
from holdfast.identity.people import People
from holdfast.identity.roles import Roles
from holdfast.identity.service import ADMIN
from holdfast.identity.sessions import Sessions
from holdfast.identity.sign_on import SignOn
from holdfast.identity.tokens import Tokens
from holdfast.identity.watched import Watched
from holdfast.identity.workspaces import Workspaces
from holdfast.jobs.local import LocalExecutor
from holdfast.kernel.clock import SystemClock
from holdfast.kernel.structs import prepare_structs
from holdfast.mlflow_api.news import RegistryNews
from holdfast.monitoring.service import Monitor
from holdfast.predictions.roots import PredictionRoots
from holdfast.predictions.service import Predictions
from holdfast.registry.service import Registry
from holdfast.serving.service import Serving, restate
from holdfast.settings import Settings
from holdfast.storage import GcRoots, Objects, Storage, open_backend, trees
from holdfast.storage.keys import open_keyring
from holdfast.storage.migrate import require_current
from holdfast.tracking.changing import RunChanges
from holdfast.tracking.experiments import Experiments
from holdfast.tracking.folder import SharedFolder
from holdfast.tracking.models import LoggedModels
from holdfast.tracking.multipart import MultipartUploads
from holdfast.tracking.purging import Purging
from holdfast.tracking.service import Tracking
from holdfast.tracking.traces import Traces
from holdfast.tracking.views import Views
from holdfast.web.egress import Egress

__all__ = ["Services", "open_services"]


class Services:
    """The services of one process over one data folder."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.data = settings.data
        self.clock = SystemClock()
        self.closing = threading.Event()
        self.storage = Storage(settings.database)
        self.objects = Objects(self.storage, open_backend(settings.objects), self.clock)
        self.keys = open_keyring(settings.keys, settings.keys_command)
        self.egress = Egress(settings.allow_egress)
        # Open mode is a single user's server on loopback, where a machine without bubblewrap may still work.
        self.executor = LocalExecutor(hidden=[settings.data], sandbox="preferred")
        self.audit = AuditLog(self.storage)
        self.signing = Keys(self.storage, self.keys)
        self.checkpoints = Checkpoints(self.storage, self.signing)
        watched = Watched(self.storage, self.identity_changed)
        passwords = Passwords()
        self.people = People(watched, passwords)
        self.sessions = Sessions(watched, self.clock, passwords, LoginLimits(self.storage))
        self.tokens = Tokens(watched, self.sessions)
        self.roles = Roles(watched)
        self.sign_on = SignOn(watched, self.clock, Oidc(self.egress), self.sessions, self.keys.secret_box)
        self.workspaces = Workspaces(watched, archived=restate)
        self.experiments = Experiments(self.storage)
        self.tracking = Tracking(self.storage, self.objects)
        self.purging = Purging(self.storage)
        self.changes = RunChanges(self.storage)
        self.views = Views(self.storage)
        self.folder = SharedFolder(self.storage, self.objects)
        self.uploads = MultipartUploads(self.storage, self.objects)
        self.traces = Traces(self.storage)
        self.models = LoggedModels(self.storage, self.objects)
        self.registry = Registry(self.storage, self.objects, self.models)
        self.predictions = Predictions(self.storage, self.objects)
        self.serving = Serving(self.storage, self.objects, self.registry, self.signing, self.closing)
        self.registry.protect(self.serving.users_of)
        self.monitor = Monitor(self.storage, self.objects, self.predictions, self.clock)
        self.gc_roots: list[GcRoots] = [trees.TreeRoots(), PredictionRoots()]
        self.resolver = RoomObjects(
            self.audit,
            self.experiments,
            self.tracking,
            self.models,
            self.registry,
            self.predictions,
            self.monitor,
        )
        self.collaboration = Collaboration(self.storage, self.audit, self.resolver, self._find_person)
        apprise, box = AppriseSender(self.egress), self.keys.secret_box
        self.hooks = Hooks(self.storage, box, self.egress)
        outbox = Outbox(self.storage, self.resolver)
        self.follower = Follower(self.storage, self.audit, outbox, self.hooks, RegistryNews(self.registry))
        senders: dict[str, Sender] = dict.fromkeys(KINDS, apprise)
        senders |= {WEBHOOK: WebhookSender(self.egress), HOOK: HookSender(self.egress)}
        self.courier = Courier(self.storage, box, senders, self.clock)
        self.channels = Channels(self.storage, box, self.egress, apprise, self.courier)
        prepare_structs()

    def _find_person(self, name: str) -> Person | None:
        """Who can be mentioned: users, service accounts, and the administrator by the secret."""
        return ADMIN if name == ADMIN.name else self.people.find(name)

    def identity_changed(self) -> None:
        """Called after every change of people, tokens, roles or workspaces by this process."""

    def close(self) -> None:
        """Finish what is queued, then close the stores."""
        self.closing.set()
        self.storage.close()


def open_services(settings: Settings) -> Services:
    """The services over existing stores. Raises NotFound or Conflict when the database is not this version's."""
    require_current(settings.database)
    return Services(settings)
