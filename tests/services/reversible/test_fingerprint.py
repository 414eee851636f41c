"""The fingerprint tells every change of every kind of thing, and nothing of what the engine hides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from tests.services.reversible.more_things import CASES
from tests.services.reversible.servers import Server
from tests.services.reversible.things import BASE, Case

from backout.databases.postgres.reversible.fingerprint import Difference, Print, differences, read_print
from backout.databases.postgres.reversible.link import DirectLink, LinkError

pytestmark = pytest.mark.slow


@contextmanager
def transaction(server: Server, *, superuser: bool = False) -> Iterator[DirectLink]:
    """Give a link in a transaction that is rolled back, with the base schema made."""
    with server.connected(superuser=superuser) as connection:
        link = DirectLink(connection)
        link.rows("BEGIN ISOLATION LEVEL REPEATABLE READ")
        link.rows(BASE)
        yield link
        link.rows("ROLLBACK")


def told(before: Print, after: Print) -> set[str]:
    return {difference.name for difference in differences(before, after)}


def pytest_cases() -> list[Any]:
    return [pytest.param(case, id=case.name) for case in CASES]


def test_every_case_has_a_name_of_its_own() -> None:
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []


@pytest.mark.parametrize("case", pytest_cases())
def test_a_change_is_told_and_its_reverse_brings_the_print_back(server: Server, case: Case) -> None:
    with transaction(server, superuser=case.superuser) as link:
        if server.version < case.since:
            with pytest.raises(LinkError) as refused:
                link.rows(f"{case.set_up};{case.change}")
            # This server cannot have it: syntax error, or no such parameter.
            assert refused.value.sqlstate in ("42601", "22023", "42703", "0A000")
            return
        if case.set_up:
            link.rows(case.set_up)
        before = read_print(link)
        link.rows(case.change)
        changed = read_print(link)
        assert told(before, changed) == case.changed
        assert changed.digest != before.digest
        link.rows(case.reverse)
        after = read_print(link)
        assert differences(before, after) == []
        assert after.digest == before.digest


HIDDEN = {
    "column": "ALTER TABLE app.t ADD _bo_1 int DEFAULT 3; COMMENT ON COLUMN app.t._bo_1 IS 'x';"
              "GRANT SELECT (_bo_1) ON app.t TO reader",
    "constraint": "ALTER TABLE app.t ADD CONSTRAINT _bo_2 CHECK (a > 0); COMMENT ON CONSTRAINT _bo_2 ON app.t IS 'x'",
    "unique constraint": "ALTER TABLE app.t ADD CONSTRAINT _bo_2 UNIQUE (a)",
    "index": "CREATE INDEX _bo_3 ON app.t (a); COMMENT ON INDEX app._bo_3 IS 'x'",
    "trigger": "CREATE TRIGGER _bo_4 BEFORE UPDATE ON app.t FOR EACH ROW EXECUTE FUNCTION app.touch()",
    "trigger by its function": "CREATE SCHEMA backout; CREATE FUNCTION backout.sync() RETURNS trigger LANGUAGE plpgsql"
                               " AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER \"~1\" BEFORE UPDATE ON app.t"
                               " FOR EACH ROW EXECUTE FUNCTION backout.sync()",
    "rule": "CREATE RULE _bo_5 AS ON DELETE TO app.t DO INSTEAD NOTHING",
    "policy": "CREATE POLICY _bo_6 ON app.t USING (true)",
    "statistics": "CREATE STATISTICS app._bo_7 ON a, b FROM app.t",
    "sequence": "CREATE SEQUENCE app._bo_8",
    "table": "CREATE TABLE app._bo_9 (id serial PRIMARY KEY, t int REFERENCES app.t)",
    "view": "CREATE VIEW app._bo_10 AS SELECT a FROM app.t",
    "enum": "CREATE TYPE app._bo_11 AS ENUM ('a')",
    "attribute": "ALTER TYPE app.pair ADD ATTRIBUTE _bo_12 int",
    "constraint of a domain": "ALTER DOMAIN app.positive ADD CONSTRAINT _bo_13 CHECK (VALUE > 0)",
    "function": "CREATE FUNCTION app._bo_14() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "journal": "CREATE SCHEMA backout; CREATE TABLE backout.journal (id bigserial PRIMARY KEY)",
    "hidden schema": "CREATE SCHEMA backout_hidden; COMMENT ON SCHEMA backout_hidden IS 'x';"
                     "CREATE TABLE backout_hidden.t (id serial PRIMARY KEY, x int); CREATE VIEW backout_hidden.v AS SELECT 1 AS a;"
                     "CREATE TYPE backout_hidden.mood AS ENUM ('a'); CREATE INDEX i ON backout_hidden.t (x);"
                     "ALTER DEFAULT PRIVILEGES IN SCHEMA backout_hidden GRANT SELECT ON TABLES TO reader",
    "published table": "CREATE SCHEMA backout_hidden; CREATE TABLE backout_hidden.x (id int);"
                       "ALTER PUBLICATION p ADD TABLE backout_hidden.x",
    "published column": "ALTER TABLE app.t ADD _bo_1 int; ALTER PUBLICATION p SET TABLE app.t (id, _bo_1)",
    "schema renamed": "CREATE SCHEMA old; CREATE TABLE old.t (id int); ALTER SCHEMA old RENAME TO _bo_15",
    "parent": "CREATE SCHEMA backout_hidden; CREATE TABLE backout_hidden.p (a int); ALTER TABLE app.t INHERIT backout_hidden.p",
    "cast of a hidden type": "CREATE SCHEMA backout_hidden; CREATE TYPE app.old AS (a int);"
                             "CREATE CAST (app.old AS app.pair) WITH INOUT; ALTER TYPE app.old SET SCHEMA backout_hidden",
}  # fmt: skip

_HOLDERS = """CREATE TYPE app.pair AS (a int, b text); CREATE DOMAIN app.positive AS int;
CREATE PUBLICATION p FOR TABLE app.t (id)"""


@pytest.mark.parametrize("change", [pytest.param(sql, id=name) for name, sql in HIDDEN.items()])
def test_what_is_hidden_is_not_told(server: Server, change: str) -> None:
    with transaction(server) as link:
        link.rows(_HOLDERS)
        before = read_print(link)
        link.rows(change)
        assert differences(before, read_print(link)) == []


def test_a_hidden_column_does_not_show_in_definitions_that_name_all_columns_of_a_table(
    server: Server,
) -> None:
    with transaction(server) as link:
        link.rows("CREATE VIEW app.v AS SELECT x.i FROM app.t x (i, j, k)")
        link.rows("CREATE FUNCTION app.f() RETURNS int BEGIN ATOMIC SELECT x.i FROM app.t x (i, j, k); END")
        link.rows("CREATE RULE r AS ON INSERT TO app.t DO ALSO SELECT x.i FROM app.t x (i, j, k)")
        before = read_print(link)
        link.rows("ALTER TABLE app.t ADD _bo_1 int")
        # Hazard seen: PostgreSQL prints `FROM app.t x(i, j, k, _bo_1)`.
        assert "_bo_1" in str(link.rows("SELECT pg_get_viewdef('app.v'::regclass) AS v"))
        assert differences(before, read_print(link)) == []


def test_rows_values_of_sequences_and_statistics_do_not_count(server: Server) -> None:
    with server.connected() as connection:
        link = DirectLink(connection)
        connection.execute("DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept")
        connection.execute("CREATE TABLE kept.t (id serial PRIMARY KEY, a int)")
        before = committed(link)
        connection.execute("INSERT INTO kept.t (a) SELECT g FROM generate_series(1, 1000) g")
        connection.execute("SELECT setval('kept.t_id_seq', 5000)")
        for statement in ("ANALYZE kept.t", "VACUUM kept.t", "VACUUM FULL kept.t", "REINDEX TABLE kept.t"):
            connection.execute(statement)
        connection.execute("TRUNCATE kept.t")
        assert differences(before, committed(link)) == []
        connection.execute("DROP SCHEMA kept CASCADE")


def committed(link: DirectLink) -> Print:
    link.rows("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        return read_print(link)
    finally:
        link.rows("COMMIT")


def test_an_index_that_was_not_finished_is_told(server: Server) -> None:
    with server.connected() as connection:
        link = DirectLink(connection)
        connection.execute("DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept")
        connection.execute("CREATE TABLE kept.t (a int); INSERT INTO kept.t VALUES (1), (1)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("CREATE UNIQUE INDEX CONCURRENTLY i ON kept.t (a)")
        assert "INVALID" in committed(link).things["index kept.i"]
        connection.execute("DROP SCHEMA kept CASCADE")


def test_25_the_order_of_columns_counts_only_if_asked_for(server: Server) -> None:
    with transaction(server) as link:
        loose, strict = read_print(link), read_print(link, strict_order=True)
        link.rows("ALTER TABLE app.t DROP a, ADD a int")
        assert differences(loose, read_print(link)) == []
        found = differences(strict, read_print(link, strict_order=True))
        assert {difference.name for difference in found} == {"column app.t.a", "column app.t.b"}
        assert "POSITION 3" in str(found[0])


def test_a_gap_or_a_hidden_column_between_others_is_no_position(server: Server) -> None:
    with transaction(server) as link:
        link.rows("CREATE TABLE app.gap (a int, _bo_1 int, b int)")
        before = read_print(link, strict_order=True)
        link.rows("ALTER TABLE app.gap DROP _bo_1")
        assert differences(before, read_print(link, strict_order=True)) == []


def test_default_privileges_that_are_written_down_are_no_difference(server: Server) -> None:
    with transaction(server) as link:
        link.rows(
            "CREATE TYPE app.mood AS ENUM ('a'); CREATE SEQUENCE app.s; CREATE VIEW app.v AS SELECT 1 AS a"
        )
        before = read_print(link)
        for thing in ("SELECT ON app.t", "SELECT ON app.v", "USAGE ON TYPE app.mood", "USAGE ON SEQUENCE app.s",
                      "EXECUTE ON FUNCTION app.touch()", "SELECT (a) ON app.t"):  # fmt: skip
            link.rows(f"GRANT {thing} TO reader; REVOKE {thing} FROM reader")
        assert (
            link.rows("SELECT relacl AS acl FROM pg_class WHERE oid = 'app.t'::regclass")[0]["acl"]
            is not None
        )
        assert differences(before, read_print(link)) == []


def test_the_order_of_grants_and_the_lack_of_any_are_told_rightly(server: Server) -> None:
    with transaction(server) as link:
        link.rows("GRANT SELECT ON app.t TO reader; GRANT SELECT ON app.t TO other")
        before = read_print(link)
        link.rows("REVOKE SELECT ON app.t FROM reader; GRANT SELECT ON app.t TO reader")
        assert differences(before, read_print(link)) == []
        link.rows("REVOKE ALL ON app.t FROM reader, other, collector")
        assert read_print(link).things["table app.t"].endswith("ACL nobody")


FOREIGN_SETTINGS = """SET LOCAL search_path = app, public; SET LOCAL TimeZone = 'Asia/Seoul';
SET LOCAL DateStyle = 'SQL, DMY'; SET LOCAL IntervalStyle = 'sql_standard'; SET LOCAL extra_float_digits = -10;
SET LOCAL bytea_output = 'escape'; SET LOCAL quote_all_identifiers = on; SET LOCAL standard_conforming_strings = off;
CREATE TEMP TABLE pg_class (relname text)"""


def test_the_sessions_settings_change_no_text_and_are_left_as_they_are(server: Server) -> None:
    with transaction(server) as link:
        link.rows("""CREATE TABLE app.constants (a timestamptz DEFAULT '2020-01-01 00:00:00+00',
            b interval DEFAULT '1 day 2 hours', c float8 DEFAULT 0.1::float8 + 1e-9, d bytea DEFAULT '\\x00ff'::bytea,
            e text DEFAULT 'a\\b', f date DEFAULT '2020-02-01') PARTITION BY RANGE (a)""")
        link.rows("""CREATE TABLE app.constants_2020 PARTITION OF app.constants
            FOR VALUES FROM ('2020-01-01 00:00:00+00') TO ('2021-01-01 00:00:00+00')""")
        before = read_print(link)
        link.rows(FOREIGN_SETTINGS)
        settings = "SELECT name, setting FROM pg_catalog.pg_settings WHERE name <> 'transaction_read_only' ORDER BY name"
        left = link.rows(settings)
        assert differences(before, read_print(link)) == []
        assert link.rows(settings) == left


def test_an_error_leaves_the_transaction_usable_and_the_settings_as_they_were(server: Server) -> None:
    with transaction(server) as link:
        link.rows("SET LOCAL search_path = app")
        link.rows("SET LOCAL statement_timeout = '1ms'")
        slow = FailingLink(link)
        with pytest.raises(LinkError):
            read_print(slow)
        link.rows("SET LOCAL statement_timeout = 0")
        assert link.rows("SHOW search_path") == [{"search_path": "app"}]
        assert "table app.t" in read_print(link).things


class FailingLink:
    """A session that is cut short by its own statement timeout in the middle of the reading."""

    def __init__(self, link: DirectLink) -> None:
        self._link, self._count = link, 0

    def rows(self, query: str) -> Any:
        self._count += 1
        if self._count == 6:
            self._link.rows("SELECT pg_sleep(5)")
        return self._link.rows(query)


def test_without_a_transaction_it_is_refused_and_nothing_is_set(server: Server) -> None:
    with server.connected() as connection:
        link = DirectLink(connection)
        with pytest.raises(LinkError) as refused:
            read_print(link)
        assert refused.value.sqlstate == "25P01"
        assert "pg_catalog" not in str(link.rows("SHOW search_path"))


def test_no_lock_on_a_users_table_stays_behind(server: Server) -> None:
    with server.connected() as connection:
        link = DirectLink(connection)
        connection.execute(
            "DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept; CREATE TABLE kept.t (a int)"
        )
        connection.execute("CREATE VIEW kept.v AS SELECT * FROM kept.t")
        link.rows("BEGIN")
        read_print(link)
        held = link.rows("""SELECT relation::regclass AS held FROM pg_locks
            WHERE pid = pg_backend_pid() AND relation IN ('kept.t'::regclass, 'kept.v'::regclass)""")
        link.rows("ROLLBACK")
        assert held == []
        connection.execute("DROP SCHEMA kept CASCADE")


def test_a_secret_of_a_user_mapping_is_never_in_the_print(server: Server) -> None:
    with transaction(server, superuser=True) as link:
        link.rows("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w")
        link.rows("CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (password 'hunter2=x')")
        found = read_print(link)
        assert found.things["user mapping of PUBLIC on server s"] == "OPTIONS (password)"
        assert "hunter2" not in found.model_dump_json()


def test_differences_read_as_sentences() -> None:
    before, after = Print(things={"a": "1", "b": "2"}), Print(things={"b": "3", "c": "4"})
    found = differences(before, after)
    assert found == [Difference("a", "1", None), Difference("b", "2", "3"), Difference("c", None, "4")]
    assert [str(difference) for difference in found] == [
        "a is gone; it was: 1",
        "b was: 2; it is now: 3",
        "c was not there before: 4",
    ]
