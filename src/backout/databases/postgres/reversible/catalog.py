"""Reads the catalog: all of it, some tables, or what is another than before.

Source: PostgreSQL 15 and 18 documentation, chapter "System Catalogs".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from backout.databases.postgres.reversible.link import Link, Row
from backout.databases.postgres.reversible.names import PREFIX, SCHEMA, literal
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing

_LOOKED = f"""
looked AS (SELECT oid FROM pg_namespace
  WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', '{SCHEMA}')),
rels AS (SELECT c.* FROM pg_class c JOIN looked l ON l.oid = c.relnamespace WHERE c.relpersistence <> 't'),
chosen AS (SELECT * FROM rels WHERE {{0}})"""

_COMMENT = "(SELECT description FROM pg_description d WHERE d.classoid = '{0}'::regclass AND d.objoid = {1}.oid AND d.objsubid = 0)"  # fmt: skip


def _comment(catalog: str, alias: str) -> str:
    return _COMMENT.format(catalog, alias)


FUNCTION_BODY = """md5(concat_ws('|', p.prosrc, p.probin, regexp_replace(to_jsonb(p) ->> 'prosqlbody', ':(stmt_)?(location|len) -?[0-9]+', '', 'g'), p.prorettype, p.proargnames,
          regexp_replace(p.proargdefaults::text, ':location -?[0-9]+', '', 'g'),
          p.prokind, p.provolatile, p.prosecdef, p.proleakproof, p.proisstrict, p.proretset, p.proparallel, p.proconfig,
          p.procost, p.prorows, p.prolang, p.proallargtypes, p.proargmodes, (SELECT concat_ws('|', a.aggkind, a.aggnumdirectargs, a.aggtransfn::oid, a.aggfinalfn::oid, a.aggcombinefn::oid, a.aggserialfn::oid,
            a.aggdeserialfn::oid, a.aggmtransfn::oid, a.aggminvtransfn::oid, a.aggmfinalfn::oid, a.aggfinalextra, a.aggmfinalextra, a.aggfinalmodify,
            a.aggmfinalmodify, a.aggsortop, a.aggtranstype, a.aggtransspace, a.aggmtranstype, a.aggmtransspace, a.agginitval, a.aggminitval)
          FROM pg_aggregate a WHERE a.aggfnoid = p.oid)))"""
"""Of a row `p` of pg_proc: what CREATE OR REPLACE can make another; where in its text a default stood is nothing to anybody."""
# An extension's functions change with it alone; an aggregate has no text.
_FUNCTION_TEXT = """CASE WHEN p.prokind <> 'a' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
          AND d.objid = p.oid AND d.deptype = 'e') THEN pg_get_functiondef(p.oid) END"""

# Of a view: the relations in its query.
_USES = """(SELECT json_agg(DISTINCT d.refobjid::int8) FROM pg_rewrite w JOIN pg_depend d
          ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
          WHERE w.ev_class = c.oid AND w.rulename = '_RETURN')"""
# Of a view: what would keep it from being dropped, but for other views: functions of its rows, rules of tables, policies, … .
_NEEDED_BY = """(SELECT json_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid)) FROM pg_depend d
          WHERE d.deptype = 'n' AND ((d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)
            OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (c.reltype, (SELECT typarray FROM pg_type WHERE oid = c.reltype))))
          AND NOT (d.classid = 'pg_rewrite'::regclass AND EXISTS (SELECT FROM pg_rewrite w JOIN pg_class o ON o.oid = w.ev_class
            WHERE w.oid = d.objid AND (o.oid = c.oid OR o.relkind IN ('v', 'm')))))"""

# Of a foreign table: its server, and the options of it and of its columns.
_FOREIGN = """md5(concat((SELECT f::text FROM pg_foreign_table f WHERE f.ftrelid = c.oid),
          (SELECT json_agg(json_build_array(a.attnum, a.attfdwoptions) ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attfdwoptions IS NOT NULL)))"""

SHOWS = f"""(SELECT min(a.attname) FROM pg_rewrite w JOIN pg_depend d
          ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
          JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND starts_with(a.attname, '{PREFIX}')
          WHERE w.ev_class = c.oid AND w.rulename = '_RETURN')"""
"""Of a row `c` of pg_class, a view: a hidden column that its query speaks of."""

_PARTS = {
    "schema": f"""SELECT n.oid, 0 AS sub, json_build_object('name', n.nspname, 'owner', n.nspowner::int8, 'acl', n.nspacl::text,
        'comment', {_comment("pg_namespace", "n")}) AS thing
      FROM pg_namespace n JOIN looked USING (oid)""",
    "table": f"""SELECT c.oid, 0, json_build_object('name', c.relname, 'schema', c.relnamespace::int8, 'kind', c.relkind,
        'owner', c.relowner::int8, 'acl', c.relacl::text, 'persistence', c.relpersistence, 'filenode', c.relfilenode::int8,
        'options', c.reloptions, 'toast_options', (SELECT o.reloptions FROM pg_class o WHERE o.oid = c.reltoastrelid), 'row_security', c.relrowsecurity, 'force_row_security', c.relforcerowsecurity,
        'replica_identity', c.relreplident, 'method', c.relam::int8, 'tablespace', c.reltablespace::int8,
        'bound', c.relpartbound::text, 'bound_text', pg_get_expr(c.relpartbound, c.oid), 'of_type', c.reloftype::int8,
        'parents', (SELECT json_agg(inhparent::int8 ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = c.oid),
        'query', (SELECT md5(ev_action::text) FROM pg_rewrite w WHERE w.ev_class = c.oid AND w.rulename = '_RETURN'),
        'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, 'populated', c.relispopulated,
        'uses', CASE WHEN c.relkind IN ('v', 'm') THEN {_USES} END, 'shows', CASE WHEN c.relkind IN ('v', 'm') THEN {SHOWS} END, 'needed_by', CASE WHEN c.relkind IN ('v', 'm') THEN {_NEEDED_BY} END,
        'foreign', CASE WHEN c.relkind = 'f' THEN {_FOREIGN} END,
        'comment', {_comment("pg_class", "c")}) FROM chosen c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')""",
    "column": """SELECT a.attrelid, a.attnum, json_build_object('name', a.attname, 'table', a.attrelid::int8,
        'type', a.atttypid::int8, 'modifier', a.atttypmod, 'type_text', format_type(a.atttypid, a.atttypmod),
        'not_null', a.attnotnull, 'default', d.adbin::text, 'default_text', pg_get_expr(d.adbin, d.adrelid),
        'identity', a.attidentity, 'generated', a.attgenerated, 'collation', a.attcollation::int8, 'acl', a.attacl::text,
        'storage', a.attstorage, 'compression', a.attcompression, 'target', nullif(a.attstattarget, -1), 'options', a.attoptions,
        'local', a.attislocal, 'inherited', a.attinhcount,
        'comment', (SELECT description FROM pg_description s WHERE s.classoid = 'pg_class'::regclass
                    AND s.objoid = a.attrelid AND s.objsubid = a.attnum))
      FROM chosen c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')""",
    "constraint": f"""SELECT k.oid, 0, json_build_object('name', k.conname, 'table', k.conrelid::int8, 'of_domain', k.contypid::int8,
        'kind', k.contype, 'columns', k.conkey, 'to_table', k.confrelid::int8, 'to_columns', k.confkey,
        'on_update', k.confupdtype, 'on_delete', k.confdeltype, 'match', k.confmatchtype,
        'deferrable', k.condeferrable, 'deferred', k.condeferred, 'valid', k.convalidated, 'index', k.conindid::int8,
        'expression', k.conbin::text, 'definition', pg_get_constraintdef(k.oid), 'parent', k.conparentid::int8,
        'local', k.conislocal, 'no_inherit', k.connoinherit, 'comment', {_comment("pg_constraint", "k")})
      FROM pg_constraint k JOIN looked l ON l.oid = k.connamespace WHERE k.contype NOT IN ('n', 't')
        AND (k.conrelid = 0 OR k.conrelid IN (SELECT oid FROM chosen) OR k.confrelid IN (SELECT oid FROM chosen))""",
    "index": f"""SELECT c.oid, 0, json_build_object('name', c.relname, 'schema', c.relnamespace::int8, 'table', x.indrelid::int8,
        'definition', pg_get_indexdef(c.oid), 'columns', x.indkey::int2[], 'expressions', x.indexprs::text,
        'predicate', x.indpred::text, 'unique', x.indisunique, 'primary', x.indisprimary, 'valid', x.indisvalid,
        'exclusion', x.indisexclusion, 'nulls_not_distinct', coalesce((to_jsonb(x) ->> 'indnullsnotdistinct')::bool, false),
        'replica_identity', x.indisreplident, 'clustered', x.indisclustered, 'filenode', c.relfilenode::int8,
        'options', c.reloptions, 'tablespace', c.reltablespace::int8, 'comment', {_comment("pg_class", "c")},
        'parent', (SELECT inhparent::int8 FROM pg_inherits WHERE inhrelid = c.oid),
        'targets', (SELECT json_agg(json_build_array(a.attnum, a.attstattarget)) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0))
      FROM rels c JOIN pg_index x ON x.indexrelid = c.oid JOIN chosen t ON t.oid = x.indrelid""",
    "trigger": f"""SELECT t.oid, 0, json_build_object('name', t.tgname, 'table', t.tgrelid::int8, 'enabled', t.tgenabled,
        'definition', pg_get_triggerdef(t.oid), 'columns', t.tgattr::int2[],
        'body', md5(concat_ws('|', t.tgfoid, t.tgtype, t.tgargs, t.tgqual, t.tgdeferrable, t.tginitdeferred, t.tgoldtable, t.tgnewtable)),
        'parent', t.tgparentid::int8, 'comment', {_comment("pg_trigger", "t")})
      FROM chosen c JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal""",
    "rule": f"""SELECT w.oid, 0, json_build_object('name', w.rulename, 'table', w.ev_class::int8, 'enabled', w.ev_enabled,
        'definition', pg_get_ruledef(w.oid), 'body', md5(concat_ws('|', w.ev_type, w.ev_qual, w.ev_action)),
        'comment', {_comment("pg_rewrite", "w")}) FROM chosen c JOIN pg_rewrite w ON w.ev_class = c.oid AND w.rulename <> '_RETURN'""",
    "statistics object": f"""SELECT s.oid, 0, json_build_object('name', s.stxname, 'schema', s.stxnamespace::int8, 'table', s.stxrelid::int8,
        'columns', s.stxkeys::int2[], 'expressions', s.stxexprs::text, 'kinds', s.stxkind, 'target', nullif(s.stxstattarget, -1), 'owner', s.stxowner::int8,
        'owner_name', pg_get_userbyid(s.stxowner), 'definition', pg_get_statisticsobjdef(s.oid), 'comment', {_comment("pg_statistic_ext", "s")})
      FROM chosen c JOIN pg_statistic_ext s ON s.stxrelid = c.oid""",
    "policy": f"""SELECT p.oid, 0, json_build_object('name', p.polname, 'table', p.polrelid::int8, 'command', p.polcmd,
        'permissive', p.polpermissive, 'roles', p.polroles::int8[], 'role_names', (SELECT json_agg(pg_get_userbyid(r.oid) ORDER BY r.n)
          FROM unnest(p.polroles) WITH ORDINALITY r(oid, n)), 'using', p.polqual::text, 'check', p.polwithcheck::text,
        'using_text', pg_get_expr(p.polqual, p.polrelid), 'check_text', pg_get_expr(p.polwithcheck, p.polrelid),
        'columns', (SELECT json_agg(DISTINCT d.refobjsubid ORDER BY d.refobjsubid) FROM pg_depend d WHERE d.classid = 'pg_policy'::regclass
          AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.polrelid AND d.refobjsubid > 0),
        'comment', {_comment("pg_policy", "p")}) FROM chosen c JOIN pg_policy p ON p.polrelid = c.oid""",
    "type": f"""SELECT t.oid, 0, json_build_object('name', t.typname, 'schema', t.typnamespace::int8, 'kind', t.typtype,
        'owner', t.typowner::int8, 'acl', t.typacl::text, 'base', t.typbasetype::int8, 'modifier', t.typtypmod,
        'not_null', t.typnotnull, 'default', t.typdefault, 'comment', {_comment("pg_type", "t")},
        'needed_by', CASE WHEN c.relkind = 'c' THEN (SELECT json_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid)) FROM pg_depend d
          WHERE d.deptype = 'n' AND ((d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid > 0)
            OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray) AND d.classid IN ('pg_class'::regclass, 'pg_type'::regclass)))) END,
        'attributes', (SELECT json_agg(json_build_array(a.attname, a.atttypid::int8, a.atttypmod, a.attcollation::int8,
            (SELECT description FROM pg_description s WHERE s.classoid = 'pg_class'::regclass AND s.objoid = c.oid AND s.objsubid = a.attnum)) ORDER BY a.attnum)
          FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind = 'c'))
      FROM pg_type t JOIN looked l ON l.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
      WHERE t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c'""",
    "label": """SELECT e.oid, 0, json_build_object('name', e.enumlabel, 'type', e.enumtypid::int8, 'order', e.enumsortorder)
      FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN looked l ON l.oid = t.typnamespace""",
    "function": f"""SELECT p.oid, 0, json_build_object('name', p.proname, 'schema', p.pronamespace::int8, 'owner', p.proowner::int8,
        'acl', p.proacl::text, 'arguments', p.proargtypes::text, 'comment', {_comment("pg_proc", "p")}, 'body', {FUNCTION_BODY},
        'defaults', p.pronargdefaults, 'names', p.proargnames, 'parsed', (to_jsonb(p) ->> 'prosqlbody') IS NOT NULL,
        'aggregate', coalesce((SELECT a.aggkind = 'n' FROM pg_aggregate a WHERE a.aggfnoid = p.oid), false),
        'signature', pg_get_function_identity_arguments(p.oid), 'definition', {_FUNCTION_TEXT})
      FROM pg_proc p JOIN looked l ON l.oid = p.pronamespace""",
    "sequence": f"""SELECT c.oid, 0, json_build_object('name', c.relname, 'schema', c.relnamespace::int8, 'owner', c.relowner::int8,
        'acl', c.relacl::text, 'persistence', c.relpersistence, 'type', s.seqtypid::int8, 'start', s.seqstart, 'increment', s.seqincrement,
        'minimum', s.seqmin, 'maximum', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle,
        'owned_by', (SELECT json_build_array(d.refobjid::int8, d.refobjsubid, d.deptype) FROM pg_depend d
          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
            AND d.deptype IN ('a', 'i')), 'comment', {_comment("pg_class", "c")})
      FROM rels c JOIN pg_sequence s ON s.seqrelid = c.oid""",
    "default privilege": """SELECT d.oid, 0, json_build_object('name', 'of ' || pg_get_userbyid(d.defaclrole) || CASE d.defaclobjtype WHEN 'r' THEN ' on tables'
        WHEN 'S' THEN ' on sequences' WHEN 'f' THEN ' on functions' WHEN 'T' THEN ' on types' WHEN 'n' THEN ' on schemas' ELSE ' on others' END
        || coalesce(' in ' || n.nspname, ''), 'role', d.defaclrole::int8, 'in_schema', d.defaclnamespace::int8, 'objects', d.defaclobjtype,
        'acl', d.defaclacl::text) FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace""",
    "publication": f"""SELECT p.oid, 0, json_build_object('name', p.pubname, 'owner', p.pubowner::int8, 'owner_name', pg_get_userbyid(p.pubowner),
        'all', p.puballtables, 'settings', jsonb_strip_nulls(jsonb_build_object('publish', concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END,
          CASE WHEN p.pubupdate THEN 'update' END, CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
          'publish_via_partition_root', p.pubviaroot::text, 'publish_generated_columns', CASE to_jsonb(p) ->> 'pubgencols' WHEN 's' THEN 'stored' WHEN 'n' THEN 'none' END)),
        'members', (SELECT json_agg(json_build_array(m.prrelid::int8, m.prattrs::text, regexp_replace(m.prqual::text, ':location -?[0-9]+', '', 'g')) ORDER BY m.prrelid)
          FROM pg_publication_rel m WHERE m.prpubid = p.oid),
        'schemas', (SELECT json_agg(s.pnnspid::int8 ORDER BY s.pnnspid) FROM pg_publication_namespace s WHERE s.pnpubid = p.oid),
        'objects', (SELECT json_agg(o.text ORDER BY o.text) FROM (SELECT concat_ws(' ', format('TABLE %I.%I', n.nspname, c.relname),
            '(' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (m.prattrs::int2[])) || ')',
            'WHERE (' || pg_get_expr(m.prqual, m.prrelid) || ')') AS text FROM pg_publication_rel m JOIN pg_class c ON c.oid = m.prrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE m.prpubid = p.oid
          UNION ALL SELECT format('TABLES IN SCHEMA %I', n.nspname) FROM pg_publication_namespace s JOIN pg_namespace n ON n.oid = s.pnnspid WHERE s.pnpubid = p.oid) o),
        'comment', {_comment("pg_publication", "p")}) FROM pg_publication p""",
    "database": """SELECT d.oid, 0, json_build_object('name', d.datname, 'owner', d.datdba::int8, 'acl', d.datacl::text,
        'comment', shobj_description(d.oid, 'pg_database'))
      FROM pg_database d WHERE d.datname = current_database()""",
    "journal": f"""SELECT n.oid, 0, json_build_object('name', n.nspname, 'owner', n.nspowner::int8, 'acl', n.nspacl::text)
      FROM pg_namespace n WHERE n.nspname = '{SCHEMA}'""",
}  # fmt: skip

FIRST_OID = 16384
"""What initdb made has a smaller oid. Source: PostgreSQL 15, src/include/access/transam.h, FirstNormalObjectId."""
OTHERS = {
    "extension": "pg_extension",
    "cast": "pg_cast",
    "operator": "pg_operator",
    "operator class": "pg_opclass",
    "operator family": "pg_opfamily",
    "collation": "pg_collation",
    "conversion": "pg_conversion",
    "text search configuration": "pg_ts_config",
    "text search dictionary": "pg_ts_dict",
    "foreign-data wrapper": "pg_foreign_data_wrapper",
    "foreign server": "pg_foreign_server",
    "language": "pg_language",
    "event trigger": "pg_event_trigger",
    "transform": "pg_transform",
    "access method": "pg_am",
    "large object": "pg_largeobject_metadata",
    "range": "pg_range",
}
"""What no way back is built for yet: told apart, so that a change of it is seen and refused."""


NAMED = {
    "collation": ("collname", "collnamespace"),
    "conversion": ("conname", "connamespace"),
    "text search configuration": ("cfgname", "cfgnamespace"),
    "text search dictionary": ("dictname", "dictnamespace"),
}
"""Those that have a name in a schema, and can be given another one; with their columns."""

_CAST = """'name', oid::text, 'signature', format('(%s AS %s)', format_type(castsource, NULL), format_type(casttarget, NULL)), 'source', castsource::int8, 'target', casttarget::int8,
  'function', castfunc::int8, 'method', castmethod, 'context', castcontext, 'comment', obj_description(oid, 'pg_cast'),
  'ranges', EXISTS (SELECT FROM pg_range g WHERE g.rngtypid = castsource AND g.rngmultitypid = casttarget)"""

# What belongs to one and is no thing of its own.
_PARTS_OF = {
    "text search configuration": "(SELECT string_agg(m::text, ',' ORDER BY m.maptokentype, m.mapseqno) FROM pg_ts_config_map m WHERE m.mapcfg = x.oid)",
    "operator family": "(SELECT string_agg(m::text, ',' ORDER BY m.oid) FROM pg_amop m WHERE m.amopfamily = x.oid), "
    "(SELECT string_agg(m::text, ',' ORDER BY m.oid) FROM pg_amproc m WHERE m.amprocfamily = x.oid)",
}

_MEMBERS = """(SELECT json_agg(json_build_array(d.classid::regclass::text, d.objid::int8)) FROM pg_depend d
  WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid AND d.deptype = 'e')"""


def _others() -> str:
    parts = []
    for kind, catalog in OTHERS.items():
        oid = "rngtypid" if catalog == "pg_range" else "oid"
        told = f"'name', {oid}::text, 'row', md5(concat(x::text, {_PARTS_OF.get(kind, 'NULL')}))"
        if kind in NAMED:
            name, schema = NAMED[kind]
            told = told.replace(f"{oid}::text", name, 1) + f", 'schema', {schema}::int8"
        if kind == "cast":
            told = _CAST
        if kind == "extension":
            told = f"'name', extname, 'row', md5(x::text), 'in_schema', extnamespace::int8, 'members', {_MEMBERS}"
        recent = f"WHERE {oid}::oid::int8 >= {FIRST_OID}"
        parts.append(f"SELECT '{kind}', {oid}::int8, 0, json_build_object({told}) FROM {catalog} x {recent}")
    # Who may not see its options is told of none.
    mapping = "json_build_object('name', concat_ws(' ', usename, 'on', srvname), 'row', md5(x::text))"
    parts.append(f"SELECT 'user mapping', umid::int8, 0, {mapping} FROM pg_user_mappings x")
    return " UNION ALL ".join(parts)


# Of tables that are not worked on: what tells whose name is taken, and who inherits from whom.
_NAMES = """SELECT c.oid, 0, json_build_object('name', c.relname, 'schema', c.relnamespace::int8, 'kind', c.relkind,
      'parents', (SELECT json_agg(inhparent::int8 ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = c.oid))
    FROM rels c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.oid NOT IN (SELECT oid FROM chosen)"""
NAMES = "names"
"""In the place of a kind: the names of tables that are not read."""

_OF_TABLES = ("table", "column", "constraint", "index", "trigger", "rule", "policy", "statistics object")
"""Kinds whose things are a table's own."""
KINDS = [*_PARTS, *OTHERS, "user mapping"]
"""All of them, in the order in which they are told."""
_WITHIN = [kind for kind in _PARTS if kind not in (*_OF_TABLES, "function", "label")]
"""Other kinds that are read with some tables."""


def _query(kinds: Collection[str], some: str, rest: str = "") -> str:
    parts = [f"SELECT '{kind}' AS kind, q.* FROM ({_PARTS[kind]}) q(oid, sub, thing)" for kind in kinds]
    joined = " UNION ALL ".join([*parts, *([rest] if rest else [])])
    looked = _LOOKED.format(some)
    return f"WITH {looked} SELECT kind, oid::int8::text AS oid, sub::text AS sub, thing::text AS thing FROM ({joined}) u"


_SOME = "oid = ANY ($1::oid[])"


def oids(tables: Collection[int]) -> str:
    """Return oids as PostgreSQL reads an array. Pure."""
    return f"{{{','.join(map(str, sorted(tables)))}}}"


# With many tables the estimated cost is such that the server would compile the query, which takes longer than running it;
# and a plan for the tables of one transaction takes longer to make than the one for any is slower.
_OWN = {"search_path": "pg_catalog", "jit": "off", "plan_cache_mode": "force_generic_plan"}


@contextmanager
def own_settings(link: Link) -> Iterator[None]:
    """Have names without a schema be PostgreSQL's own, so that texts name every schema, and nothing compiled.

    Args:
        link: The session, in a transaction; what it had set is set again, unless PostgreSQL refuses something.
    """
    with _set(link, _OWN):
        yield


@contextmanager
def at_work(link: Link) -> Iterator[bool]:
    """Have `own_settings`, and act as the role that logged in, whatever role the migration has set.

    Args:
        link: As of `own_settings`.

    Yields:
        Whether the transaction has written anything.
    """
    with _set(link, {**_OWN, "role": "none"}) as had:
        yield had["xid"] is not None


@contextmanager
def _set(link: Link, wanted: Mapping[str, str]) -> Iterator[Row]:
    now = ", ".join(f"pg_catalog.current_setting('{name}') AS {name}" for name in wanted)
    then = ", ".join(f"pg_catalog.set_config('{name}', '{value}', true)" for name, value in wanted.items())
    had = link.rows(
        f"WITH had AS MATERIALIZED (SELECT {now}, pg_catalog.pg_current_xact_id_if_assigned() AS xid) "
        f"SELECT had.*, {then} FROM had",
        again=True,
    )[0]
    yield had
    back = (f"pg_catalog.set_config('{name}', {literal(had[name])}, true)" for name in wanted)
    link.later(f"SELECT {', '.join(back)}")


def _things(link: Link, query: str, *values: str) -> dict[Key, Thing]:
    return {
        Key(row["kind"] or "", int(row["oid"] or 0), int(row["sub"] or 0)): json.loads(row["thing"] or "{}")
        for row in link.rows(query, values, again=True)
    }


def read(link: Link, tables: Collection[int] | None = None) -> Snapshot:
    """Read the catalog as the session's transaction sees it; texts name every schema.

    Args:
        link: The session, in a transaction.
        tables: Oids of tables; of others only the name is read, and functions, labels and the rest are left out.
    """
    with own_settings(link):
        return read_here(link, tables)


def read_here(link: Link, tables: Collection[int] | None = None) -> Snapshot:
    """Do what `read` does, in a session that has `own_settings`."""
    if tables is None:
        return Snapshot(_things(link, _query(_PARTS, "true", _others())))
    return Snapshot(
        _things(link, _query([*_OF_TABLES, *_WITHIN], _SOME), oids(tables)) | _named(link, tables)
    )


def _named(link: Link, tables: Collection[int]) -> dict[Key, Thing]:
    """Read the names of all tables but some."""
    query = f"SELECT 'table' AS kind, q.* FROM ({_NAMES}) q(oid, sub, thing)"
    return _things(link, _query((), _SOME, query), oids(tables))


def read_changed(
    link: Link,
    last: Snapshot,
    tables: Collection[int],
    kinds: Collection[str],
    *,
    within: Collection[int] | None = None,
) -> Snapshot:
    """Read what is another than in an earlier reading, and return all as it is now.

    Args:
        link: The session, in a transaction, with `own_settings`.
        last: The earlier reading.
        tables: Oids of the tables of which something is another; those that are gone, too.
        kinds: Others than a table's own of which things came or went; those that stayed are as they were.
        within: The tables of the earlier reading; None: it was of everything.
    """
    named: set[int] = set()
    others = sorted(kinds)
    if within is not None:
        # The query is always the same: the session has its plan.
        tables, others = {*tables} & {*within}, _WITHIN
        if NAMES in kinds:
            named = {key.oid for key in last.things if key.kind == "table"} - {*within}
    found = _things(link, _query([*_OF_TABLES, *others], _SOME), oids(tables))
    if within is not None and NAMES in kinds:
        found |= _named(link, within)
    gone = {key for kind in others for key in last.of_kind(kind)}
    gone |= {Key("table", table) for table in (*tables, *named)}
    for table in tables:
        gone |= {key for kind in _OF_TABLES if kind != "table" for key in last.of_table(kind, table)}
        gone |= last.keys_to(table).keys()
    gone |= last.of_table("constraint", 0).keys()  # domains', which are always read
    return last.but([key for key in gone if key in last.things], found)


def read_alone(link: Link, tables: Collection[int] | None = None) -> Snapshot:
    """Read the catalog in a transaction of its own; arguments as of `read`."""
    return alone(link, lambda: read(link, tables))


def alone(link: Link, reads: Callable[[], Snapshot]) -> Snapshot:
    """Read the catalog in a transaction of its own.

    Args:
        link: A session in autocommit.
        reads: Reads it.
    """
    link.rows("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    found = reads()
    link.rows("COMMIT")
    return found
