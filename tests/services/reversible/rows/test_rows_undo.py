"""The way back of rows: what was changed since stays, what was made or deleted is taken away or put back, by key."""

from __future__ import annotations

import pytest
from tests.services.reversible.rows.bed import Bed

from backout.databases.postgres.reversible.rows.report import Kept, Why

pytestmark = pytest.mark.slow


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


def test_a4_undo_of_an_insert_never_cascades(bed: Bed) -> None:
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
    images = bed.app.rows(
        "SELECT row_image FROM backout.row_kept WHERE row_image IS NOT NULL ORDER BY row_image"
    )
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


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NOT NULL"])
def test_a_value_of_before_that_somebody_has_written_since_is_not_changed_on_the_way_forward(
    key: str, bed: Bed
) -> None:
    bed.sql(f"CREATE TABLE t (id int {key}, a text)", "INSERT INTO t VALUES (1, 'a'), (2, 'a'), (3, 'a')")
    bed.migrate(7, ["UPDATE t SET a = 'A'"], ["t"])
    bed.sql("UPDATE t SET a = 'a' WHERE id = 1")
    for _ in range(2):
        bed.undo(7)
        assert bed.rows("t") == ["(1,a)", "(2,a)", "(3,a)"]
        bed.redo(7)
        assert bed.rows("t") == ["(1,a)", "(2,A)", "(3,A)"]


def test_a_value_of_after_that_somebody_has_written_before_it_is_not_changed_on_the_way_back(
    bed: Bed,
) -> None:
    bed.sql("CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, 'a'), (2, 'a')")
    bed.migrate(7, ["UPDATE t SET a = 'A'"], ["t"])
    bed.undo(7)
    bed.sql("UPDATE t SET a = 'A' WHERE id = 1")
    bed.redo(7)
    report = bed.undo(7)
    assert bed.rows("t") == ["(1,A)", "(2,a)"]
    assert report.kept == (Kept("public.t", ("1",), "a", "A", "a", Why.CHANGED),)
    # Written once more, it is a value that the way forward sets, and the note of before says nothing any more.
    bed.sql("UPDATE t SET a = 'a' WHERE id = 1")
    bed.redo(7)
    assert bed.rows("t") == ["(1,A)", "(2,A)"]
    bed.undo(7)
    assert bed.rows("t") == ["(1,a)", "(2,a)"]


def test_what_somebody_has_written_stays_when_migrations_go_one_by_one(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int PRIMARY KEY, a text, b text)", "INSERT INTO t VALUES (1, 'a', 'a')")
    bed.migrate(7, ["UPDATE t SET a = 'b', b = 'b', id = 2"], ["t"])
    bed.migrate(8, ["UPDATE t SET a = 'c', b = 'c'"], ["t"])
    bed.sql("UPDATE t SET a = 'b' WHERE id = 2")
    for _ in range(2):
        bed.undo(8)
        bed.undo(7)
        assert bed.rows("t") == ["(1,b,a)"]
        bed.redo(7)
        bed.redo(8)
        assert bed.rows("t") == ["(2,b,c)"]
        bed.undo(8, 7)
        assert bed.rows("t") == ["(1,b,a)"]
        bed.redo(7, 8)
        assert bed.rows("t") == ["(2,b,c)"]


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NOT NULL"])
def test_a_row_like_a_deleted_one_that_somebody_has_made_since_is_not_deleted_on_the_way_forward(
    key: str, bed: Bed
) -> None:
    bed.sql(f"CREATE TABLE t (id int {key}, a text)", "INSERT INTO t VALUES (1, 'a'), (2, 'a'), (3, 'a')")
    bed.migrate(7, ["DELETE FROM t"], ["t"])
    bed.sql("INSERT INTO t VALUES (1, 'a')")
    for _ in range(2):
        bed.undo(7)
        assert set(bed.rows("t")) == {"(1,a)", "(2,a)", "(3,a)"}
        bed.redo(7)
        assert bed.rows("t") == ["(1,a)"]


def test_a_row_that_takes_the_place_of_a_deleted_one_is_not_changed_on_the_way_forward(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, 'a'), (2, 'a')")
    bed.migrate(7, ["UPDATE t SET a = 'A'"], ["t"])
    bed.migrate(8, ["DELETE FROM t"], ["t"])
    bed.sql("INSERT INTO t VALUES (1, 'a')")
    bed.undo(8, 7)
    assert bed.rows("t") == ["(1,a)", "(2,a)"]
    bed.redo(7)
    assert bed.rows("t") == ["(1,a)", "(2,A)"]
    bed.redo(8)
    assert bed.rows("t") == ["(1,a)"]


def test_a_row_like_one_that_came_and_went_stays_when_migrations_go_one_by_one(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int PRIMARY KEY, a text)")
    bed.migrate(7, ["INSERT INTO t VALUES (1, 'a'), (2, 'a')"], ["t"])
    bed.migrate(8, ["DELETE FROM t"], ["t"])
    bed.sql("INSERT INTO t VALUES (1, 'a')")
    for _ in range(2):
        bed.undo(8)
        assert bed.rows("t") == ["(1,a)", "(2,a)"]
        bed.undo(7)
        assert bed.rows("t") == ["(1,a)"]
        bed.redo(7)
        bed.redo(8)
        assert bed.rows("t") == ["(1,a)"]
    bed.sql("DELETE FROM t")
    bed.undo(8, 7)
    assert bed.rows("t") == []
