"""CREATE INDEX CONCURRENTLY cannot be journalled in its own transaction: an intent before, and what came of it after."""

from __future__ import annotations

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.catalog import read, read_alone
from backout.databases.postgres.reversible.effects.index import IndexAdded, added
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.link import Link
from backout.databases.postgres.reversible.parse import Statement
from backout.databases.postgres.reversible.snapshot import Snapshot

KIND = "index.intent"


def intend(link: Link, migration: int, statement: Statement) -> None:
    """Journal that an index is about to be built, with those that are there already."""
    known = [key.oid for key in read_alone(link).things if key.kind == "index"]
    change = journal.next_id(link)
    operation = {"known": known, "name": statement.node.idxname, "called": statement.node.idxname}
    journal.write(link, Entry(change, migration, change, KIND, operation, "pending"))


def recognise(link: Link) -> None:
    """Turn every intent into what came of it: an index, valid or not, or nothing. Idempotent; no index is being built now."""
    intents = [e for e in journal.of_kind(link, KIND) if e.state == "pending"]
    if not intents:
        return
    link.rows("BEGIN")
    now = read(link)
    for entry in intents:
        made = _made(now, entry)
        journal.drop(link, entry.id)
        if made is not None:
            operation = added(now, made)
            journal.write(
                link, Entry(entry.id, entry.migration, entry.part, IndexAdded.kind, operation, "applied")
            )
    link.rows("COMMIT")


def _made(now: Snapshot, entry: Entry) -> int | None:
    """Return the oid of the index that an intent became."""
    told = entry.operation
    for key, one in now.things.items():
        if (
            key.kind == "index"
            and key.oid not in told["known"]
            and (not told["name"] or one["name"] == told["name"])
        ):
            return key.oid
    return None
