"""`backout db uninstall`: the plain schema stays, and nothing of backout."""

from __future__ import annotations

from backout.cli.common import JsonOption, YesOption, err, guarded, out, out_json
from backout.cli.confirm import confirm
from backout.cli.db_options import DatabaseOption, WaitOption, database_of
from backout.message import msg


@guarded
def command(
    wait: WaitOption = 10.0,
    yes: YesOption = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take everything of backout out of a database: journal, schemas, triggers, indexes. Nothing else changes.

    No migration that was run before can be taken back afterwards. Exit code 8: something is still hidden.

    Example: backout db uninstall
    """
    from backout.app.migrations import Migrations

    migrations = Migrations(database_of(database))
    confirm(
        msg("Drop the journal, with which every earlier migration could be taken back?"),
        word=None,
        yes=yes,
        command="backout db uninstall",
    )
    done = migrations.uninstall(patience_s=wait)
    if as_json:
        out_json(done)
    elif not done.statements:
        out(f"Nothing of backout is in {done.database}.")
    else:
        out(
            f"Nothing of backout is left in {done.database}; the journal told of {done.migrations} migration(s)."
        )
        err("next   backout migrate -- COMMAND   # begins a new journal")
