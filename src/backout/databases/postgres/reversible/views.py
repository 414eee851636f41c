"""Views as values: a view holds no rows, so it is told whole, dropped for real, and made again from what was told.

Its query is PostgreSQL's own text of it (`pg_get_viewdef`), taken at the moment whose names it has: it is made again only
when names are as they were then. The rows of a materialized view are those of its query: it is made again without, and
filled after the COMMIT (`due.py`), as that may take long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from backout.databases.postgres.reversible.catalog import own_settings, read
from backout.databases.postgres.reversible.link import objects, scalar
from backout.databases.postgres.reversible.names import ident, is_hidden, literal
from backout.databases.postgres.reversible.parse import as_printed, index_of
from backout.databases.postgres.reversible.privileges import granted
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.storage import stored_words
from backout.databases.postgres.reversible.work import Moved, Work

Told = dict[str, Any]

_WORDS = {"v": "VIEW", "m": "MATERIALIZED VIEW"}

VIEWS = ("v", "m")
"""Kinds of relations: plain views, and materialized ones."""
_ITSELF = ("kind", "name", "schema", "definition", "options", "owner", "acl", "comment", "populated")
_STORED = ("target", "storage", "compression", "options")
_OF_COLUMNS = ("name", "type", "modifier", "default_text", "acl", "comment", *_STORED)


def is_view(now: Snapshot, oid: int) -> bool:
    """Tell whether a relation is a view, plain or materialized."""
    return now.things.get(Key("table", oid), {}).get("kind") in VIEWS


def of_view(now: Snapshot, key: Key) -> bool:
    """Tell whether something is a view, or a part of one."""
    oid = key.oid if key.kind == "table" else now.things.get(key, {}).get("table")
    return oid is not None and is_view(now, oid)


def in_order(now: Snapshot, views: Iterable[int]) -> list[int]:
    """Return the oids of views, each after those that its query uses. Pure."""
    found: list[int] = []
    wanted = set(views)

    def visit(oid: int) -> None:
        for other in now.things[Key("table", oid)]["uses"] or ():
            if other in wanted and other not in found:
                visit(other)
        if oid not in found:
            found.append(oid)

    for one in sorted(wanted):
        visit(one)
    return found


def upon(now: Snapshot, views: Iterable[int]) -> set[int]:
    """Return the oids of views, and of all views whose queries use them. Pure."""
    found = set(views)
    if not found:
        return found
    all_views = {
        key.oid: set(one["uses"] or ()) for key, one in now.things.items() if one.get("kind") in VIEWS
    }
    while more := {oid for oid, uses in all_views.items() if uses & found} - found:
        found |= more
    return found


def told(now: Snapshot, oid: int) -> Told:
    """Return all that a view is, by the names of this moment. Pure."""
    key = Key("table", oid)
    columns = sorted(now.columns(oid).items())
    return {
        **{name: now.things[key][name] for name in _ITSELF},
        "called": now.name(key),
        "columns": [{name: one[name] for name in _OF_COLUMNS} for _attnum, one in columns],
        "triggers": [
            {name: one[name] for name in ("name", "definition", "comment")}
            for one in now.of_table("trigger", oid).values()
        ],
        "rules": [one["definition"] for one in now.of_table("rule", oid).values()],
        "indexes": [
            {name: one[name] for name in ("name", "definition", "comment", "clustered")}
            for _key, one in sorted(now.of_table("index", oid).items())
            if not is_hidden(one["name"])
        ],
    }


def oid_of(now: Snapshot, one: Told) -> int | None:
    """Return the oid of the view that has a told one's schema and name, as it may have been made again since. Pure."""
    for key, thing in now.things.items():
        if key.kind == "table" and (thing["name"], thing["schema"]) == (one["name"], one["schema"]):
            return key.oid if thing["kind"] == one.get("kind", "v") else None
    return None


def drop_views(work: Work, views: Sequence[Told]) -> list[Told]:
    """Drop views; return them as they were by now.

    Raises:
        Moved: One is not there.
    """
    if not views:
        return []
    oids = []
    for one in views:
        oid = oid_of(work.now, one)
        if oid is None:
            raise Moved(f"the view {one['called']}", "is not there")
        oids.append(oid)
    now = read(work.link, oids)
    drop(work, oids)
    return [told(now, oid) for oid in oids]


def drop(work: Work, views: Sequence[int]) -> None:
    """Drop views, each before those that its query uses.

    Args:
        work: The transaction.
        views: Their oids, in the order in which they are made.
    """
    for oid in reversed(views):
        kind = work.now.things[Key("table", oid)]["kind"]
        work.run(f"DROP {_WORDS[kind]} {work.table_path(oid, called=f'view {oid}')}")


def make_views(work: Work, views: Sequence[Told]) -> list[list[Any]]:
    """Make views again, in their order; return schema and name of those that are to be filled.

    Raises:
        Moved: A view's query gives other columns by now.
    """
    for one in views:
        with own_settings(work.link):
            _make(work, one)
    return [[one["schema"], one["name"]] for one in views if _is_filled(one)]


def replace_view(work: Work, since: Told, to: Told) -> Told:
    """Give a view that stays another query, when all that it shows is there under its name; return it as it was by now.

    Raises:
        Moved: It is not there.
    """
    oid = oid_of(work.now, since)
    if oid is None:
        raise Moved(f"the view {since['called']}", "is not there")
    work.at_end.append(lambda: work.at_end.append(lambda: _replace(work, oid, to)))
    return told(read(work.link, [oid]), oid)


def _replace(work: Work, oid: int, one: Told) -> None:
    path = ident(work.schema_name(one["schema"]), one["name"])
    with own_settings(work.link):
        work.run(f"CREATE OR REPLACE VIEW {path}{_with(one)} AS {_query(one)}")
    if told(read(work.link, [oid]), oid)["definition"] != one["definition"]:
        work.residues.append(
            f"the view {one['called']} has its query in other words: PostgreSQL prints it so from now on"
        )


def _with(one: Told) -> str:
    options = ", ".join(f"{name}={literal(value)}" for name, _, value in map(_option, one["options"] or ()))
    return f" WITH ({options})" if options else ""


def _query(one: Told) -> str:
    return as_printed(one["definition"].strip().rstrip(";"), head="")


def _is_filled(one: Told) -> bool:
    return one.get("kind") == "m" and bool(one["populated"])


def to_fill(now: Snapshot, wanted: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield what fills the materialized views of those names that are empty. Pure."""
    there = {
        (one["schema"], one["name"]): key.oid for key, one in now.things.items() if one.get("kind") == "m"
    }
    for schema, name in wanted:
        oid = there.get((schema, name))
        if oid is not None and not now.things[Key("table", oid)]["populated"]:
            yield f"REFRESH MATERIALIZED VIEW {ident(now.things[Key('schema', schema)]['name'], name)}"


def _make(work: Work, one: Told) -> None:
    called = one["called"]
    path = ident(work.schema_name(one["schema"]), one["name"])
    kind = one.get("kind", "v")
    without = " WITH NO DATA" if kind == "m" else ""
    work.run(f"CREATE {_WORDS[kind]} {path}{_with(one)} AS {_query(one)}{without}")
    oid = int(scalar(work.link, f"SELECT pg_catalog.to_regclass({literal(path)})::oid::int8") or 0)
    made = told(read(work.link, [oid]), oid)
    if _shape(made) != _shape(one):
        raise Moved(
            f"the view {called}", "would not have the columns that it had: what it shows has changed since"
        )
    if made["definition"] != one["definition"]:
        work.residues.append(
            f"the view {called} has its query in other words: PostgreSQL prints it so from now on"
        )
    _columns(work, one, made, path)
    _indexes(work, one, path)
    for text in one["rules"]:
        work.run(text)
    for trigger in one["triggers"]:
        work.run(trigger["definition"])
        if trigger["comment"] is not None:
            work.run(
                f"COMMENT ON TRIGGER {ident(trigger['name'])} ON {path} IS {literal(trigger['comment'])}"
            )
    if one["comment"] is not None:
        work.run(f"COMMENT ON {_WORDS[kind]} {path} IS {literal(one['comment'])}")
    _privileges(work, one, made, path)


def _option(text: str) -> tuple[str, str, str]:
    return text.partition("=")


def _shape(one: Told) -> list[tuple[Any, ...]]:
    return [(column["name"], column["type"], column["modifier"]) for column in one["columns"]]


def _columns(work: Work, one: Told, made: Told, path: str) -> None:
    for column, as_made in zip(one["columns"], made["columns"], strict=True):
        name = ident(column["name"])
        if one.get("kind") == "m":
            for words in stored_words(as_made, column):
                work.run(f"ALTER MATERIALIZED VIEW {path} ALTER COLUMN {name} {words}")
        if column["default_text"] is not None:
            work.run(f"ALTER VIEW {path} ALTER COLUMN {name} SET DEFAULT {column['default_text']}")
        if column["comment"] is not None:
            work.run(f"COMMENT ON COLUMN {path}.{name} IS {literal(column['comment'])}")


def _indexes(work: Work, one: Told, path: str) -> None:
    schema = work.schema_name(one["schema"])
    for index in one.get("indexes", ()):
        work.run(index_of(index["definition"], schema, one["name"], {}))
        if index["comment"] is not None:
            work.run(f"COMMENT ON INDEX {ident(schema, index['name'])} IS {literal(index['comment'])}")
        if index["clustered"]:
            work.run(f"ALTER MATERIALIZED VIEW {path} CLUSTER ON {ident(index['name'])}")


def _privileges(work: Work, one: Told, made: Told, path: str) -> None:
    """Give a view the owner and exactly the privileges that it had; default privileges may have given others."""
    if made["owner"] != one["owner"]:
        owner = scalar(work.link, f"SELECT rolname FROM pg_catalog.pg_roles WHERE oid = {one['owner']}")
        if owner is None:
            raise Moved(
                f"the view {one['called']}", "cannot come back: the role that owned it is not there any more"
            )
        work.run(f"ALTER {_WORDS[one.get('kind', 'v')]} {path} OWNER TO {ident(owner)}")
    if one["acl"] is not None or made["acl"] is not None:
        for role in _grantees(work, made, one):
            work.run(f"REVOKE ALL ON {path} FROM {role}")
        for statement in granted(work, one | {"acl": one["acl"] or _acl_of_owner(work, one)}, path):
            work.run(statement)
    for column in one["columns"]:
        for statement in granted(work, column, path, column["name"]):
            work.run(statement)


def _grantees(work: Work, made: Told, one: Told) -> list[str]:
    owner = f"SELECT {one['owner']}::oid AS grantee"
    others = f"SELECT (pg_catalog.aclexplode({literal(made['acl'])}::pg_catalog.aclitem[])).grantee"
    found = objects(
        work.link,
        f"SELECT r.rolname AS role FROM ({owner} UNION {others}) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee",
    )
    return [ident(row["role"]) if row["role"] is not None else "PUBLIC" for row in found]


def _acl_of_owner(work: Work, one: Told) -> str | None:
    return scalar(work.link, f"SELECT pg_catalog.acldefault('r', {one['owner']})::text")
