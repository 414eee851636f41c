"""The queries behind `catalog.py`: what stands in PostgreSQL's catalogs of a user's schemas.

Source: PostgreSQL 15 and 18 documentation, chapter "System Catalogs".
"""

from __future__ import annotations

from backout.databases.postgres.reversible.prints.words import LOOKED

_MEMBER = """EXISTS (SELECT FROM pg_depend d WHERE d.classid = {0}::regclass AND d.objid = {1} AND d.deptype = 'e')"""


def _grants(acl: str, kind: str, owner: str) -> str:
    return f"""(SELECT json_agg(json_build_array(pg_get_userbyid(g.grantor), CASE WHEN g.grantee = 0 THEN '' ELSE pg_get_userbyid(g.grantee) END,
        g.privilege_type, g.is_grantable)) FROM aclexplode(coalesce({acl}, acldefault({kind}, {owner}))) g)"""


def _part(catalog: str, name: str, schema: str, table: str = "0", owner: str = "", acl: str = "", letter: str = "", *,
          where: str = "true") -> str:  # fmt: skip
    """Return a query for things of one catalog, seen as `x`; those of extensions are left out."""
    looked = f"{schema} IN (SELECT oid FROM looked)" if schema != "0" else "true"
    of_table = f"{table} IN (SELECT oid FROM rels)" if table != "0" and schema == "0" else "true"
    return f"""SELECT '{catalog}'::regclass::oid::int8 AS class, x.oid::int8 AS oid, {name}::text AS name, {schema}::int8 AS schema,
       {table}::int8 AS table, {f"pg_get_userbyid({owner})::text" if owner else "NULL"} AS owner,
       {_grants(acl, letter, owner) if acl else "NULL"} AS grants
       FROM {catalog} x WHERE {looked} AND {of_table} AND {where} AND NOT {_MEMBER.format(f"'{catalog}'", "x.oid")}"""


_PARTS = (
    _part("pg_namespace", "x.nspname", "0", owner="x.nspowner", acl="x.nspacl", letter="'n'", where="x.oid IN (SELECT oid FROM looked)"),
    _part("pg_class", "x.relname", "x.relnamespace", owner="x.relowner", acl="x.relacl", letter="""(CASE x.relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char" """,
          where="x.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND x.relpersistence <> 't'"),
    _part("pg_class", "x.relname", "x.relnamespace", "(SELECT indrelid FROM pg_index WHERE indexrelid = x.oid)",
          where="x.relkind IN ('i', 'I') AND x.relpersistence <> 't' AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.oid AND k.contype IN ('p', 'u', 'x'))"),
    _part("pg_type", "x.typname", "x.typnamespace", owner="x.typowner", acl="x.typacl", letter="'T'",
          where="(x.typtype IN ('e', 'd', 'r') OR EXISTS (SELECT FROM pg_class c WHERE c.oid = x.typrelid AND c.relkind = 'c') OR x.typtype = 'b' AND x.typelem = 0)"),
    _part("pg_proc", "x.proname", "x.pronamespace", owner="x.proowner", acl="x.proacl", letter="'f'"),
    _part("pg_constraint", "x.conname", "0", "x.conrelid", where="x.contype IN ('c', 'f', 'p', 'u', 'x') AND x.conrelid <> 0"),
    _part("pg_trigger", "x.tgname", "0", "x.tgrelid", where="NOT x.tgisinternal"),
    _part("pg_policy", "x.polname", "0", "x.polrelid"),
    _part("pg_rewrite", "x.rulename", "0", "x.ev_class", where="x.rulename <> '_RETURN'"),
    _part("pg_statistic_ext", "x.stxname", "x.stxnamespace", "x.stxrelid", owner="x.stxowner"),
    _part("pg_collation", "x.collname", "x.collnamespace", owner="x.collowner"),
    _part("pg_ts_config", "x.cfgname", "x.cfgnamespace", owner="x.cfgowner"),
    _part("pg_ts_dict", "x.dictname", "x.dictnamespace", owner="x.dictowner"),
    _part("pg_ts_parser", "x.prsname", "x.prsnamespace"),
    _part("pg_ts_template", "x.tmplname", "x.tmplnamespace"),
    _part("pg_conversion", "x.conname", "x.connamespace", owner="x.conowner"),
    _part("pg_operator", "x.oprname", "x.oprnamespace", owner="x.oprowner"),
    _part("pg_opclass", "x.opcname", "x.opcnamespace", owner="x.opcowner"),
    _part("pg_opfamily", "x.opfname", "x.opfnamespace", owner="x.opfowner"),
    _part("pg_cast", "''", "0", where="x.oid >= 16384"),
    _part("pg_extension", "x.extname", "0", where="x.oid >= 16384"),
    _part("pg_publication", "x.pubname", "0", owner="x.pubowner"),
    _part("pg_publication_rel", "''", "0", "x.prrelid"),
    _part("pg_event_trigger", "x.evtname", "0", owner="x.evtowner"),
    _part("pg_foreign_data_wrapper", "x.fdwname", "0", owner="x.fdwowner", acl="x.fdwacl", letter="'F'"),
    _part("pg_foreign_server", "x.srvname", "0", owner="x.srvowner", acl="x.srvacl", letter="'S'"),
)  # fmt: skip

_RELS = "rels AS (SELECT c.* FROM pg_class c JOIN looked l ON l.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't')"
_WITH = f"WITH {LOOKED}, {_RELS}"

THINGS = f"""{_WITH}
SELECT q.*, i.type AS kind, i.identity FROM ({" UNION ALL ".join(_PARTS)}) q, pg_identify_object(q.class::oid, q.oid::oid, 0) i"""

SCHEMAS = f"WITH {LOOKED} SELECT oid::int8, nspname::text AS name FROM looked"

TABLES = f"""{_WITH}
SELECT c.oid::int8, c.relkind AS relkind, c.relpersistence = 'u' AS unlogged, c.reloptions AS options, t.reloptions AS toast_options,
       c.relrowsecurity AS row_security, c.relforcerowsecurity AS force_row_security, c.relreplident AS replica_identity,
       m.amname AS method, s.spcname AS tablespace, c.relispopulated AS populated, c.relispartition AS is_partition,
       (SELECT json_agg(i.inhparent::int8 ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid) AS parents,
       pg_get_expr(c.relpartbound, c.oid) AS bound, CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partitioned_by,
       CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END AS of_type, f.ftoptions AS foreign_options, v.srvname AS server
FROM rels c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid LEFT JOIN pg_am m ON m.oid = c.relam LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
LEFT JOIN pg_foreign_table f ON f.ftrelid = c.oid LEFT JOIN pg_foreign_server v ON v.oid = f.ftserver"""

COLUMNS = f"""{_WITH}
SELECT a.attrelid::int8 AS table, a.attnum::int AS number, a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type,
       a.atttypid::int8 AS type_oid, a.atttypmod AS modifier, t.typcategory AS category, t.typtype AS type_kind, a.attnotnull AS not_null,
       pg_get_expr(d.adbin, d.adrelid) AS default, a.attidentity AS identity, a.attgenerated AS generated,
       CASE WHEN a.attcollation <> t.typcollation THEN nullif(a.attcollation, 0)::regcollation::text END AS collation,
       a.attstorage AS storage, a.attcompression AS compression,
       nullif(a.attstattarget, -1) AS target, a.attoptions AS options, a.attfdwoptions AS foreign_options, a.attislocal AS local, a.attinhcount AS inherited,
       (SELECT json_build_object('type', format_type(q.seqtypid, NULL), 'start', q.seqstart, 'increment', q.seqincrement, 'minimum', q.seqmin,
           'maximum', q.seqmax, 'cache', q.seqcache, 'cycle', q.seqcycle, 'name', format('%I.%I', n.nspname, r.relname))
          FROM pg_depend o JOIN pg_sequence q ON q.seqrelid = o.objid JOIN pg_class r ON r.oid = q.seqrelid JOIN pg_namespace n ON n.oid = r.relnamespace
         WHERE o.classid = 'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass AND o.refobjid = a.attrelid AND o.refobjsubid = a.attnum
           AND o.deptype = 'i') AS numbers,
       coalesce({_grants("a.attacl", "'c'", "c.relowner")}, '[]') AS grants
FROM rels c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"""

SEQUENCES = f"""WITH {LOOKED}
SELECT c.oid::int8, c.relpersistence = 'u' AS unlogged, format_type(s.seqtypid, NULL) AS type, s.seqstart AS start, s.seqincrement AS increment,
       s.seqmin AS minimum, s.seqmax AS maximum, s.seqcache AS cache, s.seqcycle AS cycle,
       (SELECT json_build_array(d.refobjid::int8, d.refobjsubid, d.deptype) FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
          AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')) AS owned_by
FROM pg_class c JOIN looked l ON l.oid = c.relnamespace JOIN pg_sequence s ON s.seqrelid = c.oid"""

CONSTRAINTS = f"""{_WITH}
SELECT k.oid::int8, k.contype AS letter, pg_get_constraintdef(k.oid) AS definition, k.conparentid::int8 AS parent, k.conislocal AS local,
       k.coninhcount AS inherited, coalesce(x.indisclustered, false) AS clustered, coalesce(x.indisreplident, false) AS replica_identity,
       k.confrelid::int8 AS to_table, k.conkey AS key, i.relname::text AS index
FROM pg_constraint k LEFT JOIN pg_index x ON x.indexrelid = k.conindid AND k.contype IN ('p', 'u', 'x') LEFT JOIN pg_class i ON i.oid = x.indexrelid
WHERE k.conrelid IN (SELECT oid FROM rels) AND k.contype IN ('c', 'f', 'p', 'u', 'x')"""

INDEXES = f"""{_WITH}
SELECT x.indexrelid::int8 AS oid, (SELECT inhparent::int8 FROM pg_inherits WHERE inhrelid = x.indexrelid) AS parent, x.indisclustered AS clustered,
       x.indisreplident AS replica_identity, x.indisunique AS unique, s.spcname AS tablespace
FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace WHERE x.indrelid IN (SELECT oid FROM rels)"""

TRIGGERS = f"{_WITH} SELECT t.oid::int8, t.tgparentid::int8 AS parent FROM pg_trigger t WHERE t.tgrelid IN (SELECT oid FROM rels)"

FUNCTIONS = f"""WITH {LOOKED}
SELECT p.oid::int8, p.prokind AS letter, pg_get_function_result(p.oid) AS result, p.proargnames AS names, p.proargmodes AS modes, p.pronargdefaults AS defaults
FROM pg_proc p JOIN looked l ON l.oid = p.pronamespace"""

TYPES = f"""WITH {LOOKED}
SELECT t.oid::int8, t.typtype AS letter, t.typnotnull AS not_null, t.typdefault AS default, format_type(t.typbasetype, t.typtypmod) AS base,
       (SELECT json_agg(json_build_array(e.oid::int8, e.enumlabel) ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) AS labels,
       (SELECT json_object_agg(k.conname, pg_get_constraintdef(k.oid)) FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c') AS checks,
       (SELECT json_agg(json_build_array(k.oid::int8, k.conname)) FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c') AS check_names,
       (SELECT json_agg(json_build_array(a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attcollation <> s.typcollation THEN nullif(a.attcollation, 0)::regcollation::text END) ORDER BY a.attnum)
          FROM pg_attribute a JOIN pg_type s ON s.oid = a.atttypid WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped AND t.typtype = 'c') AS attributes
FROM pg_type t JOIN looked l ON l.oid = t.typnamespace"""

COMMENTS = """
SELECT d.classoid::int8 AS class, d.objoid::int8 AS oid, d.objsubid AS sub, d.description AS text, i.type AS kind, i.identity
FROM pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i
WHERE d.objoid >= 16384 OR d.classoid = 'pg_namespace'::regclass AND d.objoid = 2200"""

DEFAULT_GRANTS = f"""
SELECT pg_get_userbyid(d.defaclrole)::text AS role, coalesce(n.nspname::text, '') AS schema, d.defaclobjtype AS letter,
       {_grants("d.defaclacl", "d.defaclobjtype", "d.defaclrole")} AS grants FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace"""

_OF_LETTER = """(CASE l.letter WHEN 'S' THEN 's' ELSE l.letter END)::"char" """
USUAL_GRANTS = f"""
SELECT DISTINCT pg_get_userbyid(d.defaclrole)::text AS role, l.letter,
       {_grants("NULL::aclitem[]", _OF_LETTER, "d.defaclrole")}::text AS grants
FROM pg_default_acl d, unnest('{{r,S,f,T,n}}'::text[]) l(letter)"""

CASTS = "SELECT castsource::int8 AS source, casttarget::int8 AS target, castcontext AS context FROM pg_cast"

NEEDS = """
SELECT classid::int8 AS class, objid::int8 AS oid, objsubid AS sub, refclassid::int8 AS to_class, refobjid::int8 AS to_oid, refobjsubid AS to_sub, deptype AS how
FROM pg_depend WHERE objid >= 16384 AND refobjid >= 2200"""

# What stands for another: an array for its elements' type, a row's type for its table, a view's rule for the view,
# the index behind a key for the key, what a partition inherited for what it has it from.
ALIASES = """
SELECT 1247::int8 AS class, t.typarray::int8 AS oid, 0 AS sub, 1247::int8 AS to_class, t.oid::int8 AS to_oid, 0 AS to_sub FROM pg_type t WHERE t.typarray <> 0 AND t.oid >= 16384
UNION ALL SELECT 1247, t.oid::int8, 0, 1259, c.oid::int8, 0 FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid WHERE c.relkind <> 'c' AND c.oid >= 16384
UNION ALL SELECT 1259, c.oid::int8, 0, 1247, c.reltype::int8, 0 FROM pg_class c WHERE c.relkind = 'c' AND c.oid >= 16384
UNION ALL SELECT 1247, r.rngmultitypid::int8, 0, 1247, r.rngtypid::int8, 0 FROM pg_range r WHERE r.rngtypid >= 16384
UNION ALL SELECT 2618, w.oid::int8, 0, 1259, w.ev_class::int8, 0 FROM pg_rewrite w WHERE w.rulename = '_RETURN' AND w.oid >= 16384
UNION ALL SELECT 2604, d.oid::int8, 0, 2604, d.adrelid::int8, d.adnum FROM pg_attrdef d
UNION ALL SELECT 1259, k.conindid::int8, 0, 2606, k.oid::int8, 0 FROM pg_constraint k WHERE k.contype IN ('p', 'u', 'x')
UNION ALL SELECT 2606, k.oid::int8, 0, 2606, k.conparentid::int8, 0 FROM pg_constraint k WHERE k.conparentid <> 0
UNION ALL SELECT 2620, t.oid::int8, 0, 2606, t.tgconstraint::int8, 0 FROM pg_trigger t WHERE t.tgconstraint <> 0 AND t.tgisinternal
UNION ALL SELECT 2620, t.oid::int8, 0, 2620, t.tgparentid::int8, 0 FROM pg_trigger t WHERE t.tgparentid <> 0 AND NOT t.tgisinternal"""
