"""The way back of rows among what surrounds them: policies, triggers, identities, other DDL, errors, many rows."""

from __future__ import annotations

import pytest
from tests.services.reversible.rows.bed import Bed

from backout.databases.postgres.reversible.link import LinkError
from backout.databases.postgres.reversible.rows.report import Kept, Why
from backout.databases.postgres.reversible.rows.undo import undo

pytestmark = pytest.mark.slow


def test_g1b_force_rls_hides_nothing_and_is_put_back(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE rls (id int PRIMARY KEY, tenant text, a text)",
        "INSERT INTO rls VALUES (1, 't1', 'x'), (2, 't2', 'y')",
        "CREATE TABLE refers (id int REFERENCES rls)",
    )
    bed.migrate(
        7, ["UPDATE rls SET a = 'z'", "INSERT INTO rls VALUES (3, 't3', 'new'), (4, 't4', 'new')"], ["rls"]
    )
    bed.sql("INSERT INTO refers VALUES (3)")
    for table in ("rls", "refers"):
        bed.sql(
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY p ON {table} USING (false)",
        )
    report = bed.undo(7)
    assert [k.key for k in report.kept] == [("3",)]
    forced = bed.app.rows("SELECT relforcerowsecurity AS f FROM pg_class WHERE relname IN ('rls', 'refers')")
    assert forced == [{"f": "t"}, {"f": "t"}]
    bed.sql("ALTER TABLE rls NO FORCE ROW LEVEL SECURITY")
    assert bed.rows("rls") == ["(1,t1,x)", "(2,t2,y)", "(3,t3,new)"]


def test_k10_c3_triggers_and_rules_stay_quiet_and_are_put_back_exactly(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE kn (id int PRIMARY KEY, deleted bool DEFAULT false)",
        "CREATE TABLE noise (x text)",
        "CREATE FUNCTION softdel() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN UPDATE kn SET deleted = true WHERE id = OLD.id; RETURN NULL; END$$",
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO noise VALUES (TG_NAME); RETURN NEW; END$$",
        "INSERT INTO kn VALUES (2)",
    )
    bed.migrate(7, ["INSERT INTO kn VALUES (1)", "UPDATE kn SET deleted = NULL WHERE id = 2"], ["kn"])
    bed.sql("CREATE TRIGGER sd BEFORE DELETE ON kn FOR EACH ROW EXECUTE FUNCTION softdel()")
    for state in ("ENABLE ALWAYS", "ENABLE REPLICA", "DISABLE", "ENABLE"):
        name = state.lower().replace(" ", "_")
        bed.sql(
            f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON kn FOR EACH ROW EXECUTE FUNCTION shout()",
            f"ALTER TABLE kn {state} TRIGGER {name}",
        )
    bed.sql(
        "CREATE RULE r AS ON UPDATE TO kn DO ALSO INSERT INTO noise VALUES ('rule')",
        "ALTER TABLE kn ENABLE ALWAYS RULE r",
    )
    states = (
        "SELECT tgname AS n, tgenabled AS e FROM pg_trigger WHERE tgrelid = 'kn'::regclass "
        "UNION SELECT rulename, ev_enabled FROM pg_rewrite WHERE ev_class = 'kn'::regclass ORDER BY 1"
    )
    before = bed.app.rows(states)
    assert {one["e"] for one in before} == {"A", "R", "D", "O"}
    assert bed.undo(7).kept == ()
    assert bed.rows("kn") == ["(2,f)"] and bed.rows("noise") == []
    assert bed.app.rows(states) == before


def test_p6_identity_and_generated_columns(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE ri (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) STORED)",
        "INSERT INTO ri (a) VALUES (1), (2)",
    )
    before = bed.rows("ri")
    bed.migrate(
        7,
        ["DELETE FROM ri WHERE id = 1", "UPDATE ri SET a = 20 WHERE id = 2", "INSERT INTO ri (a) VALUES (3)"],
        ["ri"],
    )
    after = bed.rows("ri")
    assert bed.undo(7).kept == ()
    assert bed.rows("ri") == before
    assert bed.redo(7).kept == ()
    assert bed.rows("ri") == after


def test_c2_deferred_foreign_keys_do_not_block_the_callers_ddl(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE dp (id int PRIMARY KEY)",
        "CREATE TABLE dc (id int PRIMARY KEY, pid int REFERENCES dp DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO dp VALUES (1), (2)",
        "INSERT INTO dc VALUES (1, 1), (2, 2)",
    )
    bed.migrate(
        7,
        ["UPDATE dc SET pid = 2 WHERE id = 1", "DELETE FROM dc WHERE id = 2", "DELETE FROM dp WHERE id = 1"],
        ["dc", "dp"],
    )
    link = bed.link()
    link.rows("BEGIN")
    link.rows("INSERT INTO dc VALUES (7, 2)")  # deferred events of the caller's own
    assert undo(link, [7]).kept == ()
    link.rows("ALTER TABLE dc ALTER COLUMN pid SET NOT NULL")
    link.rows("COMMIT")
    assert bed.rows("dc") == ["(1,1)", "(2,2)", "(7,2)"] and bed.rows("dp") == ["(1)", "(2)"]


def test_columns_renamed_dropped_and_retyped_meanwhile_are_found_by_number(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE t (id int PRIMARY KEY, a text, b text, c int)",
        "INSERT INTO t VALUES (1, 'a', 'b', 3), (2, 'a', 'b', 3)",
    )
    bed.migrate(7, ["UPDATE t SET a = 'A', b = 'B', c = 4 WHERE id = 1", "DELETE FROM t WHERE id = 2"], ["t"])
    bed.sql(
        "ALTER TABLE t RENAME COLUMN a TO swap",
        "ALTER TABLE t DROP COLUMN b",
        "ALTER TABLE t RENAME COLUMN c TO a",
        "ALTER TABLE t ALTER COLUMN a TYPE bigint",
        "ALTER TABLE t ADD COLUMN added text DEFAULT 'dflt'",
        "ALTER TABLE t RENAME TO moved",
    )
    report = bed.undo(7)
    assert bed.rows("moved") == ["(1,a,3,dflt)", "(2,a,3,dflt)"]
    assert [(k.column, k.why) for k in report.kept] == [("column 3", Why.NO_COLUMN)]


def test_a_table_that_is_gone_is_reported(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE u (id int PRIMARY KEY)")
    bed.migrate(7, ["INSERT INTO t VALUES (1)", "INSERT INTO u VALUES (1)"], ["t", "u"])
    bed.sql("DROP TABLE t")
    assert bed.undo(7).kept == (Kept("public.t", (), None, None, None, Why.NO_TABLE),)
    assert bed.rows("u") == []


def test_a_column_that_somebody_filled_in_a_row_that_is_taken_back_comes_forward_again(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int PRIMARY KEY)")
    bed.migrate(7, ["INSERT INTO t VALUES (1)"], ["t"])
    bed.sql("ALTER TABLE t ADD COLUMN later text", "UPDATE t SET later = 'precious'")
    assert bed.undo(7).kept == ()
    assert bed.rows("t") == []
    assert bed.redo(7).kept == ()
    assert bed.rows("t") == ["(1,precious)"]


def test_history_rows_of_migration_tools_are_rows(bed: Bed) -> None:
    bed.sql(
        "CREATE SCHEMA drizzle",
        "CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint)",
        "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('aaa')",
        "CREATE TABLE _prisma_migrations (id varchar(36) PRIMARY KEY, checksum varchar(64), finished_at timestamptz, logs text, applied_steps_count int DEFAULT 0)",
        "CREATE TABLE schema_migrations (version varchar NOT NULL PRIMARY KEY)",
    )
    tables = ["drizzle.__drizzle_migrations", "alembic_version", "_prisma_migrations", "schema_migrations"]
    before = {t: bed.rows(t) for t in tables}
    bed.migrate(
        7,
        [
            "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('h', 1)",
            "UPDATE alembic_version SET version_num = 'bbb' WHERE version_num = 'aaa'",  # the key itself
            "INSERT INTO _prisma_migrations VALUES ('u', 'c', NULL, NULL)",
            "UPDATE _prisma_migrations SET finished_at = clock_timestamp(), applied_steps_count = 1",
            "INSERT INTO schema_migrations VALUES ('2026')",
        ],
        tables,
    )
    after = {t: bed.rows(t) for t in tables}
    assert bed.undo(7).kept == ()
    assert {t: bed.rows(t) for t in tables} == before
    assert bed.redo(7).kept == ()
    assert {t: bed.rows(t) for t in tables} == after


def test_a_key_of_a_type_with_its_own_operator_and_enum(bed: Bed) -> None:
    bed.sql(
        "CREATE TYPE e AS ENUM ('x', 'y')",
        "CREATE TABLE t (k e, v varchar(5), d numeric, w text, PRIMARY KEY (k, v, d))",
        "INSERT INTO t VALUES ('x', 'a', 1.0, 'w'), ('y', 'b', 1.10, 'w')",
    )
    before = bed.rows("t")
    bed.migrate(7, ["UPDATE t SET w = 'q'", "UPDATE t SET d = 1.00 WHERE k = 'x'"], ["t"])
    assert bed.undo(7).kept == ()
    assert bed.rows("t") == before


def test_nothing_is_left_half_done_after_an_error(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 1)")
    bed.migrate(7, ["UPDATE t SET v = 2"], ["t"])
    bed.sql("ALTER TABLE t ALTER COLUMN v TYPE date USING '2026-01-01'::date")
    assert [k.why for k in bed.undo(7).kept] == [Why.CHANGED]  # another type: another text
    bed.sql("ALTER TABLE t ALTER COLUMN id TYPE date USING '2026-01-01'::date")
    with pytest.raises(LinkError):
        bed.undo(7)
    assert bed.rows("t") == ["(2026-01-01,2026-01-01)"]


def test_the_way_back_reads_the_rows_of_the_migration_and_not_the_table(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE big (id bigint PRIMARY KEY, v text)",
        "INSERT INTO big SELECT i, md5(i::text) FROM generate_series(1, 100000) i",
        "VACUUM ANALYZE big",
    )
    bed.migrate(7, ["UPDATE big SET v = 'm' WHERE id % 1000 = 0"], ["big"])
    link = bed.link()
    link.rows("BEGIN")
    assert undo(link, [7]).updated == 100
    scans = link.rows("SELECT seq_scan::text AS s FROM pg_stat_xact_user_tables WHERE relname = 'big'")
    assert scans == [{"s": "0"}]
    link.rows("COMMIT")


def test_a_large_update_goes_back_in_one_statement(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE lg (id int PRIMARY KEY, a int, b text)",
        "INSERT INTO lg SELECT i, i, 'x' || i FROM generate_series(1, 20000) i",
    )
    digest = "SELECT md5(string_agg(lg::text, ',' ORDER BY id)) AS d FROM lg"
    before = bed.app.rows(digest)
    bed.migrate(7, ["UPDATE lg SET a = a + 1", "UPDATE lg SET b = b || 'y' WHERE id % 2 = 0"], ["lg"])
    after = bed.app.rows(digest)
    report = bed.undo(7)
    assert (report.updated, report.touched, report.kept) == (20000, 0, ())
    assert bed.app.rows(digest) == before
    assert (bed.redo(7).touched, bed.app.rows(digest)) == (0, after)
