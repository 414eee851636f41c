"""A whole history, one migration at a time, each proven on what those before it have made."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import repeat
from pathlib import Path

from backout.databases.postgres.connect import Connector
from backout.databases.postgres.heads import history_heads, migration_head
from backout.databases.postgres.proof import run_file
from backout.databases.postgres.proof.commands import Command
from backout.databases.postgres.proof.prove import begun, proof_of
from backout.databases.postgres.proof.trial import Terms
from backout.databases.postgres.reversible.fingerprint import read_print
from backout.databases.postgres.reversible.link import DirectLink
from backout.databases.postgres.scratch.server import Scratch, scratch
from backout.migration_proof import MigrationProof

_MOST = 5000
"""So many migrations no history has: a command that changes something each time would never end."""


def prove_all(
    commands: Iterable[Command],
    live: Connector | None,
    *,
    scratch_url: str | None,
    before: Command | None,
    terms: Terms,
    until_nothing: bool,
) -> Iterator[MigrationProof]:
    """Yield what is found out about each migration of a history, begun with an empty database.

    Args:
        commands: Each makes one migration.
        live: The database for whose version and extensions it is to hold; None: for any.
        scratch_url: A server for scratch databases; None: one of our own.
        before: A command that is run first, without backout.
        terms: What the trials go by.
        until_nothing: One that changes neither the schema nor a tool's history is the end, and no migration.

    Raises:
        NotPossible: No scratch database can be made.
        OSError: A command cannot be started.
    """
    with scratch(scratch_url, live) as made:
        stands = made.empty()
        if before is not None and before.directly(stands):
            yield begun(made, before).model_copy(update={"output": before.printed})
            return
        for command in commands:
            ahead = made.copy(stands)
            if command.directly(ahead):
                yield begun(made, command).model_copy(update={"output": command.printed})
                return
            now, head = _told(made, ahead)
            if until_nothing and now == _told(made, stands)[0]:
                return
            found = proof_of(made, stands, command, terms, {})
            yield found.model_copy(update={"migration": head or command.argv[-1]})
            made.drop_all_but(ahead)
            stands = ahead


def again(command: Command) -> Iterator[Command]:
    """Yield the same command, as often as a history can have migrations."""
    yield from repeat(command, _MOST)


def of_files(files: Iterable[Path], like: Command) -> Iterator[Command]:
    """Yield a command for each file, which runs it as migration tools do; the rest as of another command."""
    for file in files:
        yield replace(like, argv=(sys.executable, "-P", "-m", run_file.__name__, str(file)))


def _told(made: Scratch, url: str) -> tuple[tuple[str, dict[int, str]], str | None]:
    """Return what tells whether a migration was made (the schema and the newest of each tool's history), and the newest one."""
    import psycopg

    with closing(psycopg.connect(made.as_admin(url), autocommit=True)) as connection:
        # By its fingerprint: a copy of a database is another one to the catalog.
        with connection.transaction():
            schema = read_print(DirectLink(connection)).digest
        return (schema, history_heads(connection)), migration_head(connection)
