"""Secrets are known by value and cut out of everything that leaves the process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from backout.document import Json

MASK = "***"
# One character of the scheme is enough: a pattern that looks for its begin takes quadratic time in a long word.
_URL_PASSWORD = re.compile(r"(?P<head>[a-z0-9+.-]://[^\s:/@]*:)(?P<secret>[^\s@/]+)(?=@)", re.IGNORECASE)
_MIN_SECRET_CHARS = 4
_SECRET_NAME = re.compile("pass|secret|token|key|credential|pwd|auth|salt", re.IGNORECASE)
_PLAIN_VALUE = re.compile(
    r"""\d{0,5}                                 # a port, a size, a switch
    | v?\d{1,4}(\.\d{1,5}){1,3}               # a version, an address
    | [a-z]{1,12}                             # production, info, true
    | ~?/[\w./-]*                             # a folder
    | https?://[\w.-]+(:\d+)?(/[\w./-]*)?     # a URL with nothing hidden in it""",
    re.VERBOSE,
)


def secrets_of(variables: Mapping[str, str]) -> list[str]:
    """Return the values of environment variables that must not be shown, and the passwords of URLs among them.

    Everything counts as a secret but what plainly is none: cutting `production`, a port or a version out of
    every message would leave nothing to read at night, and out of a plan it would change what is carried out.
    """
    found: list[str] = []
    for name, value in variables.items():
        if _SECRET_NAME.search(name) or not _PLAIN_VALUE.fullmatch(value):
            found.append(value)
        with suppress(ValueError):
            password = urlsplit(value).password
            found += [password, unquote(password)] if password else []
    return found


class Redactor:
    """Cuts the values it was told about, and passwords in URLs, out of texts.

    Values shorter than 4 characters are not cut: they would blank out ordinary words.
    """

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def add(self, *values: str | None) -> None:
        """Remember values that must not be shown. Idempotent."""
        self._secrets.update(v for v in values if v and len(v) >= _MIN_SECRET_CHARS)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the values; only for a process that has to cut them out by itself."""
        return tuple(self._secrets)

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
