"""What a statement of a dump may do."""

import pytest

from backout.databases.postgres.dumps.rules import (
    LeaveOut,
    Refuse,
    Terms,
    in_one_line,
    judge,
    judge_command,
    table_of,
)

TERMS = Terms("my_db", 15)


@pytest.mark.parametrize(
    "text",
    [
        "SET client_encoding = 'UTF8';",
        "SET standard_conforming_strings = on;",
        "SET transaction_isolation TO 'serializable';",
        "SELECT pg_catalog.set_config('search_path', '', false);",
        "SELECT pg_catalog.setval('public.\"it''s\"', 42, true);",
        "SELECT pg_catalog.lowrite(0, '\\x01ff');",
        "SELECT pg_catalog.lo_create('16400');",
        "SELECT * FROM pg_catalog.pg_restore_relation_stats('relation', 'a'::text, 'n', '2'::integer);",
        'COPY public.t (a, "b c") FROM stdin;',
        "COPY t FROM STDIN WITH (FORMAT csv);",
        "CREATE TABLE public.t (a int);",
        "CREATE UNLOGGED TABLE t ();",
        "CREATE UNIQUE INDEX i ON t (a);",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;",
        "CREATE TRUSTED PROCEDURAL LANGUAGE x;",
        "CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple);",
        "CREATE CONSTRAINT TRIGGER c AFTER INSERT ON t EXECUTE FUNCTION f();",
        "CREATE USER MAPPING FOR postgres SERVER s;",
        "CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public;",
        "ALTER TABLE ONLY public.t OWNER TO x;",
        "ALTER DEFAULT PRIVILEGES FOR ROLE x GRANT ALL ON TABLES TO y;",
        "ALTER LARGE OBJECT 1 OWNER TO x;",
        "DROP TABLE IF EXISTS public.t;",
        "COMMENT ON EXTENSION plpgsql IS 'x';",
        "COMMENT ON COLUMN public.t.a IS 'CREATE DATABASE x';",
        "GRANT SELECT ON TABLE public.t TO x;",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC;",
        "REFRESH MATERIALIZED VIEW public.m;",
        "INSERT INTO t VALUES (1);",
        "INSERT INTO t VALUES ('all about dblink_exec()');",
        "BEGIN;",
        "COMMIT;",
    ],
)
def test_what_pg_dump_writes_may_run(text):
    assert judge(text, True, TERMS) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("COPY t FROM PROGRAM 'sh';", "runs a program"),
        ("COPY t TO PROGRAM 'sh';", "runs a program"),
        ("COPY (SELECT 1) TO '/tmp/x';", "something else than the rows"),
        ("COPY t FROM '/etc/passwd';", "something else"),
        ("COPY t FROM stdin WITH BINARY;", "something else"),
        ("ALTER SYSTEM SET work_mem = '1GB';", "whole server"),
        ("CREATE DATABASE other;", "other, not my_db"),
        ("DROP DATABASE IF EXISTS \"My_Db\";", "My_Db, not my_db"),
        ("ALTER DATABASE postgres SET x = 1;", "postgres"),
        ("GRANT CONNECT ON DATABASE other TO x;", "other"),
        ("GRANT CONNECT ON DATABASE my_db, other TO x;", "nobody can tell"),
        ("UPDATE pg_catalog.pg_database SET datallowconn = false;", "nobody can tell"),
        ("SET ROLE x;", "another role"),
        ("SET SESSION AUTHORIZATION 'x';", "another role"),
        ("SET standard_conforming_strings = off;", "old way"),
        ("SET client_encoding = 'SJIS';", "-E UTF8"),
        ("SELECT dblink_exec('x', 'y');", "nobody can tell"),
        ("SELECT pg_catalog.setval('s', (SELECT dblink('x')));", "nobody can tell"),
        ("SELECT pg_catalog.lowrite(0, '\\x00') , lo_export(1, '/tmp/x');", "nobody can tell"),
        ("INSERT INTO t SELECT * FROM dblink('x', 'y') AS d (a int);", "reach out of"),
        ("INSERT INTO t VALUES (lo_export(1, '/tmp/x'));", "reach out of"),
        ("VALUES (lo_export(1, '/tmp/x'));", "nobody can tell"),
        ("IMPORT FOREIGN SCHEMA a FROM SERVER s INTO b;", "nobody can tell"),
        ("DO $$ begin execute 'x'; end $$;", "nobody can tell"),
        ("CALL f();", "nobody can tell"),
        ("LOAD 'x';", "nobody can tell"),
        ("DROP OWNED BY x;", "nobody can tell"),
        ("REASSIGN OWNED BY x TO y;", "nobody can tell"),
    ],
)  # fmt: skip
def test_what_would_leave_the_new_database_is_refused(text, words):
    found = judge(text, True, TERMS)
    assert isinstance(found, Refuse) and words in str(found.why)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CREATE DATABASE my_db WITH TEMPLATE = template0;", "pg_dump -C"),
        ("DROP DATABASE IF EXISTS my_db;", "pg_dump -C"),
        ("ALTER DATABASE my_db OWNER TO x;", "pg_dump -C"),
        ("COMMENT ON DATABASE my_db IS 'x';", "pg_dump -C"),
        ("REVOKE CONNECT,TEMPORARY ON DATABASE my_db FROM PUBLIC;", "pg_dump -C"),
        ("UPDATE pg_catalog.pg_database SET datistemplate = true WHERE datname = 'my_db';", "pg_dump -C"),
        ("CREATE ROLE x;", "roles"),
        ("ALTER ROLE x WITH SUPERUSER PASSWORD 'md5';", "roles"),
        ("GRANT a TO b WITH ADMIN OPTION GRANTED BY c;", "roles"),
        ("CREATE TABLESPACE t LOCATION '/x';", "tablespaces"),
        ("SET transaction_timeout = 0;", "newer servers"),
        ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = false);", "subscriptions"),
    ],
)
def test_what_belongs_to_the_server_or_the_dumps_own_database_is_left_out(text, words):
    found = judge(text, True, TERMS)
    assert isinstance(found, LeaveOut) and words in str(found.why)


def test_a_newer_server_gets_its_own_settings():
    assert judge("SET transaction_timeout = 0;", True, Terms("my_db", 17)) is None


def test_of_a_statement_that_is_known_in_part_only_what_its_beginning_decides_may_run():
    assert judge("INSERT INTO t VALUES (", False, TERMS) is None
    assert isinstance(judge("COPY t (a", False, TERMS), Refuse)
    assert isinstance(judge("SELECT pg_catalog.lowrite(0, '\\x", False, TERMS), Refuse)


@pytest.mark.parametrize(
    "text", ["\\connect my_db", '\\c "my_db"', "\\connect -reuse-previous=on \"dbname='my_db'\"", "\\timing"]
)
def test_commands_that_can_be_skipped(text):
    assert isinstance(judge_command(text, False, TERMS), LeaveOut)


@pytest.mark.parametrize(
    "text",
    [
        "\\connect postgres",
        "\\connect my_db other_user",
        "\\connect -reuse-previous=on \"dbname='my_db' host='elsewhere'\"",
        "\\! rm",
        "\\copy t from program 'x'",
        "\\i /tmp/x",
        "\\ir x",
        "\\o |sh",
        "\\g |sh",
        "\\gexec",
        "\\set x `id`",
        "\\echo `id`",
        "\\timing \\! id",
        "\\setenv PAGER sh",
        "\\restrict a b",
    ],
)
def test_other_commands_of_psql_are_refused(text):
    assert isinstance(judge_command(text, False, TERMS), Refuse)


def test_the_encoding_may_be_named_but_not_one_that_hides_a_backslash():
    assert judge_command("\\encoding SQL_ASCII", False, TERMS) is None
    assert isinstance(judge_command("\\encoding SJIS", False, TERMS), Refuse)


def test_a_command_inside_a_statement_is_refused_whatever_it_is():
    assert judge_command("\\restrict abc", False, TERMS) is None
    assert isinstance(judge_command("\\restrict abc", True, TERMS), Refuse)


def test_tables_by_name():
    assert table_of('COPY public."odd ""name" (a) FROM stdin;') == 'public.odd "name'
    assert table_of("INSERT INTO Public.T VALUES (1);") == "public.t"
    assert table_of("CREATE TABLE t ();") is None
    assert in_one_line('CREATE  DATABASE\n "a  b" ;') == 'CREATE DATABASE "a  b" ;'
