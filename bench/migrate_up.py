"""A history of 100 migrations, applied through backout and by the plain tool, in turns, each on an empty database.

The tool is Alembic, with one transaction for each migration. What it does in a migration is what migrations do mostly: new tables
with foreign keys, new columns, indexes, defaults, and now and then a column that is dropped, renamed or of another type.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _servers import database, server

from backout.app.migrations import Migrations
from backout.embedded.server import EmbeddedPostgres

MIGRATIONS, PAIRS = 100, 3
_FILE = """from alembic import op
revision, down_revision = "{number:03}", {before}
def upgrade():
{statements}
"""
_ENV = """
import os
from alembic import context
import sqlalchemy as sa
engine = sa.create_engine(os.environ["URL"].replace("postgresql://", "postgresql+psycopg://", 1))
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""


def measure() -> dict[str, Any]:
    """Return the median seconds of both, and the median of the paired ratios."""
    pairs = []
    with server() as (made, directory):
        _write(directory / "history")
        for number in range(PAIRS):
            order = (True, False) if number % 2 else (False, True)
            took = {through: _seconds(made, directory / "history", through) for through in order}
            pairs.append((took[True], took[False]))
    return {
        "migrations": MIGRATIONS,
        "backout_seconds": round(statistics.median(ours for ours, _ in pairs), 2),
        "plain_seconds": round(statistics.median(plain for _, plain in pairs), 2),
        "ratio": round(statistics.median(ours / plain for ours, plain in pairs), 2),
        "pairs": PAIRS,
    }


def _seconds(made: EmbeddedPostgres, history: Path, through: bool) -> float:
    command = [sys.executable, "-m", "alembic", "-q", "-c", str(history / "alembic.ini"), "upgrade", "head"]
    with database(made, "empty") as url:
        began_s = time.perf_counter()
        if through:
            done = Migrations(url).migrate(command, variables=("URL",))
            assert done.exit_status == 0, done
        else:
            subprocess.run(command, check=True, env={**os.environ, "URL": url})
        return time.perf_counter() - began_s


def _write(folder: Path) -> None:
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(_ENV)
    (folder / "alembic.ini").write_text(f"[alembic]\nscript_location = {folder}\n")
    for number in range(MIGRATIONS):
        statements = "\n".join(f'    op.execute("{one}")' for one in _statements(number))
        before = repr(f"{number - 1:03}") if number else None
        (folder / "versions" / f"{number:03}.py").write_text(
            _FILE.format(number=number, before=before, statements=statements)
        )


def _statements(number: int) -> list[str]:
    """Return what a migration does: every fifth makes a table, the others change those that there are."""
    table, place = f"t{number // 5}", number % 5
    if place == 0:
        refers = f", parent bigint REFERENCES t{number // 5 - 1} (id)" if number else ""
        return [
            f"CREATE TABLE {table} (id bigserial PRIMARY KEY, name text NOT NULL, size int, made timestamptz DEFAULT now(){refers})",
            f"CREATE INDEX ON {table} (name)",
        ]
    if place == 1:
        return [
            f"ALTER TABLE {table} ADD COLUMN state text NOT NULL DEFAULT 'new'",
            f"ALTER TABLE {table} ADD COLUMN told jsonb",
        ]
    if place == 2:
        return [
            f"CREATE INDEX ON {table} (state, made)",
            f"ALTER TABLE {table} ALTER COLUMN size SET DEFAULT 0",
        ]
    if place == 3:
        return [
            f"INSERT INTO {table} (name) SELECT 'row ' || n FROM generate_series(1, 20) n",
            f"ALTER TABLE {table} DROP COLUMN told",
        ]
    return [f"ALTER TABLE {table} RENAME COLUMN name TO title", f"ALTER TABLE {table} ADD CHECK (size >= 0)"]


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
