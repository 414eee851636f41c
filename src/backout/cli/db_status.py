"""`backout db status`: would the way back work now, and what is kept for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from backout.cli.common import ConfigOption, JsonOption, err, guarded, out, out_json
from backout.cli.db_options import DatabaseOption, LockBudgetOption, database_of, lock_budget_of
from backout.cli.migrate import said_uncaught

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backout.migration import HiddenThing
    from backout.migration_status import MigrationStatus, Outlook, RowsSince

_SHOWN = 20
_HOUR_S = 3600.0
_ROWS = {
    "filled": "{rows} row(s) written since get a value in {what}: {value}",
    "converted": "{rows} row(s) written since have their value in {what} converted to {value}",
    "unfit, stops": "{rows} row(s) have a value in {what} that its earlier type cannot hold: they have to be changed first",
    "unfit": "{rows} row(s) have a value in {what} that its earlier type cannot hold: they get {value}, and theirs is kept, hidden",
    "null": "{rows} row(s) would have NULL in {what}, where that must not be",
    "unique": "{rows} row(s) may be equal to others in {what}",
    "brought": "{rows} row(s) written to {value} since come back to {what}, or go from it",
    "beside": "about {rows} row(s) of {what} come back from a table beside, while nobody else can use theirs",
    "placed": "the files of {what} are written anew, which takes as long as they are big, while nobody else can use them",
    "excluded": "{what} is built again, as long as its table is big, while nobody else can use that; rows that do not meet it stop the way back",
    "needed": "{what} has to be dropped, and is needed by {value}",
    "apart": "{what} comes back as it was dropped: what was written to {value} since is hidden with that",
    "violators": "{rows} row(s) do not meet {what}, and earlier code could not change them",
    "repaired": "{rows} row(s) do not meet {what}, and get {value}",
    "aside": "{rows} row(s) do not meet {what}, and are set aside",
    "referred": "{rows} row(s) do not meet {what}, and cannot be set aside, as others refer to them",
    "twice": "{rows} value(s) are there more than once, which {what} does not allow",
    "orphans": "{rows} row(s) have no partner for {what}, which would stay unproven",
}


@guarded
def command(
    steps: Annotated[
        int, typer.Option("--steps", min=1, help="Ask for so many migrations, the newest first.")
    ] = 1,
    lock_budget: LockBudgetOption = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether the newest migrations could be taken back now, and what backout keeps in the database.

    It changes nothing, waits for nobody, and ends within about two seconds: what it cannot find out by then is unknown.

    Example: backout db status --steps 2
    """
    from backout.app.migrations import Migrations

    found = Migrations(database_of(database), lock_budget_ms=lock_budget_of(lock_budget, config)).status(
        steps=steps
    )
    if as_json:
        out_json(found)
        return
    _tell(found)


def _tell(found: MigrationStatus) -> None:
    whose = f"the way back of migration {_names(found.migrations)}" if found.migrations else "a way back"
    out(f"{found.database}: {whose} is possible now: {found.possible}")
    for reason in found.why:
        out(f"  {reason}")
    for one in found.migrations:
        out(f"  migration {one.id} is {one.state} for {one.age_s / _HOUR_S:.1f} h")
    for row in found.rows:
        out(f"  {_row(row)}")
    for over in found.over_budget:
        out(f"  {over}")
    for holder in found.holders:
        out(
            f"  {holder.table} is used by process {holder.pid} ({holder.who}) for {holder.seconds:.0f} s: {holder.query}"
        )
    if found.running is not None:
        what = found.running.command or "a verb of backout db"
        since = f" since {found.running.started_at:%Y-%m-%d %H:%M:%S} UTC" if found.running.started_at else ""
        out(f"  runs now: {what}{since}, in server process {found.running.pid}")
    for statement in found.due:
        out(f"  still due: {statement}")
    _tell_hidden(found)
    if found.redo is not None:
        out(f"  migration {_names(found.redo.migrations)} can be made again now: {found.redo.possible}")
        for reason in (*found.redo.why, *found.redo.not_again):
            out(f"    {reason}")
    cut_short = found.running is None and any(one.state == "running" for one in found.migrations)
    if found.due or cut_short:
        err("next   backout db finish")
    elif found.possible == "yes":
        err("next   backout db rollback --dry-run")
    elif found.redo is not None and found.redo.possible == "yes":
        err("next   backout db redo --dry-run")
    elif found.possible == "unknown":
        err("next   backout db rollback --dry-run   # tries it")
    else:
        err("next   backout db history")


def _names(migrations: Sequence[Outlook]) -> str:
    return ", ".join(f"{one.id} ({one.release})" if one.release else str(one.id) for one in migrations)


def _row(row: RowsSince) -> str:
    rows = "an unknown number of" if row.rows is None else str(row.rows)
    kind = "unfit, stops" if row.kind == "unfit" and row.stops else row.kind
    told = _ROWS[kind].format(rows=rows, what=row.what, value=row.value or "NULL")
    return f"{told} ({row.why})" if row.why else told


def _tell_hidden(found: MigrationStatus) -> None:
    from backout.report.backups import size_text

    if found.hidden:
        out(
            f"  hidden: {len(found.hidden)} thing(s), {size_text(found.hidden_bytes)}; values of columns are estimated"
        )
    for one in found.hidden[:_SHOWN]:
        out(f"    {one.kind} {one.called} of migration {one.migration}: {sizes(one)}")
        if one.uncaught:
            out(f"      {said_uncaught(one.called, one.uncaught)}")
    if len(found.hidden) > _SHOWN:
        out(f"    and {len(found.hidden) - _SHOWN} more: backout db status --json")
    if found.log_bytes:
        out(f"  log of changed rows: {size_text(found.log_bytes)}")


def sizes(one: HiddenThing) -> str:
    """Return the space that a hidden thing takes, for people; what is estimated says so."""
    from backout.report.backups import size_text

    if one.estimated_bytes is None:
        return f"{size_text(one.size_bytes)} and values of unknown size"
    return size_text(one.size_bytes) + (
        f" and about {size_text(one.estimated_bytes)} of values" if one.estimated_bytes else ""
    )
