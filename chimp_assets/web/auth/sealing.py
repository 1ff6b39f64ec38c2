"""Sealed values: a browser keeps them, but can neither read nor change them.

Belongs here: sealing and opening. Does not belong here: what is sealed (`pages.oidc`), the key (`devices.secret_of`).
"""

from __future__ import annotations

import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LONGEST = 4_096
_NONCE_BYTES, _KEY_BYTES = 12, 32


class Seal:
    """AES-256-GCM with a key for one purpose: values sealed for another purpose do not open."""

    def __init__(self, key: bytes, purpose: str) -> None:
        self._purpose = purpose.encode()
        derived = HKDF(SHA256(), _KEY_BYTES, salt=None, info=b"chimp-assets " + self._purpose).derive(key)
        self._cipher = AESGCM(derived)

    def close(self, value: dict[str, Any], seconds: float) -> str:
        """The value as text for a cookie. It opens for this many seconds."""
        plain = json.dumps([time.time() + seconds, value], separators=(",", ":")).encode()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, plain, self._purpose)).decode().rstrip("=")

    def open(self, text: str) -> dict[str, Any] | None:
        """The value; None if it was changed, has expired, or was not sealed here."""
        if not text or len(text) > LONGEST or not text.isascii():
            return None
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            plain = self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], self._purpose)
        except (ValueError, InvalidTag):
            return None
        ends, value = json.loads(plain)
        return dict(value) if time.time() < ends else None
