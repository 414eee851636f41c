"""A DO block that drops: run to the end, looked at, undone, and done again by statements that can be taken back.

What it drops may be found out only while it runs. So it runs within a savepoint on the real data; where it has done nothing
but drop things, the same are dropped by statements of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.held import path
from backout.databases.postgres.reversible.link import Link, LinkError, as_login
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.parse import NotParsed, Statement, statements
from backout.databases.postgres.reversible.rows.counts import changed
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.together import take_parts, take_table, take_type, take_views

_TRY = "_bo_learned"
_PLAIN = re.compile(r"\s*BEGIN\b(.*)\bEND\s*;?\s*", re.IGNORECASE | re.DOTALL)
_MAY_DROP = re.compile(r"\b(drop|execute)\b", re.IGNORECASE)
_UNSEEN = re.compile(r"set_config|notify|advisory|\bset\s+(local|session)\b", re.IGNORECASE)
_ORDER = ("policy", "trigger", "constraint", "index", "column", "function", "type", "sequence")


def steps_of(block: Statement) -> list[Statement]:
    """Return the statements of a DO block that consists of nothing else; empty: it does more, or is another language's."""
    options = {one.def_elem.defname: one.def_elem.arg.string.sval for one in block.node.args}
    found = _PLAIN.fullmatch(options.get("as", ""))
    if found is None or options.get("language", "plpgsql") != "plpgsql":
        return []
    try:
        steps = statements(found[1])
    except NotParsed:
        return []  # conditions, loops, variables: they are none of SQL
    # Hazard: its COMMIT would end the transaction before anybody has looked at it; in a block PostgreSQL refuses it.
    return [] if any(one.kind == "transaction_stmt" for one in steps) else steps


def may_drop(block: Statement) -> bool:
    """Tell whether a DO block may drop something, and does nothing that neither the catalog nor rows show, as far as its text tells."""
    return _MAY_DROP.search(block.text) is not None and _UNSEEN.search(block.text) is None


def dropped_by(link: Link, block: Statement, read: Callable[[Link], Snapshot]) -> list[Statement]:
    """Return the statements that drop what a DO block drops, where it does nothing else: it runs, and is undone.

    Args:
        link: The session, in its transaction.
        block: The block.
        read: Reads the catalog.
    """
    if not may_drop(block):
        return []
    with as_login(link):
        before, rows = read(link), changed(link)
    link.rows(f"SAVEPOINT {_TRY}")
    try:
        link.rows(block.text)
        with as_login(link):
            # A table that was dropped is not counted any more.
            after, writes = read(link), changed(link).items() - rows.items()
    except LinkError:
        return []  # it will say so itself
    finally:
        link.rows(f"ROLLBACK TO SAVEPOINT {_TRY}")
        link.rows(f"RELEASE SAVEPOINT {_TRY}")
    return [] if writes else [one for text in drops_of(before, after) for one in statements(text)]


def drops_of(before: Snapshot, after: Snapshot) -> list[str]:
    """Return the statements that drop what is gone; empty: nothing is, or something else was changed, too.

    Args:
        before: The catalog before the block ran.
        after: When it had ended.
    """
    gone = Difference(before, after)
    if any(one.after is not None for one in gone.left.values()):
        return []
    found = []
    for key in [Key("table", oid) for oid in take_views(gone)]:
        word = "MATERIALIZED VIEW" if before.things[key]["kind"] == "m" else "VIEW"
        found.append(f"DROP {word} IF EXISTS {path(before, key)} CASCADE")
    tables = [one.key for one in gone.gone("table") if one.thing["kind"] == "r"]
    for key in tables:
        gone.take(key)
        take_table(gone, key.oid)
    for change in list(gone.gone("column")):
        take_parts(gone, change.key)
    for change in list(gone.gone("type")):
        take_type(gone, change.key.oid)
    for change in list(gone.gone("constraint")):
        if change.thing["index"]:
            gone.take(Key("index", change.thing["index"]))
    found += list(_each(gone))
    found += [f"DROP TABLE {path(before, key)} CASCADE" for key in tables]
    return [] if gone.left else found


def _each(gone: Difference) -> Iterator[str]:
    """Yield what drops the single things, and take them."""
    before = gone.before
    for kind in _ORDER:
        for change in list(gone.gone(kind)):
            key, thing = change.key, change.thing
            gone.take(key)
            name = ident(str(thing["name"]))
            table = key.oid if kind == "column" else thing.get("table") or 0
            on = path(before, Key("table", table)) if table else ""
            if kind == "column":
                yield f"ALTER TABLE {on} DROP COLUMN {name} CASCADE"
            elif kind == "constraint" and on:
                yield f"ALTER TABLE {on} DROP CONSTRAINT {name} CASCADE"
            elif kind in ("policy", "trigger"):
                yield f"DROP {kind.upper()} {name} ON {on}"
            elif kind == "function":
                yield f"DROP ROUTINE {path(before, key)}({thing['signature']})"
            elif kind != "constraint":
                yield f"DROP {kind.upper()} {path(before, key)}"
