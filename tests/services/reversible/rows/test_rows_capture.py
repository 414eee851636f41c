"""What is logged of a migration's statements, by which means, and what is refused."""

from __future__ import annotations

import threading

import pytest
from tests.services.reversible.rows.bed import Bed
from tests.waiting import until

from backout.databases.postgres.reversible.link import DirectLink, LinkError
from backout.databases.postgres.reversible.rows import counts, store
from backout.databases.postgres.reversible.rows.capture import Capture, NotCaptured
from backout.databases.postgres.reversible.rows.closure import mentioned

pytestmark = pytest.mark.slow


def _log(bed: Bed, columns: str = "relation::regclass AS t, old, new") -> list[tuple[str | None, ...]]:
    return [
        tuple(one.values()) for one in bed.app.rows(f"SELECT {columns} FROM backout.row_log ORDER BY seq")
    ]


def test_every_kind_of_statement_is_logged(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "INSERT INTO t VALUES (1, 'a'), (2, NULL), (3, ''), (4, 'x,\"y\\z')",
    )
    bed.migrate(
        7,
        [
            "UPDATE t SET v = 'b' WHERE id = 1",
            "DELETE FROM t WHERE id IN (2, 4)",
            "INSERT INTO t VALUES (5, 'n')",
            "INSERT INTO t VALUES (5, 'm') ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v",
            "MERGE INTO t USING (VALUES (3, 'q'), (6, 'r')) s(id, v) ON t.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v)",
            "WITH w AS (DELETE FROM t WHERE id = 6 RETURNING *) INSERT INTO t SELECT 60, v FROM w",
            "DO $$BEGIN EXECUTE format('UPDATE %I SET v = NULL WHERE id = 60', 't'); END$$",
        ],
        ["t"],
    )
    assert _log(bed) == [
        ("t", "(1,a)", "(1,b)"),
        ("t", "(2,)", None),
        ("t", '(4,"x,""y\\\\z")', None),
        ("t", None, "(5,n)"),
        ("t", "(5,n)", "(5,m)"),
        ("t", '(3,"")', None),
        ("t", None, "(6,r)"),
        ("t", "(6,r)", None),
        ("t", None, "(60,r)"),
        ("t", "(60,r)", "(60,)"),
    ]


def test_copy_is_logged(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int, v text)")
    session, capture = bed.link(), Capture(bed.link(), 7)
    session.rows("BEGIN")
    capture.begin(session)
    capture.ensure(session, [bed.oid("t")])
    with session.connection.cursor().copy("COPY t FROM STDIN") as copy:
        copy.write("1\tone\n2\t\\N\n")
    session.rows("COMMIT")
    assert _log(bed) == [("t", None, "(1,one)"), ("t", None, "(2,)")]


def test_a10_cascades_are_logged_over_the_closure_of_foreign_keys(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE kg (id int PRIMARY KEY)",
        "CREATE TABLE kh (id int PRIMARY KEY, g int REFERENCES kg ON DELETE CASCADE)",
        "CREATE TABLE ki (id int, h int REFERENCES kh ON DELETE SET NULL)",
        "CREATE TABLE kj (id int, h int DEFAULT 2 REFERENCES kh ON DELETE SET DEFAULT)",
        "INSERT INTO kg VALUES (1), (2)",
        "INSERT INTO kh VALUES (1, 1), (2, 2)",
        "INSERT INTO ki VALUES (1, 1)",
        "INSERT INTO kj VALUES (1, 1)",
    )
    before = {t: bed.rows(t) for t in ("kg", "kh", "ki", "kj")}
    bed.migrate(7, ["DELETE FROM kg WHERE id = 1"], ["kg"])
    assert {one[0] for one in _log(bed)} == {"kg", "kh", "ki", "kj"}
    assert bed.undo(7).kept_count == 0
    assert {t: bed.rows(t) for t in before} == before


def test_only_the_migration_is_logged(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int)")
    session, capture = bed.link(), Capture(bed.link(), 7)
    session.rows("BEGIN")
    capture.begin(session)
    capture.ensure(session, [bed.oid("t")])
    bed.sql("INSERT INTO t VALUES (1)")  # at the same time: neither waits
    session.rows("INSERT INTO t VALUES (2)")
    session.rows("COMMIT")
    session.rows("INSERT INTO t VALUES (3)")  # the setting has ended with the transaction
    assert _log(bed) == [("t", None, "(2)")]


def test_c24_the_trigger_is_there_before_and_no_writer_waits(bed: Bed) -> None:
    """Made inside the migration it would block every writer to its end."""
    bed.sql("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")
    session, capture = bed.link(), Capture(bed.link(), 7)
    session.rows("BEGIN")
    capture.begin(session)
    capture.ensure(session, [bed.oid("t")])
    session.rows("UPDATE t SET id = 10 WHERE id = 1")
    bed.sql("SET lock_timeout = '5s'", "UPDATE t SET id = 20 WHERE id = 2")
    session.rows("COMMIT")
    assert capture.remove() == []


def test_inside_the_transaction_where_it_holds_the_lock(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 1)")
    bed.migrate(
        7,
        [
            "ALTER TABLE t ADD COLUMN w text DEFAULT 'd'",
            "UPDATE t SET v = 2, w = 'x'",
            "ALTER TABLE t RENAME COLUMN v TO vv",
            "ALTER TABLE t ADD COLUMN z int",
            "UPDATE t SET vv = 3, z = 9",
        ],
        ["t"],
    )
    assert _log(bed) == [("t", "(1,1,d)", "(1,2,x)"), ("t", "(1,2,x,)", "(1,3,x,9)")]
    report = bed.undo(7, leave={bed.oid("t"): [3, 4]})
    assert (report.updated, report.kept_count) == (1, 0)
    assert bed.rows("t") == ["(1,1,x,9)"]


def test_a_do_block_that_adds_a_column_and_writes(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 1), (2, 2)")
    bed.migrate(
        7,
        [
            "DO $$BEGIN UPDATE t SET v = 10 WHERE id = 1; ALTER TABLE t ADD w text; UPDATE t SET v = 20, w = ',\"' WHERE id = 2; END$$"
        ],
        ["t"],
    )
    assert bed.undo(7).kept_count == 0
    assert bed.rows("t") == ["(1,1,)", "(2,2,)"]
    assert bed.redo(7).kept_count == 0
    assert bed.rows("t") == ["(1,10,)", '(2,20,",""")']


def test_a_table_made_by_the_transaction_needs_no_log(bed: Bed) -> None:
    session, capture = bed.link(), Capture(bed.link(), 7)
    session.rows("BEGIN")
    capture.begin(session)
    before = counts.tally(session, 7)
    session.rows("CREATE TABLE fresh (id int)")
    oid = int(session.rows("SELECT 'fresh'::regclass::oid::int8 AS oid")[0]["oid"] or 0)
    capture.ensure(session, [oid])
    session.rows("INSERT INTO fresh VALUES (1)")
    assert counts.uncaptured(capture.own, before, counts.tally(session, 7)) == []
    session.rows("COMMIT")
    assert _log(bed) == []


def test_d2_what_is_not_logged_is_named(bed: Bed) -> None:
    bed.sql("CREATE TABLE seen (id int)", "CREATE TABLE unseen (id int)", "CREATE TABLE partly (id int)")
    session, capture = bed.link(), Capture(bed.link(), 7)
    session.rows("BEGIN")
    capture.begin(session)
    capture.ensure(session, [bed.oid("seen"), bed.oid("partly")])
    before = counts.tally(session, 7)
    session.rows("INSERT INTO seen VALUES (1)")
    session.rows("INSERT INTO partly VALUES (1)")
    session.rows("ALTER TABLE partly DISABLE TRIGGER USER")  # C10
    session.rows("INSERT INTO partly VALUES (2)")
    session.rows("DO $$BEGIN EXECUTE 'INSERT INTO unseen VALUES (1)'; END$$")
    session.rows("CREATE TEMP TABLE tt AS SELECT 1 AS x")
    session.rows("INSERT INTO tt VALUES (2)")
    assert counts.uncaptured(capture.own, before, counts.tally(session, 7)) == [
        "public.partly",
        "public.unseen",
    ]
    session.rows("ROLLBACK")
    assert capture.remove() == []


def test_tables_of_a_users_trigger_are_found_in_its_body(bed: Bed) -> None:
    bed.sql(
        'CREATE TABLE "Odd.name" (id int PRIMARY KEY)',
        "CREATE TABLE audit (what text)",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO audit VALUES (TG_OP); RETURN NULL; END$$",
        'CREATE TRIGGER note AFTER INSERT ON "Odd.name" FOR EACH ROW EXECUTE FUNCTION note()',
    )
    bed.migrate(7, ['INSERT INTO "Odd.name" VALUES (1)'], ['"Odd.name"'])
    bed.undo(7)
    assert bed.rows('"Odd.name"') == bed.rows("audit") == []


def test_views_rules_and_functions_lead_to_their_tables(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE a (id int PRIMARY KEY)",
        "CREATE TABLE b (id int)",
        "CREATE VIEW v AS SELECT * FROM a",
        "CREATE RULE r AS ON INSERT TO a DO ALSO INSERT INTO b VALUES (NEW.id)",
        "CREATE FUNCTION deep() RETURNS void LANGUAGE plpgsql AS $$BEGIN INSERT INTO v VALUES (2); END$$",
        "CREATE FUNCTION outermost() RETURNS void LANGUAGE plpgsql AS $$BEGIN PERFORM deep(); END$$",
    )
    assert bed.oid("v") in mentioned(bed.app, "SELECT Outermost()")
    assert bed.oid("b") not in mentioned(bed.app, "SELECT ab, b2")
    bed.migrate(7, ["INSERT INTO v VALUES (1)", "SELECT outermost()"], ["v"])
    assert bed.rows("a") == bed.rows("b") == ["(1)", "(2)"]
    bed.undo(7)
    assert bed.rows("a") == bed.rows("b") == []


def test_partitions_their_parents_and_children(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE p (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)",
        "CREATE TABLE p2 (v text, junk int, k int NOT NULL, id int NOT NULL)",
        "ALTER TABLE p2 DROP COLUMN junk",
        "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2)",
        "INSERT INTO p VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 2, 'c'), (4, 2, 'd')",
        "CREATE TABLE parent (id int PRIMARY KEY, v text)",
        "CREATE TABLE child (extra int) INHERITS (parent)",
        "INSERT INTO parent VALUES (1, 'p')",
        "INSERT INTO child VALUES (2, 'c', 5)",
    )
    before = {t: bed.rows(t) for t in ("p", "p1", "p2", "parent", "child")}
    bed.migrate(
        7,
        [
            "UPDATE p SET k = 2 WHERE id = 1",  # C9: it moves
            "UPDATE p1 SET v = 'bb'",
            "DELETE FROM p WHERE id = 3",
            "UPDATE p2 SET v = 'dd' WHERE id = 4",
            "INSERT INTO p VALUES (5, 1, 'e')",
            "UPDATE parent SET v = v || '!'",
        ],
        ["p", "parent"],
    )
    after = {t: bed.rows(t) for t in before}
    assert bed.undo(7).kept_count == 0
    assert {t: bed.rows(t) for t in before} == before
    assert bed.redo(7).kept_count == 0
    assert {t: bed.rows(t) for t in before} == after


def test_g3_a_migration_that_sets_its_role(bed: Bed) -> None:
    role = "ddl_" + bed.app.rows("SELECT current_database() AS d")[0]["d"]
    bed.admin(f"CREATE ROLE {role}", f"GRANT {role} TO collector")
    bed.sql("CREATE TABLE t (id int)", f"GRANT ALL ON t TO {role}")
    bed.migrate(7, [f"SET ROLE {role}; INSERT INTO t VALUES (1); RESET ROLE"], ["t"])
    assert _log(bed) == [("t", None, "(1)")]
    bed.sql(f"REVOKE ALL ON t FROM {role}")
    bed.admin(f"DROP ROLE {role}")


def test_d27_g2_nobody_else_reads_or_writes_the_log(bed: Bed) -> None:
    role = "app_" + bed.app.rows("SELECT current_database() AS d")[0]["d"]
    bed.admin(f"CREATE ROLE {role} LOGIN")
    bed.sql(
        "DROP SCHEMA backout, backout_hidden CASCADE",
        f"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {role}",
        f"ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO {role}",
        f"ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO {role}",
        f"ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO {role}",
    )
    store.install(bed.app)
    granted = bed.app.rows(
        f"SELECT relname FROM pg_class WHERE relnamespace = 'backout'::regnamespace AND relkind = 'r' "
        f"AND has_table_privilege('{role}', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER') "
        f"UNION SELECT nspname FROM pg_namespace WHERE nspname ~ '^backout' AND has_schema_privilege('{role}', oid, 'USAGE, CREATE') "
        f"UNION SELECT 'function' WHERE has_function_privilege('{role}', 'backout.log_row()', 'EXECUTE')"
    )
    assert granted == []
    path = bed.app.rows("SELECT proconfig::text AS c, prosecdef AS d FROM pg_proc WHERE proname = 'log_row'")[
        0
    ]
    assert path["d"] == "t" and "search_path=pg_catalog, pg_temp" in str(path["c"])
    bed.admin(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_h2_a_temporary_table_of_the_same_name_catches_nothing(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int)")
    session, capture = bed.link(), Capture(bed.link(), 7)
    session.rows("CREATE TEMP TABLE row_log AS SELECT 1 AS seq")
    session.rows("CREATE TEMP TABLE t (id int)")
    session.rows("BEGIN")
    capture.begin(session)
    temporary = int(session.rows("SELECT 'pg_temp.t'::regclass::oid::int8 AS o")[0]["o"] or 0)
    capture.ensure(session, [temporary, bed.oid("public.t")])  # K5: by oid, and a temporary one is ignored
    session.rows("INSERT INTO public.t VALUES (1)")
    session.rows("INSERT INTO t VALUES (2)")
    session.rows("COMMIT")
    assert _log(bed) == [("t", None, "(1)")]
    assert session.rows("SELECT * FROM pg_temp.row_log") == [{"seq": "1"}]


def test_what_cannot_be_logged_is_refused(bed: Bed) -> None:
    bed.sql("CREATE SCHEMA others", "CREATE TABLE busy (id int)")
    bed.admin(
        "CREATE TABLE others.theirs (id int)",
        "GRANT ALL ON others.theirs TO collector",
        "CREATE FOREIGN DATA WRAPPER w",
        "CREATE SERVER s FOREIGN DATA WRAPPER w",
        "CREATE FOREIGN TABLE far (id int) SERVER s",
    )
    session, capture = bed.link(), Capture(bed.link(), 7, patience_s=0.1)
    session.rows("BEGIN")
    capture.begin(session)
    with pytest.raises(NotCaptured, match=r"others\.theirs .* does not own"):
        capture.ensure(session, [bed.oid("others.theirs")])
    with pytest.raises(NotCaptured, match=r"public\.far .* foreign table"):
        capture.ensure(session, [bed.oid("far")])
    app = bed.link()
    app.rows("BEGIN")
    app.rows("INSERT INTO busy VALUES (1)")
    with pytest.raises(NotCaptured, match=r"public\.busy .* in use"):
        capture.ensure(session, [bed.oid("busy")])
    app.rows("COMMIT")
    capture.ensure(session, [bed.oid("busy")])  # the session's transaction has lived through it
    session.rows("INSERT INTO busy VALUES (2)")
    session.rows("COMMIT")
    assert _log(bed) == [("busy", None, "(2)")]


def test_a_lock_that_comes_free_in_time_is_taken(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int)")
    app, session, capture = bed.link(), bed.link(), Capture(bed.link(), 7, patience_s=20)
    app.rows("BEGIN")
    app.rows("INSERT INTO t VALUES (1)")
    session.rows("BEGIN")
    capture.begin(session)
    ensured = threading.Thread(target=capture.ensure, args=(session, [bed.oid("t")]))
    ensured.start()
    # Another one that writes meanwhile does not stand behind a waiting lock.
    bed.sql("SET lock_timeout = '3s'", "INSERT INTO t VALUES (2)")
    app.rows("COMMIT")
    until(lambda: not ensured.is_alive())
    session.rows("INSERT INTO t VALUES (3)")
    session.rows("COMMIT")
    assert _log(bed) == [("t", None, "(3)")]


def test_a_savepoint_that_takes_the_trigger_with_it(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int)")
    session, capture = bed.link(), Capture(bed.link(), 7)
    session.rows("BEGIN")
    capture.begin(session)
    before = counts.tally(session, 7)
    session.rows("LOCK TABLE t")
    session.rows("SAVEPOINT s")
    capture.ensure(session, [bed.oid("t")])
    session.rows("ROLLBACK TO s")
    capture.ensure(session, [bed.oid("t")])
    session.rows("INSERT INTO t VALUES (1)")
    assert counts.uncaptured(capture.own, before, counts.tally(session, 7)) == []
    session.rows("COMMIT")
    assert _log(bed) == [("t", None, "(1)")]


def test_triggers_of_a_killed_migration_are_removed_by_the_next_and_no_others(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int)")
    links: list[DirectLink] = []
    for number in (1, 2, 3):
        session, own = bed.link(), bed.link()
        session.rows("BEGIN")
        capture = Capture(own, number)
        capture.begin(session)
        capture.ensure(session, [bed.oid("t")])
        session.rows("ROLLBACK")
        links.append(own)
    links[0].connection.close()  # killed
    names = "SELECT tgname AS n FROM pg_trigger WHERE tgrelid = 't'::regclass ORDER BY 1"
    assert [one["n"] for one in bed.app.rows(names)] == ["_bo_rows_1", "_bo_rows_2", "_bo_rows_3"]
    until(lambda: capture.remove() == [] and len(bed.app.rows(names)) == 1)
    assert [one["n"] for one in bed.app.rows(names)] == ["_bo_rows_2"]
    assert Capture(bed.link(), 4).remove() == []  # idempotent, and 2 still lives
    assert [one["n"] for one in bed.app.rows(names)] == ["_bo_rows_2"]


def test_the_triggers_of_a_table_in_use_are_left_and_named(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int)")
    session, capture = bed.link(), Capture(bed.link(), 7, patience_s=0.1)
    session.rows("BEGIN")
    capture.begin(session)
    capture.ensure(session, [bed.oid("t")])
    session.rows("INSERT INTO t VALUES (1)")
    assert capture.remove() == ["public.t"]
    session.rows("COMMIT")
    assert capture.remove() == []


def test_values_are_logged_exactly_whatever_the_session_has_set(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE t (ts timestamptz, d date, i interval, b bytea, f float8)",
        "INSERT INTO t VALUES ('2026-03-29 01:30:00.123456+00', '0044-03-15 BC', '1 year -2 days 03:04:05.6', '\\x00ff', 0.1)",
    )
    settings = (
        "SET LOCAL DateStyle = 'SQL, DMY'; SET LOCAL IntervalStyle = 'sql_standard'; SET LOCAL TimeZone = 'Asia/Kolkata'; "
        "SET LOCAL bytea_output = 'escape'; SET LOCAL extra_float_digits = -10"
    )
    bed.migrate(7, [settings, "UPDATE t SET f = f"], ["t"])
    wanted = '("2026-03-29 01:30:00.123456+00","0044-03-15 BC","1 year -2 days +03:04:05.6","\\\\x00ff",0.1)'
    assert _log(bed) == [("t", wanted, wanted)]


def test_22_a_replica_session_is_logged_too(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int)")
    session, capture = DirectLink(bed.superuser()), Capture(bed.link(), 7)
    session.rows("BEGIN")
    capture.begin(session)
    capture.ensure(session, [bed.oid("t")])
    session.rows("SET LOCAL session_replication_role = replica")
    session.rows("INSERT INTO t VALUES (1)")
    session.rows("COMMIT")
    assert _log(bed) == [("t", None, "(1)")]


def test_a_lock_timeout_of_the_session_stays_what_it_was(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int)")
    session, capture = bed.link(), Capture(bed.link(), 7, patience_s=0.1)
    session.rows("BEGIN")
    session.rows("SET LOCAL lock_timeout = '7s'")
    session.rows("LOCK TABLE t")
    capture.begin(session)
    capture.ensure(session, [bed.oid("t")])
    assert session.rows("SHOW lock_timeout") == [{"lock_timeout": "7s"}]
    session.rows("COMMIT")
    with pytest.raises(LinkError):
        session.rows("SELECT backout.log_row()")
