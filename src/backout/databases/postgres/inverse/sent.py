"""Runs a file of SQL in one transaction, in the database that the environment names: a program of its own, behind the proxy."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.inverse.prepared import prepared
from backout.databases.postgres.inverse.values import Bringing
from backout.document import Document
from backout.errors import ExitCode
from backout.migration_down import Brought, Wanted

if TYPE_CHECKING:
    import psycopg

LOCK_TIMEOUT_MS = 2000


class Order(Document):
    """What is to be brought, and what was.

    Attributes:
        url: Of the restored backup.
        wanted: From it.
        brought: Empty until it is done.
    """

    url: str
    wanted: tuple[Wanted, ...]
    brought: tuple[Brought, ...] = ()


def main(file: str, order: str | None = None) -> int:
    """Run it; return the exit status. What the database refused is told on standard error.

    Args:
        file: The SQL.
        order: A file with an `Order`, of values that are to be brought besides; it is written anew with what was.
    """
    import psycopg

    chosen = prepared(Path(file).read_text(), file)
    statement = "BEGIN"
    try:
        with ExitStack() as opened:
            here = opened.enter_context(psycopg.connect(os.environ["DATABASE_URL"], autocommit=True))
            bringing = _bringing(opened, here, order)
            for statement in ("BEGIN", f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}", *chosen):
                here.execute(statement.encode(), prepare=False)
                if bringing is not None:
                    bringing.look()
            statement = "COMMIT"
            if bringing is not None:
                bringing.finish()
            here.execute(b"COMMIT")
            if bringing is not None and order is not None:
                _told(Path(order), bringing.brought)
    except psycopg.Error as error:
        sys.stderr.write(f"{error}\nin: {statement}\n")
        busy = isinstance(error, psycopg.errors.LockNotAvailable) or error.sqlstate is None
        return int(ExitCode.NOT_POSSIBLE if busy else ExitCode.REFUSED)
    return 0


def _bringing(opened: ExitStack, here: psycopg.Connection[Any], order: str | None) -> Bringing | None:
    import psycopg

    if order is None:
        return None
    told = Order.model_validate_json(Path(order).read_text())
    there = opened.enter_context(psycopg.connect(told.url, autocommit=True))
    return Bringing(there, here, list(told.wanted))


def _told(order: Path, brought: list[Brought]) -> None:
    told = Order.model_validate_json(order.read_text())
    order.write_text(told.model_copy(update={"brought": tuple(brought)}).model_dump_json())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
