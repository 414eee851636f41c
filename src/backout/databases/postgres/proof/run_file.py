"""Runs one file with a migration on the database of DATABASE_URL, as migration tools do: a program of its own.

Drizzle's statements stand between marks, and run one by one in a transaction; any other script is sent as it is, as Prisma does:
then it is one transaction, unless it begins and ends some itself.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

MARK = "--> statement-breakpoint"
"""Source: drizzle-orm 0.44, src/migrator.ts, readMigrationFiles()."""


def main() -> int:
    """Run the file that is named; what the server says of it goes to standard error."""
    import psycopg

    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    parts = [part for part in text.split(MARK) if part.strip()]
    try:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            if len(parts) < 2:
                connection.execute(text.encode())
                return 0
            with connection.transaction():
                for part in parts:
                    connection.execute(part.encode())
    except psycopg.Error as error:
        sys.stderr.write(f"{sys.argv[1]}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
