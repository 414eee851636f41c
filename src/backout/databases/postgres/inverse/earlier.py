"""The schema of before a migration that has run: another database has it, or the migrations of then make it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backout.databases.postgres.connect import Connector
from backout.databases.postgres.inverse.trial import run_there
from backout.databases.postgres.scratch.server import Scratch
from backout.message import Message, msg
from backout.redact import Redactor


class Earlier(Protocol):
    """Where the schema of before is had from."""

    def called(self) -> Message:
        """Return what it is that is taken back, for people."""

    def made_in(self, scratch: Scratch, live: Connector) -> str:
        """Return the URL of a scratch database that has it.

        Raises:
            NotPossible: It cannot be had.
        """


@dataclass(frozen=True, slots=True)
class OtherDatabase:
    """A database that still has it: a restored backup, or another stage.

    Attributes:
        connector: Its.
    """

    connector: Connector

    def called(self) -> Message:
        """Name the database."""
        return msg("what is not as in the database {database}", database=self.connector.database)

    def made_in(self, scratch: Scratch, live: Connector) -> str:
        """Clone it, and the rows of the histories of migration tools."""
        return scratch.clone(self.connector)


@dataclass(frozen=True, slots=True)
class MigrationsOfThen:
    """The migrations that an earlier revision of the code has.

    Attributes:
        revision: As git knows it.
        directory: Where its files are.
        argv: The command that migrates an empty database.
        variables: Further environment variables by which it finds the database.
        redactor: Knows the secrets.
    """

    revision: str
    directory: Path
    argv: Sequence[str]
    variables: Sequence[str]
    redactor: Redactor

    def called(self) -> Message:
        """Name the revision."""
        return msg("what is not as the migrations of {revision} make it", revision=self.revision)

    def made_in(self, scratch: Scratch, live: Connector) -> str:
        """Run the command on an empty database."""
        url = scratch.empty()
        run_there(live, url, self.argv, self.variables, self.redactor, self.directory)
        return url
