"""Views as values: a view holds no rows, so it is told whole, dropped for real, and made again from what was told.

Its query is PostgreSQL's own text of it (`pg_get_viewdef`), taken at the moment whose names it has: it is made again only
when names are as they were then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from backout.databases.postgres.reversible.catalog import Key, Snapshot, own_settings, read
from backout.databases.postgres.reversible.link import objects, scalar
from backout.databases.postgres.reversible.names import ident, literal
from backout.databases.postgres.reversible.parse import as_printed
from backout.databases.postgres.reversible.privileges import granted
from backout.databases.postgres.reversible.work import Moved, Work

Told = dict[str, Any]

_ITSELF = ("name", "schema", "definition", "options", "owner", "acl", "comment")
_OF_COLUMNS = ("name", "type", "modifier", "default_text", "acl", "comment")


def is_view(now: Snapshot, oid: int) -> bool:
    """Tell whether a relation is a plain view."""
    return now.things.get(Key("table", oid), {}).get("kind") == "v"


def of_view(now: Snapshot, key: Key) -> bool:
    """Tell whether something is a plain view, or a part of one."""
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
    all_views = {key.oid: set(one["uses"] or ()) for key, one in now.things.items() if one.get("kind") == "v"}
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
    }


def oid_of(now: Snapshot, one: Told) -> int | None:
    """Return the oid of the view that has a told one's schema and name, as it may have been made again since. Pure."""
    for key, thing in now.things.items():
        if key.kind == "table" and (thing["name"], thing["schema"]) == (one["name"], one["schema"]):
            return key.oid if thing["kind"] == "v" else None
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
    paths = ", ".join(
        work.table_path(oid, called=one["called"]) for oid, one in zip(oids, views, strict=True)
    )
    work.run(f"DROP VIEW {paths}")
    return [told(now, oid) for oid in oids]


def make_views(work: Work, views: Sequence[Told]) -> None:
    """Make views again, in their order.

    Raises:
        Moved: A view's query gives other columns by now.
    """
    for one in views:
        with own_settings(work.link):
            _make(work, one)


def _make(work: Work, one: Told) -> None:
    called = one["called"]
    path = ident(work.schema_name(one["schema"]), one["name"])
    options = ", ".join(f"{name}={literal(value)}" for name, _, value in map(_option, one["options"] or ()))
    query = as_printed(one["definition"].strip().rstrip(";"), head="")
    work.run(f"CREATE VIEW {path}{f' WITH ({options})' if options else ''} AS {query}")
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
    _columns(work, one, path)
    for text in one["rules"]:
        work.run(text)
    for trigger in one["triggers"]:
        work.run(trigger["definition"])
        if trigger["comment"] is not None:
            work.run(
                f"COMMENT ON TRIGGER {ident(trigger['name'])} ON {path} IS {literal(trigger['comment'])}"
            )
    if one["comment"] is not None:
        work.run(f"COMMENT ON VIEW {path} IS {literal(one['comment'])}")
    _privileges(work, one, made, path)


def _option(text: str) -> tuple[str, str, str]:
    return text.partition("=")


def _shape(one: Told) -> list[tuple[Any, ...]]:
    return [(column["name"], column["type"], column["modifier"]) for column in one["columns"]]


def _columns(work: Work, one: Told, path: str) -> None:
    for column in one["columns"]:
        name = ident(column["name"])
        if column["default_text"] is not None:
            work.run(f"ALTER VIEW {path} ALTER COLUMN {name} SET DEFAULT {column['default_text']}")
        if column["comment"] is not None:
            work.run(f"COMMENT ON COLUMN {path}.{name} IS {literal(column['comment'])}")


def _privileges(work: Work, one: Told, made: Told, path: str) -> None:
    """Give a view the owner and exactly the privileges that it had; default privileges may have given others."""
    if made["owner"] != one["owner"]:
        owner = scalar(work.link, f"SELECT rolname FROM pg_catalog.pg_roles WHERE oid = {one['owner']}")
        if owner is None:
            raise Moved(
                f"the view {one['called']}", "cannot come back: the role that owned it is not there any more"
            )
        work.run(f"ALTER VIEW {path} OWNER TO {ident(owner)}")
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
