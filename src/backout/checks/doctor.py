"""Whether a declared check could be run now: its program is found, its query reads, somebody listens at its URL."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from backout.checks.options import CheckOptions, CommandOptions, SqlOptions
from backout.message import Message, msg
from backout.platforms.base import Diagnosis, Site

if TYPE_CHECKING:
    from backout.databases.base import Database

_PORTS = {"http": 80, "https": 443}
_PLAIN_WORD = re.compile(r"[\w./+-]+")


def diagnose(options: CheckOptions, site: Site, database: Database | None, deadline_s: float) -> Diagnosis:
    """Look whether a check could be run now, changing nothing; what it would prove is not looked at."""
    match options:
        case CommandOptions():
            trouble, remedy = _program(options, site, deadline_s)
            fine = msg("Its program is found.")
        case SqlOptions():
            trouble, remedy = _query(options, site, database, deadline_s)
            fine = msg("Its query reads.")
        case _:
            shown = site.redactor.text(options.url)
            trouble = _silent(options.url, deadline_s)
            remedy, fine = f"curl -sS -i {shlex.quote(shown)}", msg("Somebody listens at {url}.", url=shown)
    return Diagnosis(
        subject=f"check {options.name}",
        ok=trouble is None,
        evidence=trouble or fine,
        remedy=remedy if trouble else None,
    )


def _program(options: CommandOptions, site: Site, deadline_s: float) -> tuple[Message | None, str]:
    remedy = f"checks: {options.name}: run names a program that can be executed"
    if isinstance(options.run, tuple):
        # As `subprocess` finds it: a name without a slash in this process's PATH, else from the folder.
        name = options.run[0]
        found = shutil.which(site.directory / name if "/" in name else name)
        return (None if found else msg("{program} is not found, or not executable.", program=name)), remedy
    try:
        words = shlex.split(options.run, comments=True)
        asked = subprocess.run(
            ["/bin/sh", "-n", "-c", options.run], cwd=site.directory, stdin=subprocess.DEVNULL,
            capture_output=True, encoding="utf-8", errors="replace", timeout=deadline_s, check=False,
        )  # fmt: skip
        said = asked.stderr if asked.returncode else ""
    except (ValueError, OSError, subprocess.TimeoutExpired) as error:
        words, said = [], str(error)
    if said or not words:
        return msg(
            "sh cannot read it: {said}", said=site.redactor.text(said.strip()) or "it is empty"
        ), remedy
    if _PLAIN_WORD.fullmatch(words[0]) and not _known_to_sh(words[0], site, deadline_s):
        return msg("{program} is not found, or not executable.", program=words[0]), remedy
    return None, remedy


def _known_to_sh(word: str, site: Site, deadline_s: float) -> bool:
    """Return whether the shell would find a command of that name; it also has some of its own."""
    asked = subprocess.run(
        ["/bin/sh", "-c", 'command -v -- "$1"', "sh", word], cwd=site.directory, env=dict(site.environ),
        stdin=subprocess.DEVNULL, capture_output=True, timeout=deadline_s, check=False,
    )  # fmt: skip
    return asked.returncode == 0


def _query(
    options: SqlOptions, site: Site, database: Database | None, deadline_s: float
) -> tuple[Message | None, str]:
    from backout.errors import BackoutError

    if database is None:
        return msg("No `database` is configured to ask."), "declare database in backout.yaml"
    try:
        database.scalar(options.query, min(options.timeout_s, deadline_s))
    except BackoutError as error:
        return error.what, f"checks: {options.name}: query is one statement that only reads, and is quick"
    return None, ""


def _silent(url: str, deadline_s: float) -> Message | None:
    """Return why nobody can be asked there; None if somebody listens. No request is sent: it may not be harmless."""
    parts = urlsplit(url)
    place = (parts.hostname or "", parts.port or _PORTS[parts.scheme])
    try:
        socket.create_connection(place, timeout=deadline_s).close()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return msg(
            "{host} does not answer at port {port}: {reason}.", host=place[0], port=place[1], reason=reason
        )
    return None
