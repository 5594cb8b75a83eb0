"""The deployment's keys as verifiers see them: which one signs now, and the statements that lead to it."""

from __future__ import annotations

from holdfast.audit.records import KeyView
from holdfast.audit.rotation import Rotation, follow, is_valid, sign_rotation
from holdfast.audit.service import append
from holdfast.audit.store import signatures as store
from holdfast.kernel.errors import Conflict, IntegrityError, NotFound
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage, Tx, lock
from holdfast.storage.keys import SECRET_BOX, SIGNING_KEYS, Keyring, SigningKey

__all__ = ["KEYS", "Keys"]

KEYS = (*SIGNING_KEYS, SECRET_BOX)


class Keys:
    """The keys of the keyring, with their rotations in the database. Thread-safe.

    A signing key signs once its rotation is recorded, not when it is made, so that every process changes at once and a
    crash between the two leaves the old one signing.
    """

    def __init__(self, storage: Storage, keyring: Keyring) -> None:
        self._storage = storage
        self._keyring = keyring
        self._chains: dict[str, tuple[list[Rotation], list[bytes]]] = {}

    def signing_key(self, name: str) -> SigningKey:
        """The key that signs now. Raises IntegrityError when this process' keyring lacks it."""
        rotations = self.rotations(name)
        if not rotations:
            return self._keyring.signing_key(name)
        return self._keyring.signing_key(name, bytes.fromhex(rotations[-1].new))

    def rotations(self, name: str | None = None) -> list[Rotation]:
        """The recorded rotations, in order, of one key or of all."""
        return self._storage.read(lambda tx: store.list_rotations(tx, name))

    def public_keys(self, name: str) -> list[bytes]:
        """Every public half that ever signed as `name`, the oldest first.

        Raises IntegrityError when the recorded rotations do not lead from the keyring's oldest to the current one.
        """
        rotations = self.rotations(name)
        known = self._chains.get(name)
        if known is None or known[0] != rotations:
            known = self._chains[name] = (rotations, self._chain(name, rotations))
        return list(known[1])

    def _chain(self, name: str, rotations: list[Rotation]) -> list[bytes]:
        first = self._keyring.signing_key(name).public
        if not rotations:
            return [first]
        path = follow(first, bytes.fromhex(rotations[-1].new), name, rotations)
        if len(path) != len(rotations):
            raise IntegrityError(f"The recorded rotations of the {name} key are not one chain.")
        return [first, *(bytes.fromhex(step.new) for step in path)]

    def problems(self) -> list[str]:
        """What is wrong with the recorded rotations: an unknown key, a gap in the numbers, a step that is not signed."""
        found: list[str] = []
        expected: dict[str, int] = {}
        for rotation in self.rotations():
            expected[rotation.name] = expected.get(rotation.name, 0) + 1
            if rotation.name not in KEYS or rotation.number != expected[rotation.name]:
                found.append(
                    f"the rotation {rotation.number} of {rotation.name!r} is none of a key's, in order"
                )
            elif rotation.name != SECRET_BOX and not is_valid(rotation):
                found.append(
                    f"the rotation {rotation.number} of the {rotation.name} key is not what the old key signed"
                )
        return found

    def list_keys(self) -> list[KeyView]:
        """What may be known of every key."""
        return [self._view(name, self.rotations(name)) for name in KEYS]

    def rotate(self, caller: Caller, name: str) -> KeyView:
        """Change a key for a new one. Audited; of a signing key, the statement is signed by the old key.

        A generation that the keyring has and that is not recorded yet, because a rotation was cut short or a vault
        added it, is the new one. Raises NotFound for a name that is no key, Conflict when another rotation came between
        or when the keys are another system's to make.
        """
        if name not in KEYS:
            raise NotFound(f"There is no key {name[:40]!r}.", hint=f"There are: {', '.join(KEYS)}.")
        before = self._view(name, self.rotations(name))
        rotation = Rotation(
            name, len(before.rotations) + 1, before.current, self._next(before), caller.time_ms
        )
        if name != SECRET_BOX:
            rotation = sign_rotation(rotation, self.signing_key(name).sign)

        def fn(tx: Tx) -> None:
            lock(tx, "key", name)
            if len(store.list_rotations(tx, name)) != rotation.number - 1:
                raise Conflict(
                    f"Another rotation of the key {name!r} came first.", hint="Look, then try again."
                )
            store.insert_rotation(tx, rotation)
            append(
                tx,
                caller,
                action="key.rotate",
                object=f"key:{name}",
                before={"key": rotation.old},
                after={"key": rotation.new, "number": rotation.number, "signature": rotation.signature},
            )

        self._storage.write(fn)
        return self._view(name, self.rotations(name))

    def _next(self, view: KeyView) -> str:
        """The generation after the current one, made when the keyring has none."""
        recorded = {view.first, view.current, *(step.new for step in view.rotations)}
        for _ in range(2):
            newest = self._generations(view.name)[-1]
            if newest not in recorded:
                return newest
            self._keyring.add(view.name)
        raise IntegrityError(f"The keyring gave no new generation of the key {view.name!r}.")

    def _generations(self, name: str) -> list[str]:
        if name == SECRET_BOX:
            return self._keyring.secret_box.refreshed_key_ids()
        return [key.public.hex() for key in self._keyring.signing_keys(name, refresh=True)]

    def _view(self, name: str, rotations: list[Rotation]) -> KeyView:
        kind = "aes-256-gcm" if name == SECRET_BOX else "ed25519"
        first = rotations[0].old if rotations else self._generations(name)[0]
        return KeyView(name, kind, rotations[-1].new if rotations else first, first, rotations)
