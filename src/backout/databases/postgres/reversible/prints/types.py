"""Types and functions."""

from __future__ import annotations

from backout.databases.postgres.reversible.prints.words import (
    LOOKED,
    acl,
    acl_differs,
    collation,
    comment,
    member,
    owner,
    shown,
    without_hidden,
)

_ENUM = """(SELECT '(' || string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) || ')'
    FROM pg_enum e WHERE e.enumtypid = t.oid)"""

_DOMAIN = f"""concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
    CASE WHEN t.typcollation <> b.typcollation THEN {collation("t.typcollation")} END,
    CASE WHEN t.typnotnull THEN 'NOT NULL' END, 'DEFAULT ' || t.typdefault,
    (SELECT string_agg(concat_ws(' ', 'CONSTRAINT', quote_ident(k.conname), pg_get_constraintdef(k.oid),
                                 {comment("pg_constraint", "k.oid")}), ' ' ORDER BY k.conname)
     FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype <> 'n' AND {shown("k.conname")}))"""

_COMPOSITE = f"""(SELECT '(' || string_agg(concat_ws(' ', quote_ident(a.attname),
        format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attcollation <> s.typcollation THEN {collation("a.attcollation")} END,
        'COMMENT ' || quote_literal(col_description(a.attrelid, a.attnum))), ', ' ORDER BY a.attnum) || ')'
    FROM pg_attribute a JOIN pg_type s ON s.oid = a.atttypid
    WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped AND {shown("a.attname")})"""

_RANGE = f"""(SELECT concat_ws(' ', format_type(g.rngsubtype, NULL), o.opcname, {collation("g.rngcollation")},
        'CANONICAL ' || nullif(g.rngcanonical, 0), 'DIFF ' || nullif(g.rngsubdiff, 0),
        'MULTIRANGE ' || format_type(g.rngmultitypid, NULL))
    FROM pg_range g JOIN pg_opclass o ON o.oid = g.rngsubopc WHERE g.rngtypid = t.oid)"""

_BASE = """concat_ws(' ', t.typinput, t.typoutput, t.typreceive, t.typsend, 'LENGTH', t.typlen,
    'ALIGNMENT', t.typalign, 'STORAGE', t.typstorage, 'CATEGORY', t.typcategory, 'DEFAULT ' || t.typdefault)"""

# Arrays and multiranges come and go with the type that they are of.
TYPES = f"""
WITH {LOOKED}
SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'type' END
         || format(' %I.%I', n.nspname, t.typname) AS name,
       concat_ws(' ',
         CASE t.typtype WHEN 'e' THEN {_ENUM} WHEN 'd' THEN {_DOMAIN} WHEN 'r' THEN {_RANGE}
                        WHEN 'c' THEN {_COMPOSITE} WHEN 'b' THEN {_BASE} ELSE 'SHELL' END,
         {owner("t.typowner")}, {acl("t.typacl", "'T'", "t.typowner")}, {comment("pg_type", "t.oid")}
       ) AS definition
FROM pg_type t JOIN looked n ON n.oid = t.typnamespace
LEFT JOIN pg_class c ON c.oid = t.typrelid LEFT JOIN pg_type b ON b.oid = t.typbasetype
WHERE (t.typtype IN ('e', 'd', 'r', 'p') OR c.relkind = 'c'
       OR t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid))
  AND {shown("t.typname")}
  AND (NOT {member("pg_type", "t.oid")} OR {acl_differs("t.typacl", "'T'", "t.typowner")})"""

_AGGREGATE = """concat_ws(' ', format_type(p.prorettype, NULL), 'PARALLEL', p.proparallel, 'KIND', a.aggkind,
    a.aggnumdirectargs, 'SFUNC', a.aggtransfn, 'STYPE', format_type(a.aggtranstype, NULL), a.aggtransspace,
    'FINAL ' || nullif(a.aggfinalfn, 0), a.aggfinalextra, a.aggfinalmodify,
    'COMBINE ' || nullif(a.aggcombinefn, 0),
    'SERIAL ' || nullif(a.aggserialfn, 0), 'DESERIAL ' || nullif(a.aggdeserialfn, 0),
    'INIT ' || quote_literal(a.agginitval), 'SORT ' || nullif(a.aggsortop, 0)::regoperator,
    'MSFUNC ' || nullif(a.aggmtransfn, 0), 'MINV ' || nullif(a.aggminvtransfn, 0),
    'MFINAL ' || nullif(a.aggmfinalfn, 0), a.aggmfinalextra, a.aggmfinalmodify,
    'MSTYPE ' || CASE WHEN a.aggmtranstype <> 0 THEN format_type(a.aggmtranstype, NULL) END, a.aggmtransspace,
    'MINIT ' || quote_literal(a.aggminitval))"""

FUNCTIONS = f"""
WITH {LOOKED}
SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END
         || format(' %I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)) AS name,
       concat_ws(' ',
         CASE WHEN p.prokind = 'a' THEN {_AGGREGATE}
              ELSE 'sha256:' || encode(sha256(convert_to({without_hidden("pg_get_functiondef(p.oid)")}, 'UTF8')),
                                       'hex') END,
         {owner("p.proowner")}, {acl("p.proacl", "'f'", "p.proowner")}, {comment("pg_proc", "p.oid")}
       ) AS definition
FROM pg_proc p JOIN looked n ON n.oid = p.pronamespace LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
WHERE {shown("p.proname")}
  AND (NOT {member("pg_proc", "p.oid")} OR {acl_differs("p.proacl", "'f'", "p.proowner")})"""
