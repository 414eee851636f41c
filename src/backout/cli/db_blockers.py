"""`backout db blockers`: who waits for a lock, and who keeps everybody waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from backout.cli.common import JsonOption, YesOption, err, guarded, leave, out, out_json
from backout.cli.confirm import confirm
from backout.cli.db_options import DatabaseOption, database_of
from backout.errors import ExitCode
from backout.message import msg

if TYPE_CHECKING:
    from backout.migration_status import BlockedSession, Blockers


@guarded
def command(
    end: Annotated[
        bool, typer.Option("--end", help="End the sessions that wait for nobody and keep others waiting.")
    ] = False,
    yes: YesOption = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the sessions that wait for a lock below those that block them: a hung migration stands first.

    With `--end`, exit code 3: one of the roots could not be ended.

    Example: backout db blockers --end
    """
    from backout.app.migrations import Migrations

    migrations = Migrations(database_of(database))
    found = migrations.blockers()
    if not as_json:
        _tell(found)
    roots = [one for one in found.sessions if one.depth == 0]
    if end and roots:
        numbers = ", ".join(str(one.pid) for one in roots)
        confirm(
            msg("End {pids}? What they have not committed is rolled back.", pids=numbers),
            word=None,
            yes=yes,
            command="backout db blockers --end",
        )
        found = migrations.end_blockers(found)
        if not as_json:
            _tell_ended(found)
    if as_json:
        out_json(found)
    if found.kept:
        leave(ExitCode.NOT_POSSIBLE)


def _tell(found: Blockers) -> None:
    if not found.sessions:
        out(f"Nobody waits for a lock in {found.database}.")
        return
    for one in found.sessions:
        out("  " * one.depth + _line(one))
    err("next   backout db blockers --end   # ends the sessions at the left margin")


def _line(one: BlockedSession) -> str:
    if one.kind == "prepared":
        return "a prepared transaction (pg_prepared_xacts names it)"
    who = ", ".join(part for part in (one.role, one.application, one.client) if part)
    mark = "" if one.depth or one.endable else "  (this role may not end it)"
    return f"{one.pid}  {one.seconds:.0f} s  {one.state or 'unknown state'}  {who}  {one.query or ''}{mark}"


def _tell_ended(found: Blockers) -> None:
    for pid in found.ended:
        out(f"ended  {pid}")
    for pid, why in found.kept.items():
        err(f"not ended  {pid}: {why}")
    if not found.migrations:
        out(
            "The journal tells of no migration that ran meanwhile: nothing of one was committed through backout."
        )
        return
    for one in found.migrations:
        out(
            f"Migration {one.id} ({one.command}) is {one.state}; it has committed {len(one.changes)} change(s):"
        )
        for change in one.changes:
            out(f"  {change}")
    err("next   backout db status")
