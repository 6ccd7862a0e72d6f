"""Sealing: personal data is encrypted before it enters the log, its copies or a dead letter."""

import os
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from voltpay.core.errors import Broken
from voltpay.core.payment import Fingerprint, Sealed

_NONCE_BYTES: Final = 12
_VERSION: Final = b"\x01"
_HEAD_BYTES: Final = 1 + _NONCE_BYTES
DIGEST_BYTES: Final = 8


class CannotOpen(Broken):
    """Sealed with another key, for another payment, or altered."""


class Sealer:
    """AES-256-GCM under one secret of at least 32 bytes; `context` (a payment's id) is bound in.

    Layout of what is sealed: one version byte, a 12-byte nonce, ciphertext with its tag.
    """

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(blake2b(secret, digest_size=32, person=b"voltpay-seal").digest())
        self._digest_key = blake2b(secret, digest_size=32, person=b"voltpay-prints").digest()
        self._of_nothing = self._digest_of(b"")

    def seal(self, plain: bytes, context: bytes) -> Sealed:
        """Encrypt; the same plaintext never gives the same bytes twice."""
        nonce = os.urandom(_NONCE_BYTES)
        return Sealed(_VERSION + nonce + self._cipher.encrypt(nonce, plain, context))

    def open(self, sealed: Sealed, context: bytes) -> bytes:
        """Decrypt. Raises CannotOpen."""
        version, nonce, body = sealed[:1], sealed[1:_HEAD_BYTES], sealed[_HEAD_BYTES:]
        if version != _VERSION or len(nonce) < _NONCE_BYTES:
            raise CannotOpen("these bytes were not sealed by this version")
        try:
            return self._cipher.decrypt(nonce, body, context)
        except InvalidTag as error:
            raise CannotOpen("sealed data does not open with this secret") from error

    def fingerprint(self, fields: Sequence[bytes]) -> Fingerprint:
        """One keyed digest of 8 bytes per field, joined: equal exactly when the fields are."""
        return Fingerprint(
            b"".join([self._digest_of(field) if field else self._of_nothing for field in fields])
        )

    def _digest_of(self, field: bytes) -> bytes:
        return blake2b(field, digest_size=DIGEST_BYTES, key=self._digest_key).digest()


def fields_that_differ(one: Fingerprint, other: Fingerprint, names: Sequence[str]) -> list[str]:
    """Names of the fields whose digests are not the same in both."""
    return [
        name
        for i, name in enumerate(names)
        if one[i * DIGEST_BYTES : (i + 1) * DIGEST_BYTES]
        != other[i * DIGEST_BYTES : (i + 1) * DIGEST_BYTES]
    ]
