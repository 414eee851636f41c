"""Env files: KEY=VALUE lines for a service. Their values are secrets."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from backout.errors import ConfigError
from backout.message import msg

ENV_FILES = ("shared/.env", "shared/env", "shared/.env.production", ".env")
"""Where one usually stands, below the folder of a service."""


def read_env(path: Path) -> dict[str, str]:
    """Return the variables of a KEY=VALUE file; `export`, comments and quotes are understood.

    Raises:
        ConfigError: The file cannot be read, or a line is not KEY=VALUE (named by number, not text).
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            msg("Env file {path} cannot be read: {why}", path=str(path), why=type(error).__name__),
            state=msg("Nothing was changed"),
            next_command=f"ls -l {shlex.quote(str(path))}",
        ) from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        key, equals, value = text.partition("=")
        if not equals or not key.strip().isidentifier():
            raise ConfigError(
                msg("Env file {path}, line {number}: expected KEY=VALUE", path=str(path), number=number),
                state=msg("Nothing was changed"),
                next_command=f"${{EDITOR:-vi}} +{number} {shlex.quote(str(path))}",
            )
        found[key.strip()] = _unquoted(value.strip())
    return found


def setting(name: str, files: Iterable[Path]) -> Path | None:
    """Return the first of these files that gives a variable a value; the value is dropped."""
    for file in files:
        try:
            if read_env(file).get(name):
                return file
        except ConfigError:
            continue  # not there, not readable or no env file: it sets nothing
    return None


def sourced(*files: Path) -> str:
    """Return the command that takes the variables of env files into a shell."""
    return "; ".join(["set -a", *(f". {shlex.quote(str(file))}" for file in files), "set +a"])


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
