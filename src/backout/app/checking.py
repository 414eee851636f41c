"""Whether a migration can be taken back, found out before it is deployed; needs no configuration."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backout.app.migrations import refuse_to_try
from backout.migration import LOCK_BUDGET_MS
from backout.redact import Redactor

if TYPE_CHECKING:
    from backout.databases.postgres.connect import Connector
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
    smoke: Sequence[str] | None = None,
    answers: Mapping[str, str] | None = None,
    variables: Sequence[str] = (),
    rows: Mapping[str, int] | None = None,
    sample: int = 0,
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
        smoke: A command of the release that runs now, which is run on the later schema, too.
        answers: What nobody can compute, as of `Migrations.migrate`.
        variables: Further environment variables by which the command finds the database.
        rows: How many rows tables have, by ``schema.table``; of others the database's statistics tell.
        sample: So many rows of each live table are brought to the scratch database besides those that are generated.
        lock_budget_ms: For how long the locks of a way back may be held.
        environ: The environment; None: the process's.

    Raises:
        UsageError: The command cannot be started.
        NotPossible: No scratch database can be made.
        TargetUnreachable: The database does not answer.
        Refused: The command names the database itself, and would run there.
    """
    from backout import foreground
    from backout.databases.postgres.scratch.clone import dump_schema
    from backout.databases.postgres.scratch.server import scratch_soon

    redactor, begun_s = Redactor(), time.monotonic()
    live = _live(argv, database, empty, environ, redactor)
    with scratch_soon(scratch, live) as ready:
        # What the server needs to start, this needs, too: it is done meanwhile.
        from backout.databases.postgres.proof.commands import Command
        from backout.databases.postgres.proof.prove import prove
        from backout.databases.postgres.proof.trial import Terms

        dumped = dump_schema(live, owners=scratch is None) if live is not None else None
        try:
            found = prove(
                Command(argv, variables, redactor),
                live,
                ready(),
                dumped=dumped,
                before=Command(before, variables, redactor) if before else None,
                terms=Terms(
                    answers or {}, lock_budget_ms, Command(smoke, variables, redactor) if smoke else None
                ),
                rows=rows or {},
                sampled=sample,
            )
        except OSError as error:
            raise foreground.not_started(argv, error) from None
    return found.model_copy(update={"seconds": round(time.monotonic() - begun_s, 2)})


def check_history(
    argv: Sequence[str],
    files: Sequence[Path] = (),
    *,
    database: str | None = None,
    empty: bool = True,
    scratch: str | None = None,
    before: Sequence[str] | None = None,
    smoke: Sequence[str] | None = None,
    answers: Mapping[str, str] | None = None,
    variables: Sequence[str] = (),
    lock_budget_ms: float = LOCK_BUDGET_MS,
    environ: Mapping[str, str] | None = None,
) -> Iterator[MigrationProof]:
    """Prove a whole history, begun with an empty database, one migration at a time, and yield what was found out about each.

    Args:
        argv: A command that makes one migration each time it is run, until there is none left; unused with `files`.
        files: A file for each migration instead, in order.
        database: For whose version and extensions it is to hold, unless `empty`.
        empty: It is to hold for no database in particular.
        scratch: As of `check_migration`, and so are the others.
        before: A command that is run first.
        smoke: A command of the release that runs now.
        answers: What nobody can compute.
        variables: Further environment variables by which the command finds the database.
        lock_budget_ms: For how long the locks of a way back may be held.
        environ: The environment; None: the process's.

    Raises:
        UsageError: A command cannot be started.
        NotPossible: No scratch database can be made.
    """
    from backout import foreground
    from backout.databases.postgres.proof.commands import Command
    from backout.databases.postgres.proof.history import again, of_files, prove_all
    from backout.databases.postgres.proof.trial import Terms

    redactor = Redactor()
    command = Command(argv, variables, redactor)
    try:
        yield from prove_all(
            of_files(files, command) if files else again(command),
            _live(argv, database, empty, environ, redactor),
            scratch_url=scratch,
            before=Command(before, variables, redactor) if before else None,
            until_nothing=not files,
            terms=Terms(
                answers or {}, lock_budget_ms, Command(smoke, variables, redactor) if smoke else None
            ),
        )
    except OSError as error:
        raise foreground.not_started(argv, error) from None


def _live(
    argv: Sequence[str],
    database: str | None,
    empty: bool,
    environ: Mapping[str, str] | None,
    redactor: Redactor,
) -> Connector | None:
    from backout.databases.postgres.connect import Connector, secrets_of

    told = os.environ if environ is None else environ
    conninfo = database if database is not None else told.get("DATABASE_URL", "")
    redactor.add(*secrets_of(conninfo, told))
    if empty:
        return None
    refuse_to_try(argv, conninfo, "backout check")
    return Connector(conninfo, redactor, _CONNECT_S, _STATEMENT_S, _CONNECT_S, setting=_SETTING)
