"""Rows go back, and forward again, and nothing is lost of what others have written since."""

from __future__ import annotations

import pytest
from tests.services.reversible.rows.bed import Bed

from backout.databases.postgres.reversible.link import LinkError
from backout.databases.postgres.reversible.rows.report import Kept, Why
from backout.databases.postgres.reversible.rows.undo import undo

pytestmark = pytest.mark.slow

_VALUES = [
    ("int", ["1", "NULL"]),
    ("numeric", ["1.10", "'NaN'", "-0.0", "1e30"]),
    ("numeric(10,2)", ["1.1"]),
    ("float8", ["'NaN'", "'-0'", "'Infinity'", "0.1::float8 + 0.2", "1e-310"]),
    ("float4", ["0.1", "'-Infinity'"]),
    ("money", ["'12.34'"]),
    ("text", ["''", "'null'", "'NULL'", "' x '", "E'a\\tb\\n\\\\'", "'\"quoted\"'", "'{},()'", "'Zoë 日本'"]),
    ("char(5)", ["'ab'", "''"]),
    ("varchar(3)", ["'abc'"]),
    ('"char"', ["'x'"]),
    ("name", ["'n'"]),
    ("bytea", ["'\\x00ff'", "''"]),
    ("bool", ["true", "false"]),
    ("date", ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'12345-01-01'"]),
    ("timestamptz", ["'infinity'", "'2026-03-29 01:30:00.123456+05:30'", "'1800-01-01 00:00:00+00:53:28'"]),
    ("timestamp(3)", ["'2026-01-02 03:04:05.678'"]),
    ("timetz", ["'03:04:05+02'"]),
    ("interval", ["'1 year -2 days 03:04:05.6'", "'-1 year'"]),
    ("json", ['\'{"a":1,  "a":2}\'', "'null'", "'\"\\u00e9\"'"]),
    ("jsonb", ["'{\"b\":[1.10,null]}'"]),
    ("xml", ["'<a>x &amp; y</a>'"]),
    ("uuid", ["'00000000-0000-0000-0000-000000000001'"]),
    ("inet", ["'10.0.0.1'", "'10.0.0.0/8'"]),
    ("macaddr", ["'08:00:2b:01:02:03'"]),
    ("bit(3)", ["B'101'"]),
    ("varbit", ["B'10101'"]),
    ("point", ["'(1.5,-0)'"]),
    ("polygon", ["'((0,0),(1,1),(2,0))'"]),
    ("int4range", ["'[1,5)'", "'empty'"]),
    ("int4multirange", ["'{[1,5),[7,9)}'"]),
    ("tsvector", ["'a:1 b:2'::tsvector"]),
    ("int[]", ["'{1,NULL,3}'", "'{}'", "'[0:1]={5,6}'"]),
    ("text[]", ["ARRAY['NULL', NULL, '', 'a,\"b\\c', '{}']", "ARRAY[['a','b'],['c','d']]"]),
    ("mood", ["'sad'", "'so so'"]),
    ("mood[]", ["'{sad,\"so so\"}'"]),
    ("pair", ["ROW(NULL, 'a,\"b')::pair", "ROW(NULL, NULL)::pair", "ROW(1, '')::pair"]),
    ("pair[]", ["ARRAY[ROW(1, 'x')::pair, NULL]"]),
    ("positive", ["5"]),
    ("regclass", ["'types'"]),
    ("oid", ["42"]),
    ("pg_lsn", ["'0/16B3748'"]),
]


def _has_xml(bed: Bed) -> bool:
    """PostgreSQL can be built without XML; the wheel is."""
    try:
        bed.sql("SELECT xml '<a/>'")
    except LinkError:
        return False
    return True


def test_every_type_comes_back_to_the_byte(bed: Bed) -> None:
    bed.sql(
        "CREATE TYPE mood AS ENUM ('sad', 'so so')",
        "CREATE TYPE pair AS (n int, t text)",
        "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
        "CREATE TABLE types (id int PRIMARY KEY)",
    )
    kinds = [(kind, values) for kind, values in _VALUES if kind != "xml" or _has_xml(bed)]
    for n, (kind, values) in enumerate(kinds):
        bed.sql(f"CREATE TABLE v{n} (id int PRIMARY KEY, v {kind})")
        for row, value in enumerate(values):
            bed.sql(f"INSERT INTO v{n} VALUES ({row}, {value})")
        bed.sql(f"INSERT INTO v{n} SELECT id + 100, v FROM v{n}")
    tables = [f"v{n}" for n in range(len(kinds))]
    before = {t: bed.rows(t) for t in tables}
    changes = [f"UPDATE {t} SET v = NULL WHERE id < 100" for t in tables]
    changes += [f"DELETE FROM {t} WHERE id >= 100" for t in tables]
    changes += [f"INSERT INTO v{n} VALUES (999, {values[0]})" for n, (_, values) in enumerate(kinds)]
    bed.migrate(7, changes, tables)
    after = {t: bed.rows(t) for t in tables}
    assert bed.undo(7).kept == ()
    assert {t: bed.rows(t) for t in tables} == before
    assert bed.redo(7).kept == ()
    assert {t: bed.rows(t) for t in tables} == after
    assert bed.undo(7).kept == ()
    assert {t: bed.rows(t) for t in tables} == before


@pytest.mark.parametrize(
    "name", ["t", "tgt", "r", "old", 'a"b', "Zoë 日本", "x" * 63, "ctid_", "user", "a.b", "c%s", "e'\\"]
)
def test_hostile_names(bed: Bed, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    bed.sql(
        "CREATE SCHEMA s",
        f"CREATE TABLE s.{quoted} ({quoted} int PRIMARY KEY, w text, n int, at int, cur int, act text)",
        f"INSERT INTO s.{quoted} VALUES (1, 'a', 1, 1, 1, 'x'), (2, 'b', 2, 2, 2, 'y')",
    )
    table = f"s.{quoted}"
    before = bed.rows(table)
    bed.migrate(
        7,
        [
            f"UPDATE {table} SET w = 'z', n = 9, act = 'q' WHERE {quoted} = 1",
            f"DELETE FROM {table} WHERE {quoted} = 2",
        ],
        [table],
    )
    after = bed.rows(table)
    assert bed.undo(7).kept_count == 0
    assert bed.rows(table) == before
    assert bed.redo(7).kept_count == 0
    assert bed.rows(table) == after


def test_columns_changed_since_stay_and_are_reported(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE t (id int PRIMARY KEY, a text, b text, c text)",
        "INSERT INTO t SELECT i, 'a', 'b', 'c' FROM generate_series(1, 4) i",
    )
    bed.migrate(7, ["UPDATE t SET a = 'A', b = 'B'"], ["t"])
    bed.sql(
        "UPDATE t SET a = 'mine' WHERE id = 1",
        "UPDATE t SET c = 'mine' WHERE id = 2",
        "DELETE FROM t WHERE id = 3",
    )
    report = bed.undo(7)
    assert bed.rows("t") == ["(1,mine,b,c)", "(2,a,b,mine)", "(4,a,b,c)"]
    assert (report.updated, report.touched) == (3, 2)
    assert report.kept == (
        Kept("public.t", ("1",), "a", "mine", "a", Why.CHANGED),
        Kept("public.t", ("3",), None, None, "{3,a,b,c}", Why.GONE),
    )
    noted = bed.app.rows("SELECT column_name, kept, wanted, row_image FROM backout.row_kept ORDER BY id")
    assert noted == [
        {"column_name": "a", "kept": "mine", "wanted": "a", "row_image": None},
        {"column_name": None, "kept": None, "wanted": "{3,a,b,c}", "row_image": "{3,a,b,c}"},
    ]
    assert [(k.key, k.why) for k in bed.redo(7).kept] == [(("1",), Why.CHANGED), (("3",), Why.GONE)]
    assert bed.rows("t") == ["(1,mine,B,c)", "(2,A,B,mine)", "(4,A,B,c)"]


def test_a9_aba_the_same_value_written_since_is_set_back_and_counted(bed: Bed) -> None:
    bed.sql("CREATE TABLE aba (id int PRIMARY KEY, st text)", "INSERT INTO aba VALUES (1, 'a'), (2, 'a')")
    # The row's transaction is a subtransaction here, never the top one (D3).
    bed.migrate(
        7, ["DO $$BEGIN BEGIN UPDATE aba SET st = 'b'; EXCEPTION WHEN others THEN NULL; END; END$$"], ["aba"]
    )
    bed.sql("UPDATE aba SET st = 'c' WHERE id = 1", "UPDATE aba SET st = 'b' WHERE id = 1")
    report = bed.undo(7)
    assert (report.updated, report.touched, report.kept) == (2, 1, ())
    assert bed.rows("aba") == ["(1,a)", "(2,a)"]
    bed.sql("UPDATE aba SET st = 'a' WHERE id = 2")
    assert bed.redo(7).touched == 1
    assert bed.undo(7).touched == 0


def test_a9_a_freeze_is_not_somebody_who_writes(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'a')")
    bed.migrate(7, ["UPDATE t SET v = 'b'"], ["t"])
    bed.sql("VACUUM (FREEZE) t")
    assert bed.undo(7).touched == 0


def test_m7_a_chain_of_releases_is_folded_and_written_once(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE mc (id int PRIMARY KEY, v text, w text)",
        "INSERT INTO mc VALUES (1, 'r0', 'x'), (2, 'r0', 'y')",
    )
    bed.migrate(1, ["UPDATE mc SET v = 'r1'", "INSERT INTO mc VALUES (3, 'new', NULL)"], ["mc"])
    bed.migrate(
        2,
        ["UPDATE mc SET v = 'r2'", "DELETE FROM mc WHERE id = 2", "UPDATE mc SET w = 'n' WHERE id = 3"],
        ["mc"],
    )
    after = bed.rows("mc")
    report = bed.undo(2, 1)
    assert (report.updated, report.inserted, report.deleted, report.touched) == (1, 1, 1, 0)
    assert bed.rows("mc") == ["(1,r0,x)", "(2,r0,y)"]
    assert bed.redo(1, 2).kept == ()
    assert bed.rows("mc") == after
    bed.undo(2)
    assert bed.rows("mc") == ["(1,r1,x)", "(2,r1,y)", "(3,new,)"]


def test_what_others_wrote_between_two_releases_is_what_a_row_goes_back_to(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE t (id int PRIMARY KEY, v text, w text)",
        "INSERT INTO t VALUES (1, 'a', 'p'), (2, 'a', 'p')",
    )
    bed.migrate(1, ["UPDATE t SET v = 'b', w = 'q'", "INSERT INTO t VALUES (3, 'm', 'm')"], ["t"])
    bed.sql("UPDATE t SET v = 'users' WHERE id IN (1, 3)")
    bed.migrate(2, ["UPDATE t SET v = 'd'"], ["t"])
    report = bed.undo(1, 2)
    assert bed.rows("t") == ["(1,users,p)", "(2,a,p)", "(3,users,m)"]
    assert report.kept == (Kept("public.t", ("1",), "v", "users", "a", Why.CHANGED),)
    assert report.touched == 2


def test_c24_b4_undo_of_an_insert_never_cascades(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE roles (id int PRIMARY KEY, name text)",
        "CREATE TABLE user_roles (uid int, rid int REFERENCES roles ON DELETE CASCADE)",
        "CREATE TABLE notes (rid int REFERENCES roles ON DELETE SET NULL)",
    )
    bed.migrate(7, ["INSERT INTO roles VALUES (8, 'a'), (9, 'editor'), (10, 'b'), (11, 'c')"], ["roles"])
    bed.sql(
        "INSERT INTO user_roles VALUES (1, 9), (2, 9)",
        "INSERT INTO notes VALUES (10)",
        "UPDATE roles SET name = 'mine' WHERE id = 11",
    )
    report = bed.undo(7)
    assert bed.rows("roles") == ["(10,b)", "(11,mine)", "(9,editor)"]
    assert bed.rows("user_roles") == ["(1,9)", "(2,9)"] and bed.rows("notes") == ["(10)"]
    assert report.deleted == 1
    assert {(k.key, k.why) for k in report.kept} == {
        (("9",), Why.REFERENCED),
        (("10",), Why.REFERENCED),
        (("11",), Why.ROW_CHANGED),
    }
    assert [k.why for k in bed.redo(7).kept] == [Why.TAKEN] * 3
    assert len(bed.rows("roles")) == 4


def test_rows_that_refer_to_each_other_are_deleted_and_put_back(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree ON DELETE CASCADE)",
        "CREATE TABLE leaf (id int PRIMARY KEY, at int NOT NULL REFERENCES tree)",
        "INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2)",
        "INSERT INTO leaf VALUES (1, 3)",
    )
    before = bed.rows("tree"), bed.rows("leaf")
    bed.migrate(
        7,
        [
            "INSERT INTO tree VALUES (10, NULL), (11, 10), (12, 11), (20, NULL), (21, 20)",
            "UPDATE leaf SET at = 12",
            "DELETE FROM tree WHERE id = 1",
        ],
        ["tree", "leaf"],
    )
    bed.sql("INSERT INTO leaf VALUES (2, 21)")  # keeps 21, and so 20
    report = bed.undo(7)
    assert bed.rows("tree") == sorted([*before[0], "(20,)", "(21,20)"])
    assert bed.rows("leaf") == ["(1,3)", "(2,21)"]
    assert {k.key for k in report.kept} == {("20",), ("21",)}


def test_deleted_rows_whose_key_or_parent_is_taken_are_kept_aside(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE p (id int PRIMARY KEY)",
        "CREATE TABLE t (id int PRIMARY KEY, mail text UNIQUE, p int REFERENCES p)",
        "INSERT INTO p VALUES (1)",
        "INSERT INTO t VALUES (1, 'a', NULL), (2, 'b', NULL), (3, 'c', 1), (4, 'd', NULL)",
    )
    bed.migrate(7, ["DELETE FROM t"], ["t"])
    bed.sql("INSERT INTO t VALUES (1, 'z', NULL), (20, 'b', NULL)", "DELETE FROM p")
    report = bed.undo(7)
    assert bed.rows("t") == ["(1,z,)", "(20,b,)", "(4,d,)"]
    found = {k.key: k for k in report.kept}
    assert found[("1",)].why is Why.TAKEN
    assert found[("2",)].why is Why.REFUSED and "t_mail_key" in found[("2",)].said
    assert found[("3",)].why is Why.REFUSED and "t_p_fkey" in found[("3",)].said
    images = bed.app.rows("SELECT row_image FROM backout.row_kept ORDER BY row_image")
    assert [one["row_image"] for one in images] == ["{1,a,NULL}", "{2,b,NULL}", "{3,c,1}"]


def test_g4_keys_and_unique_values_that_were_swapped(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE pks (id int PRIMARY KEY, v text, place int UNIQUE)",
        "INSERT INTO pks VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)",
        "CREATE TABLE kid (id int PRIMARY KEY, pk int REFERENCES pks ON UPDATE CASCADE)",
        "INSERT INTO kid VALUES (1, 1), (2, 2)",
    )
    before = bed.rows("pks"), bed.rows("kid")
    swaps = [
        "UPDATE pks SET id = -1 WHERE id = 1",
        "UPDATE pks SET id = 1 WHERE id = 2",
        "UPDATE pks SET id = 2, v = 'x' WHERE id = -1",
        "UPDATE pks SET place = NULL WHERE place = 3",
        "UPDATE pks SET place = 3 WHERE place = 2",
        "UPDATE pks SET place = 2 WHERE id = 3",
    ]
    bed.migrate(7, swaps, ["pks"])
    after = bed.rows("pks"), bed.rows("kid")
    assert bed.undo(7).kept == ()
    assert (bed.rows("pks"), bed.rows("kid")) == before
    assert bed.redo(7).kept == ()
    assert (bed.rows("pks"), bed.rows("kid")) == after


def test_unique_values_that_were_shifted(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE t (id int PRIMARY KEY, place int UNIQUE)",
        "INSERT INTO t SELECT i, i FROM generate_series(1, 40) i",
    )
    before = bed.rows("t")
    bed.migrate(
        7,
        [
            "DO $$BEGIN FOR i IN REVERSE 40..1 LOOP UPDATE t SET place = place + 1 WHERE id = i; END LOOP; END$$"
        ],
        ["t"],
    )
    assert bed.undo(7).kept == ()
    assert bed.rows("t") == before


def test_deleted_and_made_again(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE t (id int PRIMARY KEY, mail text UNIQUE)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')"
    )
    bed.migrate(
        7,
        [
            "DELETE FROM t",
            "INSERT INTO t VALUES (1, 'A'), (3, 'b')",
            "INSERT INTO t VALUES (4, 'x')",
            "DELETE FROM t WHERE id = 4",
        ],
        ["t"],
    )
    after = bed.rows("t")
    report = bed.undo(7)
    assert (report.updated, report.inserted, report.deleted, report.kept) == (1, 1, 1, ())
    assert bed.rows("t") == ["(1,a)", "(2,b)"]
    assert bed.redo(7).kept == ()
    assert bed.rows("t") == after


def test_a_table_without_a_key(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE npk (a text, n int)",
        "INSERT INTO npk VALUES ('d', 1), ('d', 1), ('e', 1), (NULL, 2), (NULL, NULL)",
    )
    before = bed.rows("npk")
    bed.migrate(
        7,
        [
            "UPDATE npk SET a = 'M' WHERE n = 1",
            "UPDATE npk SET n = 5 WHERE a = 'M'",
            "DELETE FROM npk WHERE n = 2",
            "INSERT INTO npk VALUES ('new', 3), ('new', 3)",
        ],
        ["npk"],
    )
    after = bed.rows("npk")
    assert bed.undo(7).kept == ()
    assert bed.rows("npk") == before
    assert bed.redo(7).kept == ()
    assert bed.rows("npk") == after
    bed.sql("UPDATE npk SET n = 70 WHERE ctid = (SELECT min(ctid) FROM npk WHERE a = 'M')")
    report = bed.undo(7)
    assert len(report.kept) == 1 and report.kept[0].why is Why.GONE
    assert bed.rows("npk").count("(M,70)") == 1 and len(bed.rows("npk")) == 5


def test_a_unique_index_without_nulls_is_a_key(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (u int NOT NULL UNIQUE, v text)", "INSERT INTO t VALUES (1, 'a'), (2, 'a')")
    bed.migrate(7, ["UPDATE t SET v = 'b'"], ["t"])
    bed.sql("UPDATE t SET v = 'mine' WHERE u = 2")
    assert bed.undo(7).kept == (Kept("public.t", ("2",), "v", "mine", "a", Why.CHANGED),)
    assert bed.rows("t") == ["(1,a)", "(2,mine)"]


def test_the_key_of_then_is_used_while_its_index_is_yet_to_be_built(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'a'), (2, 'a')")
    bed.migrate(7, ["UPDATE t SET v = 'b'"], ["t"])
    bed.sql("UPDATE t SET v = 'mine' WHERE id = 2", "ALTER TABLE t DROP CONSTRAINT t_pkey")
    assert bed.undo(7).kept == (Kept("public.t", ("2",), "v", "mine", "a", Why.CHANGED),)
    assert bed.rows("t") == ["(1,a)", "(2,mine)"]


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
