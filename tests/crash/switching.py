"""A stage whose database cannot be renamed: the team's own command makes the service use another one."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from tests.switch_command import write_switch

from backout.demo import stage_databases
from backout.demo.clients import Clients
from backout.demo.stage import Stage

from .suite import CODE, Crash

USED = r"(?m)^DATABASE_URL=.*/(\w+)$"
_OWN = "\nrestore:\n  switch:\n    run: [bin/use-database]\n    probe: [bin/used-database]\n"
_WRITABLE = "SELECT datname::text FROM pg_database WHERE datname LIKE 'collector%' AND datallowconn"


class Switching(Crash):
    """The service's env file says which database it uses; both that and the command's log are part of a round."""

    def __init__(self, stage: Stage, clients: Clients) -> None:
        super().__init__(stage, clients)
        self._env, self._log_of_switches = stage.root / "shared" / "env", stage.directory / "switches.log"
        self._address = self._env.read_text()

    def prepare(self) -> None:
        """Declare the command and its probe, and prepare the rest."""
        write_switch(self.stage.directory / "bin")
        config = self.stage.config.read_text()
        assert "\nrestore:\n" in config
        self.stage.config.write_text(config.replace("\nrestore:\n", _OWN, 1))
        super().prepare()

    def reset(self, start: str = CODE) -> None:
        """Let the service use its first database again, too."""
        self.stage.set_front("queue")
        self.count_rows()
        self._env.write_text(self._address)
        self._log_of_switches.unlink(missing_ok=True)
        super().reset(start)

    @property
    def used(self) -> str:
        """The database that the service is told to use."""
        found = re.search(USED, self._env.read_text())
        assert found, "the service is told nothing"
        return found[1]

    @property
    def live_url(self) -> str:
        """That database, as its owner."""
        return self._url(self.used)

    def all_urls(self) -> tuple[str, ...]:
        """The database in use, the first one, and those that are kept."""
        return tuple(dict.fromkeys((self.live_url, *super().all_urls())))

    def picture(self) -> dict[str, Any]:
        """Add which database is used, which can be written, and how often the command ran."""
        log = self._log_of_switches
        return super().picture() | {
            "used": stage_databases.undated(self.used),
            "writable": sorted(map(stage_databases.undated, self.writable())),
            "switched": len(log.read_text().splitlines()) if log.exists() else 0,
        }

    def writable(self) -> list[str]:
        """Return the databases that a client may write into."""
        with psycopg.connect(self._url("postgres"), connect_timeout=5) as connection:
            names = [str(row[0]) for row in connection.execute(_WRITABLE).fetchall()]
        found = []
        for name in names:
            with psycopg.connect(self._url(name), connect_timeout=5) as connection:
                if connection.execute("SHOW transaction_read_only").fetchone() == ("off",):
                    found.append(name)
        return found

    def _url(self, database: str) -> str:
        return f"{self.stage.database_url.rpartition('/')[0]}/{database}"
