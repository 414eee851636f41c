"""Makes the file: the migration is run on scratch, its inverse made and proven there, and the live database only read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from backout.databases.postgres.connect import Connector
from backout.databases.postgres.inverse.catalog import linked, read_catalog
from backout.databases.postgres.inverse.earlier import Earlier
from backout.databases.postgres.inverse.file import file_text
from backout.databases.postgres.inverse.histories import histories_back, rows_inserted
from backout.databases.postgres.inverse.losses import losses
from backout.databases.postgres.inverse.made import Inverse, make
from backout.databases.postgres.inverse.trial import place, run_there
from backout.databases.postgres.reversible.link import scalar
from backout.databases.postgres.scratch.server import scratch
from backout.errors import Refused, UsageError
from backout.message import msg
from backout.migration_down import Destroys, DownFile, Stops
from backout.redact import Redactor

_RENAMED = msg(
    "the values of what was renamed: names alone tell what is what here, so it counts as dropped, and as made anew"
)


def down_file(
    live: Connector,
    argv: Sequence[str],
    *,
    redactor: Redactor,
    at: datetime,
    version: str,
    fills: Mapping[str, str],
    variables: Sequence[str] = (),
    scratch_url: str | None = None,
    earlier: Earlier | None = None,
) -> DownFile:
    """Return the inverse of what a migration command would do now, as a file; or of one that has run.

    Args:
        live: The database before the migration; it is only read.
        argv: The migration command; it is run on scratch alone.
        redactor: Knows the secrets.
        at: Now.
        version: Backout's.
        fills: What rows get in a column that comes back, by ``table.column``: SQL expressions.
        variables: Further environment variables by which the command finds the database.
        scratch_url: A server for scratch databases; None: one of our own.
        earlier: Where the schema of before a migration that has run is had from; `argv` is not run then.

    Raises:
        Refused: The inverse does not run.
        NotPossible: There is no scratch database, or the command failed there.
        OutcomeUnknown: The live schema changed meanwhile.
    """
    command = redactor.text(" ".join(argv))
    if earlier is not None:
        command = str(earlier.called())
    with linked(live) as link:
        server = (scalar(link, "SHOW server_version") or "").split(" ")[0]
    with scratch(scratch_url, live) as made:
        before = made.clone(live) if earlier is None else earlier.made_in(made, live)
        after = made.copy(before) if earlier is None else made.clone(live)
        if earlier is None:
            run_there(live, after, argv, variables, redactor)
        same_origin = earlier is None
        was, is_ = place(made, before), place(made, after)
        histories = histories_back(was.read, is_.read)
        inverse = make(
            was, lambda: place(made, made.copy(after)), same_origin=same_origin, fills=fills, last=histories
        )
        _runs(inverse, command, same_origin=same_origin)
        told = losses(
            read_catalog(was.read), read_catalog(is_.read), same_origin=same_origin, fills=dict(fills)
        )
        stays = rows_inserted(was.read, is_.read) if same_origin else []
        unknown = tuple(made.unknown)
    found = DownFile(
        command=command,
        database=live.database,
        made_at=at,
        server_version=server,
        statements=inverse.statements,
        cannot=(*(() if same_origin else (_RENAMED,)), *told.cannot, *stays),
        destroys=tuple(Destroys(called=one.called, counted_by=one.counted_by) for one in told.destroys),
        stops=tuple(Stops(why=one.why, counted_by=one.counted_by) for one in told.stops),
        left=tuple(one.message for one in inverse.left),
        unknown=unknown,
    )
    return found.model_copy(update={"text": file_text(found, version)})


def _runs(inverse: Inverse, command: str, *, same_origin: bool) -> None:
    if inverse.stopped is not None:
        raise Refused(
            msg(
                "No inverse of {command} could be made as plain SQL: {why}",
                command=command,
                why=inverse.stopped,
            ),
            state=msg("The live database was only read; no file was written."),
            next_command="backout migrate -- …   # runs the migration so that it can be taken back, with every row"
            if same_origin
            else "pg_dump --schema-only   # of both: what differs has to be taken back by hand",
        )
    if not inverse.statements and not same_origin:
        raise UsageError(
            msg("There is nothing to take back: {command}", command=command),
            state=msg("The live database was only read; no file was written."),
            next_command="backout db down-sql --from-schema …   # an earlier one; a tool that is installed may have made the migrations of now",
        )
    if not inverse.statements:
        raise UsageError(
            msg("Nothing is another after it on the scratch database: {command}", command=command),
            state=msg("The live database was only read; no file was written."),
            next_command="backout db down-sql -- …   # before the migration is run, and with the command that runs it",
        )
