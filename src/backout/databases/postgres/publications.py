"""Publications: a restored database gets those of the live one, and what cannot be carried is told with what to type.

A dump has them as they were. Whoever subscribes since, or to what was changed since, would get nothing after a swap; and only
its owner may alter one.
Source: PostgreSQL 18 documentation, "CREATE PUBLICATION", "ALTER PUBLICATION", 52.40 "pg_publication".
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

from backout.databases.postgres.by_hand import psql, quoted
from backout.databases.postgres.cluster import Cluster, server_version
from backout.message import Message, msg

if TYPE_CHECKING:
    import psycopg

# Columns, conditions and schemas came with PostgreSQL 15.
_TABLES_15: LiteralString = """
SELECT string_agg(format('%%I.%%I', n.nspname, c.relname)
         || coalesce((SELECT ' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')'
                      FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY(r.prattrs)), '')
         || coalesce(' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')', ''), ', TABLE ' ORDER BY n.nspname, c.relname)
FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE r.prpubid = %(oid)s"""
_TABLES: LiteralString = """
SELECT string_agg(format('%%I.%%I', n.nspname, c.relname), ', TABLE ' ORDER BY n.nspname, c.relname)
FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE r.prpubid = %(oid)s"""
_SCHEMAS_15: LiteralString = """
SELECT string_agg(quote_ident(n.nspname), ', ' ORDER BY n.nspname)
FROM pg_publication_namespace s JOIN pg_namespace n ON n.oid = s.pnnspid WHERE s.pnpubid = %(oid)s"""
_ALL: LiteralString = """
SELECT p.oid::bigint, p.pubname::text, p.puballtables,
       concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
                 CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
       (to_jsonb(p) ->> 'pubviaroot')::boolean, to_jsonb(p) ->> 'pubgencols',
       CASE WHEN NOT r.rolsuper THEN r.rolname::text END
FROM pg_publication p LEFT JOIN pg_roles r ON r.oid = p.pubowner ORDER BY 2"""
_SINCE = 150000


def publications(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Return the statements that make each publication, by its name.

    A superuser as its owner is not among them: one may alter it whoever owns it.
    """
    newer = server_version(connection) >= _SINCE
    found = {}
    # Names are then printed with their schema, here and there.
    connection.execute("SELECT set_config('search_path', 'pg_catalog', false)")
    for oid, name, everything, operations, via_root, generated, owner in connection.execute(_ALL).fetchall():
        parts = ["ALL TABLES"] if everything else []
        tables = connection.execute(_TABLES_15 if newer else _TABLES, {"oid": oid}).fetchone()
        parts += [f"TABLE {tables[0]}"] if tables and tables[0] else []
        schemas = connection.execute(_SCHEMAS_15, {"oid": oid}).fetchone() if newer else None
        parts += [f"TABLES IN SCHEMA {schemas[0]}"] if schemas and schemas[0] else []
        options = [f"publish = '{operations}'"]
        options += ["publish_via_partition_root = true"] if via_root else []
        options += ["publish_generated_columns = stored"] if generated == "s" else []
        what = f" FOR {', '.join(parts)}" if parts else ""
        found[str(name)] = f"CREATE PUBLICATION {quoted(name)}{what} WITH ({', '.join(options)})"
        if owner is not None:
            found[str(name)] += _owned(name) + quoted(owner)
    return found


def catch_up(cluster: Cluster, database: str, live: str) -> tuple[Message, ...]:
    """Give a restored database the publications that the live one has; return those that could not be made so. Idempotent."""
    with cluster.inside(live) as theirs, cluster.inside(database) as ours:
        carry_publications(ours, theirs)
        return tuple(differing_publications(database, publications(ours), publications(theirs)))


def carry_publications(connection: psycopg.Connection[Any], live: psycopg.Connection[Any]) -> None:
    """Give a restored database the publications that the live one has; what this role may not make stays as it is. Idempotent."""
    import psycopg

    for change in _changes(publications(connection), publications(live)).values():
        for statements in change:
            # One that cannot be given to its owner is there all the same.
            with suppress(psycopg.Error), connection.transaction():
                for statement in statements:
                    connection.execute(statement.encode())


def differing_publications(database: str, here: dict[str, str], there: dict[str, str]) -> Iterator[Message]:
    """Name the publications of a restored database that are not as in the live one, and what makes them equal."""
    for name, change in _changes(here, there).items():
        yield msg(
            "Publication {name} is not as in the live database ({there}); to make it so: {by_hand}",
            name=name,
            there=there.get(name, "it has none of that name"),
            by_hand=psql(*change.made, *change.given, options=f"psql -d {shlex.quote(database)}"),
        )


class _Change(NamedTuple):
    """Statements that make a publication what it has to be, and that give it to its owner."""

    made: tuple[str, ...]
    given: tuple[str, ...]


def _changes(here: dict[str, str], there: dict[str, str]) -> dict[str, _Change]:
    found = {}
    for name in sorted(here.keys() | there.keys()):
        is_made, is_given = _apart(name, here.get(name, ""))
        made, given = _apart(name, there.get(name, ""))
        gone = (f"DROP PUBLICATION {quoted(name)}",) if is_made and is_made != made else ()
        change = _Change(
            (*gone, *(made if made != is_made else ())), given if given != is_given or gone else ()
        )
        if any(change):
            found[name] = change
    return found


def _owned(name: str) -> str:
    return f"; ALTER PUBLICATION {quoted(name)} OWNER TO "


def _apart(name: str, statements: str) -> _Change:
    """Take the statement about its owner away from the others; each may be missing."""
    made, mark, owner = statements.rpartition(_owned(name))
    if not mark:
        return _Change((statements,) if statements else (), ())
    return _Change((made,), (mark.removeprefix("; ") + owner,))
