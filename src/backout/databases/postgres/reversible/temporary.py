"""What is temporary: it goes with the session, so that no way back has to know it."""

from __future__ import annotations

from backout.databases.postgres.reversible.beforehand import named_in
from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import literal
from backout.databases.postgres.reversible.parse import Statement


def temporary(link: Link, statement: Statement) -> set[bool]:
    """Tell what a statement names: `True` is in it for what is temporary, `False` for what is not, nothing for what is not there.

    Args:
        link: The client's session, with its `search_path`.
        statement: An ALTER TABLE, or a DROP of what has rows or numbers.
    """
    names = named_in(statement)
    if not names:
        return set()
    oids = ", ".join(f"pg_catalog.to_regclass({literal(one)})" for one in names)
    found = objects(
        link,
        f"SELECT DISTINCT relpersistence = 't' AS temporary FROM pg_catalog.pg_class WHERE oid IN ({oids})",
    )
    return {bool(one["temporary"]) for one in found}
