"""`backout db …`: the migrations of a database, taken back and made again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from backout.cli import db_blockers, db_down_sql, db_finalize, db_run_down, db_status, db_uninstall
from backout.cli.common import (
    ConfigOption,
    JsonOption,
    YesOption,
    err,
    guarded,
    leave,
    out,
    out_json,
    verb_group,
)
from backout.cli.confirm import confirm
from backout.cli.db_from_schema import rollback_from_schema
from backout.cli.db_options import (
    DatabaseOption,
    DryRunOption,
    FromSchemaOption,
    LateFillOption,
    LockBudgetOption,
    QuarantineOption,
    RepairOption,
    StrictOrderOption,
    WaitOption,
    check_earlier,
    database_of,
    lock_budget_of,
    settings_of,
    told_as,
    told_of_violators,
)
from backout.errors import ExitCode
from backout.message import msg
from backout.migration import answers_in

if TYPE_CHECKING:
    from backout.migration import WayTaken

_SHOWN = 10
app = verb_group(
    "db",
    "The migrations of a database: what they changed, the way back, and forward again.",
    example="backout db history",
)
app.command("status")(db_status.command)
app.command("blockers")(db_blockers.command)
app.command("finalize")(db_finalize.command)
app.command("uninstall")(db_uninstall.command)
app.command("down-sql")(db_down_sql.command)
app.command("run-down")(db_run_down.command)


@app.command("history")
@guarded
def history(database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List the migrations that were run through backout, and what each changed.

    Example: backout db history
    """
    from backout.app.migrations import Migrations
    from backout.cli.screen import columns

    found = Migrations(database_of(database)).history()
    if as_json:
        out_json(found)
        return
    if not found.migrations:
        out(f"No migration was run through backout in {found.database}.")
        return
    rows: list[tuple[str, ...]] = [("ID", "RELEASE", "STATE", "BEGAN", "CHANGES", "COMMAND")]
    for one in found.migrations:
        began = f"{one.started_at:%Y-%m-%d %H:%M:%S}"
        rows.append((str(one.id), one.release or "", one.state, began, str(len(one.changes)), one.command))
    columns(rows)
    for change in found.migrations[-1].changes:
        out(f"  {change}")


@app.command("rollback")
@guarded
def rollback(
    argv: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- COMMAND…]", help="With --from-schema REF: what migrates an empty database."
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="RELEASE", help="Take back every migration after those of this release."
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, help="Take back so many migrations, the newest first; else one."),
    ] = None,
    repair: RepairOption = None,
    quarantine: QuarantineOption = None,
    from_schema: FromSchemaOption = None,
    from_backup: Annotated[
        str | None,
        typer.Option(
            "--from-backup",
            metavar="URL",
            help="With --from-schema: a database that was restored from a backup of before; dropped values come from there, by primary key.",
        ),
    ] = None,
    fill: LateFillOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = 10.0,
    strict_order: StrictOrderOption = False,
    lock_budget: LockBudgetOption = None,
    yes: YesOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take migrations back in one short transaction: no row and no value is lost, also not those written since.

    What the migrations added is hidden, not dropped: `backout db redo` goes forward again.

    Example: backout db rollback --steps 1 --dry-run
    """
    from backout.app.migrations import Migrations

    if to is not None and steps is not None:
        raise typer.BadParameter("--to and --steps cannot be given both", param_hint="--steps")
    if from_schema is None and from_backup is not None:
        raise typer.BadParameter("--from-backup needs --from-schema", param_hint="--from-schema")
    if from_schema is not None:
        check_earlier(from_schema, argv)
        rollback_from_schema(
            database_of(database),
            from_schema,
            argv or (),
            from_backup,
            variables=settings_of(config).variables,
            fills=answers_in(told_as("--fill", fill)),
            dry_run=dry_run,
            yes=yes,
            as_json=as_json,
        )
        return
    if argv:
        raise typer.BadParameter("a command needs --from-schema REF", param_hint="-- COMMAND…")
    answers = answers_in([*told_as("--fill", fill), *told_of_violators(repair, quarantine)])
    which = f"all migrations after {to}" if to is not None else f"the newest {steps or 1} migration(s)"
    if not dry_run:
        confirm(
            msg("Take {which} back?", which=which),
            word=None,
            yes=yes,
            command=_typed("rollback", to=to, steps=steps, fill=fill, repair=repair, quarantine=quarantine),
        )
    done = Migrations(database_of(database), lock_budget_ms=lock_budget_of(lock_budget, config)).rollback(
        to=to, steps=steps, dry_run=dry_run, patience_s=wait, strict_order=strict_order, answers=answers
    )
    _show(done, as_json=as_json)


@app.command("redo")
@guarded
def redo(
    steps: Annotated[int, typer.Option("--steps", min=1, help="So many migrations, the oldest first.")] = 1,
    dry_run: DryRunOption = False,
    wait: WaitOption = 10.0,
    strict_order: StrictOrderOption = False,
    lock_budget: LockBudgetOption = None,
    yes: YesOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make migrations again that were taken back, with what was written into them before.

    Example: backout db redo
    """
    from backout.app.migrations import Migrations

    if not dry_run:
        confirm(
            msg("Make {steps} migration(s) again?", steps=steps),
            word=None,
            yes=yes,
            command=_typed("redo", steps=steps),
        )
    done = Migrations(database_of(database), lock_budget_ms=lock_budget_of(lock_budget, config)).redo(
        steps=steps, dry_run=dry_run, patience_s=wait, strict_order=strict_order
    )
    _show(done, as_json=as_json)


@app.command("finish")
@guarded
def finish(database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Do what is due after a migration or a way back that was cut short: prove constraints, build indexes.

    Exit code 6: something of it failed; it is named, and may be tried again.

    Example: backout db finish
    """
    from backout.app.migrations import Migrations

    done = Migrations(database_of(database)).finish()
    if as_json:
        out_json(done)
    else:
        for statement in done.done:
            out(f"done  {statement}")
        for one in done.unfinished:
            err(f"not done  {one.statement}: {one.why}")
        if not done.done and not done.unfinished:
            out("Nothing is due.")
    if done.unfinished:
        leave(ExitCode.PROOF_FAILED)


def _typed(
    verb: str,
    *,
    to: str | None = None,
    steps: int | None = None,
    fill: Sequence[str] | None = None,
    repair: Sequence[str] | None = None,
    quarantine: Sequence[str] | None = None,
) -> str:
    words = [f"backout db {verb}"]
    words += ["--to", to] if to is not None else []
    words += ["--steps", str(steps)] if steps is not None else []
    words += [f"--fill {shlex.quote(one)}" for one in fill or ()]
    words += [f"--repair {shlex.quote(one)}" for one in repair or ()]
    words += [f"--quarantine {shlex.quote(one)}" for one in quarantine or ()]
    return " ".join(words)


def _show(done: WayTaken, *, as_json: bool) -> None:
    if as_json:
        out_json(done)
    else:
        _tell(done)
    if done.unfinished or False in (done.schema_same, done.whole_same):
        leave(ExitCode.PROOF_FAILED)


def _tell(done: WayTaken) -> None:
    numbers = ", ".join(map(str, done.migrations))
    if done.dry_run:
        for statement in (*done.statements, *(f"{later}   -- afterwards" for later in done.later)):
            out(f"{statement};")
        for residue in done.residues:
            out(f"-- {residue}")
        for over in done.over_budget:
            err(f"warning  {over}")
        err(f"Tried and undone: migration {numbers}. The locks were held for {done.seconds * 1000:.0f} ms.")
        return
    word = "taken back" if done.direction == "back" else "made again"
    out(f"Migration {numbers} was {word}; tables were locked for {done.seconds * 1000:.0f} ms.")
    if done.rows is not None:
        out(
            f"  rows that it had changed: {done.rows.updated} set, {done.rows.inserted} put back, {done.rows.deleted} taken away"
        )
        if done.rows.kept_count:
            out(f"  {done.rows.kept_count} stay as somebody has written them since (table backout.row_kept):")
        for kept in done.rows.kept[:_SHOWN]:
            out(
                f"    {kept.table} {', '.join(value or 'NULL' for value in kept.key)} {kept.column or ''}: {kept.why}"
            )
    for residue in done.residues:
        out(f"  {residue}")
    for one in done.unfinished:
        err(f"not done  {one.statement}: {one.why}")
    if done.unfinished:
        err("next   backout db finish")
        return
    which = "before it" if done.direction == "back" else "after it"
    if False in (done.schema_same, done.whole_same):
        what = "" if done.schema_same is False else " in what applications do not notice (owners, order, …)"
        err(
            f"not proven  The schema is another than the one {which}{what}, and nobody else had changed it before."
        )
        err("next   backout db status")
        return
    out(f"  schema: {_compared(done, which)}")
    err(
        "next   backout db redo   # goes forward again"
        if done.direction == "back"
        else "next   backout db history"
    )


def _compared(done: WayTaken, which: str) -> str:
    if done.schema_same and done.whole_same:
        return f"the same as {which}, by its fingerprint"
    if done.schema_same:
        return f"the same as {which} in all that applications notice; the rest was not compared: somebody else changed it too"
    return f"not compared with the one {which}: somebody else changed it too, something stays, or the database is gone"
