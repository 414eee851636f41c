"""Functions on their way: hidden, shown, and looked at one by one, as the way back does not read all that there are."""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.catalog import FUNCTION_BODY, own_settings
from backout.databases.postgres.reversible.link import Link, objects, scalar
from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, hidden, ident, literal
from backout.databases.postgres.reversible.work import Moved, Work


def body_of(work: Work, oid: int, called: str) -> str:
    """Return what the catalog tells of a function's body and properties, in short.

    Raises:
        Moved: It is not there.
    """
    return str(_one(work, oid, called)["body"])


def text_of(work: Work, oid: int, called: str) -> str:
    """Return the statement that makes a function, as PostgreSQL prints it.

    Raises:
        Moved: It is not there.
    """
    found = scalar(
        work.link,
        f"SELECT pg_catalog.pg_get_functiondef(oid) FROM pg_catalog.pg_proc WHERE oid = {oid}",
    )
    if found is None:
        raise Moved(called, "is not there")
    return found


def path_of(work: Work, oid: int, called: str) -> str:
    """Return the quoted name of a function with its schema and arguments, as ALTER and DROP ROUTINE take it.

    Raises:
        Moved: It is not there.
    """
    one = _one(work, oid, called)
    return f"{ident(one['schema'], one['name'])}({one['arguments']})"


def hide_function(work: Work, oid: int, change: int, called: str) -> None:
    """Move a function to the hidden schema, under a hidden name."""
    work.run(f"ALTER ROUTINE {path_of(work, oid, called)} RENAME TO {ident(hidden(change))}")
    work.run(f"ALTER ROUTINE {path_of(work, oid, called)} SET SCHEMA {ident(HIDDEN_SCHEMA)}")


def show_function(work: Work, operation: dict[str, Any]) -> None:
    """Move a function back to its schema and name."""
    oid, called = operation["oid"], operation["called"]
    schema = ident(work.schema_name(operation["schema"]))
    work.run(f"ALTER ROUTINE {path_of(work, oid, called)} SET SCHEMA {schema}")
    work.run(f"ALTER ROUTINE {path_of(work, oid, called)} RENAME TO {ident(operation['name'])}")


def needed_by(link: Link, oid: int) -> str | None:
    """Return what would keep a function from being dropped, for people."""
    with own_settings(link):
        return scalar(
            link,
            "SELECT string_agg(DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid), ', ') FROM pg_catalog.pg_depend d "
            f"WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid = {oid} AND d.deptype = 'n'",
        )


def held_by(work: Work, oid: int) -> dict[str, Any]:
    """Return the owner, the privileges and the comment of a function, and by what it is found."""
    (found,) = objects(
        work.link,
        "SELECT pg_catalog.pg_get_userbyid(p.proowner) AS owner, pg_catalog.obj_description(p.oid, 'pg_proc') AS comment, "
        "(SELECT json_agg(json_build_array(CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(e.grantee)) END, e.is_grantable)) "
        "FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) e) AS grants, p.proacl IS NULL AS plain, "
        "p.proname AS name, p.pronamespace::int8 AS schema, p.proargtypes::text AS types "
        f"FROM pg_catalog.pg_proc p WHERE p.oid = {oid}",
    )
    return found


def found_as(work: Work, kept: dict[str, Any]) -> int:
    """Return the oid of the function that has the name, schema and arguments which `held_by` tells."""
    where = f"proname = {literal(kept['name'])} AND pronamespace = {kept['schema']} AND proargtypes::text = {literal(kept['types'])}"
    return int(scalar(work.link, f"SELECT oid::int8 FROM pg_catalog.pg_proc WHERE {where}") or 0)


def give_back(work: Work, oid: int, kept: dict[str, Any], called: str) -> None:
    """Give a function that was made anew what `held_by` tells, and nobody else anything."""
    path = path_of(work, oid, called)
    work.run(f"ALTER ROUTINE {path} OWNER TO {ident(kept['owner'])}")
    now = held_by(work, oid)
    if (now["plain"], now["grants"]) != (kept["plain"], kept["grants"]):
        for who, _further in now["grants"] or ():
            work.run(f"REVOKE ALL ON ROUTINE {path} FROM {who}")
        for who, further in kept["grants"] or ():
            work.run(f"GRANT EXECUTE ON ROUTINE {path} TO {who}{' WITH GRANT OPTION' if further else ''}")
    if kept["comment"] is not None:
        work.run(f"COMMENT ON ROUTINE {path} IS {literal(kept['comment'])}")


def standing(work: Work, oid: int, called: str) -> tuple[str, int]:
    """Return a function's name, and the oid of its schema.

    Raises:
        Moved: It is not there.
    """
    one = _one(work, oid, called)
    return str(one["name"]), int(one["schema_oid"])


def _one(work: Work, oid: int, called: str) -> dict[str, Any]:
    found = objects(
        work.link,
        "SELECT n.nspname AS schema, n.oid::int8 AS schema_oid, p.proname AS name, pg_catalog.pg_get_function_identity_arguments(p.oid) AS arguments, "
        f"{FUNCTION_BODY} AS body FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace "
        f"WHERE p.oid = {oid}",
    )
    if not found:
        raise Moved(called, "is not there")
    return found[0]
