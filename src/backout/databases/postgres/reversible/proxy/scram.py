"""The server's side of SCRAM-SHA-256, with channel binding or without, for one password.

`scramp` does the client's side (`upstream.py`). Its server refuses the empty user name that libpq sends, since
PostgreSQL takes the name from the start-up message (scramp 1.5.0, `Username`).

Source: RFC 5802, RFC 7677, and PostgreSQL 18 documentation, 54.3 "SASL Authentication".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

MECHANISM = "SCRAM-SHA-256"
MECHANISM_PLUS = "SCRAM-SHA-256-PLUS"
_ROUNDS = 4096
_BINDING = "tls-server-end-point"


class Unproven(Exception):
    """The client did not prove that it knows the password."""


class Verifier:
    """What proves a password."""

    def __init__(self, password: str) -> None:
        self.salt = secrets.token_bytes(16)
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), self.salt, _ROUNDS)
        self.stored_key = hashlib.sha256(_mac(salted, b"Client Key")).digest()
        self.server_key = _mac(salted, b"Server Key")


class Exchange:
    """One login.

    Args:
        mechanism: As the client chose it.
        binding: Digest of the certificate when the client came over TLS.
    """

    def __init__(self, verifier: Verifier, mechanism: str, binding: bytes | None) -> None:
        self._verifier, self._plus = verifier, mechanism == MECHANISM_PLUS
        self._binding = binding
        self._bare = self._first = self._nonce = ""
        self._header = b""
        if mechanism not in offered(binding):
            raise Unproven(f"it chose the mechanism {mechanism!r}")

    def first(self, said: str) -> str:
        """Return the server's first message for the client's.

        Raises:
            Unproven: It is not what the mechanism says.
        """
        flag, name, self._bare = _split(said, 2)
        if self._plus != (flag == f"p={_BINDING}") or (flag == "y" and self._binding is not None):
            raise Unproven("the channel binding does not fit the mechanism")
        self._header = f"{flag},{name},".encode()
        self._nonce = _attributes(self._bare).get("r", "") + secrets.token_urlsafe(18)
        salt = base64.b64encode(self._verifier.salt).decode()
        self._first = f"r={self._nonce},s={salt},i={_ROUNDS}"
        return self._first

    def final(self, said: str) -> str:
        """Return the server's last message for the client's.

        Raises:
            Unproven: The password is another, or somebody stands between.
        """
        without, _, proof = said.rpartition(",p=")
        told = _attributes(without)
        bound = self._header + ((self._binding or b"") if self._plus else b"")
        if told.get("c") != base64.b64encode(bound).decode() or told.get("r") != self._nonce:
            raise Unproven("the channel binding or the nonce is another")
        signed = f"{self._bare},{self._first},{without}".encode()
        signature = _mac(self._verifier.stored_key, signed)
        try:
            key = bytes(a ^ b for a, b in zip(signature, base64.b64decode(proof), strict=True))
        except ValueError:
            raise Unproven("the proof cannot be read") from None
        if not hmac.compare_digest(hashlib.sha256(key).digest(), self._verifier.stored_key):
            raise Unproven("the password is another")
        return "v=" + base64.b64encode(_mac(self._verifier.server_key, signed)).decode()


def offered(binding: bytes | None) -> list[str]:
    """Return the mechanisms that a client may choose from."""
    return [MECHANISM] if binding is None else [MECHANISM_PLUS, MECHANISM]


def _split(said: str, times: int) -> list[str]:
    parts = said.split(",", times)
    if len(parts) != times + 1:
        raise Unproven("the message cannot be read")
    return parts


def _attributes(said: str) -> dict[str, str]:
    return {part[:1]: part[2:] for part in said.split(",")}


def _mac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")
