"""`backout migrate -- COMMAND`: run a migration so that it can be taken back."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from backout.cli.common import ConfigOption, JsonOption, err, guarded, out_json
from backout.cli.db_options import (
    BackOption,
    DatabaseOption,
    FillOption,
    KeepOption,
    QuarantineOption,
    RepairOption,
    VariableOption,
    database_of,
    given_answers,
    settings_of,
)
from backout.errors import ExitCode
from backout.migration import Migrated

_SHOWN = 20


class Accepted(StrEnum):
    """What can be accepted by name."""

    SUBSCRIBERS = "subscribers"


@guarded
def command(
    argv: Annotated[
        list[str],
        typer.Argument(metavar="-- COMMAND…", help="The migration command, as it is typed without backout."),
    ],
    release: Annotated[
        str | None,
        typer.Option("--release", metavar="VERSION", help="The release that the migration belongs to."),
    ] = None,
    variable: VariableOption = None,
    fill: FillOption = None,
    back: BackOption = None,
    repair: RepairOption = None,
    quarantine: QuarantineOption = None,
    keep: KeepOption = None,
    observe: Annotated[
        bool,
        typer.Option(
            "--observe",
            help="Rewrite and refuse nothing; say afterwards what would have been. It cannot be taken back.",
        ),
    ] = False,
    accept: Annotated[
        list[Accepted] | None,
        typer.Option(
            "--accept",
            help="What is accepted by name. `subscribers`: those of logical replication see hidden columns and backout's own tables.",
        ),
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a migration command, unchanged, through a proxy on this machine, so that what it does can be taken back.

    The command finds the database by DATABASE_URL or the PG* variables, which lead to the proxy. Its output and exit
    status come through. A statement that could not be taken back is refused before anything of it is committed.

    The section `migrations` of backout.yaml, where there is one, has the answers and the mode. BACKOUT_MIGRATIONS=off in
    the environment turns backout off for an emergency: the command runs directly, and nothing of it can be taken back.

    Exit code 7: the schema, or the history of a migration tool, changed past the proxy: that cannot be taken back.

    Example: backout migrate --release 2.4.0 -- npx drizzle-kit migrate
    """
    from backout.app.migration_settings import switched_off
    from backout.app.migrations import Migrations, run_directly

    if not argv[0].strip():
        raise typer.BadParameter("the command is empty", param_hint="-- COMMAND…")
    answers = given_answers(fill, back, repair, quarantine, keep)
    off_by = switched_off(os.environ)
    settings = settings_of(config) if off_by is None else None
    if settings is None or (settings.mode == "off" and not observe):
        why = off_by if settings is None else f"mode: off in {settings.file}"
        err(f"backout is off ({why}): the command runs directly, and nothing of it can be taken back.")
        done = run_directly(argv)
    else:
        done = Migrations(database_of(database)).migrate(
            argv,
            release=release,
            answers=answers,
            defaults=settings.answers,
            variables=(*settings.variables, *(variable or ())),
            observe=observe or settings.mode == "observe",
            accept=tuple(one.value for one in accept or ()),
        )
    if as_json:
        out_json(done)
    elif done.mode != "off":
        _show(done)
    raise typer.Exit(_exit_code(done))


def _exit_code(done: Migrated) -> int:
    if done.mode == "off":
        return done.exit_status
    if done.exit_status == 0 and (done.unseen or done.failures or done.connections == 0):
        return int(ExitCode.OUTCOME_UNKNOWN)
    return done.exit_status


def _show(done: Migrated) -> None:
    for failure in done.failures:
        err(f"error  The proxy failed: {failure}")
    for one in done.unfinished:
        err(f"not done  {one.statement}: {one.why}")
    if done.connections == 0 and done.exit_status == 0:
        err("error  No connection came through backout: the command finds its database in another way.")
        err("now    What it did was done without backout, and cannot be taken back by it.")
        err(
            "next   backout migrate --variable NAME -- …   # the variable that it reads; a literal URL has to go"
        )
        return
    if done.connections == 0 and not done.unseen:
        err(
            "The command failed, and no connection came through backout; the schema is the same as before it."
        )
    elif done.migration is None and not done.unseen:
        err("Nothing was changed that would have to be taken back.")
    elif done.migration is not None and done.mode == "observe":
        _show_observed(done)
    elif done.migration is not None:
        err(f"Migration {done.migration} can be taken back:")
        for change in done.changes[:_SHOWN]:
            err(f"  {change}")
        if len(done.changes) > _SHOWN:
            err(f"  and {len(done.changes) - _SHOWN} more: backout db history")
        for column, what in done.uncaught:
            err(f"note   {said_uncaught(column, what)}")
        if done.exit_status:
            err(f"The command failed ({done.exit_status}); what it had committed before is there.")
        if not done.unseen:
            err("next   backout db rollback --steps 1   # takes it back")
    if done.unseen:
        _show_unseen(done)


def said_uncaught(column: str, what: str) -> str:
    """Return the sentence about a hidden column that a write by position reaches unnoticed."""
    return f"An INSERT or COPY that names no columns puts a {what} into the hidden column {column}, and nothing notices it."


def _show_unseen(done: Migrated) -> None:
    err("error  The schema, or the history of a migration tool, changed, and not through backout.")
    err("now    What did that cannot be taken back by backout.")
    err(
        "next   backout migrate --variable NAME -- …   # another variable that the command reads; a literal URL has to go"
    )


def _show_observed(done: Migrated) -> None:
    err(f"Migration {done.migration} was only observed: it ran as it is, and cannot be taken back.")
    if done.changes:
        err("backout would have kept, so that it could be taken back:")
    for change in done.changes[:_SHOWN]:
        err(f"  {change}")
    if len(done.changes) > _SHOWN:
        err(f"  and {len(done.changes) - _SHOWN} more: backout db history")
    if done.refused:
        err("backout would have refused, each with its whole transaction:")
    for one in done.refused:
        err(f"  {one.what}")
        if one.why:
            err(f"    {one.why}")
        if one.answer is not None:
            err(f"    {one.answer}")
    err("next   backout db history")
