"""Roles that the journal tells of, found again: one may have been renamed, or have another oid on another server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import ident, literal
from backout.databases.postgres.reversible.work import Moved

PUBLIC = 0
"""The oid that stands for all roles, in the catalog."""


class Role(NamedTuple):
    """A role as it is now.

    Attributes:
        oid: Its identity.
        name: Quoted; PUBLIC for all roles.
    """

    oid: int
    name: str


def found_again(link: Link, wanted: Mapping[int, str], called: str) -> dict[int, Role]:
    """Return roles by the oids that the journal tells.

    Args:
        link: The session.
        wanted: Names of then by oid.
        called: What they are needed for.

    Raises:
        Moved: One is not there, or it cannot be told which one it is.
    """
    if not wanted:
        return {}
    oids, names = ", ".join(map(str, wanted)), ", ".join(literal(one) for one in wanted.values())
    there = objects(
        link,
        "SELECT oid::int8 AS oid, rolname AS name FROM pg_catalog.pg_roles "
        f"WHERE oid IN ({oids}) OR rolname IN ({names})",
    )
    found = {}
    for oid, name in wanted.items():
        if oid == PUBLIC:
            found[oid] = Role(PUBLIC, "PUBLIC")
            continue
        those = [one for one in there if one["oid"] == oid or one["name"] == name]
        if len(those) != 1:
            why = "is not there" if not those else "is not the only one that it could be"
            raise Moved(called, f"cannot be as it was: the role {name} {why}")
        found[oid] = Role(those[0]["oid"], ident(those[0]["name"]))
    return found
