"""Leaving: the plain schema stays, and nothing of the engine's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from backout.databases.postgres.reversible.back import NotReversible
from backout.databases.postgres.reversible.catalog import NAMED, read
from backout.databases.postgres.reversible.commit import commit
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.link import Link, scalar
from backout.databases.postgres.reversible.locks import LOCK_MS, locked
from backout.databases.postgres.reversible.names import (
    COMMENT,
    HIDDEN_SCHEMA,
    PREFIX,
    SCHEMA,
    ident,
    is_hidden,
)
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.triggers import is_switched_off
from backout.databases.postgres.reversible.work import Work

_INDEX = re.compile(rf"{PREFIX}\d+")
_SCHEMA = re.compile(rf"{SCHEMA}_\d+")


def still_hidden(now: Snapshot) -> list[str]:
    """Return what is hidden in a database, whether the journal knows it or not: whoever left would leave it behind."""
    return sorted(
        f"{key.kind} {now.name(key)}" for key, thing in now.things.items() if _is_hiding(now, key, thing)
    )


def _is_hiding(now: Snapshot, key: Key, thing: dict[str, object]) -> bool:
    name = str(thing["name"])
    if key.kind == "column":
        # A view that was made with `SELECT *` has a column of that name, too.
        return name.startswith(PREFIX) and str(thing["comment"]).startswith(COMMENT)
    if key.kind == "trigger":
        return is_switched_off(thing)
    if key.kind in ("table", "type", "sequence", "function", *NAMED):
        schema = now.things.get(Key("schema", int(str(thing["schema"]))), {})
        return schema.get("name") == HIDDEN_SCHEMA and not (key.kind == "sequence" and thing["owned_by"])
    return bool(
        (key.kind == "index" and _INDEX.fullmatch(name)) or (key.kind == "schema" and _SCHEMA.fullmatch(name))
    )


def uninstall(link: Link, *, patience_s: float) -> list[str]:
    """Drop the journal, its schemas and what was left behind on tables, in one transaction. Idempotent.

    Args:
        link: A session in autocommit that holds the migration lock; nothing is hidden, and nothing is owed.
        patience_s: Seconds to go on asking for the locks.

    Returns:
        What was run; empty: nothing of the engine's was there.

    Raises:
        Locked: The tables are in use.
        NotReversible: Something of somebody else's would go with it; nothing was changed.
        CommitUnanswered: It is not known whether it was committed.
    """
    tables = sorted({table for table, _, _ in _leftovers(read(link))})
    locked(link, tables, patience_s=patience_s)
    link.rows(f"SET LOCAL lock_timeout = '{LOCK_MS}ms'")
    work = Work(link)
    before = work.now
    for table, kind, name in list(_leftovers(before)):
        path = work.table_path(table, called=name)
        schema = work.schema_name(before.things[Key("table", table)]["schema"])
        work.run(
            {
                "trigger": f"DROP TRIGGER {ident(name)} ON {path}",
                "constraint": f"ALTER TABLE {path} DROP CONSTRAINT {ident(name)}",
                "index": f"DROP INDEX {ident(schema, name)}",
            }[kind]
        )
    for schema in (HIDDEN_SCHEMA, SCHEMA):
        if scalar(link, f"SELECT to_regnamespace('{schema}')") is not None:
            work.run(f"DROP SCHEMA {ident(schema)} CASCADE")
    _refuse_others(link, Difference(before, work.now))
    commit(link)
    return work.done


def _leftovers(now: Snapshot) -> Iterator[tuple[int, str, str]]:
    """Yield table, kind and name of what the engine has left on tables: that of a way that was killed, above all."""
    for kind in ("trigger", "constraint", "index"):
        for key, thing in now.things.items():
            comes = thing.get("parent") or not thing.get(
                "local", True
            )  # it goes with that which it comes from
            if key.kind == kind and is_hidden(str(thing["name"])) and thing.get("table") and not comes:
                yield int(thing["table"]), kind, str(thing["name"])


def _refuse_others(link: Link, difference: Difference) -> None:
    """Roll back if anything went that somebody has built on the engine's schemas.

    Raises:
        NotReversible: Something did.
    """
    # A table that goes is named without its columns.
    tables = {key.oid for key, one in difference.left.items() if key.kind == "table" and one.after is None}
    others = [
        f"{change.key.kind} {difference.before.name(change.key)}"
        for change in difference.left.values()
        if not is_hidden(str(change.thing["name"]))
        and change.key.kind not in ("label", "publication")
        and not (change.key.kind == "column" and change.key.oid in tables)
    ]
    if others:
        link.rows("ROLLBACK")
        raise NotReversible(
            f"these hang on schemas of backout and would go with them: {', '.join(sorted(others)[:10])}"
        )
