"""`backout db run-down`: a prepared down, tried on scratch first, and run so that nothing of it is lost."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backout.cli.common import ConfigOption, JsonOption, YesOption, err, guarded, leave, out, out_json
from backout.cli.confirm import confirm
from backout.cli.db_options import (
    DatabaseOption,
    ScratchOption,
    VariableOption,
    database_of,
    settings_of,
)
from backout.errors import ExitCode
from backout.message import Message, msg

if TYPE_CHECKING:
    from backout.migration import Migrated
    from backout.migration_down import Brought, DownRun, DownTried

_SHOWN = 20


@guarded
def command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE | -- COMMAND…", help="A file of SQL; with --tool the command that makes the down."
        ),
    ],
    tool: Annotated[
        bool, typer.Option("--tool", help="A migration tool makes the down: alembic downgrade, flyway undo.")
    ] = False,
    to_schema: Annotated[
        str | None,
        typer.Option("--to-schema", metavar="URL", help="A database with the schema that it has to lead to."),
    ] = None,
    values_from: Annotated[
        str | None,
        typer.Option(
            "--values-from",
            metavar="URL",
            help="A database that was restored from a backup of before: columns and tables that a FILE makes again get their values from there, by primary key.",
        ),
    ] = None,
    release: Annotated[
        str | None,
        typer.Option("--release", metavar="VERSION", help="The release whose code runs after it."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try it on scratch, count what it takes away, and stop.")
    ] = False,
    variable: VariableOption = None,
    scratch: ScratchOption = None,
    yes: YesOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a prepared down: tried in a scratch database first, and what it takes away counted before.

    It runs through backout like a migration: what it drops is hidden, the rows that it changes are kept, and
    `backout db rollback` takes it back itself. A file runs as one transaction, and waits for a lock for two seconds.

    Exit code 8: it does not run on scratch, leads to another schema than --to-schema has, or does what backout cannot take
    back; nothing was changed. 6: it ran, and the schema is not the one that it made on scratch. A tool's own exit status
    comes through.

    Example: backout db run-down down.sql
    """
    from backout.app.migrations import Migrations

    if not tool and len(words) != 1:
        raise typer.BadParameter(
            "one FILE is expected; a command has to stand behind --tool --", param_hint="FILE"
        )
    if tool and values_from is not None:
        raise typer.BadParameter("values can only be brought for a FILE", param_hint="--values-from")
    settings = settings_of(config)

    sure = asking(
        lambda database: msg("Run it in {database}?", database=database),
        _typed(words, tool=tool),
        dry_run=dry_run,
        yes=yes,
        as_json=as_json,
    )
    done = Migrations(database_of(database)).run_down(
        None if tool else Path(words[0]),
        words if tool else (),
        sure=sure,
        release=release,
        variables=(*settings.variables, *(variable or ())),
        scratch=scratch,
        to_schema=database_of(to_schema, "--to-schema"),
        values_from=database_of(values_from, "--values-from"),
    )
    end(done, as_json=as_json)


def asking(
    question: Callable[[str], Message], typed: str, *, dry_run: bool, yes: bool, as_json: bool
) -> Callable[[DownTried], bool]:
    """Return what tells what was found on scratch and asks, unless it was only to be tried.

    Args:
        question: Of the database's name.
        typed: The command, without its options.
        dry_run: It was only to be tried.
        yes: Nobody is asked.
        as_json: Nothing is told.
    """

    def sure(tried: DownTried) -> bool:
        if not as_json:
            tell_tried(tried)
        if dry_run:
            return False
        confirm(question(tried.database), word=None, yes=yes, command=typed)
        return True

    return sure


def end(done: DownRun, *, as_json: bool) -> None:
    """Print what came of a down, and end with its exit code."""
    if as_json:
        out_json(done)
    elif done.migrated is not None:
        tell(done, done.migrated)
    else:
        err("Tried on scratch; nothing was changed.")
    leave_as(done)


def _typed(words: list[str], *, tool: bool) -> str:
    return shlex.join(["backout", "db", "run-down", *(["--tool", "--"] if tool else []), *words])


def tell_tried(tried: DownTried) -> None:
    """Say what was found on scratch, and what it costs."""
    out(f"Tried on a scratch database with the schema of {tried.database}: it runs.")
    if tried.wanted is not None and not tried.left:
        out(f"  schema: the same as {tried.wanted}, by its fingerprint")
    for one in tried.left[:_SHOWN]:
        err(f"warning  {one}")
    for one in tried.unknown[:_SHOWN]:
        err(f"warning  {one}")
    for gone in tried.destroys[:_SHOWN]:
        rows = "an unknown number of" if gone.rows is None else str(gone.rows)
        out(f"  takes away  {gone.called}: {rows} value(s) or row(s), which are kept hidden")
    if not tried.destroys:
        out("  takes away  no column and no table")
    for again in tried.brings[:_SHOWN]:
        what = f"columns {', '.join(again.columns)}" if again.keys else "all rows"
        out(f"  brings  {again.table}: {what}, from the backup")
    for column in tried.keyless[:_SHOWN]:
        err(f"warning  {column} gets no value: the table has no primary key that tells which row is which.")


def tell(done: DownRun, migrated: Migrated) -> None:
    """Say how a down ended."""
    for failure in migrated.failures:
        err(f"error  The proxy failed: {failure}")
    for one in migrated.unfinished:
        err(f"not done  {one.statement}: {one.why}")
    if migrated.exit_status:
        err(f"error  The down failed ({migrated.exit_status}); its own words stand above.")
        err("now    What it had not committed was rolled back.")
        err(
            "next   backout db history   # psql -f FILE runs a file without backout: what it takes away is lost then"
        )
        return
    for change in migrated.changes[:_SHOWN]:
        out(f"  {change}")
    for table in done.brought:
        _tell_brought(table)
    if done.schema_same:
        out("  schema: the same as the down made on scratch, by its fingerprint")
    elif done.schema_same is False:
        err("not proven  The schema is another than the one that the down made on scratch.")
    if migrated.unseen:
        err("error  The schema, or the history of a migration tool, changed, and not through backout.")
    if migrated.migration is not None:
        out(f"The down is migration {migrated.migration}: nothing that it took away is lost.")
        err("next   backout db rollback --steps 1   # takes the down back, with all that it took away")


def _tell_brought(one: Brought) -> None:
    if not one.columns:
        err(f"warning  {one.table}: the backup has nothing of it.")
        return
    without = "" if one.without is None else f"; {one.without} were not in it"
    out(f"  brought  {one.table} ({', '.join(one.columns)}): {one.rows} row(s) from the backup{without}")


def leave_as(done: DownRun) -> None:
    """End with the exit code of how a down ended."""
    if done.migrated is None:
        return
    if done.migrated.failures or done.migrated.unseen:
        leave(ExitCode.OUTCOME_UNKNOWN)
    if done.migrated.exit_status:
        raise typer.Exit(done.migrated.exit_status)
    if done.schema_same is False or done.migrated.unfinished:
        leave(ExitCode.PROOF_FAILED)
