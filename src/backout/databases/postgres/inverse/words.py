"""How SQL speaks of things. Pure."""

from __future__ import annotations

from backout.databases.postgres.inverse.model import Thing
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.parse import NotParsed, as_printed
from backout.databases.postgres.reversible.parse import statements as taken_apart

_WORDS = {
    "foreign-data wrapper": "FOREIGN DATA WRAPPER",
    "statistics object": "STATISTICS",
    "composite type": "TYPE",
    "publication relation": "PUBLICATION",
}
_CAST_LIST = "])::"
_ON_DOMAIN = "domain constraint"


def word(kind: str) -> str:
    """Return what SQL calls a kind."""
    return _WORDS.get(kind, kind.upper())


def altered(thing: Thing) -> str:
    """Return how a statement that changes a thing begins."""
    return f"ALTER {word(thing.kind)} {thing.identity}"


def dropped(thing: Thing, table: str) -> str:
    """Return the statement that drops a thing; `table` is what it is of, where it is of one."""
    if thing.kind == "table constraint":
        return f"ALTER TABLE {table} DROP CONSTRAINT {ident(thing.name)}"
    if thing.kind == "publication relation":
        return f"ALTER PUBLICATION {thing.identity.rpartition(' in publication ')[2]} DROP TABLE {table}"
    return f"DROP {word(thing.kind)} {thing.identity}"


def commented(kind: str, identity: str) -> str:
    """Return the words of COMMENT ON before IS."""
    if kind.endswith(" column"):
        return f"COMMENT ON COLUMN {identity}"
    if kind == "table constraint":
        return f"COMMENT ON CONSTRAINT {identity}"
    if kind == _ON_DOMAIN:
        name, _, domain = identity.rpartition(" on ")
        return f"COMMENT ON CONSTRAINT {name} ON DOMAIN {domain}"
    return f"COMMENT ON {word(kind)} {identity}"


def exact(text: str) -> str:
    """Return statements with PostgreSQL's own texts in them so that it reads from these what it has printed."""
    if _CAST_LIST not in text:
        return text
    try:
        return ";\n".join(as_printed(one.text.strip(), head="") for one in taken_apart(text) if one.kind)
    except NotParsed:
        return text
