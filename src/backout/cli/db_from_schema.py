"""`backout db rollback --from-schema`: what can still be had of a migration that has run without backout."""

from __future__ import annotations

import tempfile
from pathlib import Path

from backout.cli.common import err, leave, out_json
from backout.cli.confirm import confirm
from backout.cli.db_run_down import leave_as, tell, tell_tried
from backout.errors import ExitCode
from backout.message import msg
from backout.migration_down import DownTried

_SHOWN = 20


def rollback_from_schema(
    database: str | None,
    from_schema: str,
    from_backup: str | None,
    *,
    fills: dict[str, str],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make the down file of what is not as in another database, and run it; exit code 6 where it cannot be proven, and nothing is run."""
    from backout.app.migrations import Migrations

    migrations = Migrations(database)
    found = migrations.down_sql(from_schema=from_schema, fills=fills)
    for lost in found.cannot[:_SHOWN]:
        err(f"not in the file  {lost}")
    if not found.proven:
        for one in (*found.left, *found.unknown)[:_SHOWN]:
            err(f"not proven  {one}")
        err("now    Nothing was changed.")
        err("next   backout db down-sql --from-schema …   # the file, to be looked at and run by hand")
        leave(ExitCode.PROOF_FAILED)

    def sure(tried: DownTried) -> bool:
        if not as_json:
            tell_tried(tried)
        if dry_run:
            return False
        confirm(
            msg("Make {database} what it was?", database=tried.database),
            word=None,
            yes=yes,
            command="backout db rollback --from-schema …",
        )
        return True

    with tempfile.TemporaryDirectory(prefix="backout-down-") as folder:
        file = Path(folder, "down.sql")
        file.write_text(found.text)
        done = migrations.run_down(file, sure=sure, values_from=from_backup)
    if as_json:
        out_json(done)
    elif done.migrated is not None:
        tell(done, done.migrated)
    else:
        err("Tried on scratch; nothing was changed.")
    leave_as(done)
