"""Runs a prepared down: tried on scratch first, what it takes away counted, and then run so that it can be taken back itself."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backout.databases.postgres.connect import Connector
from backout.databases.postgres.inverse.catalog import (
    connector_of,
    linked,
    read_catalog,
    read_fingerprint,
)
from backout.databases.postgres.inverse.losses import Destroyed, losses
from backout.databases.postgres.inverse.made import Place, run
from backout.databases.postgres.inverse.prepared import prepared
from backout.databases.postgres.inverse.sent import Order
from backout.databases.postgres.inverse.trial import place, run_there
from backout.databases.postgres.inverse.values import wanted
from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.command import in_transaction
from backout.databases.postgres.reversible.fingerprint import Print, differences, read_digests
from backout.databases.postgres.reversible.link import LinkError, scalar
from backout.databases.postgres.scratch.server import Scratch, scratch
from backout.errors import Refused, UsageError
from backout.message import Message, msg
from backout.migration import Migrated
from backout.migration_down import Brought, Destroys, DownRun, DownTried
from backout.redact import Redactor

_SENT = "backout.databases.postgres.inverse.sent"


@dataclass(frozen=True, slots=True)
class Down:
    """What is to be run.

    Attributes:
        argv: The command.
        statements: What is in the file, where it is one.
        told: For people, without secrets.
    """

    argv: tuple[str, ...]
    statements: tuple[str, ...] | None
    told: str


def of_file(file: Path) -> Down:
    """Return the down that is in a file.

    Raises:
        UsageError: It cannot be read, is not SQL, or cannot run in one transaction.
    """
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            msg(
                "{file} cannot be read: {why}",
                file=str(file),
                why=getattr(error, "strerror", "") or str(error),
            ),
            state=msg("Nothing was run."),
            next_command=f"ls -l {file}",
        ) from None
    chosen = prepared(text, str(file))
    return Down((sys.executable, "-m", _SENT, str(file)), chosen, f"run-down {file}")


def of_tool(argv: Sequence[str], redactor: Redactor) -> Down:
    """Return the down that a migration tool makes itself."""
    return Down(tuple(argv), None, redactor.text(" ".join(argv)))


def run_down(
    live: Connector,
    down: Down,
    *,
    redactor: Redactor,
    migrate: Callable[[Sequence[str]], Migrated],
    sure: Callable[[DownTried], bool],
    variables: Sequence[str] = (),
    scratch_url: str | None = None,
    to_schema: str | None = None,
    values_from: str | None = None,
) -> DownRun:
    """Try a down on scratch, count what it takes away, ask, and run it through backout.

    Args:
        live: The database.
        down: What is to be run.
        redactor: Knows the secrets.
        migrate: Runs a command so that it can be taken back.
        sure: Is asked before the live database is changed; False: it was only to be tried.
        variables: Further environment variables by which a command finds the database.
        scratch_url: A server for scratch databases; None: one of our own.
        to_schema: A database with the schema that the down has to lead to; None: that of before the newest migration, where
            the journal knows it.
        values_from: A database that was restored from a backup of before: what is made again gets its values from there.

    Raises:
        Refused: It does not run, or leads to another schema than the one that was named.
        NotPossible: There is no scratch database, or the command failed there.
    """
    with scratch(scratch_url, live) as made:
        before = made.clone(live)
        after = made.copy(before)
        _run_there(live, down, place(made, after), after, variables, redactor)
        was, is_ = place(made, before), place(made, after)
        tried, printed = _looked_at(live, made, was, is_, to_schema)
        if values_from is not None:
            tried = tried.model_copy(update=_to_bring(is_, was))
    if tried.left and to_schema is not None:
        raise Refused(
            msg("After it the schema is not the one that was named: {what}", what=str(tried.left[0])),
            state=msg("Nothing was changed: it was run on scratch alone."),
            next_command="backout db run-down --dry-run …   # all that differs; without --to-schema it is not asked for",
        )
    if not sure(tried):
        return DownRun(tried=tried, migrated=None, schema_same=None)
    migrated, brought = _sent(down, tried, values_from, migrate)
    same = None
    if migrated.exit_status == 0 and not tried.unknown and printed is not None:
        same = read_fingerprint(live).digest == printed.digest
    return DownRun(tried=tried, migrated=migrated, schema_same=same, brought=brought)


def _to_bring(after: Place, before: Place) -> dict[str, object]:
    found, keyless = wanted(read_catalog(after.read), read_catalog(before.read))
    return {"brings": tuple(found), "keyless": tuple(keyless)}


def _sent(
    down: Down,
    tried: DownTried,
    values_from: str | None,
    migrate: Callable[[Sequence[str]], Migrated],
) -> tuple[Migrated, tuple[Brought, ...]]:
    if values_from is None or not tried.brings:
        return migrate(down.argv), ()
    # Nobody else may read it: it has a password.
    descriptor, name = tempfile.mkstemp(prefix="backout-down-", suffix=".json")
    order = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(Order(url=values_from, wanted=tried.brings).model_dump_json())
        migrated = migrate((*down.argv, name))
        return migrated, Order.model_validate_json(order.read_text()).brought
    finally:
        order.unlink()


def _run_there(
    live: Connector, down: Down, there: Place, url: str, variables: Sequence[str], redactor: Redactor
) -> None:
    if down.statements is None:
        run_there(live, url, down.argv, variables, redactor)
        return
    stopped = run(there.run, list(down.statements), preamble=())
    if stopped is not None:
        raise Refused(
            msg("It does not run on scratch: {why}", why=stopped),
            state=msg("Nothing was changed: the live database was only read."),
            next_command="backout db down-sql -- …   # makes one that is proven, before the migration is run",
        )


def _looked_at(
    live: Connector, made: Scratch, before: Place, after: Place, to_schema: str | None
) -> tuple[DownTried, Print | None]:
    printed = read_fingerprint(after.read)
    told = losses(read_catalog(after.read), read_catalog(before.read), same_origin=True, fills={})
    named, left = _named(live, after, printed, to_schema)
    return DownTried(
        database=live.database,
        wanted=named,
        left=tuple(left),
        unknown=tuple(made.unknown),
        destroys=tuple(_counted(live, told.destroys)),
    ), printed if made.ours else None


def _named(
    live: Connector, after: Place, printed: Print, to_schema: str | None
) -> tuple[str | None, list[Message]]:
    if to_schema is not None:
        there = connector_of(to_schema)
        return there.database, [one.message for one in differences(read_fingerprint(there), printed)]
    with linked(live) as link:
        known = journal.migrations(link) if journal.installed(link) else []
    applied = [one for one in known if one.state == "applied" and not one.elsewhere]
    if not applied or applied[-1].whole_before is None:
        return None, []
    name = f"the schema before migration {applied[-1].id}"
    with linked(after.read) as link:
        same = in_transaction(link, read_digests).split()[0] == applied[-1].whole_before.split()[0]
    return name, [] if same else [msg("It is not {name}", name=name)]


def _counted(live: Connector, found: Sequence[Destroyed]) -> list[Destroys]:
    counted = []
    with linked(live) as link:
        for one in found:
            try:
                rows = int(scalar(link, one.counted_by) or 0)
            except LinkError:  # the role may not read it
                rows = None
            counted.append(Destroys(called=one.called, rows=rows, counted_by=one.counted_by))
    return counted
