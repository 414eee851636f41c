"""Partitions that go and come back: rows that would have two places, foreign keys to them, and what was made since."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.back import NotReversible
from backout.databases.postgres.reversible.finalize import finalize
from backout.databases.postgres.reversible.names import is_hidden
from backout.databases.postgres.reversible.proxy.keeper import Veto

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import catalog_of, seen

pytestmark = pytest.mark.slow

T = """CREATE TABLE t (id int PRIMARY KEY, a text) PARTITION BY RANGE (id);
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10); CREATE TABLE rest PARTITION OF t DEFAULT;
INSERT INTO t VALUES (1, 'a'), (20, 'b');"""
WHERE = "SELECT tableoid::regclass AS of, id FROM t ORDER BY id"


def test_rows_of_the_default_partition_come_home_and_going_again_is_told(database: Database) -> None:
    link = database.link()
    run(link, T)
    number = migrate(link, "DROP TABLE t1")
    run(link, "INSERT INTO t VALUES (2, 'since')")
    assert seen(link, WHERE) == "rest 2 | rest 20"

    undo(link, number)
    assert seen(link, WHERE) == "t1 1 | t1 2 | rest 20"
    run(link, "UPDATE t SET id = 3 WHERE id = 20")

    outcome = redo(link, number)
    assert outcome.residues == [
        "1 row(s) that were in the default partition before are in public.t1, and go with it"
    ]
    assert seen(link, WHERE) == ""
    undo(link, number)
    assert seen(link, WHERE) == "t1 1 | t1 2 | t1 3"


def test_rows_that_a_foreign_key_leads_to_are_not_moved(database: Database) -> None:
    link = database.link()
    run(link, T + "CREATE TABLE o (t int REFERENCES t ON DELETE CASCADE);")
    number = migrate(link, "ALTER TABLE t DETACH PARTITION t1")
    run(link, "INSERT INTO t VALUES (2, 'since'); INSERT INTO o VALUES (2)")
    before = catalog_of(link)
    with pytest.raises(NotReversible) as raised:
        undo(link, number)
    assert "public.t1 is a partition for 1 row(s) that are in another one" in str(raised.value)
    run(link, "ALTER TABLE t1 DROP CONSTRAINT IF EXISTS _bo_1_c")  # as the next end of any way does
    assert catalog_of(link) == before
    assert seen(link, "SELECT t FROM o") == "2"


def test_a_row_that_is_no_partitions_stops_the_way_back(database: Database) -> None:
    link = database.link()
    run(link, T)
    number = migrate(link, "ALTER TABLE t DETACH PARTITION t1")
    run(link, "INSERT INTO t1 VALUES (15, 'outside')")
    before = catalog_of(link)
    with pytest.raises(NotReversible, match="_bo_1_c"):
        undo(link, number)
    assert catalog_of(link) == before
    run(link, "DELETE FROM t1 WHERE id = 15")
    undo(link, number)
    assert seen(link, WHERE) == "t1 1 | rest 20"


def test_a_partition_comes_back_to_a_table_that_has_hidden_columns_since(database: Database) -> None:
    link = database.link()
    run(link, T)
    first = migrate(link, "DROP TABLE t1")
    second = migrate(link, "ALTER TABLE t ADD n int DEFAULT 7, DROP COLUMN a")
    run(link, "INSERT INTO t (id, n) VALUES (30, 8)")
    undo(link, second)
    undo(link, first)
    run(link, "INSERT INTO t (id, a) VALUES (5, 'c')")
    assert (
        seen(link, "SELECT tableoid::regclass AS of, id, a FROM t ORDER BY id")
        == "t1 1 a | t1 5 c | rest 20 b | rest 30 -"
    )
    redo(link, first)
    redo(link, second)
    assert seen(link, "SELECT id, n FROM t ORDER BY id") == "20 7 | 30 8"
    undo(link, second)
    undo(link, first)
    assert seen(link, WHERE) == "t1 1 | t1 5 | rest 20 | rest 30"


def test_a_new_table_with_a_partition_of_somebody_elses_stays(database: Database) -> None:
    link = database.link()
    number = migrate(link, "CREATE TABLE n (id int) PARTITION BY LIST (id)")
    run(link, "CREATE TABLE theirs PARTITION OF n FOR VALUES IN (1)")
    with pytest.raises(NotReversible, match=r"public\.n is what public\.theirs is a partition of"):
        undo(link, number)


def test_an_attached_table_beside_a_default_partition_keeps_what_came_by_way_of_the_other(
    database: Database,
) -> None:
    link = database.link()
    run(link, T + "CREATE TABLE t2 (a text, id int NOT NULL);")
    number = migrate(link, "ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (30) TO (40)")
    run(link, "INSERT INTO t VALUES (31, 'c')")
    outcome = undo(link, number)
    assert outcome.residues == ["rows that were written since into public.t2, by way of public.t, stay in it"]
    run(link, "INSERT INTO t VALUES (32, 'd')")
    redo(link, number)
    assert seen(link, WHERE) == "t1 1 | rest 20 | t2 31 | t2 32"


def test_detaching_beside_everybody_is_refused_with_what_to_do(database: Database) -> None:
    link = database.link()
    run(link, T)
    with pytest.raises(Veto) as raised:
        migrate(link, "ALTER TABLE t DETACH PARTITION t1 CONCURRENTLY")
    assert "a plain DETACH PARTITION takes the table's lock for a moment only" in raised.value.detail


def test_rows_of_a_new_partition_without_another_place_are_told(database: Database) -> None:
    link = database.link()
    run(
        link,
        "CREATE TABLE t (id int) PARTITION BY LIST (id); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1)",
    )
    number = migrate(link, "CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2)")
    assert undo(link, number).residues == []
    redo(link, number)
    run(link, "INSERT INTO t VALUES (1); UPDATE t SET id = 2")
    assert undo(link, number).residues == [
        "rows that were written since into public.t2 are hidden with it: public.t has no other place for them"
    ]
    redo(link, number)
    assert seen(link, WHERE) == "t2 2"


def test_a_partition_may_go_while_its_table_has_changed(database: Database) -> None:
    link = database.link()
    run(link, T + "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (30) TO (40); CREATE INDEX ON t (a);")
    number = migrate(
        link,
        "ALTER TABLE t ALTER a SET DEFAULT 'x', ALTER a SET NOT NULL",
        "ALTER TABLE t DROP COLUMN a, ADD b int NOT NULL DEFAULT 7; CREATE INDEX b ON t (b)",
    )
    run(
        link,
        "DROP TABLE t2; CREATE TABLE t3 PARTITION OF t FOR VALUES FROM (50) TO (60); INSERT INTO t (id) VALUES (51)",
    )
    undo(link, number)
    assert seen(link, "SELECT id, a FROM t ORDER BY id") == "1 a | 20 b | 51 x"
    run(link, "INSERT INTO t VALUES (52, 'y')")
    redo(link, number)
    assert seen(link, "SELECT id, b FROM t ORDER BY id") == "1 7 | 20 7 | 51 7 | 52 7"
    undo(link, number)
    assert seen(link, "SELECT id, a FROM t ORDER BY id") == "1 a | 20 b | 51 x | 52 y"


def test_what_is_hidden_of_families_can_be_dropped(database: Database) -> None:
    link = database.link()
    run(link, T + "CREATE TABLE p (id int); CREATE TABLE c () INHERITS (p);")
    made = migrate(
        link,
        "CREATE TABLE n (id int) PARTITION BY LIST (id); CREATE TABLE n1 PARTITION OF n DEFAULT; CREATE TABLE q (id int); CREATE TABLE d () INHERITS (q)",
    )
    undo(link, made)
    gone = migrate(link, "DROP TABLE p CASCADE; DROP TABLE t1; ALTER TABLE t DROP COLUMN a")
    found = {one.id: one for one in journal.migrations(link)}
    finalize(link, [found[made], found[gone]], patience_s=5, dry_run=False)
    assert [
        key
        for key, one in catalog_of(link).things.items()
        if is_hidden(str(one["name"])) and one["name"] not in ("backout", "backout_hidden")
    ] == []
