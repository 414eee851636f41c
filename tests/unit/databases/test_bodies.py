"""A body tells of each statement at its own place, whatever stands around it; what nobody can tell for sure is not read."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible.bodies import NotRead, read, read_sql

TOLD = "IF pg_temp._bo_ran({0}) IS NULL THEN END IF; "


def telling(body: str) -> str:
    return read(f"DO $x${body}$x$", body).telling


def test_a_statement_is_found_where_it_stands_and_not_in_comments_or_strings() -> None:
    body = (
        "BEGIN /* ; DROP TABLE a */ x := '; DROP TABLE a'; DROP TABLE a; -- DROP TABLE a;\n DROP TABLE a; END"
    )
    body = body.replace("BEGIN", "DECLARE x text; BEGIN", 1)
    tell = TOLD.format("'DROP TABLE a', false")
    head, _, tail = body.rpartition("DROP TABLE a; -- ")
    expected = f"{head}{tell}DROP TABLE a; -- " + tail.replace("\n ", f"\n {tell}")
    assert telling(body) == expected


def test_letters_of_more_than_one_byte_move_nothing() -> None:
    body = "DECLARE é text; BEGIN é := 'ü'; UPDATE ö SET a = é || 'ä%' WHERE b = é; DROP TABLE ö; END"
    told = "pg_catalog.format('UPDATE ö SET a = (%L::%s) || ''ä%%'' WHERE b = (%L::%s)', é, pg_catalog.pg_typeof(é), é, pg_catalog.pg_typeof(é)), true"
    expected = body.replace("UPDATE", TOLD.format(told) + "UPDATE")
    assert telling(body) == expected.replace("DROP", TOLD.format("'DROP TABLE ö', false") + "DROP")


def test_what_is_executed_tells_what_it_was_put_together_to() -> None:
    body = "DECLARE r record; BEGIN EXECUTE 'a' || r.x INTO r USING r.y, 1; END"
    told = (
        "EXECUTE pg_temp._bo_ran(('a' || r.x)::pg_catalog.text, true, "
        "pg_catalog.format('(%L::%s)', r.y, pg_catalog.pg_typeof(r.y)), pg_catalog.format('(%L::%s)', 1, pg_catalog.pg_typeof(1)))"
    )
    assert telling(body) == body.replace("EXECUTE 'a' || r.x", told)


def test_what_is_called_besides_is_told_apart_from_what_is_told() -> None:
    body = "DECLARE x int := one(); BEGIN PERFORM two(); IF three() THEN x := four(x); END IF; END"
    found = read(f"DO $x${body}$x$", body)
    assert (found.calls, found.besides) == ({"two"}, {"one", "three", "four"})


@pytest.mark.parametrize(
    "body",
    [
        "DECLARE r record; BEGIN INSERT INTO t SELECT r.*; END",
        "DECLARE x int; BEGIN EXECUTE 'a' USING f(x); END",
        "DECLARE r record; BEGIN FOR r IN DELETE FROM t RETURNING * LOOP END LOOP; END",
        "DECLARE x int; BEGIN INSERT INTO t SELECT a AS x FROM u ORDER BY x; END",
        "#variable_conflict use_column\nDECLARE x int; BEGIN UPDATE t SET a = x; END",
        "DECLARE r t%ROWTYPE; BEGIN r.x := 1; END",
    ],
)
def test_what_cannot_be_told_for_sure_is_not_read(body: str) -> None:
    with pytest.raises(NotRead):
        telling(body)


def test_a_body_of_sql_tells_unless_it_only_reads() -> None:
    assert not read_sql("SELECT 1; SELECT f()").tells
    found = read_sql("INSERT INTO t VALUES (x, $2); SELECT 1", "x")
    assert found.telling.count("SELECT pg_temp._bo_ran(") == 2
    assert (
        "VALUES ((%L::%s), (%L::%s))', x, pg_catalog.pg_typeof(x), $2, pg_catalog.pg_typeof($2)"
        in found.telling
    )
