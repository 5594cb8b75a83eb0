"""Sealing secrets that must be read again: AES-256-GCM, bound to what they are for and to their row."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable

import msgspec

from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.errors import IntegrityError

__all__ = ["BoxKey", "SecretBox"]

_FORM = "hfs1"
_NONCE_BYTES = 12


class BoxKey(msgspec.Struct, frozen=True):
    """One generation: its id (16 hex digits, tells nothing about the key) and its 32 bytes."""

    id: str
    key: bytes

    @classmethod
    def of(cls, key: bytes) -> BoxKey:
        return cls(hashlib.sha256(b"holdfast-secret-box-id-v1\n" + key).hexdigest()[:16], key)

    def __repr__(self) -> str:
        return f"BoxKey(id={self.id!r})"


class SecretBox:
    """Seals with the newest key, opens with any. Thread-safe.

    A sealed text is `hfs1.KEYID.BASE64URL(nonce, ciphertext, tag)`: about 1.4 times the secret and 70 characters.
    `purpose` ("channel", "oidc") and `row` (the row's id, with its workspace) enter as associated data: what was
    copied to another row, or is read for another purpose, does not open. Sealing draws random bytes: do it before
    the unit of work.
    """

    def __init__(self, keys: Callable[[bool], list[BoxKey]]) -> None:
        """`keys(refresh)` gives the generations, the oldest first; `refresh` asks their source again."""
        self._keys = keys

    @property
    def key_ids(self) -> list[str]:
        """The ids of the keys that open, the newest last."""
        return [key.id for key in self._keys(False)]

    def refreshed_key_ids(self) -> list[str]:
        """As `key_ids`, asked of their source again."""
        return [key.id for key in self._keys(True)]

    def seal(self, secret: str | bytes, *, purpose: str, row: str) -> str:
        """The sealed text."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 10 MB: where it is used

        key = self._keys(False)[-1]
        nonce = os.urandom(_NONCE_BYTES)
        data = secret.encode() if isinstance(secret, str) else secret
        sealed = nonce + AESGCM(key.key).encrypt(nonce, data, _bound(key.id, purpose, row))
        return f"{_FORM}.{key.id}.{_text(sealed)}"

    def open(self, sealed: str, *, purpose: str, row: str) -> bytes:
        """The secret. Raises IntegrityError when it was changed, is another row's, or its key is gone."""
        from cryptography.exceptions import InvalidTag  # 10 MB: where it is used
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key_id, data = _split(sealed, purpose)
        key = self._key(key_id, purpose)
        try:
            return AESGCM(key.key).decrypt(
                data[:_NONCE_BYTES], data[_NONCE_BYTES:], _bound(key_id, purpose, row)
            )
        except InvalidTag:
            raise IntegrityError(
                f"The sealed secret of {purpose} {row!r} does not open: it was changed, or belongs to another row.",
                hint="Enter the secret again.",
            ) from None

    def open_text(self, sealed: str, *, purpose: str, row: str) -> str:
        """The secret as text."""
        return self.open(sealed, purpose=purpose, row=row).decode()

    def is_current(self, sealed: str) -> bool:
        """Whether the newest key has sealed it; what an earlier one has sealed should be sealed again at the next write."""
        return sealed.split(".")[1:2] == [self._keys(False)[-1].id]

    def _key(self, key_id: str, purpose: str) -> BoxKey:
        for refresh in (False, True):
            for key in self._keys(refresh):
                if key.id == key_id:
                    return key
        raise IntegrityError(
            f"A secret of {purpose} is sealed with the key {key_id}, which is not among this process's keys.",
            hint="Restore the file secret-box.key from the backup of the keys, or enter the secret again.",
        )


def _bound(key_id: str, purpose: str, row: str) -> bytes:
    return canonical_json([_FORM, key_id, purpose, row])


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _split(sealed: str, purpose: str) -> tuple[str, bytes]:
    form, _, rest = sealed.partition(".")
    key_id, _, text = rest.partition(".")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if form != _FORM or len(data) <= _NONCE_BYTES or _text(data) != text:
        raise IntegrityError(f"The sealed secret of {purpose} is damaged.", hint="Enter the secret again.")
    return key_id, data
