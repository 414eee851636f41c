"""Schemas, tables, views, their columns, and sequences."""

from __future__ import annotations

from backout.databases.postgres.reversible.prints.words import (
    LOOKED,
    RELATIONS,
    acl,
    collation,
    column_comment,
    comment,
    options,
    owner,
    shown,
    shown_schema,
    without_hidden,
)

SCHEMAS = f"""
WITH {LOOKED}
SELECT 'schema ' || quote_ident(n.nspname) AS name,
       concat_ws(' ', {owner("n.nspowner")}, {acl("n.nspacl", "'n'", "n.nspowner")},
                 {comment("pg_namespace", "n.oid")}) AS definition
FROM pg_namespace n JOIN looked USING (oid)"""

_PARENTS = f"""(SELECT string_agg(format('%I.%I', m.nspname, p.relname)
                    || CASE WHEN i.inhdetachpending THEN ' DETACH PENDING' ELSE '' END, ', '
                    ORDER BY m.nspname, p.relname)
    FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace m ON m.oid = p.relnamespace
    WHERE i.inhrelid = r.oid AND {shown("p.relname")} AND {shown_schema("m.nspname")})"""

_KIND = """CASE r.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view'
     WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END"""

TABLES = f"""
WITH {LOOKED}, {RELATIONS}
SELECT {_KIND} || ' ' || r.name AS name, concat_ws(' ',
       CASE r.relpersistence WHEN 'u' THEN 'UNLOGGED' END,
       'PARTITION BY ' || CASE WHEN r.relkind = 'p' THEN pg_get_partkeydef(r.oid) END,
       CASE WHEN r.relispartition THEN 'PARTITION OF' ELSE 'INHERITS' END || ' ' || {_PARENTS},
       pg_get_expr(r.relpartbound, r.oid),
       'OF ' || CASE WHEN r.reloftype <> 0 THEN format_type(r.reloftype, NULL) END,
       'USING ' || quote_ident(nullif(m.amname, 'heap')), 'TABLESPACE ' || quote_ident(s.spcname),
       CASE WHEN r.relrowsecurity THEN 'ROW LEVEL SECURITY' END,
       CASE WHEN r.relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END,
       CASE r.relreplident WHEN 'n' THEN 'REPLICA IDENTITY NOTHING' WHEN 'f' THEN 'REPLICA IDENTITY FULL'
                           WHEN 'i' THEN 'REPLICA IDENTITY USING INDEX' END,
       {options("WITH", "r.reloptions")}, {options("WITH TOAST", "t.reloptions")},
       'SERVER ' || quote_ident(v.srvname), {options("OPTIONS", "f.ftoptions")},
       {owner("r.relowner")}, {acl("r.relacl", "'r'", "r.relowner")}, {comment("pg_class", "r.oid")},
       CASE WHEN r.relkind = 'm' AND NOT r.relispopulated THEN 'WITH NO DATA' END,
       'AS ' || CASE WHEN r.relkind IN ('v', 'm') THEN {without_hidden("pg_get_viewdef(r.oid)")} END
       ) AS definition
FROM rels r LEFT JOIN pg_am m ON m.oid = r.relam LEFT JOIN pg_tablespace s ON s.oid = r.reltablespace
LEFT JOIN pg_class t ON t.oid = r.reltoastrelid LEFT JOIN pg_foreign_table f ON f.ftrelid = r.oid
LEFT JOIN pg_foreign_server v ON v.oid = f.ftserver"""

_STORAGE = (
    """CASE {} WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END"""
)

# PostgreSQL 18 lists NOT NULL as a constraint as well, and may not have validated it.
_NOT_NULL = """CASE WHEN a.attnotnull THEN concat_ws(' ', 'NOT NULL', (
    SELECT nullif(concat_ws(' ', CASE WHEN k.connoinherit THEN 'NO INHERIT' END,
                            CASE WHEN NOT k.convalidated THEN 'NOT VALID' END), '')
    FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum]))
    END"""

_PARAMETERS = """concat_ws(' ', format_type(q.seqtypid, NULL), 'START', q.seqstart, 'INCREMENT', q.seqincrement,
    'MIN', q.seqmin, 'MAX', q.seqmax, 'CACHE', q.seqcache, CASE WHEN q.seqcycle THEN 'CYCLE' END)"""

_IDENTITY = f"""CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END || ' AS IDENTITY ('
    || (SELECT {_PARAMETERS} FROM pg_depend o JOIN pg_sequence q ON q.seqrelid = o.objid
        WHERE o.classid = 'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass
          AND o.refobjid = a.attrelid AND o.refobjsubid = a.attnum AND o.deptype = 'i') || ')'"""

# `attstattarget` of no special value is -1 in PostgreSQL 15 and 16, NULL since.
COLUMNS = f"""
WITH {LOOKED}, {RELATIONS}
SELECT format('column %s.%I', r.name, a.attname) AS name, concat_ws(' ',
       format_type(a.atttypid, a.atttypmod),
       CASE WHEN a.attcollation <> t.typcollation THEN {collation("a.attcollation")} END,
       {_NOT_NULL},
       CASE WHEN a.attgenerated = '' THEN 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
            ELSE format('GENERATED ALWAYS AS (%s) %s', pg_get_expr(d.adbin, d.adrelid),
                        CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END) END,
       'GENERATED ' || {_IDENTITY},
       'STORAGE ' || CASE WHEN a.attstorage <> t.typstorage THEN {_STORAGE.format("a.attstorage")} END,
       'COMPRESSION ' || CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
       'STATISTICS ' || nullif(a.attstattarget, -1),
       {options("WITH", "a.attoptions")}, {options("OPTIONS", "a.attfdwoptions")},
       {acl("a.attacl", "'c'", "r.relowner")}, {column_comment("a.attrelid", "a.attnum")},
       {{position}}) AS definition
FROM rels r
JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND {shown("a.attname")}
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"""
"""To be filled with `POSITION` or NULL."""

POSITION = "'POSITION ' || row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum)"
"""Counts visible columns only: what INSERT without a list of columns, and `SELECT *`, go by."""

_OWNED_BY = """(SELECT format('%I.%I.%I', m.nspname, r.relname, a.attname)
    FROM pg_depend o JOIN pg_class r ON r.oid = o.refobjid JOIN pg_namespace m ON m.oid = r.relnamespace
    JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = o.refobjsubid
    WHERE o.classid = 'pg_class'::regclass AND o.objid = c.oid AND o.refclassid = 'pg_class'::regclass
      AND o.deptype IN ('a', 'i'))"""

SEQUENCES = f"""
WITH {LOOKED}
SELECT format('sequence %I.%I', n.nspname, c.relname) AS name, concat_ws(' ',
       CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' END, {_PARAMETERS}, 'OWNED BY ' || {_OWNED_BY},
       {owner("c.relowner")}, {acl("c.relacl", "'s'", "c.relowner")}, {comment("pg_class", "c.oid")}
       ) AS definition
FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN looked n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't' AND {shown("c.relname")}"""
