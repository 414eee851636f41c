"""Which rows must not be deleted since others refer to them: whatever action the foreign key has, nothing may cascade."""

from __future__ import annotations

from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.rows.targets import Target


def block(link: Link, target: Target, pending: list[int]) -> list[int]:
    """Mark the rows of a table that others refer to; return the pending ones that are free to be deleted.

    A row of the same table that is deleted with it does not count.
    """
    if not pending:
        return []
    now = target.part("now")
    keys = _foreign_keys(link, target.oid)
    if not keys:
        return pending
    ours = ",".join(map(str, pending))
    link.rows(f"UPDATE {now} SET blocked = false WHERE n = ANY ('{{{ours}}}')")
    refers = " OR ".join(_refers(target, key) for key in keys)
    while True:
        more = link.rows(
            f"WITH w AS (UPDATE {now} r SET blocked = true FROM {target.rows_of} t WHERE r.n = ANY ('{{{ours}}}') AND NOT r.blocked "
            f"AND {_same(target)} AND ({refers}) RETURNING 1) SELECT count(*)::text AS n FROM w"
        )[0]["n"]
        if more == "0":
            break
    found = objects(link, f"SELECT n FROM {now} WHERE n = ANY ('{{{ours}}}') AND NOT blocked ORDER BY n")
    return [int(one["n"]) for one in found]


def referring(link: Link, tables: list[int]) -> list[int]:
    """Return oids of the tables whose foreign keys point to these."""
    numbers = ", ".join(map(str, tables)) or "NULL"
    found = objects(
        link,
        f"SELECT DISTINCT conrelid::int8 AS oid FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid IN ({numbers})",
    )
    return [int(one["oid"]) for one in found]


def refers_to(link: Link, table: int) -> str:
    """Return the condition of rows `t` of a table that other rows refer to; `false` where no foreign key does."""
    found = []
    for key in _foreign_keys(link, table):
        itself = " AND c.ctid <> t.ctid" if key["oid"] == table else ""
        found.append(f"EXISTS (SELECT FROM {_only(key)}{key['path']} c WHERE {_pairs(key)}{itself})")
    return " OR ".join(found) or "false"


def _foreign_keys(link: Link, table: int) -> list[dict[str, object]]:
    return objects(
        link,
        f"""SELECT format('%I.%I', n.nspname, c.relname) AS path, c.oid::int8 AS oid, c.relkind = 'p' AS partitioned,
          ARRAY(SELECT json_build_object('here', pa.attname, 'there', fa.attname, 'op', format('OPERATOR(%I.%s)', pn.nspname, o.oprname))
            FROM unnest(k.conkey, k.confkey, k.conpfeqop) AS u(f, p, op)
            JOIN pg_catalog.pg_attribute pa ON pa.attrelid = k.confrelid AND pa.attnum = u.p
            JOIN pg_catalog.pg_attribute fa ON fa.attrelid = k.conrelid AND fa.attnum = u.f
            JOIN pg_catalog.pg_operator o ON o.oid = u.op JOIN pg_catalog.pg_namespace pn ON pn.oid = o.oprnamespace) AS pairs
        FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE k.contype = 'f' AND k.confrelid = {table} AND k.conparentid = 0""",
    )


def _refers(target: Target, key: dict[str, object]) -> str:
    besides = ""
    if key["oid"] == target.oid:
        also = target.same_key("c", "x.nkey") if target.key else "c.ctid = x.at"
        besides = f" AND NOT EXISTS (SELECT FROM {target.part('now')} x WHERE x.act = 'delete' AND NOT x.blocked AND {also})"
    return f"EXISTS (SELECT FROM {_only(key)}{key['path']} c WHERE {_pairs(key)}{besides})"


def _only(key: dict[str, object]) -> str:
    return "" if key["partitioned"] else "ONLY "


def _pairs(key: dict[str, object]) -> str:
    pairs = key["pairs"]
    assert isinstance(pairs, list)
    return " AND ".join(f"t.{ident(p['here'])} {p['op']} c.{ident(p['there'])}" for p in pairs)


def _same(target: Target) -> str:
    return target.same_key("t", "r.nkey") if target.key else "t.ctid = r.at"
