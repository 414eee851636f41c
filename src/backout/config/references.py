"""`${NAME}` references: the only way a secret gets in; and what in a file is a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from backout.config.problems import KeyPath, did_you_mean
from backout.env_file import setting, sourced
from backout.message import Message, msg

_REFERENCE = re.compile(r"(?P<escaped>\$\$(?=\{))|\$\{(?P<body>[^}]*)(?P<end>\}?)")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)
_URL_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^\s:/@?#]*:(?P<url>[^\s@/?#]+)@", re.IGNORECASE)
_KEY_PASSWORD = re.compile(
    r"(?:^|[\s?&;])(?:password|passwd|pwd|sslpassword)\s*=\s*(?P<key>'[^']+'|[^\s&;']+)", re.IGNORECASE
)
_SECRET_NAME = re.compile(
    r"(?:^|[_.-])(?:password|passwd|secret|token|api_?key|private_?key|authorization|credentials?|dsn)$",
    re.IGNORECASE,
)
# Ports, switches, paths, addresses without user, query or digits in the path (a webhook's path is a secret).
_PLAIN_VALUE = re.compile(
    r"\d{1,5}|true|false|yes|no|on|off|~?/[\w./-]*"
    r"|https?://[\w.:\[\]-]+(?:/(?-i:[a-z_-]{0,20})){0,4}"
    r"|postgres(?:ql)?://(?:[\w.-]+@)?[\w.:\[\]-]*/?[\w-]*(?:\?[\w=&.%/-]*)?",
    re.IGNORECASE,
)
_PLAIN_KEYS = frozenset(
    {"service", "environment", "confirm", "state", "kind", "name", "version", "min_version"}
)


def holds_secret(key: str, raw: str) -> bool:
    """Return whether a text, references left out, is or carries a secret in plain text."""
    plain = _REFERENCE.sub(_default_only, raw)
    if passwords_in(plain):
        return True
    # "Bearer ${TOKEN}" carries no secret itself; "Bearer abc" and ${TOKEN:-abc} do.
    defaults = any(_default_only(m) for m in _REFERENCE.finditer(raw))
    return bool(_SECRET_NAME.search(key) and plain.strip() and (defaults or plain == raw))


def passwords_in(text: str) -> tuple[str, ...]:
    """Return the passwords that stand in URLs and connection strings, as written."""
    urls = (m["url"] for m in _URL_PASSWORD.finditer(text))
    keys = (m["key"].strip("'") for m in _KEY_PASSWORD.finditer(text))
    return (*urls, *keys)


def _default_only(match: re.Match[str]) -> str:
    body = _BODY.fullmatch(match["body"] or "")
    return (body["default"] or "") if body else ""


class Mistake(NamedTuple):
    """What is wrong with a reference, what to do, the env file that has what is missing, and whether a variable is."""

    what: Message
    remedy: Message
    env_file: Path | None = None
    unset: bool = False


@dataclass(slots=True)
class References:
    """Resolves references from one environment and remembers which values are secret.

    Attributes:
        secrets: Values that must never be shown.
        used: Names of the variables that were asked for.
        env_files: Files of the service; only to say that one of them sets a variable that is missing.
    """

    environ: Mapping[str, str]
    env_files: tuple[Path, ...] = ()
    secrets: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)

    def mistakes(self, path: KeyPath, raw: str) -> Iterator[Mistake]:
        """Yield what is wrong with the references in a text, each with its remedy."""
        for match in _REFERENCE.finditer(raw):
            if match["escaped"]:
                continue
            body = _BODY.fullmatch(match["body"])
            if not body or not match["end"]:
                what = msg(
                    "expected a reference such as {example}, found {found}.",
                    example="${NAME}",
                    found=match[0],
                )
                yield Mistake(what, msg("For the characters themselves write {escaped}.", escaped="$${"))
            elif not self.environ.get(body["name"]) and body["default"] is None:
                yield self._missing(body["name"])
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        # What is told for the column users.password is an expression.
        if holds_secret("" if path[:1] == ("migrations",) else key, raw):
            name = (
                "DATABASE_URL"
                if path and path[0] == "database"
                else "_".join(p for p in path if isinstance(p, str)).upper()
            )
            what = msg("expected a reference to a secret, found the secret itself.")
            yield Mistake(
                what,
                msg(
                    "Write {reference}, and set {name} in the environment.",
                    reference=f"${{{name}}}",
                    name=name,
                ),
            )

    def resolve(self, path: KeyPath, raw: str) -> str:
        """Return the text with its references replaced; what cannot be resolved stays."""
        key = next((part for part in reversed(path) if isinstance(part, str)), "")

        def value(match: re.Match[str]) -> str:
            if match["escaped"]:
                return "$"
            body = _BODY.fullmatch(match["body"])
            if not body or not match["end"]:
                return match[0]
            self.used.add(body["name"])
            found = self.environ.get(body["name"], "")
            if not found:
                return match[0] if body["default"] is None else str(body["default"])
            self._remember(key, body["name"], found)
            return found

        return _REFERENCE.sub(value, raw)

    def _missing(self, name: str) -> Mistake:
        if name in self.environ:
            what = msg("expected the environment variable {name}, found it empty.", name=name)
        else:
            what = msg("expected the environment variable {name}, found that it is not set.", name=name)
        file = setting(name, self.env_files)
        if file is not None:
            told = msg(
                "Looked in the environment alone; {file} sets it, for the service. Type: {command}",
                file=str(file),
                command=sourced(file),
            )
            return Mistake(what, told, file, unset=True)
        near = (
            None if name in self.environ else did_you_mean(name, [k for k in self.environ if k.upper() == k])
        )
        default = f"${{{name}:-…}}"
        if near is None and self.env_files:
            files = ", ".join(map(str, self.env_files))
            text = "{files} does not set it either. Type: export {name}=… (or write {default} for a default)."
            return Mistake(what, msg(text, files=files, name=name, default=default), unset=True)
        text = "Type: export {name}=… (or write {default} for a default)."
        return Mistake(what, near or msg(text, name=name, default=default), unset=True)

    def _remember(self, key: str, name: str, value: str) -> None:
        passwords = passwords_in(value)
        self.secrets.update(p for found in passwords for p in (found, unquote(found)))
        named = _SECRET_NAME.search(key) or _SECRET_NAME.search(name)
        # Hazard: cutting a port, a path or the service's name out of everything would make plans unreadable;
        # so would a whole address of which only the password is secret.
        plain = key in _PLAIN_KEYS or bool(passwords) or _PLAIN_VALUE.fullmatch(value)
        if named or not plain:
            self.secrets.add(value)
