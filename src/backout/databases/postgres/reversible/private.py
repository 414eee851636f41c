"""What the engine makes is its owner's alone: nobody else reads, writes or runs it, whatever default privileges say.

What was dropped keeps the privileges that it comes back with; the hidden schema, which nobody else may use, shuts it off.
"""

from __future__ import annotations

from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, SCHEMA, literal

_OURS = f"""
  SELECT 'SCHEMA ' || pg_catalog.quote_ident(nspname) AS what, nspowner AS owner, nspacl AS acl
    FROM pg_catalog.pg_namespace WHERE nspname IN ('{SCHEMA}', '{HIDDEN_SCHEMA}')
  UNION ALL SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::pg_catalog.regclass, c.relowner, c.relacl
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'S') AND (n.nspname = '{SCHEMA}'
      OR n.nspname = '{HIDDEN_SCHEMA}' AND c.relname = {{copy}})
  UNION ALL SELECT 'FUNCTION ' || p.oid::pg_catalog.regprocedure, p.proowner,
      coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = '{SCHEMA}'"""


def shutting(link: Link, *, copy: str | None = None) -> list[str]:
    """Return what has to be run so that what the engine has made is shut off from others; nothing, where it is.

    Args:
        link: The session, as the owner.
        copy: Name of a table of rows that was made in the hidden schema.
    """
    found = objects(
        link,
        "SELECT DISTINCT what, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::text END AS who "
        f"FROM ({_OURS.format(copy=literal(copy))}) o, LATERAL pg_catalog.aclexplode(o.acl) a WHERE a.grantee <> o.owner ORDER BY 1, 2",
    )
    return [f"REVOKE ALL ON {one['what']} FROM {one['who']}" for one in found]


def strangers(link: Link) -> list[tuple[str, str]]:
    """Return those of the engine's schemas that somebody else has made, with their owners.

    Whoever writes the journal says what runs on the way back, as the role that runs it. Others may make a schema of any
    name where they may make one at all; the database's owner and superusers can do as they like anyway.
    """
    found = objects(
        link,
        "SELECT n.nspname AS schema, r.rolname AS owner FROM pg_catalog.pg_namespace n "
        "JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database() "
        f"WHERE n.nspname IN ('{SCHEMA}', '{HIDDEN_SCHEMA}') AND r.oid <> d.datdba AND NOT r.rolsuper "
        "AND r.rolname NOT IN (session_user, current_user) ORDER BY 1",
    )
    return [(str(one["schema"]), str(one["owner"])) for one in found]
