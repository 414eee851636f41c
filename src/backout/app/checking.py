"""Whether a migration can be taken back, found out before it is deployed; needs no configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from backout.errors import Refused
from backout.message import msg
from backout.migration import LOCK_BUDGET_MS
from backout.redact import Redactor

if TYPE_CHECKING:
    from backout.migration_proof import MigrationProof

_CONNECT_S = 10.0
_STATEMENT_S = 120.0
_SETTING = "The database's URL (--database, else DATABASE_URL)"


def check_migration(
    argv: Sequence[str],
    *,
    database: str | None = None,
    empty: bool = False,
    scratch: str | None = None,
    before: Sequence[str] | None = None,
    answers: Mapping[str, str] | None = None,
    variables: Sequence[str] = (),
    rows: Mapping[str, int] | None = None,
    lock_budget_ms: float = LOCK_BUDGET_MS,
    environ: Mapping[str, str] | None = None,
) -> MigrationProof:
    """Run a migration command on scratch databases, there, back and there again, and return what was found out.

    The database is only read: its schema is cloned, and the histories of migration tools; no row of the application.

    Args:
        argv: The migration command, as it is typed without backout.
        database: Whose schema is cloned: URL or key=value text; None: DATABASE_URL, else the PG* variables.
        empty: Begin with an empty database instead.
        scratch: URL of a server for scratch databases; None: one of our own is started.
        before: A command that is run first, without backout: the migrations so far.
        answers: What nobody can compute, as of `Migrations.migrate`.
        variables: Further environment variables by which the command finds the database.
        rows: How many rows tables have, by ``schema.table``; of others the database's statistics tell.
        lock_budget_ms: For how long the locks of a way back may be held.
        environ: The environment; None: the process's.

    Raises:
        UsageError: The command cannot be started.
        NotPossible: No scratch database can be made.
        TargetUnreachable: The database does not answer.
        Refused: The command names the database itself, and would run there.
    """
    from backout import foreground
    from backout.databases.postgres.connect import Connector, secrets_of
    from backout.databases.postgres.proof.commands import Command
    from backout.databases.postgres.proof.prove import prove

    told, redactor = os.environ if environ is None else environ, Redactor()
    conninfo = database if database is not None else told.get("DATABASE_URL", "")
    redactor.add(*secrets_of(conninfo, told))
    live = None
    if not empty:
        live = Connector(conninfo, redactor, _CONNECT_S, _STATEMENT_S, _CONNECT_S, setting=_SETTING)
        _refuse_the_live_one(argv, conninfo)
    try:
        return prove(
            Command(argv, variables, redactor),
            live,
            scratch_url=scratch,
            before=Command(before, variables, redactor) if before else None,
            answers=answers or {},
            rows=rows or {},
            budget_ms=lock_budget_ms,
        )
    except OSError as error:
        raise foreground.not_started(argv, error) from None


def _refuse_the_live_one(argv: Sequence[str], conninfo: str) -> None:
    """Refuse a command that names the live database in its own words: it would run there, not on a scratch database.

    Raises:
        Refused: It does.
    """
    if conninfo and any(conninfo in word for word in argv):
        raise Refused(
            msg("The command has the live database's URL in its own words: it would run there"),
            state=msg("Nothing was run."),
            next_command="backout check -- sh -c '… \"$DATABASE_URL\"'   # a shell puts the scratch database's URL there",
        )
