"""What is asked about every statement of a migration is nothing that PostgreSQL would compile."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible.rows.closure import sources

from .conftest import Database
from .engine import run

pytestmark = pytest.mark.slow

ASKED = "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%said(oid, text)%'"


def test_what_the_functions_that_a_statement_calls_are_made_of(database: Database) -> None:
    link = database.link()
    run(link, "CREATE FUNCTION h() RETURNS int LANGUAGE sql AS 'SELECT 3'")
    run(link, "CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 2'")
    run(link, "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT g() + 1'")
    assert sorted(sources(link, ["f", "min"])) == ["SELECT 2", "SELECT g() + 1"]
    assert sources(link, ["min", "format_type"]) == []

    asked = link.rows(ASKED)[0]["name"]
    names = ", ".join(f'"{name}"' for name in ("min", "array_agg", "format_type"))
    plan = link.rows(f"EXPLAIN (FORMAT JSON) EXECUTE {asked}('[{names}]')")[0]["QUERY PLAN"]
    assert '"JIT"' not in str(plan)
