"""Scratch copies of a live database's schema, and commands that are run in them as if each was the live one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from backout import foreground
from backout.databases.postgres.connect import Connector
from backout.databases.postgres.inverse.catalog import connector_of, read_fingerprint
from backout.databases.postgres.inverse.made import Place
from backout.databases.postgres.reversible.fingerprint import differences
from backout.databases.postgres.scratch.pointed import pointed_at
from backout.databases.postgres.scratch.server import Scratch
from backout.errors import NotPossible, OutcomeUnknown
from backout.message import msg
from backout.redact import Redactor


def place(scratch: Scratch, url: str) -> Place:
    """Return a scratch database as both roles see it."""
    return Place(connector_of(url), connector_of(scratch.as_admin(url)))


def run_there(
    live: Connector,
    url: str,
    argv: Sequence[str],
    variables: Sequence[str],
    redactor: Redactor,
    directory: Path | None = None,
) -> None:
    """Run a command in a scratch database, and make sure that the live one did not become another by it.

    Args:
        live: The live database.
        url: Of the scratch one.
        argv: The command.
        variables: Further environment variables by which it finds the database.
        redactor: Knows the secrets.
        directory: Where it runs; None: here.

    Raises:
        UsageError: It cannot be started.
        NotPossible: It failed.
        OutcomeUnknown: The live schema is another one than before.
    """

    def run() -> int:
        try:
            with _told_beside():
                return foreground.run(argv, pointed_at(url, variables), directory)
        except OSError as error:
            raise foreground.not_started(argv, error) from None

    status = _unchanged(live, run)
    if status:
        raise NotPossible(
            msg(
                "The command ended with {status} on the scratch database: {command}",
                status=status,
                command=redactor.text(" ".join(argv)),
            ),
            state=msg("The live database was only read."),
            next_command="backout db status   # what was run before; the command's own words stand above",
        )


@contextmanager
def _told_beside() -> Iterator[None]:
    """Let a command's output go to standard error: ours is a file that may be read by a program."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _unchanged(live: Connector, work: Callable[[], int]) -> int:
    before = read_fingerprint(live)
    status = work()
    changed = differences(before, read_fingerprint(live))
    if changed:
        raise OutcomeUnknown(
            msg(
                "The live schema changed while the command was tried on scratch: {what}", what=str(changed[0])
            ),
            state=msg(
                "Either the command finds its database in another way than by DATABASE_URL and the PG* variables, and has changed the live one, or somebody else did."
            ),
            next_command="backout db status   # then: --variable NAME, by which the command finds its database; a literal URL has to go",
        )
    return status
