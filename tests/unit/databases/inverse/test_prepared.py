"""A file is one transaction: BEGIN and COMMIT may stand around it, and nothing in it may be outside of one."""

from __future__ import annotations

import pytest

from backout.databases.postgres.inverse.prepared import prepared
from backout.errors import UsageError


def test_begin_and_commit_around_all_of_it_are_left_out() -> None:
    assert prepared("-- head\nBEGIN;\nSELECT 1;\n SELECT 2;\nCOMMIT;\n", "f") == ("SELECT 1", "SELECT 2")
    assert prepared("SELECT 1; DROP TABLE t", "f") == ("SELECT 1", "DROP TABLE t")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("SELECT 1;\nCOMMIT;", "f has a transaction of its own within it, line 2: COMMIT"),
        ("BEGIN; SELECT 1; SAVEPOINT s; COMMIT", "line 1: SAVEPOINT s"),
        ("BEGIN; SELECT 1; ROLLBACK", "line 1: BEGIN"),
        ("BEGIN;\nCREATE INDEX CONCURRENTLY i ON t (a);\nCOMMIT", "cannot run in a transaction, line 2"),
        ("VACUUM t", "cannot run in a transaction, line 1: VACUUM t"),
        ("SELECT 1;\nnonsense", "f is not SQL, line 2"),
        ("BEGIN; COMMIT", "f has no statement"),
        ("-- only words", "f has no statement"),
    ],
)
def test_what_is_no_one_transaction_is_refused_with_its_line(text: str, what: str) -> None:
    with pytest.raises(UsageError) as refused:
        prepared(text, "f")
    assert what in str(refused.value.what)
    assert str(refused.value.state) == "Nothing was run."
