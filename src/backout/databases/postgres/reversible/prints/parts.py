"""What hangs on tables: constraints, indexes, triggers, rules, policies, extended statistics."""

from __future__ import annotations

from backout.databases.postgres.reversible.prints.words import (
    LOOKED,
    RELATIONS,
    comment,
    owner,
    shown,
    shown_schema,
    switch,
    without_hidden,
)

# The triggers that enforce a foreign key can be switched off (by a superuser); they have no name of their own.
_OFF = f"""(SELECT 'TRIGGERS ' || string_agg(DISTINCT {switch("g.tgenabled")}, ', ')
    FROM pg_trigger g WHERE g.tgconstraint = k.oid AND g.tgisinternal)"""

# NOT NULL is the column's; a constraint trigger is listed as a trigger. A foreign key that refers to a partitioned
# table has one more row for each partition, which nobody named.
CONSTRAINTS = f"""
WITH {LOOKED}, {RELATIONS}
SELECT format('constraint %s.%I', r.name, k.conname) AS name,
       concat_ws(' ', pg_get_constraintdef(k.oid), {_OFF}, {comment("pg_constraint", "k.oid")}) AS definition
FROM rels r JOIN pg_constraint k ON k.conrelid = r.oid
WHERE k.contype NOT IN ('n', 't') AND {shown("k.conname")}
  AND NOT EXISTS (SELECT FROM pg_constraint p WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid)"""

_TARGETS = """'STATISTICS ' || (SELECT string_agg(format('%s of column %s', a.attstattarget, a.attnum), ', '
                                               ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = i.oid AND a.attstattarget >= 0)"""

INDEXES = f"""
WITH {LOOKED}, {RELATIONS}
SELECT format('index %I.%I', n.nspname, i.relname) AS name, concat_ws(' ',
       pg_get_indexdef(i.oid), 'TABLESPACE ' || quote_ident(s.spcname),
       CASE WHEN NOT x.indisvalid THEN 'INVALID' END, CASE WHEN x.indisclustered THEN 'CLUSTERED' END,
       CASE WHEN x.indisreplident THEN 'REPLICA IDENTITY' END, {_TARGETS},
       'ATTACHED TO ' || (SELECT quote_ident(p.relname) FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent
                          WHERE h.inhrelid = i.oid AND {shown("p.relname")}),
       {comment("pg_class", "i.oid")}) AS definition
FROM rels r JOIN pg_index x ON x.indrelid = r.oid JOIN pg_class i ON i.oid = x.indexrelid
JOIN looked n ON n.oid = i.relnamespace LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace
WHERE {shown("i.relname")}"""

# Hazard: the engine's own BEFORE triggers may have to sort last and have a name of another kind; their functions
# are in its schema.
TRIGGERS = f"""
WITH {LOOKED}, {RELATIONS}
SELECT format('trigger %s.%I', r.name, g.tgname) AS name,
       concat_ws(' ', pg_get_triggerdef(g.oid), {switch("g.tgenabled")}, {comment("pg_trigger", "g.oid")})
         AS definition
FROM rels r JOIN pg_trigger g ON g.tgrelid = r.oid
JOIN pg_proc f ON f.oid = g.tgfoid JOIN pg_namespace m ON m.oid = f.pronamespace
WHERE NOT g.tgisinternal AND {shown("g.tgname")} AND (m.nspname ~ '^pg_' OR {shown_schema("m.nspname")})"""

RULES = f"""
WITH {LOOKED}, {RELATIONS}
SELECT format('rule %s.%I', r.name, w.rulename) AS name,
       concat_ws(' ', {without_hidden("pg_get_ruledef(w.oid)")}, {switch("w.ev_enabled")},
                 {comment("pg_rewrite", "w.oid")}) AS definition
FROM rels r JOIN pg_rewrite w ON w.ev_class = r.oid
WHERE w.rulename <> '_RETURN' AND {shown("w.rulename")}"""

POLICIES = f"""
WITH {LOOKED}, {RELATIONS}
SELECT format('policy %s.%I', r.name, p.polname) AS name, concat_ws(' ',
       CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
       CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                     WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
       'TO ' || (SELECT string_agg(u.name, ', ' ORDER BY u.name) FROM (
           SELECT CASE WHEN m = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(m)) END AS name
           FROM unnest(p.polroles) m) u),
       'USING (' || {without_hidden("pg_get_expr(p.polqual, p.polrelid)")} || ')',
       'WITH CHECK (' || {without_hidden("pg_get_expr(p.polwithcheck, p.polrelid)")} || ')',
       {comment("pg_policy", "p.oid")}) AS definition
FROM rels r JOIN pg_policy p ON p.polrelid = r.oid
WHERE {shown("p.polname")}"""

STATISTICS = f"""
WITH {LOOKED}, {RELATIONS}
SELECT format('statistics %I.%I', n.nspname, s.stxname) AS name, concat_ws(' ',
       pg_get_statisticsobjdef(s.oid), 'STATISTICS ' || nullif(s.stxstattarget, -1), {owner("s.stxowner")},
       {comment("pg_statistic_ext", "s.oid")}) AS definition
FROM pg_statistic_ext s JOIN looked n ON n.oid = s.stxnamespace JOIN rels r ON r.oid = s.stxrelid
WHERE {shown("s.stxname")}"""
