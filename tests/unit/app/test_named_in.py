"""A command that has the database's URL in its own words is known; others are not taken for one."""

from __future__ import annotations

import pytest

from backout.app.migrations import named_in

URL = "postgresql://me:secret@db.example/shop"


@pytest.mark.parametrize(
    ("argv", "conninfo", "named"),
    [
        (["mlflow", "db", "upgrade", URL], URL, True),
        (["mlflow", "db", "upgrade", URL.replace("postgresql", "postgresql+psycopg2")], URL, True),
        (["tool", f"--url={URL}?sslmode=require"], URL, True),
        (["sh", "-c", 'mlflow db upgrade "$DATABASE_URL"'], URL, False),
        (["/app/migrate"], "postgresql:///app", False),
        (["psql", "postgresql:///app"], "postgresql:///app", True),
        (["psql", "-d", "dbname=shop"], "dbname=shop", True),
        (["psql"], "", False),
    ],
)
def test_named_in(argv: list[str], conninfo: str, named: bool) -> None:
    assert named_in(argv, conninfo) is named
