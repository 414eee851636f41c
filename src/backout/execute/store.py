"""The state file: one SQLite database in WAL mode, opened, checked and written in one place."""

from __future__ import annotations

import errno
import os
import pwd
import shlex
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from backout.errors import BackoutError, StoreFull, StoreTooNew, StoreUnreadable
from backout.message import msg

FORMAT = 1
_AT_ONCE = "backout run --emergency --scenario code"
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
    Where this user may only read it, it is opened for reading: what writes then says why it cannot.

    Args:
        directory: Folder of the state; made with mode 0700 if it is not there.
        look_only: Make and change nothing, no file either; a state file that is not there reads as an empty one.

    Raises:
        StoreTooNew: Written by a newer backout.
        StoreUnreadable: Not a state file, damaged, or not to be opened.
    """

    def __init__(self, directory: Path, *, look_only: bool = False) -> None:
        self.path = directory / "state.db"
        # The lease's thread and the runner share this connection: one transaction at a time.
        self._one_at_a_time = threading.RLock()
        try:
            self._connection, self._writable = self._connect(look_only)
            try:
                with self.errors():
                    self._open()
            except BaseException:
                self.close()
                raise
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            code = sqlite3.SQLITE_FULL if full else sqlite3.SQLITE_CANTOPEN
            raise self._error(code, error.strerror or str(error)) or error from error

    def _connect(self, look_only: bool) -> tuple[sqlite3.Connection, bool]:
        size = _size(self.path)
        if size is None and look_only:
            nothing = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            _write_schema(nothing)
            return nothing, False
        if size is None:
            with self.errors():
                _make(self.path)
        elif size == 0:
            # `_make` leaves none: somebody, or a repair of the file system, emptied it.
            raise self._damaged("it is empty")
        writable = not look_only and self.may_write()
        # Without a -wal there is nobody to read along with, and SQLite need not make one.
        # Source: https://www.sqlite.org/wal.html#readonly
        alone = not writable and not self.path.with_name("state.db-wal").exists()
        mode = "rw" if writable else "ro&immutable=1" if alone else "ro"
        with self.errors():
            address = f"{self.path.absolute().as_uri()}?mode={mode}"
            connection = sqlite3.connect(
                address, uri=True, timeout=10.0, isolation_level=None, check_same_thread=False
            )
        return connection, writable

    def _open(self) -> None:
        self._connection.execute("PRAGMA busy_timeout = 10000")
        (found,) = self._connection.execute("PRAGMA user_version").fetchone()
        if found > FORMAT:
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
        if found == 0:
            raise self._damaged("it is no state file")
        if self._writable:
            if self._connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run a block in one immediate transaction: committed at its end, rolled back on any error.

        Raises:
            StoreFull: The disk is full or the file became read-only; nothing of the block is kept.
            StoreUnreadable: The file is damaged, or may only be read.
        """
        if not self._writable:
            raise self._closed("it may only be read")
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

    def may_write(self) -> bool:
        """Return whether this user may write the file, or make it where it is not there."""
        folder = next((f for f in self.path.parents if f.exists()), self.path.parent)
        return _may(folder, os.W_OK | os.X_OK) and (not self.path.exists() or _may(self.path, os.W_OK))

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._connection.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn SQLite's errors into ours; what is no fault of the file is a bug, and stays one."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            found = self._error(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF, str(error))
            if found is None or isinstance(error, sqlite3.ProgrammingError):
                raise
            raise found from error

    def _error(self, code: int, reason: str) -> BackoutError | None:
        """Return what an error of SQLite means for a person.

        Source: https://www.sqlite.org/rescode.html
        """
        folder = shlex.quote(str(self.path.parent))
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY):
            return StoreFull(
                msg("The journal {path} could not be written: {reason}.", path=str(self.path), reason=reason),
                state=msg("Nothing more was done: what is not journalled is not done."),
                next_command=f"{'ls -la' if code == sqlite3.SQLITE_READONLY else 'df -h'} {folder}",
            )
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return self._closed(reason)
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreUnreadable(
                msg(
                    "The state file {path} is in use: another process has written to it for 10 s.",
                    path=str(self.path),
                ),
                state=msg("Nothing was changed, and nothing is wrong with the file."),
                next_command="backout   # who acts; then try again",
            )
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
            return self._damaged(reason)
        return None

    def _damaged(self, reason: str) -> StoreUnreadable:
        path = shlex.quote(str(self.path))
        return StoreUnreadable(
            msg("The state file {path} cannot be used: {reason}.", path=str(self.path), reason=reason),
            state=msg(
                "Nothing was changed. Release records are kept at the target too and are found again; "
                "backout hold and a code rollback work without the state file."
            ),
            next_command=f"mv {path} {path}.damaged && backout   # or, at once: {_AT_ONCE}",
        )

    def _closed(self, reason: str) -> StoreUnreadable:
        folder = next((f for f in self.path.parents if f.exists()), self.path.parent)
        return StoreUnreadable(
            msg(
                "The state file {path} cannot be used: {reason}. {folder} belongs to {owner}; you are {user}.",
                path=str(self.path),
                reason=reason,
                folder=str(folder),
                owner=_name(folder.stat().st_uid),
                user=_name(os.geteuid()),
            ),
            state=msg(
                "Nothing was changed; what is in the file is as it was. Run backout as its owner; "
                "backout hold and a code rollback work without the state file."
            ),
            next_command=f"ls -la {shlex.quote(str(folder))}   # or, at once: {_AT_ONCE}",
        )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _make(path: Path) -> None:
    """Make an empty state file, whole or not at all: a kill -9 in between leaves none. Idempotent."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"state.db.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(draft, isolation_level=None)) as sql:
            # Before anybody else has it: turning an open file to WAL wants it alone, and does not wait for that.
            sql.execute("PRAGMA journal_mode = WAL")
            sql.execute("PRAGMA synchronous = FULL")
            _write_schema(sql)
        with suppress(FileExistsError):  # Another process was first.
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _write_schema(sql: sqlite3.Connection) -> None:
    sql.execute("BEGIN")
    for statement in _SCHEMA.split(";"):
        sql.execute(statement)
    sql.execute(f"PRAGMA user_version = {FORMAT}")
    sql.execute("COMMIT")
