"""How the migration command runs on a scratch database: unseen, and what it prints kept for the case that it fails."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backout import foreground
from backout.databases.postgres.scratch.pointed import pointed_at
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
        return self.run(self.argv, pointed_at(url, self.variables))

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
