"""Roles that try to read, write or mislead what the engine has made, and names and expressions that try to be SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from psycopg import sql
from tests.command_line import Done

from backout.databases.postgres.reversible.link import LinkError
from backout.databases.postgres.reversible.manners import why_refused
from backout.databases.postgres.reversible.parse import statements
from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.embedded.server import EmbeddedPostgres

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import changed, schema_of, seen

pytestmark = pytest.mark.slow

_PUBLIC = "; ".join(
    f"ALTER DEFAULT PRIVILEGES GRANT ALL ON {what} TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON {what} TO reader"
    for what in ("TABLES", "SEQUENCES", "FUNCTIONS", "TYPES", "SCHEMAS")
)
_T = """CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1);
  CREATE TABLE t (id serial PRIMARY KEY, a text NOT NULL DEFAULT 'd', n int, p int REFERENCES p, b text);
  INSERT INTO t (a, n, p, b) VALUES ('a1', 1, 1, 'b1'), ('a2', 2, 1, 'b2'); CREATE TABLE gone (id serial, x text);
  INSERT INTO gone (x) VALUES ('secret'); CREATE SEQUENCE counts; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"""
# Something of every table, function, trigger and kept row that the engine makes.
_ALL: tuple[str, ...] = (
    "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ALTER n TYPE bigint; DROP TABLE gone; DROP SEQUENCE counts; DROP FUNCTION f",
    "UPDATE t SET b = b || '!' WHERE id = 1; INSERT INTO t (b) VALUES ('new'); DELETE FROM t WHERE id = 2",
    "ALTER TABLE t ADD full_name text; UPDATE t SET full_name = b || '?'; CREATE TABLE later (id serial)",
    "TRUNCATE t",
)


def _everything(database: Database) -> list[int]:
    """Run migrations of all kinds of traces, take some back, and have a row that is kept."""
    link = database.link()
    run(link, _T)
    numbers = [migrate(link, one) for one in _ALL]
    undo(link, numbers[3])
    undo(link, numbers[2])
    run(link, "UPDATE t SET b = 'mine' WHERE id = 1")
    undo(link, numbers[1])
    assert int(seen(link, "SELECT count(*) FROM backout.row_kept")) > 0
    numbers.append(migrate(link, "DELETE FROM t; TRUNCATE t"))
    return numbers


@contextmanager
def _as(postgres: EmbeddedPostgres, database: Database, role: str) -> Iterator[psycopg.Connection]:
    name = database.url.rsplit("/", 1)[1]
    with closing(psycopg.connect(postgres.superuser_url, dbname=name, autocommit=True)) as session:
        session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        yield session


def test_g2_default_privileges_give_nobody_anything_of_the_engine(
    database: Database, postgres: EmbeddedPostgres
) -> None:
    link = database.link()
    run(link, _PUBLIC)
    _everything(database)
    # Their schemas are shut, and so is each thing in them that the engine has made: numbers get there without a name.
    held = f"""SELECT 'schema ' || nspname AS what FROM pg_namespace WHERE nspname ~ '^backout' AND has_schema_privilege('reader', oid, 'USAGE, CREATE')
      UNION ALL SELECT 'table ' || oid::regclass FROM pg_class WHERE relkind = 'r' AND {_MADE}
        AND has_table_privilege('reader', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
      UNION ALL SELECT 'sequence ' || oid::regclass FROM pg_class WHERE {_MADE}
        AND CASE WHEN relkind = 'S' THEN has_sequence_privilege('reader', oid, 'USAGE, SELECT, UPDATE') ELSE false END
      UNION ALL SELECT 'function ' || oid::regprocedure FROM pg_proc WHERE pronamespace = 'backout'::regnamespace AND has_function_privilege('reader', oid, 'EXECUTE')"""
    assert seen(link, held) == ""
    things = link.rows("SELECT c.oid::regclass::text AS path, c.oid::int8 AS oid, relkind AS kind FROM pg_class c "
                       "WHERE relnamespace::regnamespace::text ~ '^backout' AND relkind IN ('r', 'S') ORDER BY 1")  # fmt: skip
    assert len(things) > 12
    with _as(postgres, database, "reader") as session:
        for one in things:
            path, oid = str(one["path"]), one["oid"]
            if one["kind"] == "r":
                tried = [f"SELECT * FROM {path}", f"DELETE FROM {path}", f"TRUNCATE {path}", f"COPY {path} TO STDOUT"]  # fmt: skip
            else:
                tried = [f"SELECT * FROM {path}"]
                if path.startswith("backout."):
                    tried += [f"SELECT {f}({oid}::regclass{more})" for f, more in (("nextval", ""), ("setval", ", 1"))]  # fmt: skip
            for statement in tried:
                _refused(session, statement)
        for statement in ("CREATE TABLE backout.x (id int)", "CREATE FUNCTION backout_hidden.x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                          "SELECT backout.refuse()", "SELECT backout.log_row()", "DROP SCHEMA backout CASCADE",
                          "ALTER DEFAULT PRIVILEGES FOR ROLE collector GRANT ALL ON TABLES TO reader"):  # fmt: skip
            _refused(session, statement)


_MADE = """(relnamespace = 'backout'::regnamespace OR (relnamespace = 'backout_hidden'::regnamespace
  AND relname IN (SELECT copy FROM backout.row_truncated)))"""


def _refused(session: psycopg.Connection, statement: str) -> None:
    try:
        session.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        return
    raise AssertionError(f"allowed: {statement}")


def test_h2_no_function_of_the_engine_looks_up_a_name_where_others_can_make_one(database: Database) -> None:
    link = database.link()
    _everything(database)
    found = link.rows("""SELECT DISTINCT p.proname AS name, p.prosqlbody IS NOT NULL AS read, p.prosecdef AS definer,
        'search_path=pg_catalog, pg_temp' = ANY (p.proconfig) AS set FROM pg_proc p LEFT JOIN pg_trigger t ON t.tgfoid = p.oid
      WHERE p.pronamespace = 'backout'::regnamespace OR t.tgname ~ '^~?_bo_'""")
    kinds = {str(one["name"]).strip("_0123456789").split("_")[-1] for one in found}
    assert {"refuse", "row", "mark", "up", "down"} <= kinds
    # What is read already, when it is made, looks nothing up; that it runs as another is for what has a path of its own.
    assert [one for one in found if one["set"] != "t" and (one["read"] != "t" or one["definer"] == "t")] == []


def test_h2_a_session_with_its_own_operators_and_temporary_tables_writes_through_every_trigger(
    database: Database,
) -> None:
    link = database.link()
    numbers = _everything(database)
    undo(link, numbers[-1])
    run(link, "CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO other; GRANT ALL ON t TO other; GRANT USAGE ON SEQUENCE t_id_seq TO other;"
        "CREATE FUNCTION evil.caught(anyelement, anyelement) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'caught'; END$$;"
        "CREATE OPERATOR evil.= (LEFTARG = anyelement, RIGHTARG = anyelement, FUNCTION = evil.caught);"
        "CREATE FUNCTION evil.current_setting(text, boolean) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'caught'; END$$;"
        "CREATE FUNCTION evil.record_image_ne(record, record) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'caught'; END$$;"
        "SET search_path = evil, pg_temp, pg_catalog, public; SET ROLE other; CREATE TEMP TABLE row_log (x int); CREATE TEMP TABLE migration (x int)")  # fmt: skip
    run(link, "INSERT INTO t (b, n) VALUES ('b9', 9); UPDATE t SET n = 10, b = 'b10'")
    assert seen(link, "SELECT count(*) FROM pg_temp.row_log").strip() == "0"
    run(link, "RESET ROLE; RESET search_path")
    undo(link, numbers[0])
    assert seen(link, "SELECT a, n, b FROM t ORDER BY id DESC LIMIT 1") == "d 10 b10"


def test_a_journal_that_somebody_else_has_laid_out_is_not_read(
    database: Database, postgres: EmbeddedPostgres, typed: Callable[..., Done]
) -> None:
    run(database.link(), "CREATE TABLE t (id int, a int)")
    name = database.url.rsplit("/", 1)[1]
    with closing(psycopg.connect(postgres.superuser_url, dbname=name, autocommit=True)) as admin:
        admin.execute("CREATE SCHEMA backout AUTHORIZATION other")
    for words in (
        ("migrate", "--", "psql", "-c", "ALTER TABLE t DROP COLUMN a"),
        ("db", "history"),
        ("db", "status"),
        ("db", "rollback", "--yes"),
    ):
        typed(*words).refused(8, what="schema backout of other", now="Nothing was run", next="ALTER SCHEMA")
    assert seen(database.link(), "SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0") == "2"  # fmt: skip
    with closing(psycopg.connect(postgres.superuser_url, dbname=name, autocommit=True)) as admin:
        admin.execute("DROP SCHEMA backout")
    typed("migrate", "--", "psql", "-c", "ALTER TABLE t DROP COLUMN a").ended(0)


_SAYINGS = (
    "it's", '"', "\\", "\\'; DROP TABLE u; --", "$$; DROP TABLE u; $$", "$_$", "E'\\n'", "a\nb\r\n\tc", "/* ", "*/ --", "%s %I %1$s", "{0} {}", "NULL", "",
    "größe_名前_😀_\u202e", "');DROP TABLE u;--", "x" * 63, "backout: {}", '{"a": "\\u0041"}', "-- backout: fill t.a = 1",
)  # fmt: skip


def _said(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def test_expressions_comments_and_labels_that_look_like_sql_go_back_and_forth(database: Database) -> None:
    link = database.link()
    labels = [one for one in _SAYINGS if len(one.encode()) < 64]
    columns = [f"c{number} text NOT NULL DEFAULT {_said(one)} CONSTRAINT k{number} CHECK (c{number} <> {_said(one + '.')})"
               for number, one in enumerate(_SAYINGS)]  # fmt: skip
    run(link, f"CREATE TABLE u (x int); CREATE TYPE e AS ENUM ({', '.join(map(_said, labels))}); CREATE TABLE t (id int PRIMARY KEY, e e, {', '.join(columns)});"
        "INSERT INTO t (id) VALUES (1)")  # fmt: skip
    run(link, [f"COMMENT ON COLUMN t.c{number} IS {_said(one)}" for number, one in enumerate(_SAYINGS)])
    before = schema_of(database.url)
    drops = "; ".join(f"ALTER TABLE t DROP COLUMN c{number}" for number in range(len(_SAYINGS)))
    adds = "; ".join(
        f"ALTER TABLE t ADD c{number} text DEFAULT {_said(one + '!')} CHECK (c{number} <> {_said(one)});"
        f"COMMENT ON COLUMN t.c{number} IS {_said('now ' + one)}; COMMENT ON TABLE t IS {_said(one)}"
        for number, one in enumerate(_SAYINGS)
    )
    more = f"ALTER TABLE t\n-- backout: back t.e = e::e\n ALTER e TYPE text; ALTER TABLE t ALTER e SET DEFAULT {_said(_SAYINGS[3])}"
    policies = "; ".join(f"CREATE POLICY p{number} ON t USING (c{number} <> {_said(one)})" for number, one in enumerate(_SAYINGS))  # fmt: skip
    numbers = [migrate(link, drops, adds, more), migrate(link, policies)]
    after = schema_of(database.url)
    run(link, "INSERT INTO t (id, e) VALUES (2, 'NULL'), (3, '$_$')")
    for _ in range(2):
        undo(link, *numbers)
        assert changed(before, schema_of(database.url)) == []
        for number, one in enumerate(_SAYINGS):
            assert {row[f"c{number}"] for row in link.rows(f"SELECT c{number} FROM t")} == {one}
        redo(link, *numbers)
        assert changed(after, schema_of(database.url)) == []
    assert seen(link, "SELECT to_regclass('u')") == "u"


OURS = (
    "ALTER TABLE t ADD COLUMN _bo_99 int", "ALTER TABLE t DROP COLUMN _bo_1", "ALTER TABLE t RENAME b TO _bo_98", "CREATE TABLE _bo_9 (id int)",
    "CREATE INDEX _bo_7_w ON t (b)", 'ALTER TABLE t ADD CONSTRAINT "~_bo_6" CHECK (id > 0)', "CREATE SCHEMA backout_2", "DROP SCHEMA backout CASCADE",
    "DROP TABLE gone, backout.row_log CASCADE", "ALTER TABLE t SET SCHEMA backout_hidden", "DELETE FROM backout.change", "TRUNCATE backout.change",
    "WITH x AS (UPDATE backout.change SET state = 'applied' RETURNING 1) SELECT * FROM x", "COPY backout.migration FROM STDIN", "CREATE VIEW v AS SELECT _bo_1 FROM t",
    "COMMENT ON COLUMN t._bo_1 IS 'x'", "GRANT SELECT ON ALL TABLES IN SCHEMA backout TO reader", "CREATE FUNCTION _bo_3() RETURNS int LANGUAGE sql AS 'SELECT 1'",
)  # fmt: skip
NOT_OURS = (
    "ALTER TABLE t OWNER TO backout", "GRANT SELECT ON t TO backout_2",
    "CREATE TYPE k AS ENUM ('_bo_a', 'backout')", "COMMENT ON COLUMN t.b IS '_bo_2'", "ALTER TABLE t ALTER b SET DEFAULT '_bo_1'",
    "INSERT INTO t (b) VALUES ('_bo_1')", "CREATE TABLE backout_jobs (backout_id int)", "CREATE FUNCTION g() RETURNS text LANGUAGE sql AS '_bo_1'",
)  # fmt: skip


def test_what_compares_schemas_and_would_drop_what_is_the_engines_is_refused_by_name(
    database: Database,
) -> None:
    """Tools write such migrations where they were not told to leave our names out."""
    link = database.link()
    run(link, _T)
    number = migrate(link, "ALTER TABLE t DROP COLUMN a")
    there = link.rows("SELECT * FROM backout.change")
    for statement in OURS:
        with pytest.raises(Veto) as refused:
            migrate(link, statement)
        assert "is a name of backout's own" in str(refused.value.detail), statement
    assert link.rows("SELECT * FROM backout.change") == there
    for statement in NOT_OURS:
        (one,) = statements(statement)
        assert why_refused(one) is None, statement
    undo(link, number)


def test_a_thing_that_has_the_name_already_is_left_alone(database: Database) -> None:
    link = database.link()
    run(link, 'CREATE TABLE t (id int, a int, _bo_1 int, "_bo_2_w" int); CREATE TABLE "~_bo_3" (backout int)')
    before = schema_of(database.url)
    with pytest.raises(LinkError, match='column "_bo_1" of relation "t" already exists'):
        migrate(link, "ALTER TABLE t DROP COLUMN a")
    assert changed(before, schema_of(database.url)) == []
    number = migrate(link, "ALTER TABLE t DROP COLUMN a")  # another number, another name
    undo(link, number)
    assert changed(before, schema_of(database.url)) == []
