"""The state file: one SQLite database in WAL mode, opened, checked and written in one place."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backout.errors import StoreFull, StoreTooNew, StoreUnreadable
from backout.message import msg

FORMAT = 1
_SCHEMA = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, at TEXT NOT NULL, run TEXT, actor TEXT NOT NULL, generation INTEGER NOT NULL,
    kind TEXT NOT NULL, body TEXT NOT NULL, prev TEXT NOT NULL, digest TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_run ON events (run, seq);
CREATE INDEX events_by_kind ON events (kind, seq);
CREATE TABLE releases (id TEXT PRIMARY KEY, version TEXT NOT NULL, deployed_at TEXT NOT NULL, document TEXT NOT NULL) STRICT;
CREATE INDEX releases_by_time ON releases (deployed_at DESC);
CREATE INDEX releases_by_version ON releases (version);
CREATE TABLE quarantined (version TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT;
CREATE TABLE schemas (fingerprint TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT;
CREATE TABLE lease (one INTEGER PRIMARY KEY CHECK (one = 1), generation INTEGER NOT NULL, document TEXT NOT NULL) STRICT;
"""


class Store:
    """The state file of one environment.

    Every commit is on disk when it returns (``synchronous=FULL``: journal p50 0.9 ms, docs/performance.md).

    Args:
        directory: Folder of the state; made with mode 0700 if it is not there.

    Raises:
        StoreTooNew: Written by a newer backout.
        StoreUnreadable: Not a state file, damaged, or not to be opened.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "state.db"
        # The lease's thread and the runner share this connection: one transaction at a time.
        self._one_at_a_time = threading.RLock()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.path, timeout=10.0, isolation_level=None, check_same_thread=False
            )
            with self.errors():
                self._open()
        except (OSError, sqlite3.OperationalError) as error:
            raise self._unreadable(str(error)) from error

    def _open(self) -> None:
        self._connection.execute("PRAGMA busy_timeout = 10000")
        (found,) = self._connection.execute("PRAGMA user_version").fetchone()
        if found > FORMAT:
            self._connection.close()
            raise StoreTooNew(
                msg(
                    "The state file {path} has format {found}; this backout knows up to {known}.",
                    path=str(self.path),
                    found=found,
                    known=FORMAT,
                ),
                state=msg("Nothing was read or changed."),
                next_command="pip install --upgrade backout",
            )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        if found == 0:
            with self.writing() as sql:
                (again,) = sql.execute("PRAGMA user_version").fetchone()
                if again == 0:
                    for statement in _SCHEMA.split(";"):
                        sql.execute(statement)
                    sql.execute(f"PRAGMA user_version = {FORMAT}")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run a block in one immediate transaction: committed at its end, rolled back on any error.

        Raises:
            StoreFull: The disk is full or the file became read-only; nothing of the block is kept.
            StoreUnreadable: The file is damaged.
        """
        with self._one_at_a_time, self.errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Return the rows of a query; raises `StoreUnreadable`."""
        with self._one_at_a_time, self.errors():
            return self._connection.execute(sql, parameters).fetchall()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._connection.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn SQLite's errors into ours."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            text = str(error)
            if any(word in text for word in ("full", "readonly", "disk I/O")):
                raise StoreFull(
                    msg(
                        "The journal {path} could not be written: {reason}.", path=str(self.path), reason=text
                    ),
                    state=msg("Nothing more was done: what is not journalled is not done."),
                    next_command=f"df -h {self.path.parent}",
                ) from error
            raise self._unreadable(text) from error

    def _unreadable(self, reason: str) -> StoreUnreadable:
        return StoreUnreadable(
            msg("The state file {path} cannot be used: {reason}.", path=str(self.path), reason=reason),
            state=msg(
                "Nothing was changed. Release records are kept at the target too and are found again; "
                "a code rollback works without the state file."
            ),
            next_command=f"mv {self.path} {self.path}.damaged && backout   # or, at once: backout run --emergency --scenario code",
        )
