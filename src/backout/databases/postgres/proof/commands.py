"""How the migration command runs on a scratch database: unseen, and what it prints kept for the case that it fails."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from backout import foreground
from backout.databases.postgres.reversible.proxy.server import MISLEADING
from backout.redact import Redactor

_TAIL = 40


@dataclass(slots=True)
class Command:
    """The migration command.

    Attributes:
        argv: Program and arguments.
        variables: Further environment variables by which it finds the database.
        redactor: Keeps secrets out of what it printed.
        printed: What it printed the last time.
        seconds: How long it took the last time.
    """

    argv: Sequence[str]
    variables: Sequence[str]
    redactor: Redactor
    printed: str = ""
    seconds: float = 0

    def directly(self, url: str) -> int:
        """Run it on a database without backout, and return its exit status.

        Raises:
            OSError: It cannot be started.
        """
        kept = {name: value for name, value in os.environ.items() if name not in MISLEADING}
        return self.run(self.argv, kept | _leading(url) | dict.fromkeys(self.variables, url))

    def run(self, argv: Sequence[str], environment: Mapping[str, str]) -> int:
        """Run it with an environment, and return its exit status.

        Raises:
            KeyboardInterrupt: It was interrupted: Ctrl-C reaches it as well.
        """
        begun_s = time.monotonic()
        status, printed = foreground.heard(argv, environment)
        if status == 128 + signal.SIGINT:
            raise KeyboardInterrupt
        self.seconds = time.monotonic() - begun_s
        self.printed = self.redactor.text("\n".join(printed.splitlines()[-_TAIL:]))
        return status


def _leading(url: str) -> dict[str, str]:
    """Return the variables that lead a command to a database."""
    from psycopg.conninfo import conninfo_to_dict

    told = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    host, port, name = told.get("host", ""), told.get("port", "5432"), told.get("dbname", "")
    found = {"DATABASE_URL": url, "PGHOST": host, "PGPORT": port, "PGDATABASE": name}
    found |= {"PGUSER": told["user"]} if "user" in told else {}
    found |= {"PGPASSWORD": told["password"]} if "password" in told else {}
    if host.startswith("/"):
        # Clients that take URLs alone know the folder of a socket only as a parameter.
        who = quote(told.get("user", ""), safe="")
        found["DATABASE_URL"] = f"postgresql://{who}@/{quote(name)}?host={quote(host, safe='')}&port={port}"
    return found
