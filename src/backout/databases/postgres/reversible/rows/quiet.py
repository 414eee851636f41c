"""Writing rows as the engine: nothing of the user's fires (what marks rows does), no row is hidden, and values are printed in one way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from backout.databases.postgres.reversible.link import Link, objects, scalar
from backout.databases.postgres.reversible.names import LAST, ident, literal
from backout.databases.postgres.reversible.rows.store import FORMATS, PATH

_ENABLE = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}
_SETTINGS = {**FORMATS, "search_path": PATH, "row_security": "off"}


@contextmanager
def exactly(link: Link, *, path: bool = True) -> Iterator[None]:
    """Print values in the one way of the log, name types with their schemas, and refuse to read where rows would be hidden.

    After an error nothing is put back: the transaction has to be rolled back.

    Args:
        link: In a transaction.
        path: False: the session's own `search_path` stays, as a user's expression is read.
    """
    settings = {name: value for name, value in _SETTINGS.items() if path or name != "search_path"}
    before = {name: scalar(link, f"SELECT pg_catalog.current_setting('{name}')") for name in settings}
    for name, value in settings.items():
        _set(link, name, value)
    yield
    for name, old in before.items():
        _set(link, name, old or "")


@contextmanager
def quietly(link: Link, written: Sequence[int], read: Sequence[int]) -> Iterator[None]:
    """Switch off, by name, what fires on rows of tables; put each back exactly as it was.

    Deferred constraints are immediate from here to the end of the transaction. After an error nothing is put back: the
    transaction has to be rolled back.

    Args:
        link: In a transaction that has the exclusive locks of all these tables.
        written: Oids of tables, partitions among them, whose rows are written.
        read: Oids of tables whose rows are looked at.
    """
    # Hazard: deferred events of this transaction would forbid the ALTERs below.
    link.rows("SET CONSTRAINTS ALL IMMEDIATE")
    switched, forced = _fires(link, written), _forced(link, sorted({*written, *read}))
    for one in switched:
        link.rows(f"ALTER TABLE {one['path']} DISABLE {one['word']} {ident(one['name'])}")
    for path in forced:
        link.rows(f"ALTER TABLE {path} NO FORCE ROW LEVEL SECURITY")
    yield
    for one in switched:
        link.rows(f"ALTER TABLE {one['path']} {_ENABLE[one['state']]} {one['word']} {ident(one['name'])}")
    for path in forced:
        link.rows(f"ALTER TABLE {path} FORCE ROW LEVEL SECURITY")


def _set(link: Link, name: str, value: str) -> None:
    link.rows(f"SELECT pg_catalog.set_config('{name}', {literal(value)}, true)")


def _fires(link: Link, tables: Sequence[int]) -> list[dict[str, str]]:
    """Return triggers and rules that are switched on, partitions first: a parent's switch turns those of its partitions too."""
    numbers = ", ".join(map(str, tables)) or "NULL"
    path = "format('%I.%I', n.nspname, c.relname) AS path"
    of = "JOIN pg_catalog.pg_class c ON c.oid = {0} JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    return objects(
        link,
        f"""SELECT * FROM (SELECT {path}, 'TRIGGER' AS word, t.tgname AS name, t.tgenabled AS state, c.relkind = 'p' AS parent, t.oid AS place
          FROM pg_catalog.pg_trigger t {of.format("t.tgrelid")} WHERE t.tgrelid IN ({numbers}) AND NOT t.tgisinternal AND t.tgenabled <> 'D'
          AND NOT pg_catalog.starts_with(t.tgname, {literal(LAST)})
        UNION ALL SELECT {path}, 'RULE', w.rulename, w.ev_enabled, false, w.oid
          FROM pg_catalog.pg_rewrite w {of.format("w.ev_class")} WHERE w.ev_class IN ({numbers}) AND w.ev_enabled <> 'D') s
        ORDER BY parent DESC, place""",
    )


def _forced(link: Link, tables: Sequence[int]) -> list[str]:
    numbers = ", ".join(map(str, tables)) or "NULL"
    found = objects(
        link,
        "SELECT format('%I.%I', n.nspname, c.relname) AS path FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.oid IN ({numbers}) AND c.relforcerowsecurity ORDER BY c.oid",
    )
    return [str(one["path"]) for one in found]
