"""`backout db down-sql -- COMMAND`: a migration's way back as a plain SQL file, for those who must have one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backout.cli.common import ConfigOption, JsonOption, err, guarded, leave, out, out_json
from backout.cli.db_options import (
    DatabaseOption,
    DownFillOption,
    FromSchemaOption,
    ScratchOption,
    VariableOption,
    check_earlier,
    database_of,
    settings_of,
    told_as,
)
from backout.errors import ExitCode, UsageError
from backout.message import msg
from backout.migration import answers_in

if TYPE_CHECKING:
    from backout.migration_down import DownFile

_SHOWN = 10


@guarded
def command(
    argv: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND…", help="The migration command, as it is typed without backout."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Where the file is written; else it is printed."),
    ] = None,
    from_schema: FromSchemaOption = None,
    fill: DownFillOption = None,
    variable: VariableOption = None,
    scratch: ScratchOption = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a migration's way back as a plain SQL file, before it is run, and prove it. The database is only read.

    The command is run in a scratch database with the same schema, and the file after it. The head of the file says what
    does not come back: no such file has the values of a dropped column. `backout migrate` keeps them. Where the migration
    has run already, --from-schema names a database that has the schema of before (a restored backup, another stage), or a git
    revision: the command then is what migrates an empty database, and runs among the files of then.

    Exit code 6: the schema after it is not in everything what it was, or the scratch server is not like the live one; the
    head says what. 8: there is no such file, and why.

    Example: backout db down-sql --output down.sql -- npx drizzle-kit migrate
    """
    from backout.app.migrations import Migrations

    if from_schema is not None:
        check_earlier(from_schema, argv)
    elif not (argv and argv[0].strip()):
        raise typer.BadParameter("a command is expected, or --from-schema", param_hint="-- COMMAND…")
    settings = settings_of(config)
    found = Migrations(database_of(database)).down_sql(
        argv or (),
        fills={**settings.answers, **answers_in(told_as("--fill", fill))},
        variables=(*settings.variables, *(variable or ())),
        scratch=scratch,
        from_schema=database_of(from_schema, "--from-schema"),
    )
    if output is not None:
        _write(output, found.text)
    if as_json:
        out_json(found)
    elif output is None:
        out(found.text.rstrip("\n"))
    _tell(found, output)
    if not found.proven:
        leave(ExitCode.PROOF_FAILED)


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text)
    except OSError as error:
        raise UsageError(
            msg("{file} cannot be written: {why}", file=str(output), why=error.strerror or ""),
            state=msg("The live database was only read."),
            next_command="backout db down-sql -- …   # without --output it is printed",
        ) from None


def _tell(found: DownFile, output: Path | None) -> None:
    for one in (*found.left, *found.unknown)[:_SHOWN]:
        err(f"not proven  {one}")
    for lost in found.cannot[:_SHOWN]:
        err(f"not back  {lost}")
    if found.proven:
        err("Proven on scratch: after it the schema is what it was.")
    name = output if output is not None else "FILE"
    err(f"next   backout db run-down {name}   # after the migration; it keeps what the file destroys")
