"""Every kind of change that can be taken back, as a table: what was there, the migration, and what is written when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Client:
    """What an application writes all the time, while the schema changes below it.

    Attributes:
        table: As its statements name it.
        columns: Those that it writes: the key, and what it changes; with one alone it changes the key.
        of: The release whose schema has a place for it: `both` exactly if every statement is valid before and after.
        prepared: Whether statements that the server has prepared are valid there, too: not if the type of a column changes.
    """

    table: str
    columns: tuple[str, ...]
    of: Literal["both", "old", "new"] = "both"
    prepared: bool = True


CLIENT = Client("t", ("id", "a"))


@dataclass(frozen=True)
class Kind:
    """One kind, and the rows that it has to come to.

    Attributes:
        name: Of the test.
        before: Schema and rows of the old release.
        up: The migration.
        new: What the new release writes.
        look: A query of the old release.
        back: What it finds after the way back.
        old: What the old release writes then.
        ahead: A query of the new release.
        forth: What it finds after the way forward again.
        residue: The schema is another one after the way back, and says so.
        clients: Who writes meanwhile.
    """

    name: str
    before: str
    up: str
    new: str
    look: str
    back: str
    old: str
    ahead: str
    forth: str
    residue: bool = False
    clients: tuple[Client, ...] = (CLIENT,)


T = "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'a1'), (2, 'a2'), (3, 'a3');"
WRITE = (
    "INSERT INTO t (id, a) VALUES (4, 'a4'); UPDATE t SET a = 'A1' WHERE id = 1; DELETE FROM t WHERE id = 2;"
)
WROTE = "1 A1 | 3 a3 | 4 a4"
OLD = (
    "INSERT INTO t (id, a) VALUES (5, 'a5'); UPDATE t SET a = 'A3' WHERE id = 3; DELETE FROM t WHERE id = 1;"
)
IA = "SELECT id, a FROM t ORDER BY id"
REST = "3 A3 | 4 a4 | 5 a5"


def plain(name: str, up: str, before: str = "", ahead: str = IA, forth: str = REST) -> Kind:
    """Return a kind that leaves the columns `id` and `a` of `t` to both releases."""
    return Kind(name, T + before, up, WRITE, IA, WROTE, OLD, ahead, forth)


def added(name: str, column: str, new: str, forth: str, before: str = "") -> Kind:
    """Return a kind that adds a column `n` to `t`, which the new release writes."""
    up = f"ALTER TABLE t ADD COLUMN n {column}"
    return Kind(
        name, before + T, up, WRITE + new, IA, WROTE, OLD, "SELECT id, a, n FROM t ORDER BY id", forth
    )


def dropped(
    name: str, column: str, values: str, back: str, old: str, *, new: str = "", ahead: str = IA, forth: str = REST,
    before: str = "", after: str = "", last: str = "b text", up: str = "ALTER TABLE t DROP COLUMN n",
) -> Kind:  # fmt: skip
    """Return a kind that drops a column `n` of `t`, which has a column behind it."""
    return Kind(
        name,
        f"{before} CREATE TABLE t (id int PRIMARY KEY, n {column}, a text, {last}); "
        f"INSERT INTO t (id, n, a) VALUES {values}; {after}",
        up,
        WRITE + new,
        "SELECT id, a, n FROM t ORDER BY id",
        back,
        OLD + old,
        ahead,
        forth,
    )


COLUMNS_ADDED = (
    added("column_added", "text", "UPDATE t SET n = 'n3' WHERE id = 3", "3 A3 n3 | 4 a4 - | 5 a5 -"),
    added("column_added_with_default", "int NOT NULL DEFAULT 7", "UPDATE t SET n = 8 WHERE id = 3", "3 A3 8 | 4 a4 7 | 5 a5 7"),
    added("column_added_with_text_default", "text NOT NULL DEFAULT 'it''s \\d'", "", "3 A3 it's \\d | 4 a4 it's \\d | 5 a5 it's \\d"),
    added("column_added_boolean", "boolean NOT NULL DEFAULT false", "UPDATE t SET n = true WHERE id = 3", "3 A3 t | 4 a4 f | 5 a5 f"),
    added("column_added_generated", "text GENERATED ALWAYS AS (a || '!') STORED", "", "3 A3 A3! | 4 a4 a4! | 5 a5 a5!"),
    added("column_added_serial", "serial", "", "3 A3 3 | 4 a4 4 | 5 a5 5"),
    added("column_added_identity", "int GENERATED ALWAYS AS IDENTITY", "", "3 A3 3 | 4 a4 4 | 5 a5 5"),
    added("column_added_check", "int DEFAULT 1 CHECK (n > 0)", "UPDATE t SET n = 2 WHERE id = 3", "3 A3 2 | 4 a4 1 | 5 a5 1"),
    added("column_added_unique", "int UNIQUE", "UPDATE t SET n = id", "3 A3 3 | 4 a4 4 | 5 a5 -"),
    added("column_added_foreign_key", "int REFERENCES p ON DELETE CASCADE", "UPDATE t SET n = 1", "3 A3 1 | 4 a4 1 | 5 a5 -",
          "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1);"),
    added("column_added_enum", "mood NOT NULL DEFAULT 'ok'", "UPDATE t SET n = 'bad' WHERE id = 3", "3 A3 bad | 4 a4 ok | 5 a5 ok",
          "CREATE TYPE mood AS ENUM ('ok', 'bad');"),
    Kind("column_added_and_filled", T, "ALTER TABLE t ADD COLUMN n text; UPDATE t SET n = a || '!'; ALTER TABLE t ALTER n SET NOT NULL",
         WRITE.replace("(id, a) VALUES (4, 'a4'", "(id, a, n) VALUES (4, 'a4', 'n4'"), IA, WROTE, OLD, "SELECT id, a, n FROM t ORDER BY id",
         "3 A3 A3! | 4 a4 n4 | 5 a5 a5!", clients=(Client("t", ("id", "a"), "old"), Client("t", ("id", "n", "a"), "new"))),
    plain("column_added_volatile", "ALTER TABLE t ADD n uuid NOT NULL DEFAULT gen_random_uuid()",
          ahead="SELECT id, a, n IS NULL AS n FROM t ORDER BY id", forth="3 A3 f | 4 a4 f | 5 a5 f"),
    plain("column_added_now", "ALTER TABLE t ADD n timestamptz NOT NULL DEFAULT now()",
          ahead="SELECT id, a, n > '2000-01-01' AS n FROM t ORDER BY id", forth="3 A3 t | 4 a4 t | 5 a5 t"),
)  # fmt: skip

COLUMNS_DROPPED = (
    dropped("column_dropped", "text", "(1,'n1','a1'),(2,'n2','a2'),(3,'n3','a3')", "1 A1 n1 | 3 a3 n3 | 4 a4 -",
            "UPDATE t SET n = 'N3' WHERE id = 3"),
    dropped("column_dropped_last", "text", "(1,'n1','a1'),(2,'n2','a2'),(3,'n3','a3')", "1 A1 n1 | 3 a3 n3 | 4 a4 -", "",
            last="CHECK (true)"),
    dropped("column_dropped_with_default", "text NOT NULL DEFAULT 'd'", "(1,'n1','a1'),(2,'n2','a2'),(3,'n3','a3')",
            "1 A1 n1 | 3 a3 n3 | 4 a4 d", ""),
    Kind("column_dropped_not_null",
        "CREATE TABLE t (id int PRIMARY KEY, n text NOT NULL, a text); INSERT INTO t VALUES (1,'n1','a1'),(2,'n2','a2'),(3,'n3','a3');",
        "ALTER TABLE t\n-- backout: fill t.n = a || '?'\nDROP COLUMN n", WRITE, "SELECT id, a, n FROM t ORDER BY id",
        "1 A1 n1 | 3 a3 n3 | 4 a4 a4?",
        "INSERT INTO t (id, a, n) VALUES (5, 'a5', 'n5'); UPDATE t SET a = 'A3' WHERE id = 3; DELETE FROM t WHERE id = 1;", IA, REST,
        # Neither release's INSERT suits the other: n needs a value, or is not there.
        clients=(Client("t", ("id", "n", "a"), "old"), Client("t", ("id", "a"), "new"))),
    dropped("column_dropped_int_default", "int NOT NULL DEFAULT 5", "(1,1,'a1'),(2,2,'a2'),(3,3,'a3')", "1 A1 1 | 3 a3 3 | 4 a4 5", ""),
    dropped("column_dropped_int", "int", "(1,1,'a1'),(2,2,'a2'),(3,NULL,'a3')", "1 A1 1 | 3 a3 - | 4 a4 -", ""),
    Kind("column_dropped_int_with_answer", "CREATE TABLE t (id int PRIMARY KEY, n int, a text, b int); INSERT INTO t VALUES (1, 1, 'a1'), (2, 2, 'a2'), (3, NULL, 'a3');",
         "ALTER TABLE t\n-- backout: fill t.n = id * 10\nDROP COLUMN n", WRITE, "SELECT id, a, n FROM t ORDER BY id", "1 A1 1 | 3 a3 - | 4 a4 40", OLD, IA, REST),
    dropped("column_dropped_bigint_default", "bigint DEFAULT 5", "(1,1,'a1'),(2,2,'a2'),(3,NULL,'a3')", "1 A1 1 | 3 a3 - | 4 a4 5", ""),
    dropped("column_dropped_int_nullable_default", "int DEFAULT 5", "(1,1,'a1'),(2,2,'a2'),(3,3,'a3')", "1 A1 1 | 3 a3 3 | 4 a4 5", ""),
    dropped("column_dropped_boolean", "boolean NOT NULL DEFAULT true", "(1,false,'a1'),(2,false,'a2'),(3,true,'a3')",
            "1 A1 f | 3 a3 t | 4 a4 t", ""),
    dropped("column_dropped_varchar", "varchar(5) NOT NULL DEFAULT 'd'", "(1,'n1','a1'),(2,'n2','a2'),(3,'n3','a3')",
            "1 A1 n1 | 3 a3 n3 | 4 a4 d", ""),
    dropped("column_dropped_numeric", "numeric(6,2) NOT NULL DEFAULT 1", "(1,1.5,'a1'),(2,2,'a2'),(3,3,'a3')",
            "1 A1 1.50 | 3 a3 3.00 | 4 a4 1.00", ""),
    dropped("column_dropped_jsonb", "jsonb NOT NULL DEFAULT '{}'", "(1,'[1]','a1'),(2,'2','a2'),(3,'3','a3')",
            "1 A1 [1] | 3 a3 3 | 4 a4 {}", ""),
    dropped("column_dropped_json", "json NOT NULL DEFAULT '{}'", "(1,'{\"a\":1,\"a\":2}','a1'),(2,'2','a2'),(3,'3','a3')",
            "1 A1 {\"a\":1,\"a\":2} | 3 a3 3 | 4 a4 {}", ""),
    dropped("column_dropped_uuid", "uuid NOT NULL DEFAULT '00000000-0000-0000-0000-00000000000f'",
            "(1,'00000000-0000-0000-0000-000000000001','a1'),(3,'00000000-0000-0000-0000-000000000003','a3')",
            "1 A1 00000000-0000-0000-0000-000000000001 | 3 a3 00000000-0000-0000-0000-000000000003 | "
            "4 a4 00000000-0000-0000-0000-00000000000f", ""),
    dropped("column_dropped_bytea", "bytea NOT NULL DEFAULT '\\x00'", "(1,'\\x01','a1'),(3,'\\x03','a3')",
            "1 A1 \\x01 | 3 a3 \\x03 | 4 a4 \\x00", ""),
    dropped("column_dropped_timestamp", "timestamp NOT NULL DEFAULT '2020-01-01'", "(1,'2021-01-01','a1'),(3,'infinity','a3')",
            "1 A1 2021-01-01 00:00:00 | 3 a3 infinity | 4 a4 2020-01-01 00:00:00", ""),
    dropped("column_dropped_array", "int[] NOT NULL DEFAULT '{}'", "(1,'{1}','a1'),(3,'{3}','a3')", "1 A1 {1} | 3 a3 {3} | 4 a4 {}", ""),
    dropped("column_dropped_enum", "mood NOT NULL DEFAULT 'ok'", "(1,'bad','a1'),(3,'ok','a3')", "1 A1 bad | 3 a3 ok | 4 a4 ok", "",
            before="CREATE TYPE mood AS ENUM ('ok', 'bad');"),
    dropped("column_dropped_domain", "percent NOT NULL DEFAULT 5", "(1,1,'a1'),(3,3,'a3')", "1 A1 1 | 3 a3 3 | 4 a4 5", "",
            before="CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);"),
    dropped("column_dropped_collated", 'text COLLATE "C" NOT NULL DEFAULT \'d\'', "(1,'n1','a1'),(3,'n3','a3')",
            "1 A1 n1 | 3 a3 n3 | 4 a4 d", ""),
    dropped("column_dropped_commented", "text", "(1,'n1','a1'),(3,'n3','a3')", "1 A1 n1 | 3 a3 n3 | 4 a4 -", "",
            after="COMMENT ON COLUMN t.n IS 'it''s \\ \"n\"';"),
    dropped("column_dropped_indexed", "text", "(1,'n1','a1'),(3,'n3','a3')", "1 A1 n1 | 3 a3 n3 | 4 a4 -", "",
            after="CREATE INDEX ON t (n); CREATE INDEX ON t (a, n); CREATE INDEX low ON t (lower(n)); CREATE INDEX part ON t (id) WHERE n IS NOT NULL;"),
    dropped("column_dropped_included", "text", "(1,'n1','a1'),(3,'n3','a3')", "1 A1 n1 | 3 a3 n3 | 4 a4 -", "",
            after="CREATE INDEX inc ON t (a) INCLUDE (n);"),
    dropped("column_dropped_unique", "text UNIQUE", "(1,'n1','a1'),(3,'n3','a3')", "1 A1 n1 | 3 a3 n3 | 4 a4 -",
            "UPDATE t SET n = 'n4' WHERE id = 4"),
    dropped("column_dropped_that_a_unique_index_reads", "int", "(1,NULL,'a1'),(3,7,'a3')", "1 A1 - | 3 a3 7 | 4 a4 - | 6 x -", "",
            after="CREATE UNIQUE INDEX i ON t (a) WHERE n IS NULL; CREATE UNIQUE INDEX j ON t (a, (coalesce(n, 0)));", new="INSERT INTO t (id, a) VALUES (6, 'x'), (7, 'x'); DELETE FROM t WHERE id = 7;",
            forth="3 A3 | 4 a4 | 5 a5 | 6 x"),
    dropped("column_dropped_unique_together", "text NOT NULL DEFAULT 'd'", "(1,'n1','a1'),(3,'n3','a3')", "1 A1 n1 | 3 a3 n3 | 4 a4 d", "",
            after="ALTER TABLE t ADD UNIQUE (a, n);"),
    dropped("column_dropped_foreign_key", "int REFERENCES p ON DELETE CASCADE", "(1,1,'a1'),(3,2,'a3')", "1 A1 1 | 3 a3 2 | 4 a4 -", "",
            before="CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1), (2);"),
    dropped("column_dropped_check", "int NOT NULL DEFAULT 1 CHECK (n > 0)", "(1,1,'a1'),(3,2,'a3')", "1 A1 1 | 3 a3 2 | 4 a4 1", "",
            after="ALTER TABLE t ADD CONSTRAINT both_ CHECK (n < 100 OR a IS NULL);"),
    dropped("column_dropped_serial", "serial", "(1,1,'a1'),(3,2,'a3')", "1 A1 1 | 3 a3 2 | 4 a4 3", "", after="SELECT setval('t_n_seq', 2);"),
    dropped("column_dropped_identity", "int GENERATED BY DEFAULT AS IDENTITY", "(1,1,'a1'),(3,2,'a3')", "1 A1 1 | 3 a3 2 | 4 a4 3", "",
            after="SELECT setval('t_n_seq', 2);"),
    Kind("column_dropped_serial_key", "CREATE TABLE t (id serial PRIMARY KEY, a text); INSERT INTO t (a) VALUES ('a1'), ('a2'), ('a3');",
         "ALTER TABLE t DROP COLUMN id", "INSERT INTO t (a) VALUES ('a4'); UPDATE t SET a = 'A1' WHERE a = 'a1'; DELETE FROM t WHERE a = 'a2'",
         IA, WROTE, "INSERT INTO t (a) VALUES ('a5'); DELETE FROM t WHERE id = 1", "SELECT a FROM t ORDER BY a", "a3 | a4 | a5",
         clients=(Client("t", ("a",)),)),
    Kind("column_dropped_generated",
         "CREATE TABLE t (id int PRIMARY KEY, a text, n text GENERATED ALWAYS AS (a || '!') STORED); INSERT INTO t VALUES (1, 'a1'), (2, 'a2'), (3, 'a3');",
         "ALTER TABLE t DROP COLUMN n", WRITE, "SELECT id, a, n FROM t ORDER BY id", "1 A1 A1! | 3 a3 a3! | 4 a4 a4!", OLD, IA, REST),
    dropped("column_dropped_function_default", "text NOT NULL DEFAULT made()", "(1,'n1','a1'),(3,'n3','a3')", "1 A1 n1 | 3 a3 n3 | 4 a4 made", "",
            before="CREATE FUNCTION made() RETURNS text LANGUAGE sql AS $$SELECT 'made'::text$$;"),
    Kind("two_columns_dropped",
         "CREATE TABLE t (id int PRIMARY KEY, a text, m text DEFAULT 'm', n text, UNIQUE (m, n)); INSERT INTO t VALUES (1, 'a1', 'm1', 'n1'), (2, 'a2', 'm', NULL), (3, 'a3', 'm', NULL);",
         "ALTER TABLE t DROP COLUMN m, DROP COLUMN n", WRITE, "SELECT id, a, m, n FROM t ORDER BY id", "1 A1 m1 n1 | 3 a3 m - | 4 a4 - -", OLD, IA, REST),
)  # fmt: skip

COLUMNS_CHANGED = (
    Kind("column_renamed", T, "ALTER TABLE t RENAME a TO b", "INSERT INTO t (id, b) VALUES (4, 'a4'); UPDATE t SET b = 'A1' WHERE id = 1; DELETE FROM t WHERE id = 2;", IA, WROTE, OLD,
         "SELECT id, b FROM t ORDER BY id", REST, clients=(Client("t", ("id",)), Client("t", ("id", "a"), "old"), Client("t", ("id", "b"), "new"))),
    Kind("names_swapped", "CREATE TABLE t (id int PRIMARY KEY, a text, b text); INSERT INTO t VALUES (1, 'a1', 'b1');",
         "ALTER TABLE t RENAME a TO c; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME c TO b",
         "INSERT INTO t (id, a, b) VALUES (2, 'b2', 'a2')", "SELECT id, a, b FROM t ORDER BY id", "1 a1 b1 | 2 a2 b2",
         "INSERT INTO t (id, a, b) VALUES (3, 'a3', 'b3')", "SELECT id, a, b FROM t ORDER BY id", "1 b1 a1 | 2 b2 a2 | 3 b3 a3",
         clients=(Client("t", ("id", "a", "b")),)),
    plain("not_null_set", "ALTER TABLE t ALTER a SET NOT NULL"),
    Kind("not_null_dropped", "CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL DEFAULT 'd'); INSERT INTO t VALUES (1, 'a1'), (2, 'a2'), (3, 'a3')",
         "ALTER TABLE t ALTER a DROP NOT NULL", WRITE + "INSERT INTO t VALUES (6, NULL)", IA, WROTE + " | 6 d", OLD, IA, REST + " | 6 -"),
    Kind("not_null_dropped_with_answer", "CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL); INSERT INTO t VALUES (1, 'a1'), (2, 'a2'), (3, 'a3')",
         "ALTER TABLE t\n-- backout: fill t.a = id::text\nALTER a DROP NOT NULL", WRITE + "INSERT INTO t VALUES (6, NULL)", IA, WROTE + " | 6 6", OLD,
         IA, REST + " | 6 -"),
    plain("default_set", "ALTER TABLE t ALTER a SET DEFAULT 'd'"),
    Kind("default_dropped", "CREATE TABLE t (id int PRIMARY KEY, a text DEFAULT 'd'); INSERT INTO t VALUES (1, 'a1'), (2, 'a2'), (3, 'a3')",
         "ALTER TABLE t ALTER a DROP DEFAULT", WRITE, IA, WROTE, OLD + "INSERT INTO t (id) VALUES (6)", IA, REST + " | 6 d"),
    plain("default_changed", "ALTER TABLE t ALTER id SET DEFAULT nextval('other')", "CREATE SEQUENCE other; ALTER TABLE t ALTER id SET DEFAULT 9;"),
    plain("column_commented", "COMMENT ON COLUMN t.a IS 'new \\ it''s'", "COMMENT ON COLUMN t.a IS 'old';"),
    plain("column_replaced", "ALTER TABLE t DROP COLUMN b; ALTER TABLE t ADD COLUMN b int", "ALTER TABLE t ADD b text DEFAULT 'b';",
          ahead="SELECT id, a, b FROM t ORDER BY id", forth="3 A3 - | 4 a4 - | 5 a5 -"),
    plain("column_replaced_at_once", "ALTER TABLE t DROP COLUMN b, ADD COLUMN b int, ADD COLUMN c int DEFAULT 1, ALTER a SET DEFAULT 'x'",
          "ALTER TABLE t ADD b text DEFAULT 'b';", ahead="SELECT id, a, b, c FROM t ORDER BY id", forth="3 A3 - 1 | 4 a4 - 1 | 5 a5 - 1"),
)  # fmt: skip

TABLES = (
    Kind("table_added", T, "CREATE TABLE n (id serial PRIMARY KEY, t int REFERENCES t ON DELETE CASCADE, x text CHECK (x <> '') UNIQUE); CREATE INDEX ON n (t)",
         WRITE + "INSERT INTO n (t, x) VALUES (3, 'x3')", IA, WROTE, OLD,
         "SELECT id, t, x FROM n ORDER BY id", "1 3 x3", clients=(CLIENT, Client("n", ("id", "x"), "new"))),
    Kind("table_added_as", T, "CREATE TABLE n AS SELECT 1 AS x", WRITE + "INSERT INTO n VALUES (2)", IA, WROTE, OLD, "SELECT x FROM n ORDER BY x", "1 | 2",
         clients=(CLIENT, Client("n", ("x",), "new"))),
    Kind("tables_added_in_a_ring", T, "CREATE TABLE m (id int PRIMARY KEY, n int); CREATE TABLE n (id int PRIMARY KEY, m int REFERENCES m); "
         "ALTER TABLE m ADD FOREIGN KEY (n) REFERENCES n", WRITE + "INSERT INTO m VALUES (1); INSERT INTO n VALUES (1, 1); UPDATE m SET n = 1",
         IA, WROTE, OLD, "SELECT m.id, n.id AS n FROM m JOIN n ON m.n = n.id AND n.m = m.id", "1 1", clients=(CLIENT, Client("m", ("id",), "new"))),
    Kind("table_dropped", T + "CREATE TABLE o (id serial PRIMARY KEY, t int REFERENCES t ON DELETE CASCADE, x text CHECK (x <> '') UNIQUE); "
         "CREATE INDEX ON o (t); INSERT INTO o (t, x) VALUES (1, 'x1'), (3, 'x3'); COMMENT ON TABLE o IS 'o';",
         "DROP TABLE o", WRITE, "SELECT id, t, x FROM o ORDER BY id", "1 1 x1 | 2 3 x3",
         OLD + "INSERT INTO o (t, x) VALUES (4, 'x4'); DELETE FROM o WHERE id = 1", IA, REST,
         clients=(CLIENT, Client("o", ("id", "x"), "old"))),
    Kind("table_dropped_with_children", T + "CREATE TABLE o (id int PRIMARY KEY); INSERT INTO o VALUES (1); ALTER TABLE t ADD o int REFERENCES o;"
         "UPDATE t SET o = 1 WHERE id = 1;", "DROP TABLE o CASCADE", WRITE, "SELECT id, a, o FROM t ORDER BY id", "1 A1 1 | 3 a3 - | 4 a4 -", OLD, IA, REST,
         clients=(CLIENT, Client("o", ("id",), "old"))),
    Kind("tables_dropped", T + "CREATE TABLE o (id int PRIMARY KEY, o int REFERENCES o); CREATE TABLE p (id int PRIMARY KEY, o int REFERENCES o);"
         "INSERT INTO o VALUES (1, 1); INSERT INTO p VALUES (1, 1);", "DROP TABLE o, p", WRITE, "SELECT o.id, p.id AS p FROM o JOIN p ON p.o = o.id", "1 1",
         OLD, IA, REST, clients=(CLIENT, Client("p", ("id",), "old"))),
    Kind("table_renamed", T, "ALTER TABLE t RENAME TO u", WRITE.replace("INTO t", "INTO u").replace("UPDATE t", "UPDATE u").replace("FROM t", "FROM u"),
         IA, WROTE, OLD, "SELECT id, a FROM u ORDER BY id", REST,
         # No statement names the table in both schemas.
         clients=(Client("t", ("id", "a"), "old"), Client("u", ("id", "a"), "new"))),
    Kind("table_moved", "CREATE SCHEMA s;" + T + "ALTER TABLE t ADD z serial; CREATE INDEX ON t (a);", "ALTER TABLE t SET SCHEMA s",
         WRITE.replace("INTO t", "INTO s.t").replace("UPDATE t", "UPDATE s.t").replace("FROM t", "FROM s.t"), IA, WROTE, OLD,
         "SELECT id, a FROM s.t ORDER BY id", REST, clients=(Client("t", ("id", "a"), "old"), Client("s.t", ("id", "a"), "new"))),
    plain("table_commented", "COMMENT ON TABLE t IS 'new'"),
    Kind("table_replaced", T + "CREATE TABLE o (x int); INSERT INTO o VALUES (1);", "DROP TABLE o; CREATE TABLE o (y text)",
         WRITE + "INSERT INTO o VALUES ('y')", "SELECT x FROM o", "1", OLD, "SELECT y FROM o", "y",
         clients=(CLIENT, Client("o", ("x",), "old"), Client("o", ("y",), "new"))),
    Kind("table_set_aside", T + "CREATE TABLE o (x int PRIMARY KEY); INSERT INTO o VALUES (1);", "ALTER TABLE o RENAME TO o_old; CREATE TABLE o (y text)",
         WRITE + "INSERT INTO o VALUES ('y')", "SELECT x FROM o", "1", OLD, "SELECT y FROM o", "y",
         clients=(CLIENT, Client("o", ("x",), "old"), Client("o", ("y",), "new"))),
)  # fmt: skip

CONSTRAINTS = (
    plain("check_added", "ALTER TABLE t ADD CONSTRAINT filled CHECK (a <> ''); COMMENT ON CONSTRAINT filled ON t IS 'c'"),
    plain("check_added_not_valid", "ALTER TABLE t ADD CONSTRAINT filled CHECK (a <> '') NOT VALID"),
    plain("foreign_key_added", "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (z) REFERENCES p ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED",
          "CREATE TABLE p (id int PRIMARY KEY); ALTER TABLE t ADD z int;"),
    plain("foreign_key_dropped", "ALTER TABLE t DROP CONSTRAINT fk",
          "CREATE TABLE p (id int PRIMARY KEY); ALTER TABLE t ADD z int; ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (z) REFERENCES p ON DELETE SET NULL;"
          "COMMENT ON CONSTRAINT fk ON t IS 'fk';"),
    plain("foreign_key_changed", "ALTER TABLE t DROP CONSTRAINT fk; ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (z) REFERENCES p ON DELETE CASCADE",
          "CREATE TABLE p (id int PRIMARY KEY); ALTER TABLE t ADD z int; ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (z) REFERENCES p;"),
    plain("check_dropped", "ALTER TABLE t DROP CONSTRAINT filled",
          "ALTER TABLE t ADD CONSTRAINT filled CHECK (a <> '') NO INHERIT; COMMENT ON CONSTRAINT filled ON t IS 'c';"),
    plain("check_dropped_not_valid", "ALTER TABLE t DROP CONSTRAINT filled", "ALTER TABLE t ADD CONSTRAINT filled CHECK (a <> '') NOT VALID;"),
    plain("constraints_validated", "ALTER TABLE t VALIDATE CONSTRAINT filled, VALIDATE CONSTRAINT fk; ALTER TABLE t RENAME CONSTRAINT filled TO held; ALTER TABLE t RENAME z TO y",
          "CREATE TABLE p (id int PRIMARY KEY); ALTER TABLE t ADD z int; ALTER TABLE t ADD CONSTRAINT filled CHECK (a <> '' AND z IS NULL) NOT VALID;"
          "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (z) REFERENCES p ON DELETE CASCADE DEFERRABLE NOT VALID; COMMENT ON CONSTRAINT fk ON t IS 'fk';"),
    plain("check_changed", "ALTER TABLE t DROP CONSTRAINT filled; ALTER TABLE t ADD CONSTRAINT filled CHECK (a IN ('', 'a1', 'a2', 'a3', 'a4', 'A1', 'A3', 'a5') OR a ~ '^[0-9]+$')",
          "ALTER TABLE t ADD CONSTRAINT filled CHECK (a <> '');"),
    plain("check_dropped_and_column_renamed", "ALTER TABLE t DROP CONSTRAINT filled; ALTER TABLE t RENAME z TO y",
          "ALTER TABLE t ADD z int; ALTER TABLE t ADD CONSTRAINT filled CHECK (z > 0 AND a <> '');"),
    plain("check_of_a_list_changed", "ALTER TABLE t DROP CONSTRAINT c; ALTER TABLE t ADD CONSTRAINT c CHECK (s IN ('x', 'y', 'z') AND u NOT IN ('x')); ALTER TABLE t RENAME s TO z",
          "ALTER TABLE t ADD s varchar(9), ADD u varchar(9); ALTER TABLE t ADD CONSTRAINT c CHECK (s IN ('x', 'y') AND u NOT IN ('x', 'y'));"),
    plain("unique_index_of_a_list_added", "CREATE UNIQUE INDEX i ON t (id) WHERE s IN ('x', 'y')", "ALTER TABLE t ADD s varchar(9);"),
    plain("unique_added", "ALTER TABLE t ADD CONSTRAINT uq UNIQUE (a)"),
    plain("unique_added_deferrable", "ALTER TABLE t ADD CONSTRAINT uq UNIQUE (a) DEFERRABLE INITIALLY DEFERRED"),
    plain("unique_added_including", "ALTER TABLE t ADD CONSTRAINT uq UNIQUE (a) INCLUDE (id)"),
    plain("unique_added_with_index", "CREATE UNIQUE INDEX uq ON t (a); ALTER TABLE t ADD CONSTRAINT uq UNIQUE USING INDEX uq"),
    Kind("primary_key_added", "CREATE TABLE t (id int, a text); INSERT INTO t VALUES (1, 'a1'), (2, 'a2'), (3, 'a3');", "ALTER TABLE t ADD PRIMARY KEY (id)",
         WRITE, IA, WROTE, OLD, IA, REST),
    plain("constraint_renamed", "ALTER TABLE t RENAME CONSTRAINT t_pkey TO key_of_t"),
    plain("constraint_commented", "COMMENT ON CONSTRAINT t_pkey ON t IS 'key'"),
)  # fmt: skip

INDEXES = (
    plain("index_added", "CREATE INDEX i ON t (lower(a)) WHERE id > 1"),
    plain("index_added_concurrently", "CREATE INDEX CONCURRENTLY i ON t (a)"),
    plain("unique_index_added", "CREATE UNIQUE INDEX i ON t (lower(a))"),
    plain("unique_index_added_with_its_name_in_it", 'CREATE UNIQUE INDEX "an INDEX ON t" ON t (lower(a))'),
    plain("index_dropped", "DROP INDEX i", "CREATE INDEX i ON t (a);"),
    plain("index_replaced", "DROP INDEX i; CREATE INDEX i ON t (a, id)", "CREATE INDEX i ON t (a);"),
    plain("index_renamed", "ALTER INDEX i RENAME TO j", "CREATE INDEX i ON t (a);"),
    plain("index_commented", "COMMENT ON INDEX i IS 'i'", "CREATE INDEX i ON t (a);"),
)  # fmt: skip

OTHERS = (
    plain("enum_added", "CREATE TYPE mood AS ENUM ('ok', 'bad')"),
    plain("domain_added", "CREATE DOMAIN percent AS int DEFAULT 1 NOT NULL CHECK (VALUE BETWEEN 0 AND 100)"),
    plain("composite_added", "CREATE TYPE pair AS (x int, y text)"),
    plain("enum_dropped", "DROP TYPE mood", "CREATE TYPE mood AS ENUM ('ok', 'bad');"),
    plain("domain_dropped", "DROP DOMAIN percent", "CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);"),
    plain("composite_dropped", "DROP TYPE pair", "CREATE TYPE pair AS (x int, y text);"),
    plain("type_renamed", "ALTER TYPE mood RENAME TO humour", "CREATE TYPE mood AS ENUM ('ok', 'bad');"),
    plain("type_commented", "COMMENT ON TYPE mood IS 'm'", "CREATE TYPE mood AS ENUM ('ok', 'bad');"),
    plain("schema_added", "CREATE SCHEMA s; CREATE TABLE s.n (x int)", ahead="SELECT count(*) FROM s.n", forth="0"),
    plain("schema_renamed", "ALTER SCHEMA s RENAME TO r", "CREATE SCHEMA s;"),
    plain("schema_commented", "COMMENT ON SCHEMA s IS 's'", "CREATE SCHEMA s;"),
    plain("enum_with_column", "CREATE TYPE mood AS ENUM ('ok', 'bad'); ALTER TABLE t ADD m mood NOT NULL DEFAULT 'ok'",
          ahead="SELECT id, a, m FROM t ORDER BY id", forth="3 A3 ok | 4 a4 ok | 5 a5 ok"),
    plain("enum_dropped_with_column", "ALTER TABLE t DROP m; DROP TYPE mood", "CREATE TYPE mood AS ENUM ('ok', 'bad'); ALTER TABLE t ADD m mood NOT NULL DEFAULT 'ok';"),
    plain("label_renamed", "ALTER TYPE mood RENAME VALUE 'it''s' TO 'so'; ALTER TYPE mood RENAME VALUE 'ok' TO 'it''s'; ALTER TYPE mood RENAME TO mind",
          "CREATE TYPE mood AS ENUM ('ok', 'it''s'); ALTER TABLE t ADD m mood DEFAULT 'ok';", ahead="SELECT id, a, m FROM t ORDER BY id", forth="3 A3 it's | 4 a4 it's | 5 a5 it's"),
    plain("foreign_key_deferred", "ALTER TABLE t ALTER CONSTRAINT self DEFERRABLE INITIALLY DEFERRED, ALTER CONSTRAINT other NOT DEFERRABLE; ALTER TABLE t RENAME CONSTRAINT self TO own",
          "ALTER TABLE t ADD p int, ADD CONSTRAINT self FOREIGN KEY (p) REFERENCES t, ADD CONSTRAINT other FOREIGN KEY (p) REFERENCES t DEFERRABLE;"),
    Kind("sequence_added", T + "CREATE SCHEMA s; CREATE SEQUENCE s.q; SELECT nextval('s.q'); ", "CREATE SEQUENCE q START 7; ALTER TABLE t ADD n int DEFAULT nextval('q')", WRITE, IA, WROTE, OLD,
         "SELECT id, a, n > 6 AS n FROM t ORDER BY id", "3 A3 t | 4 a4 t | 5 a5 t"),
    plain("sequence_added_and_owned", "CREATE SEQUENCE q OWNED BY t.z; ALTER TABLE t ALTER z SET DEFAULT nextval('q'); SELECT setval('q', 40)", "ALTER TABLE t ADD z int;",
          ahead="SELECT id, a, nextval('q') > 40 AS n FROM t ORDER BY id", forth="3 A3 t | 4 a4 t | 5 a5 t"),
    plain("sequence_dropped", "DROP SEQUENCE q", "CREATE SEQUENCE q INCREMENT 5 CACHE 3; COMMENT ON SEQUENCE q IS 'q'; SELECT nextval('q');"),
    plain("sequence_dropped_and_owned", "ALTER TABLE t ALTER z DROP DEFAULT; DROP SEQUENCE IF EXISTS q, none",
          "ALTER TABLE t ADD z int; CREATE SEQUENCE q OWNED BY t.z; ALTER TABLE t ALTER z SET DEFAULT nextval('q');"),
    plain("sequence_made_anew", "ALTER SEQUENCE q RENAME TO p; DROP SEQUENCE p; CREATE SEQUENCE q AS smallint", "CREATE SEQUENCE q;", ahead="SELECT data_type, start_value FROM pg_sequences WHERE sequencename = 'q'", forth="smallint 1"),
    Kind("extension_added", T, "CREATE EXTENSION citext; ALTER TABLE t ADD c citext DEFAULT 'C'; CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public; CREATE INDEX i ON t USING gin (a gin_trgm_ops)",
         WRITE, IA, WROTE, OLD, "SELECT id, a, c = 'c' AS c FROM t ORDER BY id", "3 A3 t | 4 a4 t | 5 a5 t", residue=True),
    Kind("extension_with_an_enum_of_its_own", T, "CREATE SCHEMA e; CREATE EXTENSION seg SCHEMA e; CREATE EXTENSION hstore; CREATE EXTENSION btree_gist", WRITE, IA, WROTE, OLD, IA, REST, residue=True),
    Kind("label_added", "CREATE TYPE mood AS ENUM ('ok', 'bad');" + T, "ALTER TYPE mood ADD VALUE 'so' BEFORE 'bad'", WRITE, IA, WROTE, OLD, IA, REST, residue=True),
)  # fmt: skip

_LOUD = "CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.a = upper(NEW.a); RETURN NEW; END$$;"
_TRIGGER = "CREATE TRIGGER loud BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION loud()"
_HAD = f"{_LOUD} {_TRIGGER};"
_LOUDER = "3 A3 | 4 a4 | 5 A5"
"""What the old release wrote last, with its trigger."""
_TWICE = "FUNCTION twice(x int) RETURNS int LANGUAGE sql AS"

KEYS_DROPPED = (
    plain("unique_dropped", "ALTER TABLE t DROP CONSTRAINT uq", "ALTER TABLE t ADD CONSTRAINT uq UNIQUE (a);"),
    plain("unique_dropped_deferrable", "ALTER TABLE t DROP CONSTRAINT uq",
          "ALTER TABLE t ADD CONSTRAINT uq UNIQUE (a) INCLUDE (id) WITH (fillfactor = 80) DEFERRABLE INITIALLY DEFERRED;"
          "COMMENT ON CONSTRAINT uq ON t IS 'each once';"),
    plain("unique_index_dropped", "DROP INDEX i", "CREATE UNIQUE INDEX i ON t (lower(a) DESC) WHERE id <> 77; COMMENT ON INDEX i IS 'i';"),
    plain("key_dropped", "ALTER TABLE t DROP CONSTRAINT t_pkey"),
    plain("key_dropped_with_its_references", "ALTER TABLE t DROP CONSTRAINT t_pkey CASCADE",
          "CREATE TABLE c (id int REFERENCES t ON DELETE CASCADE); INSERT INTO c VALUES (3);"),
    plain("key_replaced", "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, a)", "ALTER TABLE t ALTER a SET NOT NULL;"),
    plain("unique_widened", "ALTER TABLE t DROP CONSTRAINT uq; ALTER TABLE t ADD CONSTRAINT uq UNIQUE (a, id)",
          "ALTER TABLE t ADD CONSTRAINT uq UNIQUE (a);"),
    plain("key_with_a_new_column", "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD z int DEFAULT 1; ALTER TABLE t ADD PRIMARY KEY (id, z)"),
    plain("key_over_a_new_column", "ALTER TABLE t ADD z int NOT NULL DEFAULT 1; ALTER TABLE t ADD PRIMARY KEY (id, z)", "ALTER TABLE t DROP CONSTRAINT t_pkey;"),
    dropped("key_column_dropped", "int DEFAULT 7", "(1,1,'a1'),(2,2,'a2'),(3,3,'a3')", "1 A1 1 | 3 a3 3 | 4 a4 7",
            "", after="ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (id, n);", up="ALTER TABLE t DROP COLUMN n; ALTER TABLE t ADD PRIMARY KEY (id)"),
    plain("unique_index_of_some_dropped", "DROP INDEX i; ALTER TABLE t ALTER s SET DEFAULT 'y'", "ALTER TABLE t ADD s varchar(9) DEFAULT 'x'; CREATE UNIQUE INDEX i ON t (id) WHERE s IN ('x', 'y');"),
    plain("unique_index_of_some_added", "CREATE UNIQUE INDEX i ON t (id) WHERE s IN ('x', 'y')", "ALTER TABLE t ADD s varchar(9) DEFAULT 'x';"),
    plain("check_of_some_dropped", "ALTER TABLE t DROP CONSTRAINT one_of; ALTER TABLE t RENAME s TO r", "ALTER TABLE t ADD s varchar(9) DEFAULT 'x' CONSTRAINT one_of CHECK (s IN ('x', 'y'));"),
    plain("unique_index_replaced", "DROP INDEX i; CREATE UNIQUE INDEX i ON t (a, id)", "CREATE UNIQUE INDEX i ON t (a);"),
)  # fmt: skip

FUNCTIONS = (
    plain("function_added", f"CREATE {_TWICE} 'SELECT 2 * x'", ahead="SELECT twice(id) FROM t ORDER BY id", forth="6 | 8 | 10"),
    plain("function_dropped", "DROP FUNCTION twice", f"CREATE {_TWICE} 'SELECT 2 * x';"),
    plain("function_dropped_by_arguments", "DROP FUNCTION twice(text)", f"CREATE {_TWICE} 'SELECT 2 * x'; CREATE FUNCTION twice(text) RETURNS text LANGUAGE sql AS 'SELECT $1 || $1';"),
    plain("function_replaced", f"CREATE OR REPLACE {_TWICE} 'SELECT x + x' STRICT", f"CREATE {_TWICE} 'SELECT 2 * x';",
          ahead="SELECT twice(id) FROM t ORDER BY id", forth="6 | 8 | 10"),
    plain("function_replaced_twice", f"CREATE OR REPLACE {_TWICE} 'SELECT 3 * x'; CREATE OR REPLACE {_TWICE} 'SELECT x + x'", f"CREATE {_TWICE} 'SELECT 2 * x';"),
    plain("function_replaced_with_a_default", "CREATE OR REPLACE FUNCTION thrice(  x  int  =  3*1,  y text DEFAULT now()::text) RETURNS int LANGUAGE sql AS 'SELECT x + x + x'",
          "CREATE FUNCTION thrice(x int DEFAULT 3 * 1, y text DEFAULT now()::text) RETURNS int LANGUAGE sql AS 'SELECT 3 * x';"),
    plain("function_replaced_with_one_default_more", "CREATE OR REPLACE FUNCTION thrice(x int, y int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 3 * x + y'; GRANT EXECUTE ON FUNCTION thrice TO other",
          "CREATE FUNCTION thrice(x int, y int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 3 * x'; REVOKE ALL ON FUNCTION thrice FROM PUBLIC; COMMENT ON FUNCTION thrice IS 'it''s';",
          ahead="SELECT thrice(id) FROM t ORDER BY id", forth="10 | 13 | 16"),
    plain("function_replaced_with_names", "CREATE OR REPLACE FUNCTION thrice(x int) RETURNS int LANGUAGE sql AS 'SELECT 3 * x'; ALTER FUNCTION thrice RENAME TO three",
          "CREATE FUNCTION thrice(int) RETURNS int LANGUAGE sql AS 'SELECT 3 * $1';", ahead="SELECT three(x => id) FROM t ORDER BY id", forth="9 | 12 | 15"),
    plain("function_parsed", "ALTER TABLE t ADD n int DEFAULT 7; CREATE OR REPLACE FUNCTION total(x int) RETURNS bigint LANGUAGE sql RETURN (SELECT sum(n) + x FROM t); CREATE OR REPLACE FUNCTION text_then(x int) RETURNS int LANGUAGE sql RETURN x;"
          "CREATE OR REPLACE FUNCTION parsed_then(x int) RETURNS int LANGUAGE sql AS 'SELECT 2 * x'; CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC INSERT INTO t (id, a) VALUES (99, 'p'); END; ALTER TABLE t RENAME z TO y",
          "ALTER TABLE t ADD z int; CREATE FUNCTION total(x int) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT sum(z) FROM t; SELECT count(*) + x FROM t; END; CREATE FUNCTION text_then(x int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
          "CREATE FUNCTION parsed_then(x int) RETURNS int LANGUAGE sql RETURN 3 * x;", ahead="SELECT total(1), text_then(4), parsed_then(4)", forth="22 4 8"),
    plain("function_renamed", "ALTER FUNCTION twice RENAME TO double; ALTER FUNCTION double SET SCHEMA s; COMMENT ON FUNCTION s.double IS 'd'",
          f"CREATE SCHEMA s; CREATE {_TWICE} 'SELECT 2 * x'; COMMENT ON FUNCTION twice IS 't';", ahead="SELECT s.double(id) FROM t ORDER BY id", forth="6 | 8 | 10"),
    plain("function_renamed_and_replaced", f"ALTER FUNCTION once RENAME TO twice; CREATE OR REPLACE {_TWICE} 'SELECT 2 * x'; ALTER PROCEDURE p RENAME TO q; COMMENT ON PROCEDURE q IS NULL",
          "CREATE FUNCTION once(x int) RETURNS int LANGUAGE sql AS 'SELECT x'; CREATE PROCEDURE p(INOUT x int, y text DEFAULT 'y') LANGUAGE plpgsql AS 'BEGIN END'; COMMENT ON PROCEDURE p IS 'p';",
          ahead="SELECT twice(id) FROM t ORDER BY id", forth="6 | 8 | 10"),
    plain("function_renamed_then_dropped", "ALTER FUNCTION twice RENAME TO double; DROP FUNCTION double", f"CREATE {_TWICE} 'SELECT 2 * x';"),
    plain("function_made_anew", "DROP FUNCTION twice; CREATE FUNCTION twice(x int) RETURNS bigint LANGUAGE sql AS 'SELECT 2::bigint * x'",
          f"CREATE {_TWICE} 'SELECT 2 * x';", ahead="SELECT pg_typeof(twice(1))", forth="bigint"),
    plain("function_of_a_new_column", "ALTER TABLE t ADD n int DEFAULT 7; CREATE FUNCTION total() RETURNS bigint LANGUAGE sql AS 'SELECT sum(n) FROM t'",
          ahead="SELECT total()", forth="21"),
    plain("function_in_a_new_default", f"CREATE {_TWICE} 'SELECT 2 * x'; ALTER TABLE t ADD n int DEFAULT twice(3)",
          ahead="SELECT n FROM t ORDER BY id", forth="6 | 6 | 6"),
    plain("procedure_added_and_dropped", "DROP PROCEDURE p; CREATE PROCEDURE q() LANGUAGE plpgsql AS 'BEGIN END'", "CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN END';"),
    Kind("trigger_added", T, f"{_LOUD} {_TRIGGER}", WRITE, IA, "1 A1 | 3 a3 | 4 A4", OLD, IA, "3 A3 | 4 A4 | 5 a5"),
    Kind("trigger_renamed", T + _HAD, "ALTER TRIGGER loud ON t RENAME TO still; COMMENT ON TRIGGER still ON t IS 'not'; ALTER FUNCTION loud RENAME TO low",
         WRITE, IA, "1 A1 | 3 a3 | 4 A4", OLD, IA, "3 A3 | 4 A4 | 5 A5"),
    Kind("trigger_dropped", T + _HAD, "DROP TRIGGER loud ON t", WRITE, IA, WROTE, OLD, IA, _LOUDER),
    Kind("trigger_dropped_with_function", T + _HAD, "DROP TRIGGER loud ON t; DROP FUNCTION loud", WRITE, IA, WROTE, OLD, IA, _LOUDER),
    Kind("trigger_made_anew", T + _HAD, f"DROP TRIGGER IF EXISTS loud ON t; {_TRIGGER.replace('INSERT OR ', '')}", WRITE, IA, WROTE, OLD, IA, _LOUDER),
    Kind("trigger_disabled", T + _HAD, "ALTER TABLE t DISABLE TRIGGER loud", WRITE, IA, WROTE, OLD, IA, _LOUDER),
    Kind("trigger_enabled_always", f"{T} {_HAD} ALTER TABLE t DISABLE TRIGGER loud;", "ALTER TABLE t ENABLE ALWAYS TRIGGER loud",
         WRITE, IA, "1 A1 | 3 a3 | 4 A4", OLD, IA, "3 A3 | 4 A4 | 5 a5"),
    Kind("trigger_function_replaced", T + _HAD, _LOUD.replace("CREATE", "CREATE OR REPLACE").replace("upper", "lower"),
         WRITE, IA, "1 a1 | 3 a3 | 4 a4", OLD, IA, _LOUDER),
)  # fmt: skip

_FORCED = "ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY"
_POLICY = "CREATE POLICY p ON t USING (id <> 3)"

ACCESS = (
    plain("row_security_enabled", "ALTER TABLE t ENABLE ROW LEVEL SECURITY"),
    plain("row_security_forced", _FORCED, f"{_POLICY};", forth="4 a4 | 5 a5"),
    Kind("row_security_disabled", f"{T} {_POLICY}; {_FORCED};", "ALTER TABLE t NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY",
         WRITE, IA, "1 A1 | 4 a4", OLD, IA, "3 a3 | 4 a4 | 5 a5"),
    plain("policy_added", f"{_FORCED}; {_POLICY}", forth="4 a4 | 5 a5"),
    plain("policy_added_of_a_column", "ALTER TABLE t ADD n int DEFAULT 7; CREATE POLICY q ON t AS RESTRICTIVE FOR UPDATE TO reader, other USING (n > 0) WITH CHECK (n < 9)",
          ahead="SELECT id, a, n FROM t ORDER BY id", forth="3 A3 7 | 4 a4 7 | 5 a5 7"),
    Kind("policy_dropped", f"{T} {_POLICY}; COMMENT ON POLICY p ON t IS 'p'; {_FORCED};", f"DROP POLICY p ON t; {_POLICY.replace('p ON', 'q ON').replace('3', '1')}",
         WRITE.replace("UPDATE t SET a = 'A1' WHERE id = 1;", ""), IA, "1 a1 | 4 a4", OLD, IA, "3 a3 | 4 a4 | 5 a5"),
    plain("policy_dropped_and_column_renamed", "DROP POLICY q ON t; ALTER TABLE t RENAME z TO y; ALTER TABLE t RENAME w TO z; ALTER TABLE t DROP v",
          "ALTER TABLE t ADD z int, ADD w int, ADD v varchar(9); CREATE POLICY q ON t FOR INSERT WITH CHECK (z > 0 AND w < 0 AND v IN ('x', 'y'));"),
    plain("policy_dropped_with_column", "ALTER TABLE t DROP COLUMN z CASCADE", "ALTER TABLE t ADD z int; CREATE POLICY q ON t FOR DELETE USING (z > 0 OR id > 0);"),
    plain("policy_dropped_with_table", "DROP TABLE o CASCADE", "CREATE TABLE o (x int); CREATE POLICY q ON t FOR SELECT USING (id IN (SELECT x FROM o));"),
    plain("policy_made_anew", "DROP POLICY q ON t; ALTER TABLE t ALTER z TYPE bigint; CREATE POLICY q ON t USING (z > 5000000000)",
          "ALTER TABLE t ADD z int; CREATE POLICY q ON t USING (z > 0);"),
    plain("policy_changed", "ALTER POLICY q ON t TO reader, other USING (a <> '') WITH CHECK (a <> 'x'); ALTER POLICY q ON t RENAME TO r; ALTER POLICY s ON t RENAME TO q",
          "CREATE POLICY q ON t TO PUBLIC WITH CHECK (id > 0); CREATE POLICY s ON t; COMMENT ON POLICY s ON t IS 's';"),
    plain("policy_commented", "COMMENT ON POLICY q ON t IS 'new'", "CREATE POLICY q ON t; COMMENT ON POLICY q ON t IS 'old';"),
    plain("granted", "GRANT SELECT, UPDATE ON t TO reader, PUBLIC; GRANT INSERT ON t TO other WITH GRANT OPTION", "GRANT SELECT ON t TO other;"),
    plain("revoked", "REVOKE SELECT ON t FROM reader; REVOKE GRANT OPTION FOR INSERT ON t FROM other; REVOKE TRUNCATE ON t FROM collector",
          "GRANT SELECT, UPDATE ON t TO reader; GRANT INSERT ON t TO other WITH GRANT OPTION; GRANT SELECT (a) ON t TO other;"),
    plain("granted_on_columns", "GRANT UPDATE (a) ON t TO reader; REVOKE SELECT (id) ON t FROM other; ALTER TABLE t RENAME z TO y",
          "ALTER TABLE t ADD z int; GRANT SELECT (id, a, z) ON t TO other; GRANT UPDATE (z) ON t TO reader;"),
    plain("granted_on_table_and_columns", "GRANT SELECT ON t TO reader; REVOKE SELECT ON t FROM other", "GRANT SELECT (a) ON t TO reader; GRANT SELECT (id) ON t TO other;"),
    plain("granted_on_others", "GRANT CREATE ON SCHEMA s TO other; GRANT USAGE ON SEQUENCE q TO reader; REVOKE EXECUTE ON FUNCTION twice FROM PUBLIC;"
          "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO reader; REVOKE USAGE ON TYPE mood FROM PUBLIC; GRANT SELECT ON v TO reader; GRANT USAGE ON DOMAIN d TO other",
          f"CREATE SCHEMA s; CREATE SEQUENCE q; CREATE {_TWICE} 'SELECT 2 * x'; CREATE PROCEDURE p(text) LANGUAGE plpgsql AS 'BEGIN END';"
          "CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN d AS int; CREATE VIEW v AS SELECT 1 AS x;"),
    plain("default_privileges", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader; ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;"
          "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE USAGE ON SEQUENCES FROM reader; ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT INSERT ON TABLES TO reader",
          "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO reader; ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO other;"),
    plain("owner_of_table", "ALTER TABLE t OWNER TO other", "GRANT CREATE ON SCHEMA public TO other; ALTER TABLE t ADD z serial, ADD y int GENERATED ALWAYS AS IDENTITY;"),
    plain("owner_and_privileges", "ALTER TABLE t OWNER TO other; GRANT UPDATE ON t TO reader; REVOKE SELECT ON t FROM reader; REVOKE DELETE ON t FROM collector",
          "GRANT CREATE ON SCHEMA public TO other; GRANT SELECT ON t TO reader, other; GRANT DELETE ON t TO other; GRANT SELECT (a) ON t TO other;"),
    plain("owner_of_others", "GRANT CREATE ON SCHEMA public TO other; ALTER VIEW v OWNER TO other; ALTER SEQUENCE q OWNER TO other; ALTER FUNCTION twice OWNER TO other;"
          "ALTER TYPE mood OWNER TO other; ALTER DOMAIN d OWNER TO other; ALTER TYPE pair OWNER TO other; ALTER SCHEMA s OWNER TO other; ALTER TABLE s.x OWNER TO other",
          f"CREATE SCHEMA s; CREATE TABLE s.x (y int); CREATE SEQUENCE q; CREATE {_TWICE} 'SELECT 2 * x'; CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN d AS int;"
          "CREATE TYPE pair AS (x int, y int); CREATE VIEW v AS SELECT 1 AS x;"),
)  # fmt: skip

_STORED = (
    "ALTER TABLE t ALTER a SET STATISTICS 5, ALTER a SET STORAGE EXTERNAL, ALTER a SET COMPRESSION pglz, ALTER a SET (n_distinct = 5);"
    "ALTER INDEX i SET (fillfactor = 60);"
)

STORED = (
    plain("options_set", "ALTER TABLE t SET (fillfactor = 50, toast.autovacuum_enabled = false)"),
    plain("options_changed", "ALTER TABLE t RESET (fillfactor); ALTER TABLE t SET (parallel_workers = 2, autovacuum_vacuum_threshold = 7); ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO t",
          "ALTER TABLE t SET (fillfactor = 50, parallel_workers = 1, autovacuum_enabled = false);"),
    plain("stored_otherwise", _STORED, "CREATE INDEX i ON t (a);"),
    plain("stored_as_by_default", "ALTER TABLE t ALTER a SET STATISTICS -1, ALTER a SET STORAGE EXTENDED, ALTER a SET COMPRESSION default, ALTER a RESET (n_distinct);"
          "ALTER INDEX i RESET (fillfactor); ALTER INDEX i RENAME TO j", f"CREATE INDEX i ON t (a); {_STORED}"),
    plain("clustered", "ALTER TABLE t CLUSTER ON t_pkey"),
    plain("clustered_by_a_new_index", "CREATE INDEX i ON t (a); ALTER TABLE t CLUSTER ON i"),
    plain("clustered_otherwise", "ALTER TABLE t CLUSTER ON t_pkey; DROP INDEX i", "CREATE INDEX i ON t (a); ALTER TABLE t CLUSTER ON i;"),
    plain("not_clustered", "ALTER TABLE t SET WITHOUT CLUSTER", "ALTER TABLE t CLUSTER ON t_pkey;"),
    plain("replica_identity_full", "ALTER TABLE t REPLICA IDENTITY FULL"),
    plain("replica_identity_by_index", "ALTER TABLE t REPLICA IDENTITY USING INDEX t_pkey; ALTER INDEX t_pkey RENAME TO key", "ALTER TABLE t REPLICA IDENTITY NOTHING;"),
    plain("replica_identity_by_default", "ALTER TABLE t REPLICA IDENTITY DEFAULT", "ALTER TABLE t REPLICA IDENTITY USING INDEX t_pkey;"),
)  # fmt: skip

_PARTS = "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (3); CREATE TABLE t2 PARTITION OF t DEFAULT;"
_ROWS = "INSERT INTO t (id, a) VALUES (1, 'a1'), (2, 'a2'), (3, 'a3');"
PT = f"CREATE TABLE t (id int, a text) PARTITION BY RANGE (id); {_PARTS} {_ROWS}"
_PK = "ALTER TABLE t ADD PRIMARY KEY (id);"
_ACROSS = "UPDATE t SET id = 7 WHERE id = 1;"
_MOVED = "INSERT INTO t (id, a) VALUES (5, 'a5'); UPDATE t SET a = 'A3' WHERE id = 3; UPDATE t SET id = 0 WHERE id = 7;"
_TN = f"CREATE TABLE t (id int PRIMARY KEY, n int DEFAULT 5 CHECK (n > 0), z text, a text) PARTITION BY RANGE (id); {_PARTS} CREATE INDEX ON t (n); CREATE INDEX own ON t1 (n, a); CREATE UNIQUE INDEX ON t (id, z);"
_IAN = "SELECT id, a, n FROM t ORDER BY id"


def of_parts(
    name: str, up: str, before: str = "", ahead: str = IA, forth: str = "0 A1 | 3 A3 | 4 a4 | 5 a5"
) -> Kind:
    """Return a kind of a partitioned table whose rows are moved to other partitions, there and back."""
    return Kind(name, PT + before, up, WRITE + _ACROSS, IA, "3 a3 | 4 a4 | 7 A1", _MOVED, ahead, forth)


PARTITIONED = (
    of_parts("partitioned_column_added", "ALTER TABLE t ADD n int NOT NULL DEFAULT 7", ahead=_IAN, forth="0 A1 7 | 3 A3 7 | 4 a4 7 | 5 a5 7"),
    of_parts("partitioned_column_added_and_filled", "ALTER TABLE t ADD n text; UPDATE t SET n = a || '!'; CREATE INDEX ON t (n); ALTER TABLE t ADD CHECK (n <> '')", _PK,
             ahead=_IAN, forth="0 A1 a1! | 3 A3 A3! | 4 a4 - | 5 a5 a5!"),
    Kind("partitioned_column_dropped", f"{_TN} {_ROWS} UPDATE t SET n = id;", "ALTER TABLE t DROP COLUMN n", WRITE + _ACROSS, _IAN, "3 a3 3 | 4 a4 5 | 7 A1 1",
         _MOVED + "UPDATE t SET n = 9 WHERE id = 4;", IA, "0 A1 | 3 A3 | 4 a4 | 5 a5"),
    Kind("partitioned_column_dropped_that_must_have_a_value", "CREATE TABLE t (id int, n int NOT NULL DEFAULT 5, a text) PARTITION BY RANGE (id);" + _PARTS + _ROWS, "ALTER TABLE t DROP n, ADD n text", WRITE + _ACROSS, _IAN, "3 a3 5 | 4 a4 5 | 7 A1 5",
         _MOVED, IA, "0 A1 | 3 A3 | 4 a4 | 5 a5"),
    Kind("partitioned_column_renamed", PT, "ALTER TABLE t RENAME a TO b; ALTER TABLE t ALTER b SET NOT NULL; ALTER TABLE t ALTER b SET DEFAULT 'b'", _ACROSS, IA, "2 a2 | 3 a3 | 7 a1",
         "UPDATE t SET a = 'A3' WHERE id = 3", "SELECT id, b FROM t ORDER BY id", "2 a2 | 3 A3 | 7 a1", clients=()),
    of_parts("partitioned_column_need_not", "ALTER TABLE t ALTER a DROP NOT NULL", "ALTER TABLE t ALTER a SET NOT NULL, ALTER a SET DEFAULT 'x';"),
    of_parts("partitioned_index_added", "CREATE INDEX i ON t (a)"),
    of_parts("partitioned_index_dropped", "DROP INDEX i", "CREATE INDEX i ON t (a);"),
    of_parts("partitioned_unique_index_added", "CREATE UNIQUE INDEX i ON t (id, a)"),
    of_parts("partitioned_key_added", "ALTER TABLE t ADD PRIMARY KEY (id)"),
    of_parts("partitioned_checks", "ALTER TABLE t ADD CONSTRAINT few CHECK (id > -99), DROP CONSTRAINT more", "ALTER TABLE t ADD CONSTRAINT more CHECK (a <> '');"),
    replace(of_parts("partitioned_foreign_key_added", "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o", "CREATE TABLE o (a text PRIMARY KEY); INSERT INTO o SELECT unnest('{a1,a2,a3,A1,a4,a5,A3}'::text[]);"), clients=()),
    replace(of_parts("partitioned_foreign_key_dropped", "ALTER TABLE t DROP CONSTRAINT t_a_fkey", "CREATE TABLE o (a text PRIMARY KEY); INSERT INTO o SELECT unnest('{a1,a2,a3,A1,a4,a5,A3}'::text[]); ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o;"), clients=()),
    of_parts("partitioned_is_referred_to", "ALTER TABLE o ADD FOREIGN KEY (t) REFERENCES t", _PK + "CREATE TABLE o (t int);"),
)  # fmt: skip

_T1 = "CREATE TABLE t (id int PRIMARY KEY, a text) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (3);"
_WITH_DEFAULT = f"{_T1} CREATE TABLE t2 PARTITION OF t DEFAULT; CREATE INDEX ON t (a); {_ROWS}"
_WITHOUT = f"{_T1} CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (3) TO (9); {_ROWS}"
_SINCE = "INSERT INTO t (id, a) VALUES (0, 'a0'), (4, 'a4'); UPDATE t SET id = 1 WHERE id = 3;"
_THEN = "INSERT INTO t (id, a) VALUES (5, 'a5'); UPDATE t SET a = 'A' WHERE id = 0; UPDATE t SET id = 6 WHERE id = 2;"
_OF = "SELECT tableoid::regclass AS of, id, a FROM t ORDER BY id"

PARTITIONS = (
    Kind("partition_dropped", _WITHOUT, "DROP TABLE t1", "INSERT INTO t (id, a) VALUES (4, 'a4');", IA, "1 a1 | 2 a2 | 3 a3 | 4 a4", "INSERT INTO t (id, a) VALUES (0, 'a0'); UPDATE t SET id = 6 WHERE id = 2;",
         _OF, "t2 3 a3 | t2 4 a4 | t2 6 a2", clients=()),
    Kind("partition_dropped_beside_a_default", _WITH_DEFAULT, "DROP TABLE t1", "INSERT INTO t (id, a) VALUES (0, 'a0'), (4, 'a4');", _OF, "t1 0 a0 | t1 1 a1 | t1 2 a2 | t2 3 a3 | t2 4 a4",
         _THEN, _OF, "t2 3 a3 | t2 4 a4 | t2 5 a5 | t2 6 a2", clients=()),
    Kind("partition_detached", _WITH_DEFAULT, "ALTER TABLE t DETACH PARTITION t1", "INSERT INTO t (id, a) VALUES (0, 'a0'), (4, 'a4'); INSERT INTO t1 VALUES (-0, 'x') ON CONFLICT DO NOTHING; DELETE FROM t1 WHERE id = 0;", _OF,
         "t1 0 a0 | t1 1 a1 | t1 2 a2 | t2 3 a3 | t2 4 a4", _THEN, "SELECT id, a FROM t1 ORDER BY id", "0 A | 1 a1", clients=()),
    Kind("partition_detached_and_renamed", _WITHOUT, "ALTER TABLE t DETACH PARTITION t1; ALTER TABLE t1 RENAME TO old; CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (3)", "INSERT INTO t VALUES (1, 'new'), (4, 'a4');", IA,
         "1 a1 | 2 a2 | 3 a3 | 4 a4", "", IA, "1 new | 3 a3 | 4 a4", clients=()),
    Kind("partition_attached", f"{_WITHOUT} CREATE TABLE t9 (a text, id int NOT NULL); INSERT INTO t9 VALUES ('a10', 10);", "ALTER TABLE t ATTACH PARTITION t9 FOR VALUES FROM (9) TO (99)", "INSERT INTO t VALUES (11, 'a11');",
         "SELECT id, a FROM t9 UNION ALL SELECT id, a FROM t ORDER BY id", "1 a1 | 2 a2 | 3 a3 | 10 a10 | 11 a11", "INSERT INTO t9 VALUES ('a12', 12)", _OF, "t1 1 a1 | t1 2 a2 | t2 3 a3 | t9 10 a10 | t9 11 a11 | t9 12 a12", clients=()),
    Kind("partition_made", _WITHOUT, "CREATE TABLE t9 PARTITION OF t FOR VALUES FROM (9) TO (99)", _SINCE.replace("SET id = 1", "SET id = 8") + "INSERT INTO t VALUES (11, 'a11');", IA, "0 a0 | 1 a1 | 2 a2 | 4 a4 | 8 a3", _THEN, IA,
         "0 A | 1 a1 | 4 a4 | 5 a5 | 6 a2 | 8 a3 | 11 a11", clients=()),
    Kind("partition_made_beside_a_default", _WITH_DEFAULT, "CREATE TABLE t9 PARTITION OF t FOR VALUES FROM (9) TO (99)", "INSERT INTO t VALUES (11, 'a11');", _OF, "t1 1 a1 | t1 2 a2 | t2 3 a3 | t2 11 a11",
         "INSERT INTO t VALUES (12, 'a12'); DELETE FROM t WHERE id = 1;", _OF, "t1 2 a2 | t2 3 a3 | t9 11 a11 | t9 12 a12", clients=()),
    Kind("partitioned_table_made", T, f"ALTER TABLE t RENAME TO u; {_WITH_DEFAULT.replace(_ROWS, '').replace(' t ', ' p ').replace(' t1', ' p1').replace(' t2', ' p2').replace('ON t', 'ON p')}", "INSERT INTO p VALUES (1, 'a1'), (9, 'a9')", IA, "1 a1 | 2 a2 | 3 a3", "",
         "SELECT id, a FROM p ORDER BY id", "1 a1 | 9 a9", clients=()),
    Kind("partitioned_table_dropped", f"{_WITH_DEFAULT} CREATE TABLE o (t int REFERENCES t);", "DROP TABLE t CASCADE", "", _OF, "t1 1 a1 | t1 2 a2 | t2 3 a3", _THEN, "SELECT count(*) FROM o", "0", clients=()),
)  # fmt: skip

_CHILD = "CREATE TABLE c (more int DEFAULT 1) INHERITS (t); INSERT INTO c (id, a) VALUES (11, 'c11');"

INHERITED = (
    Kind("inherited_column_added", T + _CHILD, "ALTER TABLE t ADD n int NOT NULL DEFAULT 7 CHECK (n > 0)", WRITE + "UPDATE t SET n = 8 WHERE id = 11;", IA, "1 A1 | 3 a3 | 4 a4 | 11 c11",
         OLD + "INSERT INTO c (id, a) VALUES (12, 'c12')", _IAN, "3 A3 7 | 4 a4 7 | 5 a5 7 | 11 c11 8 | 12 c12 7"),
    Kind("inherited_column_dropped", T + "ALTER TABLE t ADD n int DEFAULT 5 CHECK (n > 0);" + _CHILD + "CREATE INDEX ON c (n);", "ALTER TABLE t DROP n", WRITE + "INSERT INTO c (id, a) VALUES (12, 'c12')", _IAN,
         "1 A1 5 | 3 a3 5 | 4 a4 5 | 11 c11 5 | 12 c12 5", OLD, IA, "3 A3 | 4 a4 | 5 a5 | 11 c11 | 12 c12"),
    Kind("inherited_column_renamed", T + _CHILD, "ALTER TABLE t RENAME a TO b; ALTER TABLE t ADD CHECK (b <> '')", "INSERT INTO t (id, b) VALUES (4, 'a4'); UPDATE t SET b = 'A1' WHERE id = 1; DELETE FROM t WHERE id = 2;", IA, "1 A1 | 3 a3 | 4 a4 | 11 c11", OLD,
         "SELECT id, b FROM t ORDER BY id", "3 A3 | 4 a4 | 5 a5 | 11 c11", clients=()),
    Kind("inherited_checks", T + "ALTER TABLE t ADD CONSTRAINT more CHECK (a <> '');" + _CHILD, "ALTER TABLE t ADD CONSTRAINT few CHECK (id > -99); ALTER TABLE t DROP CONSTRAINT more", WRITE, IA,
         "1 A1 | 3 a3 | 4 a4 | 11 c11", OLD, IA, "3 A3 | 4 a4 | 5 a5 | 11 c11"),
    Kind("inherited_check_validated", T + _CHILD + "ALTER TABLE t ADD CONSTRAINT few CHECK (id > -99) NOT VALID;", "ALTER TABLE t VALIDATE CONSTRAINT few", WRITE, IA,
         "1 A1 | 3 a3 | 4 a4 | 11 c11", OLD, IA, "3 A3 | 4 a4 | 5 a5 | 11 c11"),
    Kind("inheriting_made", T, "CREATE TABLE c (more int DEFAULT 1) INHERITS (t)", WRITE + "INSERT INTO c VALUES (11, 'c11', 2)", IA, WROTE, OLD, "SELECT id, a FROM t UNION ALL SELECT more, a FROM c ORDER BY id, a", "2 c11 | 3 A3 | 4 a4 | 5 a5 | 11 c11"),
    Kind("inheriting_dropped", T + _CHILD, "DROP TABLE c", WRITE, IA, "1 A1 | 3 a3 | 4 a4 | 11 c11", OLD + "UPDATE t SET a = 'x' WHERE id = 11;", IA, REST),
    Kind("inherits", T + "CREATE TABLE c (more int, a text, id int NOT NULL); INSERT INTO c VALUES (1, 'c11', 11);", "ALTER TABLE c INHERIT t", WRITE, IA, WROTE, OLD, IA, REST + " | 11 c11"),
    Kind("inherits_no_more", T + _CHILD, "ALTER TABLE c NO INHERIT t; ALTER TABLE t ADD n int", WRITE, IA, "1 A1 | 3 a3 | 4 a4 | 11 c11", OLD, IA, REST),
    Kind("inheriting_column_dropped", T + _CHILD, "ALTER TABLE c DROP more, ADD less int DEFAULT 3", WRITE, "SELECT id, a, more FROM c", "11 c11 1", OLD, "SELECT id, a, less FROM c", "11 c11 3"),
)  # fmt: skip

_R = "ALTER TABLE t ADD r int4range, ADD x int;"
_NO_TWO = "ALTER TABLE t ADD CONSTRAINT no_two EXCLUDE USING gist (r WITH &&) WHERE (x > 0)"

KEYS_OF_OTHER_KINDS = (
    plain("exclusion_added", f"{_NO_TWO}; COMMENT ON CONSTRAINT no_two ON t IS 'c'; ALTER TABLE t RENAME r TO rr", _R),
    plain("exclusion_dropped", "ALTER TABLE t RENAME r TO rr; ALTER TABLE t DROP CONSTRAINT no_two; ALTER TABLE t ADD n int",
          f"{_R} {_NO_TWO} DEFERRABLE; COMMENT ON CONSTRAINT no_two ON t IS 'c'; UPDATE t SET r = int4range(id, id + 1), x = 7;"),
    plain("exclusion_added_over_a_new_column", f"{_R} {_NO_TWO} DEFERRABLE"),
    Kind("exclusion_dropped_with_its_column", T + _R + _NO_TWO + "; UPDATE t SET r = int4range(id, id + 1), x = 7;", "ALTER TABLE t DROP COLUMN r", WRITE,
         "SELECT id, a, r FROM t ORDER BY id", "1 A1 [1,2) | 3 a3 [3,4) | 4 a4 -", OLD + "UPDATE t SET r = '[7,9)' WHERE id = 4;", IA, REST),
    replace(plain("nulls_not_distinct_of_a_new_column", "ALTER TABLE t ADD n int DEFAULT 7; UPDATE t SET n = id; ALTER TABLE t ADD UNIQUE NULLS NOT DISTINCT (n)", forth="3 A3 | 4 a4 | 5 a5"), clients=()),
    plain("nulls_not_distinct_index_of_a_new_column", "ALTER TABLE t ADD n int; UPDATE t SET n = id; CREATE UNIQUE INDEX i ON t (n, a) NULLS NOT DISTINCT"),
    plain("clustered_by_a_new_unique_index", "CREATE UNIQUE INDEX new ON t (a); ALTER TABLE t CLUSTER ON new"),
    plain("clustered_by_a_new_key", "ALTER TABLE t ADD CONSTRAINT new UNIQUE (a); ALTER TABLE t CLUSTER ON new", "CREATE INDEX i ON t (a); ALTER TABLE t CLUSTER ON i;"),
    plain("clustered_by_a_new_index_and_not_by_another", "CREATE INDEX new ON t (a); ALTER TABLE t CLUSTER ON new", "CREATE UNIQUE INDEX i ON t (a); ALTER TABLE t CLUSTER ON i;"),
    plain("replica_identity_by_a_new_index", "CREATE UNIQUE INDEX new ON t (id); ALTER TABLE t REPLICA IDENTITY USING INDEX new"),
    plain("replica_identity_by_a_new_column", "ALTER TABLE t ADD n int NOT NULL DEFAULT 7; CREATE UNIQUE INDEX new ON t (n, id); ALTER TABLE t REPLICA IDENTITY USING INDEX new",
          "ALTER TABLE t REPLICA IDENTITY FULL;"),
    dropped("column_dropped_of_a_trigger", "text", "(1,'n1','a1'),(3,'n3','a3')", "1 A1 n1 | 3 a3 n3 | 4 a4 -", "", up="ALTER TABLE t DROP COLUMN n CASCADE",
            after="CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.a := 1; RETURN NEW; END'; CREATE TRIGGER tr BEFORE UPDATE OF n ON t FOR EACH ROW EXECUTE FUNCTION tf();"),
)  # fmt: skip

_COUNTED = "CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY (START 10 INCREMENT 5) PRIMARY KEY, a text); INSERT INTO t (id, a) VALUES (1, 'a1'), (2, 'a2'), (3, 'a3');"
_NEXT = "INSERT INTO t (a) VALUES ('b');"
_SERIAL = "ALTER TABLE t ALTER id DROP DEFAULT; DROP SEQUENCE q; ALTER TABLE t ALTER id ADD GENERATED ALWAYS AS IDENTITY; SELECT setval('t_id_seq', max(id) + 47) FROM t"

IDENTITIES = (
    Kind("identity_added", T, "ALTER TABLE t ALTER id ADD GENERATED BY DEFAULT AS IDENTITY (START 100)", WRITE + _NEXT, IA, "1 A1 | 3 a3 | 4 a4 | 100 b",
         OLD + "INSERT INTO t VALUES (200, 'c');", IA, "3 A3 | 4 a4 | 5 a5 | 100 b | 200 c"),
    Kind("identity_for_a_serial", "CREATE TABLE t (id serial PRIMARY KEY, a text); ALTER SEQUENCE t_id_seq RENAME TO q; INSERT INTO t (a) VALUES ('a1'), ('a2'), ('a3');", _SERIAL,
         "INSERT INTO t (a) VALUES ('b');", IA, "1 a1 | 2 a2 | 3 a3 | 51 b", "INSERT INTO t (a) VALUES ('c')", IA, "1 a1 | 2 a2 | 3 a3 | 51 b | 52 c", clients=(Client("t", ("a",)),)),
    Kind("identity_set", _COUNTED, "ALTER TABLE t ALTER id SET GENERATED ALWAYS", _NEXT, IA, "1 a1 | 2 a2 | 3 a3 | 10 b", "INSERT INTO t VALUES (4, 'a4')", IA,
         "1 a1 | 2 a2 | 3 a3 | 4 a4 | 10 b", clients=(Client("t", ("a",)),)),
    Kind("identity_dropped", _COUNTED, "ALTER TABLE t ALTER id DROP IDENTITY", WRITE + "INSERT INTO t VALUES (30, 'c')", IA, "1 A1 | 3 a3 | 4 a4 | 30 c", OLD + _NEXT, IA,
         "3 A3 | 4 a4 | 5 a5 | 30 c | 35 b"),
    plain("identity_dropped_with_others", "ALTER TABLE t DROP CONSTRAINT c, DROP COLUMN n, ALTER k DROP IDENTITY, ALTER k SET DEFAULT 5, ALTER z TYPE bigint, ADD y int DEFAULT 7",
          "ALTER TABLE t ADD k int GENERATED ALWAYS AS IDENTITY, ADD n int, ADD CONSTRAINT c CHECK (n > 0), ADD z int;",
          ahead="SELECT id, a, y FROM t ORDER BY id", forth="3 A3 7 | 4 a4 7 | 5 a5 7"),
)  # fmt: skip

_V = "CREATE VIEW v AS SELECT id, a FROM t WHERE id <> 2"
_HAS_V = f"ALTER TABLE t ADD z int DEFAULT 7; {_V}; COMMENT ON VIEW v IS 'v'; COMMENT ON COLUMN v.a IS 'a'; ALTER VIEW v ALTER a SET DEFAULT 'd'; GRANT SELECT ON v TO PUBLIC; GRANT UPDATE (a) ON v TO other;"
_W = "CREATE VIEW w WITH (security_barrier, check_option = local) AS SELECT v.a, v.id FROM v"
_IV = "SELECT id, a FROM v ORDER BY id"

VIEWS = (
    plain("view_added", f"{_V}; {_W}; COMMENT ON VIEW v IS 'v'", ahead="SELECT * FROM w ORDER BY id", forth="A3 3 | a4 4 | a5 5"),
    plain("view_dropped", "DROP VIEW v", _HAS_V),
    plain("views_dropped", "DROP VIEW IF EXISTS w, v, x", f"{_HAS_V} {_W};"),
    plain("views_dropped_by_cascade", "DROP VIEW v CASCADE", f"{_HAS_V} {_W};"),
    plain("view_dropped_with_its_column", "ALTER TABLE t DROP z CASCADE", "ALTER TABLE t ADD z int DEFAULT 7, ADD y int; CREATE VIEW v AS SELECT z FROM t;"),
    plain("view_dropped_with_its_table", "DROP TABLE o CASCADE", "CREATE TABLE o (id int); CREATE VIEW v AS SELECT * FROM o JOIN t USING (id);"),
    plain("view_replaced", "CREATE OR REPLACE VIEW v AS SELECT id, a, z AS more FROM t", f"{_HAS_V} {_W};", ahead="SELECT * FROM v ORDER BY id", forth="3 A3 7 | 4 a4 7 | 5 a5 7"),
    plain("view_made_anew_over_another_type", "DROP VIEW v; ALTER TABLE t ALTER z TYPE bigint; ALTER TABLE t ADD y text DEFAULT 'y'; CREATE VIEW v AS SELECT id, z, y FROM t",
          f"{_HAS_V} DROP VIEW v; CREATE VIEW v AS SELECT id, z FROM t;", ahead="SELECT * FROM v ORDER BY id", forth="3 7 y | 4 7 y | 5 7 y"),
    plain("view_made_anew_without_a_column", "DROP VIEW w; DROP VIEW v; ALTER TABLE t DROP COLUMN z; CREATE VIEW v AS SELECT id FROM t",
          f"ALTER TABLE t ADD z int DEFAULT 7, ADD y int; CREATE VIEW v AS SELECT * FROM t; {_W};", ahead="SELECT * FROM v ORDER BY id", forth="3 | 4 | 5"),
    plain("view_renamed_and_moved", "ALTER VIEW v RENAME TO v2; ALTER VIEW v2 SET SCHEMA s; ALTER TABLE t RENAME z TO zz; ALTER VIEW s.v2 RENAME a TO b; ALTER VIEW w SET (security_invoker)", f"CREATE SCHEMA s; {_HAS_V} {_W};",
          ahead="SELECT id, b FROM s.v2 ORDER BY id", forth=REST),
    plain("views_exchange_names", "ALTER VIEW v RENAME TO x; ALTER VIEW w RENAME TO v; ALTER VIEW x RENAME TO w", f"{_HAS_V} {_W};"),
    plain("view_that_others_need_replaced", "CREATE OR REPLACE VIEW v WITH (security_barrier) AS SELECT id, a FROM t WHERE y > 0; ALTER TABLE t RENAME z TO x; CREATE VIEW last AS SELECT id FROM w",
          f"ALTER TABLE t ADD z int DEFAULT 7, ADD y int DEFAULT 8; {_V} AND z > 0; {_W}; CREATE FUNCTION f() RETURNS SETOF v LANGUAGE sql AS 'SELECT * FROM v'; CREATE TABLE o (one v); CREATE POLICY p ON t USING (id IN (SELECT id FROM v)); CREATE FUNCTION g() RETURNS int LANGUAGE sql RETURN (SELECT max(id) FROM v);",
          ahead="SELECT id, a FROM f() ORDER BY id", forth=REST),
    plain("view_commented", "COMMENT ON VIEW v IS 'other'; COMMENT ON COLUMN v.id IS 'id'", _HAS_V),
    plain("view_granted", "GRANT INSERT ON v TO other; REVOKE SELECT ON v FROM PUBLIC", _HAS_V),
    Kind("view_written_through", T + "ALTER TABLE t ADD z int DEFAULT 7;" + _V + ";",
         "DROP VIEW v; ALTER TABLE t ALTER z TYPE bigint; ALTER TABLE t ADD y text DEFAULT 'y'; CREATE VIEW v AS SELECT id, a, y FROM t", WRITE, _IV, "1 A1 | 3 a3 | 4 a4",
         OLD, "SELECT id, a, y FROM v ORDER BY id", "3 A3 y | 4 a4 y | 5 a5 y", clients=(CLIENT, Client("v", ("id", "a")))),
    plain("view_for_a_table", "ALTER TABLE o RENAME TO o_old; CREATE VIEW o AS SELECT x, 1 AS y FROM o_old", "CREATE TABLE o (x int);", ahead="SELECT count(*) FROM o", forth="0"),
    plain("view_with_a_trigger", f"DROP VIEW v; {_V}", f"{_HAS_V} CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;"
          "CREATE TRIGGER tr INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION tf(); CREATE RULE ru AS ON DELETE TO v DO INSTEAD NOTHING;"),
)  # fmt: skip

_MV = "CREATE MATERIALIZED VIEW mv AS SELECT id, a FROM t WHERE id <> 2"
_HAS_MV = (
    f"ALTER TABLE t ADD z int DEFAULT 7; {_MV}; CREATE UNIQUE INDEX mv_id ON mv (id); CREATE INDEX mv_a ON mv (lower(a)) WHERE a IN ('x', 'y'); COMMENT ON INDEX mv_a IS 'i';"
    "COMMENT ON MATERIALIZED VIEW mv IS 'm'; COMMENT ON COLUMN mv.a IS 'a'; GRANT SELECT ON mv TO reader; ALTER MATERIALIZED VIEW mv ALTER a SET STATISTICS 7; ALTER MATERIALIZED VIEW mv CLUSTER ON mv_id;"
)
_IMV = "SELECT id, a FROM mv ORDER BY id"

MATERIALIZED = (
    Kind("materialized_view_added", T + "CREATE MATERIALIZED VIEW n AS SELECT id, a FROM t; CREATE UNIQUE INDEX ON n (id);", f"{_MV}; CREATE UNIQUE INDEX ON mv (id); REFRESH MATERIALIZED VIEW n; REFRESH MATERIALIZED VIEW CONCURRENTLY n; DO $$BEGIN REFRESH MATERIALIZED VIEW n; END$$",
         WRITE, IA, WROTE, OLD, _IMV, "3 A3 | 4 a4 | 5 a5"),
    Kind("materialized_view_dropped", f"{T} {_HAS_MV} CREATE MATERIALIZED VIEW empty WITH (autovacuum_enabled = false, fillfactor = 50) AS SELECT 1 AS x WITH NO DATA;", "DROP MATERIALIZED VIEW mv, empty",
         WRITE, _IMV, "1 A1 | 3 a3 | 4 a4", OLD, IA, REST),
    Kind("materialized_view_made_anew_over_another_type", T + _HAS_MV, "DROP MATERIALIZED VIEW mv; ALTER TABLE t ALTER z TYPE bigint; ALTER TABLE t DROP a; CREATE MATERIALIZED VIEW mv AS SELECT id, z FROM t; CREATE INDEX ON mv (z)",
         "INSERT INTO t (id, z) VALUES (4, 8); DELETE FROM t WHERE id = 2", _IMV, "1 a1 | 3 a3 | 4 -", "INSERT INTO t (id, a, z) VALUES (5, 'a5', 9)", "SELECT * FROM mv ORDER BY id", "1 7 | 3 7 | 4 8 | 5 9",
         clients=(Client("t", ("id",)),)),
    plain("materialized_views_upon_views", "CREATE OR REPLACE VIEW v AS SELECT id, a, 1 AS one FROM t; DROP MATERIALIZED VIEW mv CASCADE; CREATE MATERIALIZED VIEW mv AS SELECT one FROM v; DROP VIEW w CASCADE; ALTER TABLE t DROP z CASCADE; DROP TABLE o CASCADE",
          f"{_V}; CREATE MATERIALIZED VIEW mv AS SELECT a FROM v; CREATE MATERIALIZED VIEW again AS SELECT a FROM mv; CREATE VIEW last AS SELECT a FROM again; CREATE VIEW w AS SELECT 1 AS x; CREATE MATERIALIZED VIEW upon_w AS SELECT x FROM w;"
          "ALTER TABLE t ADD z int DEFAULT 7, ADD y int; CREATE MATERIALIZED VIEW of_z AS SELECT z FROM t; CREATE TABLE o (id int); CREATE MATERIALIZED VIEW of_o AS SELECT * FROM o JOIN t USING (id);", ahead="SELECT * FROM mv", forth="1 | 1 | 1"),
    plain("materialized_view_changed", "ALTER MATERIALIZED VIEW mv RENAME a TO b; ALTER MATERIALIZED VIEW mv RENAME TO m; ALTER MATERIALIZED VIEW m SET SCHEMA s; COMMENT ON MATERIALIZED VIEW s.m IS NULL; ALTER TABLE t RENAME z TO y; GRANT SELECT ON s.m TO other;"
          "DROP INDEX s.mv_a, s.mv_id; CREATE INDEX mv_a ON s.m (b); ALTER INDEX s.mv_a RENAME TO b", f"CREATE SCHEMA s; {_HAS_MV}", ahead="SELECT id, b FROM s.m ORDER BY id", forth="3 A3 | 4 a4 | 5 a5"),
)  # fmt: skip

_LATE = "CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.id > 99) EXECUTE FUNCTION loud()"
_RULE = "CREATE RULE ru AS ON DELETE TO t WHERE OLD.id = 3 DO INSTEAD NOTHING"
_STAT = "CREATE STATISTICS st (ndistinct, mcv) ON a, z FROM t"

TEXTUAL = (
    Kind("trigger_replaced", f"{T} {_HAD} ALTER TABLE t ENABLE ALWAYS TRIGGER loud;", f"ALTER TABLE t ADD n int; {_TRIGGER.replace('CREATE', 'CREATE OR REPLACE').replace('INSERT OR UPDATE', 'UPDATE OF a, n')}; ALTER TABLE t RENAME a TO b; ALTER TABLE t RENAME b TO a",
         WRITE, IA, WROTE, OLD, IA, _LOUDER),
    plain("constraint_triggers", f"DROP TRIGGER late ON t; {_LATE.replace('DEFERRED', 'IMMEDIATE')}; {_LATE.replace('late', 'new')}; COMMENT ON TRIGGER new ON t IS 'n'; DROP TRIGGER gone ON t; DROP FUNCTION loud2; ALTER TABLE t RENAME z TO y; ALTER TABLE t ENABLE REPLICA TRIGGER late2; ALTER TRIGGER late2 ON t RENAME TO later",
          f"ALTER TABLE t ADD z int; {_LOUD} {_LATE}; {_LOUD.replace('loud', 'loud2')} {_LATE.replace('NEW.id', 'NEW.z').replace('loud', 'loud2').replace('late', 'gone')}; COMMENT ON TRIGGER gone ON t IS 'l'; ALTER TABLE t DISABLE TRIGGER gone; {_LATE.replace('late', 'late2')};"),
    plain("function_dropped_with_what_uses_it", "DROP FUNCTION twice CASCADE", f"{_LOUD} CREATE {_TWICE} 'SELECT 2 * x' IMMUTABLE; ALTER TABLE t ADD n int DEFAULT twice(3) CHECK (twice(n) > 0); CREATE VIEW v AS SELECT twice(id) AS d FROM t;"
          "CREATE POLICY p ON t USING (twice(id) > 0); CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW WHEN (twice(NEW.id) < 0) EXECUTE FUNCTION loud();"),
    Kind("trigger_dropped_with_its_column", f"{T} ALTER TABLE t ADD n int DEFAULT 7; {_LOUD} CREATE TRIGGER tr BEFORE UPDATE OF n ON t FOR EACH ROW EXECUTE FUNCTION loud(); CREATE STATISTICS st ON a, n FROM t;", "ALTER TABLE t DROP COLUMN n CASCADE",
         WRITE, "SELECT id, a, n FROM t ORDER BY id", "1 A1 7 | 3 a3 7 | 4 a4 7", OLD, IA, REST),
    Kind("rule_added", T, f"{_RULE}; COMMENT ON RULE ru ON t IS 'r'", WRITE + "DELETE FROM t WHERE id = 3", IA, WROTE, OLD, IA, REST),
    plain("rules", f"DROP RULE ru ON t; ALTER TABLE t RENAME z TO y; {_RULE.replace('CREATE', 'CREATE OR REPLACE').replace('= 3', '= 77').replace('ru', 'r2')}; ALTER RULE r2 ON t RENAME TO r3; DROP TABLE o CASCADE",
          f"ALTER TABLE t ADD z int; {_RULE.replace('OLD.id', 'OLD.z')}; ALTER TABLE t DISABLE RULE ru; {_RULE.replace('= 3', '= 78').replace('ru', 'r2')}; COMMENT ON RULE r2 ON t IS 'r';"
          "CREATE TABLE o (x int); CREATE TABLE p (x int); CREATE RULE ro AS ON UPDATE TO p WHERE NEW.x > 99 DO ALSO INSERT INTO o VALUES (1); CREATE RULE own AS ON DELETE TO o DO INSTEAD NOTHING;"),
    plain("statistics", f"ALTER TABLE t ADD z int DEFAULT 1; {_STAT}; COMMENT ON STATISTICS st IS 's'; ALTER STATISTICS st SET STATISTICS 7; DROP STATISTICS gone; ALTER TABLE t RENAME y TO x; ALTER STATISTICS s1 RENAME TO s2; ALTER STATISTICS s2 SET SCHEMA s; ALTER STATISTICS s.s2 SET STATISTICS 5;"
          "DROP TABLE o; CREATE STATISTICS so ON id, a FROM t", f"CREATE SCHEMA s; ALTER TABLE t ADD y int; {_STAT.replace('st (', 'gone (').replace('z', 'y')}; ALTER STATISTICS gone SET STATISTICS 7; COMMENT ON STATISTICS gone IS 's'; {_STAT.replace('st (', 's1 (').replace('z', 'y')};"
          "CREATE TABLE o (x int, y int); CREATE STATISTICS so ON x, y FROM o;", ahead="SELECT z FROM t ORDER BY id", forth="1 | 1 | 1"),
)  # fmt: skip

WHOLE = (
    Kind("schema_dropped", T + "CREATE SCHEMA s; CREATE SCHEMA e; COMMENT ON SCHEMA s IS 's'; GRANT USAGE ON SCHEMA s TO reader; CREATE TYPE s.mood AS ENUM ('ok', 'bad'); CREATE TABLE s.o (id serial PRIMARY KEY, m s.mood, t int REFERENCES t); INSERT INTO s.o (m) VALUES ('bad');"
         "CREATE SEQUENCE s.q; CREATE FUNCTION s.f(m s.mood) RETURNS s.mood LANGUAGE sql AS 'SELECT m'; CREATE VIEW s.v AS SELECT * FROM s.o; CREATE VIEW w AS SELECT m FROM s.v; CREATE MATERIALIZED VIEW s.mv AS SELECT 1 AS x;"
         "CREATE STATISTICS s.st ON id, a FROM t; ALTER TABLE t ADD m s.mood DEFAULT 'ok', ADD q int DEFAULT nextval('s.q'); CREATE INDEX ON t (m); CREATE DOMAIN s.d AS int CHECK (VALUE > 0);",
         "DROP SCHEMA e, s CASCADE; CREATE SCHEMA e; CREATE TABLE e.n (x int)", WRITE, "SELECT t.id, t.a, t.m, w.m AS w FROM t, w ORDER BY id", "1 A1 ok bad | 3 a3 ok bad | 4 a4 ok bad", OLD, IA, REST),
    Kind("type_dropped_with_columns", f"CREATE TYPE mood AS ENUM ('ok', 'bad'); {T} CREATE DOMAIN percent AS int; ALTER TABLE t ADD m mood DEFAULT 'ok', ADD n mood[], ADD p percent DEFAULT 7; CREATE FUNCTION f(m mood) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW v AS SELECT m FROM t;",
         "DROP TYPE mood CASCADE; DROP DOMAIN percent CASCADE", WRITE, "SELECT id, a, m, p FROM t ORDER BY id", "1 A1 ok 7 | 3 a3 ok 7 | 4 a4 ok 7", OLD, IA, REST),
)  # fmt: skip

CHANGED = (
    Kind("domain_changed", "CREATE DOMAIN d AS text DEFAULT 'd' CONSTRAINT gone CHECK (VALUE IN ('d', 'x')) CONSTRAINT other CHECK (VALUE <> ''); CREATE DOMAIN e AS int NOT NULL; CREATE DOMAIN f AS int; COMMENT ON CONSTRAINT other ON DOMAIN d IS 'c';"
         f"{T} ALTER TABLE t ADD d d, ADD e e DEFAULT 7, ADD f f DEFAULT 8;", "ALTER DOMAIN d DROP CONSTRAINT gone; ALTER DOMAIN d ADD CONSTRAINT made CHECK (VALUE <> 'y'); ALTER DOMAIN d RENAME CONSTRAINT other TO others; ALTER DOMAIN d SET DEFAULT 'x';"
         "ALTER DOMAIN e DROP NOT NULL; ALTER DOMAIN f SET NOT NULL; ALTER DOMAIN f SET DEFAULT 9; ALTER DOMAIN d RENAME TO dd", WRITE, "SELECT id, a, d, e, f FROM t ORDER BY id", "1 A1 d 7 8 | 3 a3 d 7 8 | 4 a4 x 7 8",
         "UPDATE t SET d = 'd';" + OLD, "SELECT id, a, d, e, f FROM t ORDER BY id", "3 A3 d 7 8 | 4 a4 d 7 8 | 5 a5 d 7 8"),
    plain("aggregates", "CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int); CREATE AGGREGATE every_row (*) (sfunc = int8inc, stype = int8, initcond = '0'); DROP AGGREGATE gone (int); COMMENT ON AGGREGATE total (int) IS 't'; ALTER AGGREGATE named (int) RENAME TO other",
          "CREATE AGGREGATE gone (int) (sfunc = int4mul, stype = int); CREATE AGGREGATE named (int) (sfunc = int4pl, stype = int);", ahead="SELECT total(id), every_row(*), other(id) FROM t", forth="12 3 12"),
    plain("publications", "CREATE PUBLICATION made FOR TABLE t (id) WHERE (id > 2), o WITH (publish = 'insert, update'); DROP PUBLICATION gone; ALTER PUBLICATION p ADD TABLE t; ALTER PUBLICATION p SET (publish = 'delete'); ALTER PUBLICATION p RENAME TO p2; COMMENT ON PUBLICATION p2 IS 'p';"
          "ALTER PUBLICATION q DROP TABLE o; DROP TABLE x; ALTER TABLE o RENAME TO o2; CREATE TABLE n (id int); ALTER PUBLICATION q ADD TABLE n",
          "CREATE TABLE o (id int); CREATE TABLE x (id int); CREATE PUBLICATION gone FOR TABLE t, o WHERE (id IN (1, 2)); CREATE PUBLICATION p FOR TABLE x; CREATE PUBLICATION q FOR TABLE o; CREATE PUBLICATION r;"),
    plain("composite_changed", "ALTER TYPE pair ADD ATTRIBUTE z mood, DROP ATTRIBUTE x; ALTER TYPE pair ALTER ATTRIBUTE y TYPE varchar(5) COLLATE \"C\"; ALTER TYPE pair RENAME ATTRIBUTE w TO v; ALTER TYPE pair RENAME TO both_; COMMENT ON COLUMN both_.y IS 'new'; ALTER TYPE mood RENAME TO m",
          "CREATE TYPE mood AS ENUM ('ok'); CREATE TYPE pair AS (w numeric(6,2)[], x mood, y text); COMMENT ON COLUMN pair.x IS 'x'; CREATE FUNCTION f(pair) RETURNS text LANGUAGE sql AS 'SELECT ($1).y';"),
    plain("sequence_changed", "ALTER SEQUENCE q INCREMENT 5 MAXVALUE 5000 CYCLE CACHE 3 AS int; ALTER SEQUENCE r OWNED BY t.z; ALTER SEQUENCE o OWNED BY NONE; ALTER TABLE t DROP y; ALTER TABLE t ADD x int; ALTER SEQUENCE p OWNED BY t.x; ALTER SEQUENCE q RENAME TO q2; ALTER SEQUENCE t_s_seq AS bigint INCREMENT 2",
          "ALTER TABLE t ADD z int, ADD y int, ADD s serial; CREATE SEQUENCE q START 7; SELECT nextval('q'); CREATE SEQUENCE r; CREATE SEQUENCE o OWNED BY t.y; CREATE SEQUENCE p OWNED BY t.z;", ahead="SELECT nextval('q2') > 7", forth="t"),
)  # fmt: skip

NAMED = (
    plain("collation_made", "CREATE COLLATION co (locale = 'C'); ALTER TABLE t ADD n text COLLATE co; COMMENT ON COLLATION co IS 'c'"),
    plain("text_search_made", "CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple); CREATE TEXT SEARCH CONFIGURATION c (COPY = simple); ALTER TEXT SEARCH CONFIGURATION c ALTER MAPPING FOR word WITH d; CREATE INDEX i ON t USING gin (to_tsvector('c', a))"),
    plain("conversion_made", "CREATE CONVERSION c FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1"),
    plain("cast_made", "CREATE TYPE mood AS ENUM ('ok'); CREATE CAST (mood AS text) WITH INOUT AS ASSIGNMENT; COMMENT ON CAST (mood AS text) IS 'c'"),
    plain("type_of_a_cast_renamed", "ALTER TYPE mood RENAME TO mood2", "CREATE TYPE mood AS ENUM ('ok'); CREATE CAST (mood AS text) WITH INOUT;"),
    plain("cast_with_a_function_dropped", "DROP CAST (mood AS int); DROP FUNCTION number; DROP TYPE mood",
          "CREATE TYPE mood AS ENUM ('ok'); CREATE FUNCTION number(mood) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE CAST (mood AS int) WITH FUNCTION number(mood) AS IMPLICIT; COMMENT ON CAST (mood AS int) IS 'c';"),
)  # fmt: skip

PLACED = (
    plain("table_in_another_tablespace", "ALTER TABLE t SET TABLESPACE elsewhere"),
    plain("table_in_the_databases_tablespace", "ALTER TABLE t SET TABLESPACE pg_default", before="ALTER TABLE t SET TABLESPACE elsewhere;"),
    plain("index_in_another_tablespace", "ALTER INDEX i SET TABLESPACE elsewhere", before="CREATE INDEX i ON t (a);"),
    plain("unlogged", "ALTER TABLE t SET UNLOGGED; ALTER TABLE t ADD n serial", ahead="SELECT id, a, n > 0 AS n FROM t ORDER BY id", forth="3 A3 t | 4 a4 t | 5 a5 t"),
    plain("logged", "ALTER TABLE t SET LOGGED", before="ALTER TABLE t ADD n serial; ALTER TABLE t SET UNLOGGED;"),
    plain("unlogged_with_what_refers_to_it", "ALTER TABLE r SET UNLOGGED; ALTER TABLE t SET UNLOGGED",
          before="CREATE TABLE r (t int REFERENCES t ON DELETE CASCADE); INSERT INTO r VALUES (3);"),
    plain("logged_with_what_refers_to_it", "ALTER TABLE t SET LOGGED; ALTER TABLE r SET LOGGED; CREATE UNLOGGED SEQUENCE s",
          before="CREATE TABLE r (t int REFERENCES t ON DELETE CASCADE); ALTER TABLE r SET UNLOGGED; ALTER TABLE t SET UNLOGGED; INSERT INTO r VALUES (3);"),
)  # fmt: skip

KEEP = "\n-- backout: keep t = side-table\n"
COLUMNS_BESIDE = tuple(
    replace(one, name=f"{one.name}_beside", up=KEEP + one.up)
    for one in COLUMNS_DROPPED
    if one.name in ("column_dropped", "column_dropped_unique_together", "column_dropped_not_null")
)

KINDS = (
    COLUMNS_ADDED
    + COLUMNS_DROPPED
    + COLUMNS_BESIDE
    + NAMED
    + PLACED
    + COLUMNS_CHANGED
    + TABLES
    + CONSTRAINTS
    + KEYS_DROPPED
    + INDEXES
    + OTHERS
    + FUNCTIONS
    + ACCESS
    + STORED
    + IDENTITIES
    + PARTITIONED
    + PARTITIONS
    + INHERITED
    + KEYS_OF_OTHER_KINDS
    + VIEWS
    + MATERIALIZED
    + TEXTUAL
    + WHOLE
    + CHANGED
)
