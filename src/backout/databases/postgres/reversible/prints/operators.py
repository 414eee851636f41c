"""What extends SQL: casts, operators, operator classes and families, collations, text search."""

from __future__ import annotations

from backout.databases.postgres.reversible.prints.words import (
    LOOKED,
    comment,
    member,
    owner,
    shown,
    shown_schema,
)

# Source: PostgreSQL 15 source, access/transam.h: lower numbers are the system's own things.
_FIRST_OF_USERS = 16384


def _type_shown(oid: str) -> str:
    return f"""EXISTS (SELECT FROM pg_type y JOIN pg_namespace z ON z.oid = y.typnamespace WHERE y.oid = {oid}
        AND (z.nspname ~ '^pg_' OR {shown_schema("z.nspname")}) AND {shown("y.typname")})"""


CASTS = f"""
SELECT format('cast (%s AS %s)', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)) AS name,
       concat_ws(' ', CASE c.castmethod WHEN 'f' THEN 'WITH FUNCTION ' || c.castfunc::regprocedure
                                        WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END,
                 CASE c.castcontext WHEN 'a' THEN 'AS ASSIGNMENT' WHEN 'i' THEN 'AS IMPLICIT' END,
                 {comment("pg_cast", "c.oid")}) AS definition
FROM pg_cast c
WHERE c.oid >= {_FIRST_OF_USERS} AND NOT {member("pg_cast", "c.oid")}
  AND {_type_shown("c.castsource")} AND {_type_shown("c.casttarget")}
  AND NOT EXISTS (SELECT FROM pg_range g WHERE g.rngtypid = c.castsource AND g.rngmultitypid = c.casttarget)"""

OPERATORS = f"""
WITH {LOOKED}
SELECT format('operator %I.%s (%s, %s)', n.nspname, o.oprname,
              CASE WHEN o.oprleft = 0 THEN 'none' ELSE format_type(o.oprleft, NULL) END,
              CASE WHEN o.oprright = 0 THEN 'none' ELSE format_type(o.oprright, NULL) END) AS name,
       concat_ws(' ', 'FUNCTION ' || nullif(o.oprcode, 0)::regprocedure,
                 'COMMUTATOR ' || nullif(o.oprcom, 0)::regoperator,
                 'NEGATOR ' || nullif(o.oprnegate, 0)::regoperator,
                 'RESTRICT ' || nullif(o.oprrest, 0), 'JOIN ' || nullif(o.oprjoin, 0),
                 CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END,
                 {owner("o.oprowner")}, {comment("pg_operator", "o.oid")}) AS definition
FROM pg_operator o JOIN looked n ON n.oid = o.oprnamespace
WHERE NOT {member("pg_operator", "o.oid")}"""

OPERATOR_CLASSES = f"""
WITH {LOOKED}
SELECT format('operator class %I.%I USING %I', n.nspname, o.opcname, m.amname) AS name,
       concat_ws(' ', CASE WHEN o.opcdefault THEN 'DEFAULT' END, 'FOR TYPE', format_type(o.opcintype, NULL),
                 format('FAMILY %I.%I', g.nspname, f.opfname),
                 'STORAGE ' || CASE WHEN o.opckeytype <> 0 THEN format_type(o.opckeytype, NULL) END,
                 {owner("o.opcowner")}, {comment("pg_opclass", "o.oid")}) AS definition
FROM pg_opclass o JOIN looked n ON n.oid = o.opcnamespace JOIN pg_am m ON m.oid = o.opcmethod
JOIN pg_opfamily f ON f.oid = o.opcfamily JOIN pg_namespace g ON g.oid = f.opfnamespace
WHERE {shown("o.opcname")} AND NOT {member("pg_opclass", "o.oid")}"""

_FAMILY_OPERATORS = """(SELECT string_agg(concat_ws(' ', 'OPERATOR', a.amopstrategy, a.amopopr::regoperator,
        'ORDER BY ' || nullif(a.amopsortfamily, 0)), ', '
        ORDER BY a.amopstrategy, format_type(a.amoplefttype, NULL), format_type(a.amoprighttype, NULL))
    FROM pg_amop a WHERE a.amopfamily = f.oid)"""

_FAMILY_FUNCTIONS = """(SELECT string_agg(format('FUNCTION %s (%s, %s) %s', a.amprocnum,
        format_type(a.amproclefttype, NULL), format_type(a.amprocrighttype, NULL), a.amproc::regprocedure), ', '
        ORDER BY a.amprocnum, format_type(a.amproclefttype, NULL), format_type(a.amprocrighttype, NULL))
    FROM pg_amproc a WHERE a.amprocfamily = f.oid)"""

OPERATOR_FAMILIES = f"""
WITH {LOOKED}
SELECT format('operator family %I.%I USING %I', n.nspname, f.opfname, m.amname) AS name,
       concat_ws(' ', {_FAMILY_OPERATORS}, {_FAMILY_FUNCTIONS}, {owner("f.opfowner")},
                 {comment("pg_opfamily", "f.oid")}) AS definition
FROM pg_opfamily f JOIN looked n ON n.oid = f.opfnamespace JOIN pg_am m ON m.oid = f.opfmethod
WHERE {shown("f.opfname")} AND NOT {member("pg_opfamily", "f.oid")}"""

# The columns for the locale are called differently in PostgreSQL 15 and 18.
COLLATIONS = f"""
WITH {LOOKED}
SELECT format('collation %I.%I', n.nspname, c.collname) AS name,
       concat_ws(' ', jsonb_strip_nulls(to_jsonb(c) - '{{oid,collname,collnamespace,collowner}}'::text[]),
                 {owner("c.collowner")}, {comment("pg_collation", "c.oid")}) AS definition
FROM pg_collation c JOIN looked n ON n.oid = c.collnamespace
WHERE {shown("c.collname")} AND NOT {member("pg_collation", "c.oid")}"""

_MAPPINGS = """(SELECT string_agg(format('FOR %s WITH %s', k.alias, k.dictionaries), ' ' ORDER BY k.alias) FROM (
    SELECT (SELECT alias FROM ts_token_type(c.cfgparser) WHERE tokid = m.maptokentype) AS alias,
           string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno) AS dictionaries
    FROM pg_ts_config_map m WHERE m.mapcfg = c.oid GROUP BY m.maptokentype) k)"""

TEXT_SEARCH = f"""
WITH {LOOKED}
SELECT format('text search configuration %I.%I', n.nspname, c.cfgname) AS name,
       concat_ws(' ', format('PARSER %I.%I', m.nspname, p.prsname), {_MAPPINGS}, {owner("c.cfgowner")},
                 {comment("pg_ts_config", "c.oid")}) AS definition
FROM pg_ts_config c JOIN looked n ON n.oid = c.cfgnamespace
JOIN pg_ts_parser p ON p.oid = c.cfgparser JOIN pg_namespace m ON m.oid = p.prsnamespace
WHERE {shown("c.cfgname")} AND NOT {member("pg_ts_config", "c.oid")}
UNION ALL
SELECT format('text search dictionary %I.%I', n.nspname, d.dictname),
       concat_ws(' ', format('TEMPLATE %I.%I', m.nspname, t.tmplname), d.dictinitoption, {owner("d.dictowner")},
                 {comment("pg_ts_dict", "d.oid")})
FROM pg_ts_dict d JOIN looked n ON n.oid = d.dictnamespace
JOIN pg_ts_template t ON t.oid = d.dicttemplate JOIN pg_namespace m ON m.oid = t.tmplnamespace
WHERE {shown("d.dictname")} AND NOT {member("pg_ts_dict", "d.oid")}
UNION ALL
SELECT format('text search parser %I.%I', n.nspname, p.prsname),
       concat_ws(' ', p.prsstart, p.prstoken, p.prsend, p.prsheadline, p.prslextype,
                 {comment("pg_ts_parser", "p.oid")})
FROM pg_ts_parser p JOIN looked n ON n.oid = p.prsnamespace
WHERE {shown("p.prsname")} AND NOT {member("pg_ts_parser", "p.oid")}
UNION ALL
SELECT format('text search template %I.%I', n.nspname, t.tmplname),
       concat_ws(' ', t.tmplinit, t.tmpllexize, {comment("pg_ts_template", "t.oid")})
FROM pg_ts_template t JOIN looked n ON n.oid = t.tmplnamespace
WHERE {shown("t.tmplname")} AND NOT {member("pg_ts_template", "t.oid")}"""
