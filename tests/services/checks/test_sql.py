"""`sql`: one query that only reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backout.checks.doctor import diagnose
from backout.checks.options import SqlOptions

from .support import FAIL, INCONCLUSIVE, PASS, outcomes, subject

pytestmark = pytest.mark.slow


def test_sql(check: Any, database: Any, tmp_path: Path, free_port: Any) -> None:
    database.run("CREATE TABLE reports (x int)", "INSERT INTO reports VALUES (1), (2)")
    here = subject(database=database.adapter(tmp_path))
    count = "SELECT count(*) FROM reports"
    assert outcomes(check("sql", query=count, expect=2).run(here, 5)) == {"database": PASS}
    (other,) = check("sql", query=count, expect=3).run(here, 5)
    assert (other.outcome, str(other.evidence)) == (FAIL, "The query gave 2, expected 3")
    (wrong,) = check("sql", query="SELECT * FROM absent", expect=1).run(here, 5)
    assert wrong.outcome is FAIL
    assert "absent" in str(wrong.evidence)
    (writing,) = check("sql", query="DELETE FROM reports RETURNING 2", expect=2).run(here, 5)
    assert writing.outcome is FAIL
    assert outcomes(check("sql", query=count, expect=2).run(here, 5)) == {"database": PASS}
    (slow,) = check("sql", query="SELECT pg_sleep(20)", expect=2).run(here, 0.2)
    assert slow.outcome is INCONCLUSIVE
    (none,) = check("sql", query=count, expect=2).run(subject(), 5)
    assert none.outcome is INCONCLUSIVE
    assert "No `database`" in str(none.evidence)


@pytest.mark.parametrize(
    ("query", "ok", "said"),
    [
        ("SELECT count(*) FROM reports", True, "Its query reads."),
        ("DELETE FROM reports", False, "read-only"),
        ("SELECT * FROM absent", False, "absent"),
        ("SELECT 1; COMMIT", False, "multiple commands"),
    ],
)
def test_doctor_tries_the_query(
    make_site: Any, database: Any, tmp_path: Path, query: str, ok: bool, said: str
) -> None:
    database.run("CREATE TABLE reports (x int)")
    options = SqlOptions(kind="sql", query=query, expect=0)
    found = diagnose(options, make_site(tmp_path), database.adapter(tmp_path), 5.0)
    assert found.ok is ok
    assert said in str(found.evidence)
