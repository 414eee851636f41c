"""Doing what is due after a COMMIT, statement by statement: it takes long, or waits, and must never block anybody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from backout.databases.postgres.reversible import constraints, journal
from backout.databases.postgres.reversible.catalog import read
from backout.databases.postgres.reversible.due import due
from backout.databases.postgres.reversible.link import Link, LinkError, LinkLost
from backout.databases.postgres.reversible.locks import asked_again
from backout.faults import fault_point
from backout.migration import Finished, Unfinished

_PATIENCE_S = 30.0
_LOCK_MS = 50
_SLOW = ("CREATE INDEX CONCURRENTLY", "CREATE UNIQUE INDEX CONCURRENTLY", "DROP INDEX CONCURRENTLY")


def finish(link: Link, what: Callable[[Link], list[str]] = due) -> Finished:
    """Do what is due, and what is due when that is done; nothing is tried twice. Idempotent.

    Args:
        link: A session in autocommit.
        what: Tells what is due: all, or less of it.
    """
    tried: list[str] = []
    failed: dict[str, str] = {}
    try:
        while statements := [one for one in _read(link, what) if one not in tried]:
            tried += statements
            failed |= _run_all(link, statements)
        _settle(link)
    except LinkLost as error:
        # The caller goes on to tell what was committed before.
        failed = failed or {"what is due after it": " ".join(str(error).split())}
    return Finished(
        done=tuple(one for one in tried if one not in failed),
        unfinished=tuple(Unfinished(statement=one, why=why) for one, why in failed.items()),
    )


def _read(link: Link, what: Callable[[Link], list[str]]) -> list[str]:
    # In a transaction, as the reading's `search_path` holds in one only.
    link.rows("BEGIN")
    statements = what(link)
    link.rows("COMMIT")
    return statements


def _settle(link: Link) -> None:
    """Note what is built now, and its oid: later migrations may rename it, or drop it, and it must not be built again."""
    link.rows("BEGIN")
    now = read(link)
    for entry in journal.every_entry(link):
        made, told = entry.operation.get("rebuild"), entry.operation
        if entry.state == "applied" and told.get("due"):
            by = [one["name"] for one in now.of_table("index", told["table"]).values() if one[told["what"]]]
            if by == [told["to"]["name"]]:
                rest = {name: value for name, value in told.items() if name != "due"}
                journal.write(link, replace(entry, operation=rest))
        if entry.state == "applied" and constraints.settled(now, entry.operation):
            journal.write(link, entry)
        if made is None or entry.state != "applied":
            continue
        kind = "constraint" if made["word"] is not None else "index"
        for key, one in now.of_table(kind, made["table"]).items():
            if one["name"] == made["name"] and one["valid"]:
                rest = {name: value for name, value in entry.operation.items() if name != "rebuild"}
                journal.write(link, replace(entry, operation=rest | {"oid": key.oid}))
    link.rows("COMMIT")


def _run_all(link: Link, statements: Sequence[str]) -> dict[str, str]:
    """Run statements, each by itself, also after a failure; return why those failed that did."""
    failed = {}
    for statement in statements:
        try:
            fault_point("db.due.before")
            _run(link, statement)
            fault_point("db.due.after")
        except LinkError as error:
            failed[statement] = " ".join(str(error).split())
    return failed


def _run(link: Link, statement: str) -> None:
    """Run one. A lock that makes others wait behind us is asked for again and again, and never waited for."""
    # Building an index waits for old transactions, and nobody waits for it.
    limit_ms = 0 if statement.startswith(_SLOW) else _LOCK_MS
    link.rows(f"SET lock_timeout = {limit_ms}")
    asked_again(lambda: link.rows(statement), patience_s=_PATIENCE_S)
