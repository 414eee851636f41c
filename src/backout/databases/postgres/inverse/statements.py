"""What leads from a schema as it is to the schema as it was, one round of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from backout.databases.postgres.inverse import kinds, tables
from backout.databases.postgres.inverse.attributes import attributes
from backout.databases.postgres.inverse.columns import columns
from backout.databases.postgres.inverse.columns import dropped as column_dropped
from backout.databases.postgres.inverse.going import Going, going, in_order, named_drops
from backout.databases.postgres.inverse.matching import Match, match
from backout.databases.postgres.inverse.model import (
    CONSTRAINT,
    RELATION,
    TABLES,
    Address,
    Catalog,
    Script,
    Thing,
)
from backout.databases.postgres.inverse.renames import renames
from backout.databases.postgres.inverse.words import altered, dropped, exact
from backout.databases.postgres.reversible.names import ident

_FIRST = -1.0
_REPLACED = ("function", "procedure", "view")


def statements(
    before: Catalog, now: Catalog, *, same_origin: bool, fills: Mapping[str, str] | None = None
) -> list[str]:
    """Return the statements of one round: read the schema again behind them, and ask again, until there are none.

    Names come first, then what things are, then whose they are and what is said of them: what PostgreSQL makes of the one
    decides about the next.

    Args:
        before: The schema as it was.
        now: The schema as it is.
        same_origin: Whether the one database was made as a copy of the other one.
        fills: What rows get in a column that comes back, by ``schema.table.column``: SQL expressions.
    """
    pairs = match(before, now, same_origin=same_origin)
    found = renames(before, now, pairs)
    found = found or _structure(before, now, pairs, dict(fills or {}))
    found = found or _settings(before, now, pairs)
    found = found or attributes(before, now, pairs)
    return [exact(one) for one in dict.fromkeys(found)]


def _structure(before: Catalog, now: Catalog, pairs: Match, fills: dict[str, str]) -> list[str]:
    goes = going(before, now, pairs)
    out, into = tables.families(before, now, pairs)
    script = Script()
    script.main += into
    script.main += list(_made(before, now, pairs, goes))
    script.main += list(columns(before, now, pairs, goes, fills))
    script.main += list(kinds.types(before, now, pairs, goes))
    script.main += list(kinds.sequences(before, now, pairs))
    last = _last(now, goes)
    script.last += [(-float(place), one) for place, one in enumerate(last)]
    script.last += kinds.set_aside(now, goes)
    return [*out, *_first(now, pairs, goes), *script.statements()]


def _first(now: Catalog, pairs: Match, goes: Going) -> Iterator[str]:
    """Yield what has to go before anything is made."""
    first, _ = named_drops(now, goes)
    for at in sorted(goes.defaults):
        table = now.table(at[1])
        if table is not None and table.kind in TABLES:
            yield f"{altered(table)} ALTER COLUMN {ident(now.columns[at].name)} DROP DEFAULT"
    yield from _kept_sequences(now, pairs, goes)
    chosen: dict[Address, Thing | None] = {one.at: one for one in first}
    chosen |= dict.fromkeys(goes.dropped_columns)
    places = {one.at: one.order for one in now.things.values()}
    places |= {at: places.get((RELATION, at[1], 0), _FIRST) + 0.1 for at in goes.dropped_columns}
    for at in in_order(now, chosen, places):
        thing = chosen[at]
        if thing is None:
            column = now.columns[at]
            if column.facts["local"] or not column.facts["inherited"]:
                yield column_dropped(now, at)
        else:
            yield dropped(thing, _table(now, thing))


def _kept_sequences(now: Catalog, pairs: Match, goes: Going) -> Iterator[str]:
    """Yield what keeps a sequence that was there before from going with the column that it is of now."""
    for at, thing in now.things.items():
        owned = thing.facts.get("owned_by")
        if at not in goes.made and owned and owned[2] == "a" and at in pairs.before_of:
            column = (RELATION, int(owned[0]), int(owned[1]))
            if column in goes.dropped_columns or (RELATION, column[1], 0) in goes.made:
                yield f"{altered(thing)} OWNED BY NONE"


def _last(now: Catalog, goes: Going) -> list[str]:
    _, last = named_drops(now, goes)
    places = {one.at: one.order for one in last}
    by_address = {one.at: one for one in last}
    return [dropped(by_address[at], "") for at in in_order(now, by_address, places)]


def _table(catalog: Catalog, thing: Thing) -> str:
    table = catalog.table(thing.table)
    return table.identity if table is not None else ""


def _made(before: Catalog, now: Catalog, pairs: Match, goes: Going) -> Iterator[tuple[float, str]]:
    for at, thing in before.things.items():
        there = pairs.things.get(at)
        if not thing.text or (there is not None and not goes.goes(there) and there not in goes.replaced):
            continue
        text = _text(before, now, pairs, thing)
        if text:
            place = thing.order + (0.4 if " ON ONLY " in thing.text else 0.0)
            yield (1e6 + place if text != thing.text.rstrip(";") and thing.kind == "index" else place), text
            if thing.kind == "materialized view" and thing.facts.get("populated"):
                yield thing.order + 0.3, f"REFRESH MATERIALIZED VIEW {thing.identity}"


def _text(before: Catalog, now: Catalog, pairs: Match, thing: Thing) -> str:
    """Return what makes a thing; of a part of a table that is made as a whole nothing, where it comes with it."""
    facts = thing.facts
    text = thing.text.rstrip(";")
    if thing.at[0] == CONSTRAINT and not text.startswith(("ALTER TABLE", "SET LOCAL")):
        if facts["parent"] or (facts["inherited"] and not facts["local"]):
            return ""
        if (RELATION, thing.table, 0) not in pairs.things:
            return ""  # it stands in the text of its table
        return f"ALTER TABLE {_table(before, thing)} ADD CONSTRAINT {ident(thing.name)} {text}"
    if thing.kind == "sequence" and text.startswith("ALTER TABLE"):
        owned = facts["owned_by"]
        whole = (RELATION, int(owned[0]), 0) not in pairs.things
        return text if whole else ""  # the column brings it
    if thing.kind in _REPLACED and thing.at in pairs.things:
        return text.replace("CREATE ", "CREATE OR REPLACE ", 1)
    table = before.table(thing.table)
    if table is not None and table.facts.get("partitioned_by"):
        text = text.replace(" ON ONLY ", " ON ", 1).replace("ALTER TABLE ONLY ", "ALTER TABLE ", 1)
    return text


def _settings(before: Catalog, now: Catalog, pairs: Match) -> list[str]:
    found = list(tables.persistence(before, now, pairs))
    for was, is_ in pairs.things.items():
        thing = before.things[was]
        if thing.kind in (*TABLES, "view", "materialized view"):
            found += tables.settings(thing, now.things[is_])
        if thing.kind == "view":
            found += _shown(before, now, pairs, thing)
    return list(dict.fromkeys([*found, *tables.marks(before, now, pairs)]))


def _shown(before: Catalog, now: Catalog, pairs: Match, view: Thing) -> Iterator[str]:
    for column in before.columns_of.get(view.at[1], ()):
        there = now.columns.get(pairs.columns.get(column.at, (0, 0, 0)))
        wanted = column.facts["default"]
        if there is not None and there.facts["default"] != wanted:
            how = "DROP DEFAULT" if wanted is None else f"SET DEFAULT {wanted}"
            yield f"{altered(view)} ALTER COLUMN {ident(column.name)} {how}"
