"""What Prisma's schema engine does on `migrate deploy`, for files of Prisma where its engine cannot be had.

Each file is sent as one text in the simple protocol, below one advisory lock, between the rows of `_prisma_migrations`.
Source: prisma-engines 6, schema-engine/commands/src/commands/apply_migrations.rs; sql-schema-connector/src/flavour/postgres.
"""

import hashlib
import os
import sys
import uuid
from pathlib import Path

import psycopg

_LOCK = 72707369
_TABLE = """CREATE TABLE _prisma_migrations (
    id                      VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum                VARCHAR(64) NOT NULL,
    finished_at             TIMESTAMPTZ,
    migration_name          VARCHAR(255) NOT NULL,
    logs                    TEXT,
    rolled_back_at          TIMESTAMPTZ,
    started_at              TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count     INTEGER NOT NULL DEFAULT 0
)"""


def main(folder: Path) -> None:
    names = sorted(one.parent.name for one in folder.glob("*/migration.sql"))
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, prepare_threshold=None) as connection:
        simple = connection.pgconn.exec_
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        if connection.execute("SELECT to_regclass('_prisma_migrations')").fetchone() == (None,):
            simple(_TABLE.encode())
        found = connection.execute("SELECT migration_name, checksum, finished_at FROM _prisma_migrations WHERE rolled_back_at IS NULL").fetchall()  # fmt: skip
        applied = {name: (checksum, finished) for name, checksum, finished in found}
        for name in names:
            script = (folder / name / "migration.sql").read_bytes()
            checksum = hashlib.sha256(script).hexdigest()
            if name in applied:
                if applied[name][1] is None:
                    sys.exit(f"P3009: {name} failed")
                assert applied[name][0] == checksum, name
                continue
            number = str(uuid.uuid4())
            connection.execute(
                "INSERT INTO _prisma_migrations (id, checksum, logs, started_at, migration_name) VALUES (%s, %s, %s, now(), %s)",
                (number, checksum, "", name),
            )
            done = simple(script)
            if done.error_message:
                connection.execute("UPDATE _prisma_migrations SET logs = %s WHERE id = %s", (done.get_error_message(), number))  # fmt: skip
                sys.exit(f"P3018: {name}: {done.get_error_message()}")
            connection.execute("UPDATE _prisma_migrations SET applied_steps_count = applied_steps_count + 1 WHERE id = %s", (number,))  # fmt: skip
            connection.execute("UPDATE _prisma_migrations SET finished_at = now() WHERE id = %s", (number,))
            sys.stdout.write(f"{name}\n")


main(Path(sys.argv[1]))
