"""Owners, privileges and comments as they were; the last of all, for what is made anew has none of them yet. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from backout.databases.postgres.inverse.matching import Match
from backout.databases.postgres.inverse.model import Catalog, Grant
from backout.databases.postgres.inverse.words import altered, commented, word
from backout.databases.postgres.reversible.names import ident, literal

_ON = {"view": "TABLE", "materialized view": "TABLE", "foreign table": "TABLE", "aggregate": "ROUTINE",
       "function": "ROUTINE", "procedure": "ROUTINE", "server": "FOREIGN SERVER"}  # fmt: skip
_OBJECTS = {"r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES", "n": "SCHEMAS"}


def attributes(before: Catalog, now: Catalog, pairs: Match) -> list[str]:
    """Return what gives everything its owner, its privileges and its comment again."""
    found = list(_owners(before, now, pairs))
    if not found:  # who owns a thing decides what the privileges on it are
        found += [*_grants(before, now, pairs), *_default_grants(before, now)]
    return [*found, *_comments(before, now, pairs)]


def _owners(before: Catalog, now: Catalog, pairs: Match) -> Iterator[str]:
    for was, is_ in pairs.things.items():
        thing, there = before.things[was], now.things[is_]
        owned = thing.facts.get("owned_by")
        if thing.owner is not None and thing.owner != there.owner and not owned:
            yield f"{altered(there)} OWNER TO {ident(thing.owner)}"


def _grants(before: Catalog, now: Catalog, pairs: Match) -> Iterator[str]:
    for was, is_ in pairs.things.items():
        thing, there = before.things[was], now.things[is_]
        if thing.grants is not None and there.grants is not None:
            on = f"{_ON.get(thing.kind, word(thing.kind))} {thing.identity}"
            yield from _steps(thing.grants, there.grants, on, str(thing.owner))
    for was, is_ in pairs.columns.items():
        table = before.table(was[1])
        if table is None:
            continue
        column, other = before.columns[was], now.columns[is_]
        yield from _steps(
            column.grants,
            other.grants,
            f"TABLE {table.identity}",
            str(table.owner),
            f" ({ident(column.name)})",
        )


def _steps(
    wanted: frozenset[Grant], has: frozenset[Grant], on: str, owner: str, column: str = ""
) -> Iterator[str]:
    kept = {one[:3] for one in wanted}
    for grantor, grantee, privilege, grantable in sorted(has - wanted):
        begin = f"REVOKE {privilege}{column} ON {on} FROM {_role(grantee)}"
        if (grantor, grantee, privilege) not in kept:
            yield from _as(grantor, owner, f"{begin} CASCADE")
        elif grantable:
            yield from _as(
                grantor, owner, begin.replace("REVOKE ", "REVOKE GRANT OPTION FOR ", 1) + " CASCADE"
            )
    for grantor, grantee, privilege, grantable in sorted(wanted - has):
        also = " WITH GRANT OPTION" if grantable else ""
        yield from _as(grantor, owner, f"GRANT {privilege}{column} ON {on} TO {_role(grantee)}{also}")


def _as(grantor: str, owner: str, statement: str) -> Iterator[str]:
    if grantor == owner:
        yield statement
    else:  # who gave it on
        yield f"SET LOCAL ROLE {ident(grantor)};\n{statement};\nRESET ROLE"


def _role(name: str) -> str:
    return ident(name) if name else "PUBLIC"


def _default_grants(before: Catalog, now: Catalog) -> Iterator[str]:
    known = before.usual_grants | now.usual_grants
    for key in sorted(before.default_grants.keys() | now.default_grants.keys()):
        role, schema, letter = key
        within = f" IN SCHEMA {ident(schema)}" if schema else ""
        usual = frozenset() if schema else known.get((role, letter), frozenset())
        wanted, has = before.default_grants.get(key, usual), now.default_grants.get(key, usual)
        begin = f"ALTER DEFAULT PRIVILEGES FOR ROLE {ident(role)}{within}"
        for _, grantee, privilege, _ in sorted(has - wanted):
            yield f"{begin} REVOKE {privilege} ON {_OBJECTS[letter]} FROM {_role(grantee)}"
        for _, grantee, privilege, grantable in sorted(wanted - has):
            also = " WITH GRANT OPTION" if grantable else ""
            yield f"{begin} GRANT {privilege} ON {_OBJECTS[letter]} TO {_role(grantee)}{also}"


def _comments(before: Catalog, now: Catalog, pairs: Match) -> Iterator[str]:
    there = dict(now.comments)
    named = {(one.kind, one.identity): at for at, one in there.items()}
    for at, comment in before.comments.items():
        own = (pairs.columns if at[2] else pairs.things).get(at)
        if own not in there:
            own = named.get((comment.kind, comment.identity), at)
        found = there.pop(own, None)
        if found is None or found.text != comment.text:
            yield f"{_on(before, at)} IS {literal(comment.text)}"
    yield from (f"{_on(now, at)} IS NULL" for at in there)


def _on(catalog: Catalog, at: tuple[int, int, int]) -> str:
    comment = catalog.comments[at]
    return commented(comment.kind, comment.identity)
