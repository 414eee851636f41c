"""Secrets are known by value and cut out of everything that leaves the process."""

from __future__ import annotations

import re

from backout.document import Json

MASK = "***"
_URL_PASSWORD = re.compile(
    r"(?P<head>[a-z][a-z0-9+.-]*://[^\s:/@]*:)(?P<secret>[^\s@/]+)(?=@)", re.IGNORECASE
)
_MIN_SECRET_CHARS = 4


class Redactor:
    """Cuts the values it was told about, and passwords in URLs, out of texts.

    Values shorter than 4 characters are not cut: they would blank out ordinary words.
    """

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def add(self, *values: str | None) -> None:
        """Remember values that must not be shown. Idempotent."""
        self._secrets.update(v for v in values if v and len(v) >= _MIN_SECRET_CHARS)

    def text(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return _URL_PASSWORD.sub(lambda m: m["head"] + MASK, text)

    def json(self, value: Json) -> Json:
        """Return the value with every string in it redacted."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(v) for v in value]
        if isinstance(value, dict):
            return {self.text(k): self.json(v) for k, v in value.items()}
        return value
