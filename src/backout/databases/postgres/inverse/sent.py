"""Runs a file of SQL in one transaction, in the database that the environment names: a program of its own, behind the proxy."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from backout.databases.postgres.inverse.prepared import prepared

LOCK_TIMEOUT_MS = 2000


def main(file: str) -> int:
    """Run it; return the exit status. What the database refused is told on standard error."""
    import psycopg

    chosen = prepared(Path(file).read_text(), file)
    statement = "BEGIN"
    try:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            for statement in ("BEGIN", f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}", *chosen, "COMMIT"):
                connection.execute(statement.encode(), prepare=False)
    except psycopg.Error as error:
        sys.stderr.write(f"{error}\nin: {statement}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
