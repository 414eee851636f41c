"""Privileges given again on a thing that takes the place of another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backout.databases.postgres.reversible.link import objects
from backout.databases.postgres.reversible.names import ident, literal
from backout.databases.postgres.reversible.work import Work


def granted(work: Work, thing: dict[str, Any], on: str, column: str | None = None) -> Iterator[str]:
    """Yield the GRANTs that give a thing the privileges that another had.

    Args:
        work: The transaction.
        thing: The other, with its `acl` as the catalog prints it.
        on: What they are on, as in GRANT … ON.
        column: The column's name, where they are on one.
    """
    if thing["acl"] is None:
        return
    found = objects(
        work.link,
        "SELECT a.privilege_type AS privilege, a.is_grantable AS grantable, r.rolname AS role "
        f"FROM pg_catalog.aclexplode({literal(thing['acl'])}::pg_catalog.aclitem[]) a "
        "LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee",
    )
    for one in found:
        what = one["privilege"] + (f" ({ident(column)})" if column is not None else "")
        to = ident(one["role"]) if one["role"] is not None else "PUBLIC"
        yield f"GRANT {what} ON {on} TO {to}{' WITH GRANT OPTION' if one['grantable'] else ''}"
