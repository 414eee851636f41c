"""One change for every kind of thing that the fingerprint tells, and its exact reverse."""

from __future__ import annotations

from dataclasses import dataclass

BASE = """
CREATE SCHEMA app;
GRANT ALL ON SCHEMA app TO other;
CREATE TABLE app.t (id int PRIMARY KEY, a int, b text);
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
"""


@dataclass(frozen=True)
class Case:
    """A change.

    Attributes:
        changed: Names of all the differences that it makes.
        superuser: Whether it takes one.
        since: First version of PostgreSQL that knows it.
    """

    name: str
    changed: set[str]
    change: str
    reverse: str
    set_up: str = ""
    superuser: bool = False
    since: int = 15


def table(name: str, change: str, reverse: str, set_up: str = "", *more: str, since: int = 15) -> Case:
    return Case(f"table: {name}", {"table app.t", *more}, change, reverse, set_up, since=since)


def column(name: str, change: str, reverse: str, set_up: str = "", *more: str, since: int = 15) -> Case:
    return Case(f"column: {name}", {"column app.t.a", *more}, change, reverse, set_up, since=since)


SCHEMAS = [
    Case("schema", {"schema more"}, "CREATE SCHEMA more", "DROP SCHEMA more"),
    Case("schema: owner", {"schema more"}, "ALTER SCHEMA more OWNER TO other", "ALTER SCHEMA more OWNER TO collector",
         "CREATE SCHEMA more"),
    Case("schema: privileges", {"schema app"}, "GRANT USAGE ON SCHEMA app TO reader",
         "REVOKE USAGE ON SCHEMA app FROM reader"),
    Case("schema: comment", {"schema app"}, "COMMENT ON SCHEMA app IS 'x'", "COMMENT ON SCHEMA app IS NULL"),
]  # fmt: skip

TABLES = [
    Case("table", {"table app.n", "column app.n.x"}, "CREATE TABLE app.n (x int)", "DROP TABLE app.n"),
    Case("table: a name that has to be quoted", {'table app."My T"', 'column app."My T"."a.b"'},
         'CREATE TABLE app."My T" ("a.b" int)', 'DROP TABLE app."My T"'),
    table("unlogged", "ALTER TABLE app.t SET UNLOGGED", "ALTER TABLE app.t SET LOGGED"),
    table("owner", "ALTER TABLE app.t OWNER TO other", "ALTER TABLE app.t OWNER TO collector"),
    table("privileges", "GRANT SELECT ON app.t TO reader", "REVOKE SELECT ON app.t FROM reader"),
    table("grant option", "GRANT SELECT ON app.t TO reader WITH GRANT OPTION",
          "REVOKE GRANT OPTION FOR SELECT ON app.t FROM reader", "GRANT SELECT ON app.t TO reader"),
    table("owner's own privileges", "REVOKE ALL ON app.t FROM collector", "GRANT ALL ON app.t TO collector"),
    table("row level security", "ALTER TABLE app.t ENABLE ROW LEVEL SECURITY",
          "ALTER TABLE app.t DISABLE ROW LEVEL SECURITY"),
    table("forced row level security", "ALTER TABLE app.t FORCE ROW LEVEL SECURITY",
          "ALTER TABLE app.t NO FORCE ROW LEVEL SECURITY"),
    table("replica identity", "ALTER TABLE app.t REPLICA IDENTITY FULL", "ALTER TABLE app.t REPLICA IDENTITY DEFAULT"),
    table("replica identity by index", "ALTER TABLE app.t REPLICA IDENTITY USING INDEX t_pkey",
          "ALTER TABLE app.t REPLICA IDENTITY DEFAULT", "", "index app.t_pkey"),
    table("options", "ALTER TABLE app.t SET (fillfactor = 50)", "ALTER TABLE app.t RESET (fillfactor)"),
    table("options of TOAST", "ALTER TABLE app.t SET (toast.autovacuum_enabled = off)",
          "ALTER TABLE app.t RESET (toast.autovacuum_enabled)"),
    table("tablespace", "ALTER TABLE app.t SET TABLESPACE elsewhere", "ALTER TABLE app.t SET TABLESPACE pg_default"),
    table("comment", "COMMENT ON TABLE app.t IS 'it''s'", "COMMENT ON TABLE app.t IS NULL"),
    table("inheritance", "ALTER TABLE app.t INHERIT app.p", "ALTER TABLE app.t NO INHERIT app.p",
          "CREATE TABLE app.p (a int)"),
    table("of a type", "ALTER TABLE app.t OF app.shape", "ALTER TABLE app.t NOT OF",
          "CREATE TYPE app.shape AS (id int, a int, b text)"),
    Case("table: access method", {"table app.t"}, "ALTER TABLE app.t SET ACCESS METHOD heap2",
         "ALTER TABLE app.t SET ACCESS METHOD heap",
         "CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler", superuser=True),
    Case("table: partition attached", {"table app.p1"},
         "ALTER TABLE app.p ATTACH PARTITION app.p1 FOR VALUES FROM (1) TO (9)",
         "ALTER TABLE app.p DETACH PARTITION app.p1",
         "CREATE TABLE app.p (k int NOT NULL) PARTITION BY RANGE (k); CREATE TABLE app.p1 (k int NOT NULL)"),
    Case("table: partition bound", {"table app.p1"},
         "DROP TABLE app.p1; CREATE TABLE app.p1 PARTITION OF app.p FOR VALUES IN (1, 3)",
         "DROP TABLE app.p1; CREATE TABLE app.p1 PARTITION OF app.p FOR VALUES IN (1, 2)",
         "CREATE TABLE app.p (k int) PARTITION BY LIST (k);"
         "CREATE TABLE app.p1 PARTITION OF app.p FOR VALUES IN (1, 2)"),
    Case("table: partition key", {"table app.p"},
         "DROP TABLE app.p; CREATE TABLE app.p (j int, k int) PARTITION BY HASH (j)",
         "DROP TABLE app.p; CREATE TABLE app.p (j int, k int) PARTITION BY HASH (k)",
         "CREATE TABLE app.p (j int, k int) PARTITION BY HASH (k)"),
]  # fmt: skip

_IDENTITY = "ALTER TABLE app.t ALTER a SET NOT NULL, ALTER a ADD GENERATED BY DEFAULT AS IDENTITY"
_TEXT = "ALTER TABLE app.t ALTER a TYPE varchar(10)"

COLUMNS = [
    Case("column", {"column app.t.c"}, "ALTER TABLE app.t ADD c int", "ALTER TABLE app.t DROP c"),
    column("name", "ALTER TABLE app.t RENAME a TO z", "ALTER TABLE app.t RENAME z TO a", "", "column app.t.z"),
    column("type", "ALTER TABLE app.t ALTER a TYPE bigint", "ALTER TABLE app.t ALTER a TYPE int"),
    column("type's length", "ALTER TABLE app.t ALTER a TYPE varchar(20)", _TEXT, _TEXT),
    column("NOT NULL", "ALTER TABLE app.t ALTER a SET NOT NULL", "ALTER TABLE app.t ALTER a DROP NOT NULL"),
    column("NOT NULL, not valid", "ALTER TABLE app.t VALIDATE CONSTRAINT n",
           "ALTER TABLE app.t DROP CONSTRAINT n, ADD CONSTRAINT n NOT NULL a NOT VALID",
           "ALTER TABLE app.t ADD CONSTRAINT n NOT NULL a NOT VALID", since=18),
    column("NOT NULL, not inherited", "ALTER TABLE app.t ALTER CONSTRAINT n NO INHERIT",
           "ALTER TABLE app.t ALTER CONSTRAINT n INHERIT", "ALTER TABLE app.t ADD CONSTRAINT n NOT NULL a", since=18),
    column("default", "ALTER TABLE app.t ALTER a SET DEFAULT 3", "ALTER TABLE app.t ALTER a DROP DEFAULT"),
    column("identity", _IDENTITY, "ALTER TABLE app.t ALTER a DROP IDENTITY, ALTER a DROP NOT NULL", "",
           "sequence app.t_a_seq"),
    column("kind of identity", "ALTER TABLE app.t ALTER a SET GENERATED ALWAYS",
           "ALTER TABLE app.t ALTER a SET GENERATED BY DEFAULT", _IDENTITY),
    column("options of identity", "ALTER TABLE app.t ALTER a SET INCREMENT 5",
           "ALTER TABLE app.t ALTER a SET INCREMENT 1", _IDENTITY, "sequence app.t_a_seq"),
    column("generated", "ALTER TABLE app.t DROP a, ADD a int GENERATED ALWAYS AS (id * 2) STORED",
           "ALTER TABLE app.t DROP a, ADD a int"),
    column("kind of generated", "ALTER TABLE app.t DROP a, ADD a int GENERATED ALWAYS AS (id * 2) STORED",
           "ALTER TABLE app.t DROP a, ADD a int GENERATED ALWAYS AS (id * 2) VIRTUAL",
           "ALTER TABLE app.t DROP a, ADD a int GENERATED ALWAYS AS (id * 2) VIRTUAL", since=18),
    Case("column: collation", {"column app.t.b"}, 'ALTER TABLE app.t ALTER b TYPE text COLLATE "C"',
         "ALTER TABLE app.t ALTER b TYPE text"),
    column("privileges", "GRANT SELECT (a) ON app.t TO reader", "REVOKE SELECT (a) ON app.t FROM reader"),
    column("comment", "COMMENT ON COLUMN app.t.a IS 'x'", "COMMENT ON COLUMN app.t.a IS NULL"),
    Case("column: storage", {"column app.t.b"}, "ALTER TABLE app.t ALTER b SET STORAGE EXTERNAL",
         "ALTER TABLE app.t ALTER b SET STORAGE EXTENDED"),
    Case("column: compression", {"column app.t.b"}, "ALTER TABLE app.t ALTER b SET COMPRESSION pglz",
         "ALTER TABLE app.t ALTER b SET COMPRESSION default"),
    column("statistics", "ALTER TABLE app.t ALTER a SET STATISTICS 500", "ALTER TABLE app.t ALTER a SET STATISTICS -1"),
    column("no statistics", "ALTER TABLE app.t ALTER a SET STATISTICS 0", "ALTER TABLE app.t ALTER a SET STATISTICS -1"),
    column("options", "ALTER TABLE app.t ALTER a SET (n_distinct = 5)", "ALTER TABLE app.t ALTER a RESET (n_distinct)"),
    Case("column: of a view", {"column app.v.a"}, "ALTER VIEW app.v ALTER a SET DEFAULT 3",
         "ALTER VIEW app.v ALTER a DROP DEFAULT", "CREATE VIEW app.v AS SELECT a FROM app.t"),
]  # fmt: skip

_CHECK = "ALTER TABLE app.t ADD CONSTRAINT k CHECK (a > 0)"
_FK = "ALTER TABLE app.t ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES app.t (id)"
_DROP = "ALTER TABLE app.t DROP CONSTRAINT k"


def constraint(name: str, change: str, reverse: str, set_up: str = "", *more: str, since: int = 15) -> Case:
    return Case(f"constraint: {name}", {"constraint app.t.k", *more}, change, reverse, set_up, since=since)


CONSTRAINTS = [
    constraint("check", _CHECK, _DROP),
    constraint("definition", f"{_DROP}, ADD CONSTRAINT k CHECK (a > 1)", f"{_DROP}; {_CHECK}", _CHECK),
    constraint("name", "ALTER TABLE app.t RENAME CONSTRAINT k TO l", "ALTER TABLE app.t RENAME CONSTRAINT l TO k", _CHECK,
               "constraint app.t.l"),
    constraint("not valid", "ALTER TABLE app.t VALIDATE CONSTRAINT k", f"{_DROP}; {_CHECK} NOT VALID",
               f"{_CHECK} NOT VALID"),
    constraint("unique", "ALTER TABLE app.t ADD CONSTRAINT k UNIQUE (a)", _DROP, "", "index app.k"),
    constraint("exclude", "ALTER TABLE app.t ADD CONSTRAINT k EXCLUDE (a WITH =)", _DROP, "", "index app.k"),
    constraint("foreign key", _FK, _DROP),
    constraint("foreign key to a partitioned table",
               "ALTER TABLE app.t ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES app.p (x)", _DROP,
               "CREATE TABLE app.p (x int PRIMARY KEY) PARTITION BY LIST (x);"
               "CREATE TABLE app.p1 PARTITION OF app.p FOR VALUES IN (1);"
               "CREATE TABLE app.p2 PARTITION OF app.p FOR VALUES IN (2)"),
    constraint("action of a foreign key", f"{_DROP}; {_FK} ON DELETE CASCADE", f"{_DROP}; {_FK}", _FK),
    constraint("deferrable", "ALTER TABLE app.t ALTER CONSTRAINT k DEFERRABLE INITIALLY DEFERRED",
               "ALTER TABLE app.t ALTER CONSTRAINT k NOT DEFERRABLE", _FK),
    constraint("not enforced", "ALTER TABLE app.t ALTER CONSTRAINT k NOT ENFORCED",
               "ALTER TABLE app.t ALTER CONSTRAINT k ENFORCED", _FK, since=18),
    constraint("comment", "COMMENT ON CONSTRAINT k ON app.t IS 'x'", "COMMENT ON CONSTRAINT k ON app.t IS NULL", _CHECK),
    Case("constraint: its triggers switched off", {"constraint app.t.k"}, "ALTER TABLE app.t DISABLE TRIGGER ALL",
         "ALTER TABLE app.t ENABLE TRIGGER ALL", _FK, superuser=True),
]  # fmt: skip

_INDEX = "CREATE INDEX i ON app.t (a)"


def index(name: str, change: str, reverse: str, set_up: str = _INDEX, *more: str) -> Case:
    return Case(f"index: {name}", {"index app.i", *more}, change, reverse, set_up)


_PARTITIONED = """CREATE TABLE app.p (x int) PARTITION BY LIST (x);
CREATE TABLE app.p1 PARTITION OF app.p FOR VALUES IN (1);
CREATE INDEX i ON ONLY app.p (x); CREATE INDEX i1 ON app.p1 (x);"""

INDEXES = [
    index("new", _INDEX, "DROP INDEX app.i", ""),
    index("definition", "DROP INDEX app.i; CREATE INDEX i ON app.t (a DESC)", f"DROP INDEX app.i; {_INDEX}"),
    index("name", "ALTER INDEX app.i RENAME TO j", "ALTER INDEX app.j RENAME TO i", _INDEX, "index app.j"),
    index("options", "ALTER INDEX app.i SET (fillfactor = 50)", "ALTER INDEX app.i RESET (fillfactor)"),
    index("tablespace", "ALTER INDEX app.i SET TABLESPACE elsewhere", "ALTER INDEX app.i SET TABLESPACE pg_default"),
    index("statistics", "ALTER INDEX app.i ALTER 1 SET STATISTICS 500", "ALTER INDEX app.i ALTER 1 SET STATISTICS -1",
          "CREATE INDEX i ON app.t ((a + 1))"),
    index("clustered", "ALTER TABLE app.t CLUSTER ON i", "ALTER TABLE app.t SET WITHOUT CLUSTER"),
    index("comment", "COMMENT ON INDEX app.i IS 'x'", "COMMENT ON INDEX app.i IS NULL"),
    index("attached and so valid", "ALTER INDEX app.i ATTACH PARTITION app.i1",
          "DROP INDEX app.i; CREATE INDEX i ON ONLY app.p (x); CREATE INDEX i1 ON app.p1 (x)", _PARTITIONED,
          "index app.i1"),
    Case("index: comment, behind a constraint", {"index app.t_pkey"}, "COMMENT ON INDEX app.t_pkey IS 'x'",
         "COMMENT ON INDEX app.t_pkey IS NULL"),
]  # fmt: skip

_TRIGGER = "CREATE TRIGGER g BEFORE UPDATE ON app.t FOR EACH ROW EXECUTE FUNCTION app.touch()"
_RULE = "CREATE RULE r AS ON DELETE TO app.t DO INSTEAD NOTHING"
_POLICY = "CREATE POLICY o ON app.t USING (a > 1)"


def hung(kind: str, name: str, change: str, reverse: str, set_up: str) -> Case:
    return Case(
        f"{kind}: {name}", {f"{kind} app.t.{kind[0] if kind != 'trigger' else 'g'}"}, change, reverse, set_up
    )


TRIGGERS = [
    hung("trigger", "new", _TRIGGER, "DROP TRIGGER g ON app.t", ""),
    hung("trigger", "definition", _TRIGGER.replace("CREATE", "CREATE OR REPLACE").replace("UPDATE", "INSERT"),
         _TRIGGER.replace("CREATE", "CREATE OR REPLACE"), _TRIGGER),
    hung("trigger", "disabled", "ALTER TABLE app.t DISABLE TRIGGER g", "ALTER TABLE app.t ENABLE TRIGGER g", _TRIGGER),
    hung("trigger", "always", "ALTER TABLE app.t ENABLE ALWAYS TRIGGER g", "ALTER TABLE app.t ENABLE TRIGGER g", _TRIGGER),
    hung("trigger", "comment", "COMMENT ON TRIGGER g ON app.t IS 'x'", "COMMENT ON TRIGGER g ON app.t IS NULL", _TRIGGER),
    hung("trigger", "of a constraint",
         "CREATE CONSTRAINT TRIGGER g AFTER INSERT ON app.t DEFERRABLE FOR EACH ROW EXECUTE FUNCTION app.touch()",
         "DROP TRIGGER g ON app.t", ""),
    hung("rule", "new", _RULE, "DROP RULE r ON app.t", ""),
    hung("rule", "definition", _RULE.replace("CREATE", "CREATE OR REPLACE").replace("NOTHING", "SELECT 1"),
         _RULE.replace("CREATE", "CREATE OR REPLACE"), _RULE),
    hung("rule", "disabled", "ALTER TABLE app.t DISABLE RULE r", "ALTER TABLE app.t ENABLE RULE r", _RULE),
    hung("rule", "comment", "COMMENT ON RULE r ON app.t IS 'x'", "COMMENT ON RULE r ON app.t IS NULL", _RULE),
    Case("policy", {"policy app.t.o"}, _POLICY, "DROP POLICY o ON app.t"),
    Case("policy: condition", {"policy app.t.o"}, "ALTER POLICY o ON app.t USING (a > 2)",
         "ALTER POLICY o ON app.t USING (a > 1)", _POLICY),
    Case("policy: check", {"policy app.t.o"}, "ALTER POLICY o ON app.t WITH CHECK (a > 2)",
         f"DROP POLICY o ON app.t; {_POLICY}", _POLICY),
    Case("policy: roles", {"policy app.t.o"}, "ALTER POLICY o ON app.t TO reader, other",
         "ALTER POLICY o ON app.t TO PUBLIC", _POLICY),
    Case("policy: comment", {"policy app.t.o"}, "COMMENT ON POLICY o ON app.t IS 'x'",
         "COMMENT ON POLICY o ON app.t IS NULL", _POLICY),
    Case("policy: command and kind", {"policy app.t.o"},
         "DROP POLICY o ON app.t; CREATE POLICY o ON app.t AS RESTRICTIVE FOR SELECT USING (a > 1)",
         f"DROP POLICY o ON app.t; {_POLICY}", _POLICY),
    Case("statistics", {"statistics app.s"}, "CREATE STATISTICS app.s ON a, b FROM app.t", "DROP STATISTICS app.s"),
    Case("statistics: target", {"statistics app.s"}, "ALTER STATISTICS app.s SET STATISTICS 500",
         "ALTER STATISTICS app.s SET STATISTICS -1", "CREATE STATISTICS app.s ON a, b FROM app.t"),
    Case("statistics: comment", {"statistics app.s"}, "COMMENT ON STATISTICS app.s IS 'x'",
         "COMMENT ON STATISTICS app.s IS NULL", "CREATE STATISTICS app.s ON a, b FROM app.t"),
    Case("statistics: owner", {"statistics app.s"}, "ALTER STATISTICS app.s OWNER TO other",
         "ALTER STATISTICS app.s OWNER TO collector", "CREATE STATISTICS app.s ON a, b FROM app.t"),
]  # fmt: skip

CASES = [*SCHEMAS, *TABLES, *COLUMNS, *CONSTRAINTS, *INDEXES, *TRIGGERS]
