"""`backout data …`: what the database that was swapped out has and the live one has not."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from backout.cli.common import (
    ConfigOption,
    JsonOption,
    YesOption,
    err,
    guarded,
    leave,
    open_backout,
    out,
    out_json,
    verb_group,
)
from backout.cli.confirm import confirm
from backout.errors import ExitCode
from backout.message import Message, msg

if TYPE_CHECKING:
    from backout.app.data import Bringing, DataDifferences
    from backout.backup import Brought, TableDifference

app = verb_group(
    "data",
    "What was written since the backup: listed, and brought over by choice.",
    example="backout data diff",
)

_SHOWN_CONFLICTS = 20


@app.command("diff")
@guarded
def diff(
    kept: Annotated[
        str | None, typer.Argument(metavar="[KEPT]", help="A kept database; else the newest one.")
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option("--table", "-t", metavar="NAME", help="Only this one; may be given several times."),
    ] = None,
    examples: Annotated[int, typer.Option("--examples", min=0, help="Keys to show of each kind.")] = 3,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what the kept database has and the live one has not, by table and key; changes and locks nothing.

    Exit code 3: a table could not be compared; it is named.

    Example: backout data diff --table public.orders
    """
    with open_backout(config) as backout:
        found = backout.data_diff(kept, tuple(table or ()), examples=examples, note=_note)
    if as_json:
        out_json(found)
    else:
        _show(found)
    if any(d.unknown is not None for d in found.tables):
        leave(ExitCode.NOT_POSSIBLE)


@app.command("bring")
@guarded
def bring(
    tables: Annotated[
        list[str],
        typer.Argument(
            metavar="TABLE",
            help="A table, as `backout data diff` names it; several come together, parents first.",
        ),
    ],
    kept: Annotated[
        str | None, typer.Option("--from", metavar="KEPT", help="A kept database; else the newest one.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            "--where",
            metavar="SQL",
            help="Only rows of the kept table for which this is true; of one TABLE alone.",
        ),
    ] = None,
    take_updated: Annotated[
        bool,
        typer.Option(
            "--take-updated", help="Also overwrite rows that differ and were not written after the swap."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and undo it.")] = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring rows that only the kept database has into the live one, in one transaction; again changes nothing.

    Rows come as they were: the table's own triggers do not run. Of several tables the rows that others refer to come
    first, in whatever order they are named. Exit code 4: some rows were in conflict and did not come; each is named.

    Example: backout data bring public.orders --where "tenant = 'acme'" --dry-run

    Example: backout data bring public.lines public.orders public.customers --dry-run
    """
    from backout.app.data import Bringing, BroughtTables

    order = Bringing(tables=tuple(tables), kept=kept, where=where, take_updated=take_updated)
    with open_backout(config) as backout:
        if not dry_run and not yes:
            told = backout.data_bring(order, dry_run=True, note=_note)
            _show_told(told)
            confirm(_question(told), word=None, yes=False, command=_command(order))
        done = backout.data_bring(order, dry_run=dry_run, note=_note)
    if as_json:
        out_json(done[0] if len(tables) == 1 else BroughtTables(tables=done))
    else:
        _show_brought(done)
        if dry_run:
            err(f"next   {_command(order)}")
        elif left := [word for told in done if told.conflicts for word in ("--table", told.table)]:
            err(
                f"next   {shlex.join(['backout', 'data', 'diff', *left])}   # what did not come is still kept"
            )
    if any(told.conflicts for told in done):
        leave(ExitCode.NEEDS_APPROVAL)


def _show(found: DataDifferences) -> None:
    from backout.cli.screen import columns

    changed = [d for d in found.tables if d.unknown is None and _differs(d)]
    out(f"{found.kept}: {len(changed)} of {len(found.tables)} tables have something that differs")
    if changed:
        rows = [("TABLE", "INSERTED", "UPDATED", "DELETED", "WRITTEN AFTER THE SWAP")]
        rows += [
            (d.table, str(d.inserted), str(d.updated), str(d.deleted), str(d.after_swap)) for d in changed
        ]
        columns(rows)
    for difference in found.tables:
        _show_details(difference)
    if not found.since_swap:
        err("Which rows were written after a swap is not known: they are among updated and deleted.")
    bringable = next((d.table for d in changed if d.inserted and d.only_in is None), None)
    if bringable is not None:
        err(f"next   backout data bring {shlex.quote(bringable)} --dry-run")


def _differs(difference: TableDifference) -> bool:
    return any((difference.inserted, difference.updated, difference.deleted, difference.after_swap))


def _show_details(difference: TableDifference) -> None:
    table = difference.table
    if difference.unknown is not None:
        out(f"{table} was NOT compared: {difference.unknown}")
        return
    for happened, keys in difference.examples.items():
        out(f"{table} {happened}, for example: {'; '.join(keys)}")
    if difference.only_in is not None:
        out(f"{table} is only in the {difference.only_in} database")
    if difference.only_kept_columns:
        out(f"{table} has columns that only the kept one has: {', '.join(difference.only_kept_columns)}")


def _question(told: tuple[Brought, ...]) -> Message:
    """Return what would happen; of several tables in all."""
    return msg(
        "{table}: {inserted} rows come, {updated} are overwritten, {equal} are there already, {conflicts} are in conflict",
        table=told[0].table if len(told) == 1 else f"{len(told)} tables",
        inserted=sum(table.inserted for table in told),
        updated=sum(table.updated for table in told),
        equal=sum(table.equal for table in told),
        conflicts=sum(len(table.conflicts) for table in told),
    )


def _show_told(told: tuple[Brought, ...]) -> None:
    """Show what would happen in each of several tables, and every conflict, before a person is asked."""
    _show_conflicts(told)
    for table in told if len(told) > 1 else ():
        err(f"  {_question((table,))}")


def _show_brought(done: tuple[Brought, ...]) -> None:
    _show_conflicts(done)
    for table in done:
        if table.dry_run:
            out(f"{_question((table,))}; nothing was changed")
        else:
            out(
                f"{table.table}: {table.inserted} rows came, {table.updated} were overwritten, {table.equal} were there "
                f"already, {len(table.conflicts)} were in conflict and did not come"
            )


def _show_conflicts(done: tuple[Brought, ...]) -> None:
    for table in done:
        of = f"{table.table} " if len(done) > 1 else ""
        for conflict in table.conflicts[:_SHOWN_CONFLICTS]:
            err(f"  conflict: {of}{conflict}")
        if len(table.conflicts) > _SHOWN_CONFLICTS:
            err(
                f"  and {len(table.conflicts) - _SHOWN_CONFLICTS} more{of and f' of {of.strip()}'}: --json lists them all"
            )


def _command(order: Bringing) -> str:
    words = ["backout", "data", "bring", *order.tables]
    words += ["--from", order.kept] if order.kept else []
    words += ["--where", order.where] if order.where else []
    words += ["--take-updated"] if order.take_updated else []
    return shlex.join(words)


def _note(message: Message) -> None:
    err(f"  {message}")
