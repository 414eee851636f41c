"""Rows that a TRUNCATE drops are kept, and come back beside what was written since."""

from __future__ import annotations

from functools import partial
from itertools import count

import pytest
from tests.services.reversible.rows.bed import Bed

from backout.databases.postgres.reversible.link import DirectLink, objects
from backout.databases.postgres.reversible.rows import store
from backout.databases.postgres.reversible.rows.capture import Capture, NotCaptured
from backout.databases.postgres.reversible.rows.truncate import keep_rows

pytestmark = pytest.mark.slow


def _truncate(
    bed: Bed, tables: str, *more: str, cascade: bool = False, max_rows: int = 1000, number: int = 7
) -> list[int]:
    """Truncate as a migration; return the tables whose rows were kept."""
    session, capture, numbers = bed.link(), Capture(bed.link(), number), count(number * 100)
    names = [name.strip() for name in tables.split(",")]
    session.rows("BEGIN")
    capture.begin(session)
    oids = [bed.oid(name) for name in names]
    kept = keep_rows(
        session, capture.own, number, oids, cascade=cascade, next_id=partial(next, numbers), max_rows=max_rows
    )
    session.rows(f"TRUNCATE {tables} RESTART IDENTITY {'CASCADE' if cascade else ''}")
    for statement in more:
        capture.ensure(session, oids)
        session.rows(statement)
    session.rows("COMMIT")
    capture.remove()
    bed.close(session, capture)
    return [one.table for one in kept]


def test_rows_come_back_beside_those_written_since(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE t (id serial PRIMARY KEY, v text)",
        "INSERT INTO t (v) VALUES ('a'), (NULL), ('c')",
    )
    before = bed.rows("t")
    _truncate(bed, "t", "INSERT INTO t (id, v) VALUES (2, 'seed'), (50, 'seed')")
    bed.sql("INSERT INTO t VALUES (100, 'mine')")
    report = bed.undo(7)
    assert (report.inserted, report.updated, report.deleted, report.kept) == (2, 1, 1, ())
    assert bed.rows("t") == sorted([*before, "(100,mine)"])
    bed.sql("INSERT INTO t (v) VALUES ('next')")
    assert "(4,next)" in bed.rows("t")  # RESTART IDENTITY set the sequence back
    assert bed.redo(7).kept == ()
    assert bed.rows("t") == ["(100,mine)", "(2,seed)", "(4,next)", "(50,seed)"]


def test_a_sequence_that_went_further_is_not_set_back(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id serial PRIMARY KEY)", "INSERT INTO t DEFAULT VALUES")
    _truncate(bed, "t")
    bed.sql("INSERT INTO t SELECT FROM generate_series(1, 9)", "DELETE FROM t")
    bed.undo(7)
    bed.sql("INSERT INTO t DEFAULT VALUES")
    assert bed.rows("t") == ["(1)", "(10)"]


def test_cascade_partitions_and_children(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)",
        "CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p)",
        "CREATE TABLE d (c int REFERENCES c)",
        "CREATE TABLE e (x int) INHERITS (d)",
        "INSERT INTO p VALUES (1), (11)",
        "INSERT INTO c VALUES (1, 1), (2, 11)",
        "INSERT INTO d VALUES (1)",
        "INSERT INTO e VALUES (2, 5)",
    )
    tables = ("p", "p1", "p2", "c", "d", "e")
    before = {t: bed.rows(t) for t in tables}
    assert set(_truncate(bed, "p", cascade=True, max_rows=9000)) == {
        bed.oid(t) for t in ("p1", "p2", "c", "d")
    }
    assert bed.rows("d") == ["(2)"]  # of its child, which CASCADE does not reach
    assert bed.undo(7).kept == ()
    assert {t: bed.rows(t) for t in tables} == before


def test_too_many_rows_are_refused_with_their_number(bed: Bed) -> None:
    bed.sql("CREATE TABLE t (id int)", "INSERT INTO t SELECT generate_series(1, 5000)", "ANALYZE t")
    with pytest.raises(NotCaptured, match=r"public\.t .* about 5000 rows, and at most 1000"):
        _truncate(bed, "t")
    assert len(bed.rows("t")) == 5000
    bed.sql("CREATE TABLE unknown (id int)", "INSERT INTO unknown SELECT generate_series(1, 5000)")
    with pytest.raises(NotCaptured, match=r"public\.unknown"):
        _truncate(bed, "unknown")


def test_force_rls_hides_no_row_from_the_copy(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE t (id int PRIMARY KEY)",
        "INSERT INTO t VALUES (1), (2)",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE t FORCE ROW LEVEL SECURITY",
    )
    _truncate(bed, "t")
    assert bed.app.rows("SELECT relforcerowsecurity AS f FROM pg_class WHERE relname = 't'") == [{"f": "t"}]
    assert bed.undo(7).inserted == 2


def test_the_copy_pins_no_type_and_is_dropped_with_the_log(bed: Bed) -> None:
    bed.sql(
        "CREATE TYPE mood AS ENUM ('sad')",
        "CREATE TABLE t (id int, m mood)",
        "INSERT INTO t VALUES (1, 'sad')",
    )
    _truncate(bed, "t")
    copies = (
        "SELECT relname FROM pg_class WHERE relnamespace = 'backout_hidden'::regnamespace AND relkind = 'r'"
    )
    assert bed.app.rows(copies) == [{"relname": "_bo_700"}]
    bed.sql("DROP TABLE t", "DROP TYPE mood")
    store.forget(bed.app, [7])
    store.forget(bed.app, [7])
    assert bed.app.rows(copies) == [] and objects(bed.app, "SELECT * FROM backout.row_log") == []


def test_a_table_of_the_same_transaction_is_not_copied(bed: Bed) -> None:
    session, own = bed.link(), bed.link()
    session.rows("BEGIN")
    session.rows("CREATE TABLE fresh (id int)")
    oid = int(session.rows("SELECT 'fresh'::regclass::oid::int8 AS o")[0]["o"] or 0)
    kept = keep_rows(session, own, 7, [oid], cascade=False, next_id=lambda: 1, max_rows=10)
    assert kept == [] and isinstance(own, DirectLink)
    session.rows("COMMIT")
