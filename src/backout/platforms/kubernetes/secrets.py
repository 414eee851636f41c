"""Secrets that an optional Role lets us read: whether they changed, and copies of those that are to come back.

The default Role reads no Secret. What is told of one anywhere is a fingerprint under a key (HMAC-SHA256): who may
read records and templates, but no Secrets, cannot try values against it. The key is a Secret of its own,
`backout-key`, for whoever may read it can read the Secrets themselves. A copy is named by its fingerprint. That a
copy is there is told by the server's refusal to make it again (a dry run), so copies are never read, and no Role
has to name them (docs/adr/0014-secrets-by-a-keyed-fingerprint.md).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets as randomness
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backout.document import canonical_json
from backout.errors import CredentialsRefused, StepFailed
from backout.faults import fault_point
from backout.kubernetes.api import Api
from backout.message import msg
from backout.platforms.kubernetes.names import KEY_NAME, MANAGED_BY, SECRET, labels
from backout.platforms.kubernetes.releases import Prints
from backout.platforms.kubernetes.template import copy_hash, copy_name, original_of
from backout.redact import secrets_of

if TYPE_CHECKING:
    from backout.platforms.kubernetes.options import SecretsOptions
    from backout.redact import Redactor

Object = dict[str, Any]

_KEY_BYTES = 32
_TOKEN = "kubernetes.io/service-account-token"
"""Source: k8s.io/api/core/v1 v0.35, SecretTypeServiceAccountToken."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the listed Secrets are now.

    Attributes:
        prints: Their fingerprints; None: there is no key, or it cannot be read.
        owned: Who else writes one of them, by name.
    """

    prints: Prints | None = None
    owned: dict[str, str] = field(default_factory=dict)


class Secrets:
    """Looks at the listed Secrets, and keeps copies.

    Args:
        redactor: Is told every value that is read, before anything else is done with it.
    """

    def __init__(self, api: Api, service: str, options: SecretsOptions, redactor: Redactor) -> None:
        self._api, self._service, self._options, self._redactor = api, service, options, redactor

    def look(self, patience_s: float) -> Look:
        """Return what the listed Secrets are now; what may not be read, or is not there, is left out."""
        if not self._options.listed:
            return Look()
        key = self._key(patience_s)
        if key is None:
            return Look()
        found: dict[str, str] = {}
        owned: dict[str, str] = {}
        for name in self._options.listed:
            secret = self._read(name, patience_s)
            if secret is not None:
                found[name] = fingerprint(key, name, secret)
                owned |= {name: owner} if (owner := owner_of(secret)) else {}
        return Look(Prints(key=key_id(key), found=found), owned)

    def keep(self, referred: Iterable[str]) -> Prints | None:
        """Return the fingerprints of those that templates refer to, and keep what is to be kept. Idempotent.

        Args:
            referred: Names as the templates have them; a copy is kept already.
        """
        places = {original_of(name): name for name in referred if original_of(name) in self._options.listed}
        key = self._key(20.0, make=True) if places else None
        if key is None:
            return None
        found: dict[str, str] = {}
        kept: list[str] = []
        for name, place in sorted(places.items()):
            if (hash := copy_hash(place)) is not None:
                found[name] = hash
                kept.append(name)
            elif (secret := self._read(name, 20.0)) is not None:
                found[name] = fingerprint(key, name, secret)
                wanted = name in self._options.keep and owner_of(secret) is None
                kept += [name] if wanted and self._copy(name, found[name], secret) else []
        return Prints(key=key_id(key), found=found, kept=tuple(kept))

    def need_copy(self, name: str, hash: str) -> str:
        """Return the name of a kept copy; raises `StepFailed` where the server says that there is none."""
        copy = copy_name(name, hash)
        body = {"metadata": {"name": copy}}
        try:
            there = self._api.create("Secret", body, dry_run=True) is None
        except CredentialsRefused:
            return copy  # not told: if it is gone, the pods say so, and the ones before go on
        if not there:
            raise StepFailed(
                msg("The copy {copy} of Secret {name} is gone", copy=copy, name=name),
                state=msg("The workload was not changed"),
                next_command=f"backout plan   # without {name} in platform.secrets.keep: it stays as it is now",
            )
        return copy

    def _copy(self, name: str, hash: str, secret: Object) -> bool:
        """Make a copy; False: that may not be done."""
        fault_point("kubernetes.keep_secret.before")
        body = {
            "metadata": {"name": copy_name(name, hash), "labels": labels(self._service, SECRET)},
            "type": secret.get("type") or "Opaque",
            "data": secret.get("data") or {},
            "immutable": True,
        }
        try:
            self._api.create("Secret", body)
        except CredentialsRefused:
            return False
        return True

    def _read(self, name: str, patience_s: float) -> Object | None:
        try:
            secret = self._api.get("Secret", name, patience_s=patience_s)
        except CredentialsRefused:
            return None
        self._redactor.add(*values_of(secret or {}))
        return secret

    def _key(self, patience_s: float, *, make: bool = False) -> bytes | None:
        """Return the key; None: there is none, or it may not be read."""
        found = self._read(KEY_NAME, patience_s)
        if found is None and make:
            fresh = base64.b64encode(randomness.token_bytes(_KEY_BYTES)).decode()
            meta = {"name": KEY_NAME, "labels": MANAGED_BY}
            try:
                self._api.create("Secret", {"metadata": meta, "data": {"key": fresh}, "immutable": True})
            except CredentialsRefused:
                return None
            found = self._read(KEY_NAME, patience_s)  # another one may have been faster
        key = _decoded((found or {}).get("data") or {}).get("key") or b""
        return key if len(key) >= _KEY_BYTES // 2 else None


def fingerprint(key: bytes, name: str, secret: Object) -> str:
    """Return 16 hex digits of a Secret's name, type and content under a key."""
    content = {"name": name, "type": secret.get("type") or "Opaque", "data": secret.get("data") or {}}
    return hmac.new(key, canonical_json(content).encode(), hashlib.sha256).hexdigest()[:16]


def key_id(key: bytes) -> str:
    """Return what tells one key from another, and nothing of it."""
    return hashlib.sha256(b"backout key " + key).hexdigest()[:16]


def owner_of(secret: Object) -> str | None:
    """Return who else writes a Secret: it would be written over, or fought over; None: nobody is known to."""
    owners = secret["metadata"].get("ownerReferences") or ()
    if owners:
        return f"{owners[0].get('kind')}/{owners[0].get('name')}"
    return "the token controller" if secret.get("type") == _TOKEN else None


def values_of(secret: Object) -> list[str]:
    """Return every value that must not be shown, as it is and as the API server sends it."""
    data = secret.get("data") or {}
    plain = {name: value.decode(errors="ignore") for name, value in _decoded(data).items()}
    values = secrets_of({name: value for name, value in plain.items() if value})
    return [*values, *(text for name, text in data.items() if plain.get(name) in values)]


def _decoded(data: Mapping[str, str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name, text in data.items():
        try:
            found[name] = base64.b64decode(text)
        except (binascii.Error, ValueError):
            continue
    return found
