"""What several queries of the fingerprint say in the same way: what is looked at, owners, privileges, comments."""

from __future__ import annotations

from backout.databases.postgres.reversible.names import PREFIX, SCHEMA, literal


def shown(name: str) -> str:
    """Return the condition that a thing of this name is not hidden."""
    return f"NOT starts_with({name}, {literal(PREFIX)})"


def shown_schema(name: str) -> str:
    """Return the condition that a schema of this name is a user's."""
    return (
        f"({name} !~ '^pg_' AND {name} <> 'information_schema' AND {name} <> {literal(SCHEMA)}"
        f" AND NOT starts_with({name}, {literal(SCHEMA + '_')}) AND {shown(name)})"
    )


LOOKED = f"looked AS (SELECT oid, nspname FROM pg_namespace WHERE {shown_schema('nspname')})"
"""Common table expression: the user's schemas."""

RELATIONS = f"""rels AS (
    SELECT c.*, format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_class c JOIN looked n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND {shown("c.relname")})"""
"""Common table expression: tables of all kinds and views, those of extensions too: users hang things on them."""


def member(catalog: str, oid: str) -> str:
    """Return the condition that a thing belongs to an extension, whose own line then stands for it."""
    return (
        f"EXISTS (SELECT FROM pg_depend WHERE classid = '{catalog}'::regclass AND objid = {oid}"
        " AND deptype = 'e')"
    )


def owner(role: str) -> str:
    """Return text that names the owner."""
    return f"'OWNER ' || quote_ident(pg_get_userbyid({role}))"


def acl_items(acl: str) -> str:
    """Return privileges as text, in an order that does not depend on the order of the grants."""
    return f"""(SELECT string_agg(item::text, ' ' ORDER BY item::text COLLATE "C") FROM unnest({acl}) item)"""


def acl_differs(acl: str, kind: str, role: str) -> str:
    """Return the condition that privileges are not those that a new thing of this owner has.

    Args:
        acl: The column of the catalog.
        kind: Letter that `acldefault` knows the kind of thing by, as an SQL literal or expression.
        role: OID of the owner.
    """
    return f"({acl} IS NOT NULL AND {acl_items(acl)} IS DISTINCT FROM {acl_items(f'acldefault({kind}, {role})')})"


def acl(acl: str, kind: str, role: str) -> str:
    """Return text that tells privileges, NULL where they are the default ones: written down or not."""
    return f"CASE WHEN {acl_differs(acl, kind, role)} THEN 'ACL ' || coalesce({acl_items(acl)}, 'nobody') END"


def comment(catalog: str, oid: str) -> str:
    """Return text that tells the comment, NULL where there is none."""
    return f"'COMMENT ' || quote_literal(obj_description({oid}, '{catalog}'))"


def column_comment(relation: str, number: str) -> str:
    """Return text that tells the comment of a column, NULL where there is none."""
    return f"'COMMENT ' || quote_literal(col_description({relation}, {number}))"


def options(name: str, values: str) -> str:
    """Return text that tells a list of ``key=value``, sorted; NULL where there is none."""
    return f"""{literal(name + " (")} || nullif((SELECT string_agg(o, ', ' ORDER BY o COLLATE "C")
        FROM unnest({values}) o), '') || ')'"""


def collation(oid: str) -> str:
    """Return text that tells a collation if it is not the default one of a type."""
    return f"'COLLATE ' || nullif({oid}, 0)::regcollation"


def switch(enabled: str) -> str:
    """Return text that tells when a trigger or rule fires, NULL where it is the usual."""
    return f"CASE {enabled} WHEN 'O' THEN NULL WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ON REPLICA' ELSE 'ALWAYS' END"


def without_hidden(text: str) -> str:
    """Return a definition without the hidden columns that PostgreSQL itself put into it.

    Hazard: `FROM t AS x(a, b)` in a view, rule or function body names all of a table's columns, and gets those
    that were added since as well.
    """
    return rf"""regexp_replace({text}, ', "?{PREFIX}\w+"?', '', 'g')"""
