"""What stands beside the schemas: extensions, event triggers, publications, foreign servers, default privileges."""

from __future__ import annotations

from backout.databases.postgres.reversible.prints.words import (
    LOOKED,
    RELATIONS,
    acl,
    acl_items,
    comment,
    member,
    options,
    owner,
    shown,
    switch,
)

EXTENSIONS = f"""
SELECT 'extension ' || quote_ident(e.extname) AS name,
       concat_ws(' ', e.extversion, 'SCHEMA ' || quote_ident(n.nspname), {owner("e.extowner")},
                 {comment("pg_extension", "e.oid")}) AS definition
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"""

EVENT_TRIGGERS = f"""
SELECT 'event trigger ' || quote_ident(t.evtname) AS name,
       concat_ws(' ', 'ON', t.evtevent, t.evttags, 'FUNCTION', t.evtfoid::regprocedure, {switch("t.evtenabled")},
                 {owner("t.evtowner")}, {comment("pg_event_trigger", "t.oid")}) AS definition
FROM pg_event_trigger t
WHERE {shown("t.evtname")} AND NOT {member("pg_event_trigger", "t.oid")}"""

# PostgreSQL 18 knows more about generated columns than 15 does.
PUBLICATIONS = f"""
SELECT 'publication ' || quote_ident(p.pubname) AS name,
       concat_ws(' ', CASE WHEN p.puballtables THEN 'ALL TABLES' END, CASE WHEN p.pubinsert THEN 'insert' END,
                 CASE WHEN p.pubupdate THEN 'update' END, CASE WHEN p.pubdelete THEN 'delete' END,
                 CASE WHEN p.pubtruncate THEN 'truncate' END, CASE WHEN p.pubviaroot THEN 'VIA ROOT' END,
                 'GENERATED COLUMNS ' || nullif(to_jsonb(p) ->> 'pubgencols', 'n'),
                 {owner("p.pubowner")}, {comment("pg_publication", "p.oid")}) AS definition
FROM pg_publication p
WHERE {shown("p.pubname")}"""

_PUBLISHED_COLUMNS = f"""CASE WHEN m.prattrs IS NOT NULL THEN '(' || coalesce((
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) FROM pg_attribute a
    WHERE a.attrelid = r.oid AND a.attnum = ANY (m.prattrs::int2[]) AND {shown("a.attname")}), '') || ')' END"""

PUBLISHED = f"""
WITH {LOOKED}, {RELATIONS}
SELECT format('publication %I of table %s', p.pubname, r.name) AS name,
       concat_ws(' ', {_PUBLISHED_COLUMNS}, 'WHERE ' || pg_get_expr(m.prqual, m.prrelid)) AS definition
FROM pg_publication p JOIN pg_publication_rel m ON m.prpubid = p.oid JOIN rels r ON r.oid = m.prrelid
WHERE {shown("p.pubname")}
UNION ALL
SELECT format('publication %I of tables in schema %I', p.pubname, n.nspname), ''
FROM pg_publication p JOIN pg_publication_namespace m ON m.pnpubid = p.oid JOIN looked n ON n.oid = m.pnnspid
WHERE {shown("p.pubname")}"""

# A user mapping's options hold passwords: only what is set is told, never to what.
FOREIGN = f"""
SELECT 'foreign data wrapper ' || quote_ident(f.fdwname) AS name,
       concat_ws(' ', 'HANDLER ' || nullif(f.fdwhandler, 0)::regprocedure,
                 'VALIDATOR ' || nullif(f.fdwvalidator, 0)::regprocedure, {options("OPTIONS", "f.fdwoptions")},
                 {owner("f.fdwowner")}, {acl("f.fdwacl", "'F'", "f.fdwowner")},
                 {comment("pg_foreign_data_wrapper", "f.oid")}) AS definition
FROM pg_foreign_data_wrapper f
WHERE NOT {member("pg_foreign_data_wrapper", "f.oid")}
UNION ALL
SELECT 'server ' || quote_ident(s.srvname),
       concat_ws(' ', 'WRAPPER', quote_ident(f.fdwname), 'TYPE ' || quote_literal(s.srvtype),
                 'VERSION ' || quote_literal(s.srvversion), {options("OPTIONS", "s.srvoptions")},
                 {owner("s.srvowner")}, {acl("s.srvacl", "'S'", "s.srvowner")},
                 {comment("pg_foreign_server", "s.oid")})
FROM pg_foreign_server s JOIN pg_foreign_data_wrapper f ON f.oid = s.srvfdw
WHERE NOT {member("pg_foreign_server", "s.oid")}
UNION ALL
SELECT format('user mapping of %s on server %I', CASE WHEN u.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(u.usename) END,
              u.srvname),
       concat_ws(' ', 'OPTIONS (' || (SELECT string_agg(split_part(o, '=', 1), ', ' ORDER BY split_part(o, '=', 1))
                                      FROM unnest(u.umoptions) o) || ')')
FROM pg_user_mappings u"""

# Those for one schema add to the usual privileges; those for all schemas stand in their place.
DEFAULT_PRIVILEGES = f"""
WITH {LOOKED}
SELECT concat_ws(' ', 'default privileges of', quote_ident(pg_get_userbyid(d.defaclrole)),
                 'in schema ' || quote_ident(n.nspname),
                 'on', CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
                                            WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas'
                                            ELSE 'large objects' END) AS name,
       'ACL ' || coalesce({acl_items("d.defaclacl")}, 'nobody') AS definition
FROM pg_default_acl d LEFT JOIN looked n ON n.oid = d.defaclnamespace
WHERE d.defaclnamespace = 0 OR n.oid IS NOT NULL"""
