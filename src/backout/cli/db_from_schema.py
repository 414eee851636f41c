"""`backout db rollback --from-schema`: what can still be had of a migration that has run without backout."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from backout.cli.common import err, leave
from backout.cli.db_run_down import asking, end
from backout.errors import ExitCode
from backout.message import msg

_SHOWN = 20


def rollback_from_schema(
    database: str | None,
    from_schema: str,
    argv: Sequence[str],
    from_backup: str | None,
    *,
    variables: Sequence[str],
    fills: dict[str, str],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make the down file of what is not as it was before, and run it; exit code 6 where it cannot be proven, and nothing is run."""
    from backout.app.migrations import Migrations

    migrations = Migrations(database)
    found = migrations.down_sql(argv, from_schema=from_schema, fills=fills, variables=variables)
    for lost in found.cannot[:_SHOWN]:
        err(f"not in the file  {lost}")
    if not found.proven:
        for one in (*found.left, *found.unknown)[:_SHOWN]:
            err(f"not proven  {one}")
        err("now    Nothing was changed.")
        err("next   backout db down-sql --from-schema …   # the file, to be looked at and run by hand")
        leave(ExitCode.PROOF_FAILED)

    sure = asking(
        lambda name: msg("Make {database} what it was?", database=name),
        "backout db rollback --from-schema …",
        dry_run=dry_run,
        yes=yes,
        as_json=as_json,
    )
    with tempfile.TemporaryDirectory(prefix="backout-down-") as folder:
        file = Path(folder, "down.sql")
        file.write_text(found.text)
        done = migrations.run_down(file, sure=sure, values_from=from_backup)
    end(done, as_json=as_json)
