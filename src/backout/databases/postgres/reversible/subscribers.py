"""Subscribers of logical replication: PostgreSQL's own stop at a column or table that they have not, and hidden ones are such.

Source: PostgreSQL 15 and 18, src/backend/replication/logical/relation.c, "missing replicated column"; 54.41
"pg_publication", 54.19 "pg_replication_slots" of the PostgreSQL 15 documentation.
"""

from __future__ import annotations

from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.proxy.keeper import NOT_COMMITTED, Veto

ACCEPT = "subscribers"
"""The word by which it is accepted that they see what is hidden."""

_FOLLOWED = """EXISTS (SELECT FROM pg_catalog.pg_replication_slots s WHERE s.slot_type = 'logical' AND s.plugin = 'pgoutput'
  AND s.database = pg_catalog.current_database())"""


def of_everything(link: Link) -> list[str]:
    """Return the publications of all tables, also of the journal's, of a database that somebody follows."""
    return _names(
        link, f"SELECT pubname AS name FROM pg_catalog.pg_publication WHERE puballtables AND {_FOLLOWED}"
    )


def of_table(link: Link, table: int) -> list[str]:
    """Return the publications of all columns of a table, of a database that somebody follows."""
    return _names(
        link,
        f"""SELECT p.pubname AS name FROM pg_catalog.pg_publication p WHERE {_FOLLOWED} AND (p.puballtables
          OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel r
                     WHERE r.prpubid = p.oid AND r.prrelid = {table} AND r.prattrs IS NULL)
          OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace n JOIN pg_catalog.pg_class c
                     ON c.relnamespace = n.pnnspid WHERE n.pnpubid = p.oid AND c.oid = {table}))""",
    )


def refuse(link: Link, kind: str, operation: Operation) -> None:
    """Veto an operation that hides a column of a table that subscribers follow.

    Raises:
        Veto: It does.
    """
    if kind != "column.hidden" and not (kind == "column.retyped" and operation["form"] == "twin"):
        return
    names = of_table(link, operation["hidden"]["table"])
    if names:
        called = operation["hidden"]["called"]
        raise Veto(
            f"backout cannot hide {called}: publication {', '.join(names)} has all columns of its table, hidden ones too",
            detail=f"A PostgreSQL subscriber stops at a column that it has not. {NOT_COMMITTED}",
            hint="Where every subscriber bears a column that it does not know: backout migrate --accept subscribers -- …",
        )


def left_behind(link: Link, record: Operation) -> list[str]:
    """Return what has to be done for subscribers when a way back has hidden a column: it may not wait for them."""
    names = of_table(link, record["table"])
    if not names:
        return []
    now = f"{record['called']} is called {record['hidden']} now, and publication {', '.join(names)} has it"
    return [f"{now}: a PostgreSQL subscriber stops until its table has a column of that name"]


def again(link: Link, record: Operation) -> list[str]:
    """Return what has to be done for subscribers when a way back has added a column again."""
    names = of_table(link, record["table"])
    if not names:
        return []
    now = f"{record['called']} is there again, and publication {', '.join(names)} has it"
    return [f"{now}: a PostgreSQL subscriber stops until its table has it, too"]


def _names(link: Link, query: str) -> list[str]:
    return sorted(str(one["name"]) for one in objects(link, query))
