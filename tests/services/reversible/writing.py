"""Clients that write while a migration is made, taken back and made again, and know which of their rows must be there."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import psycopg
from tests.waiting import until

from .conftest import Database
from .kinds import Client

_MILLION = 1_000_000
_KEPT = 20
"""Rows that a client keeps: it changes one of the middle and deletes the oldest, which are old when the schema changes."""
_STEPS = 2
_PAUSE_S = 0.004
_ELSEWHERE = ("42703", "42P01", "23502")
"""undefined_column, undefined_table, not_null_violation (PostgreSQL 15 documentation, appendix A): what a statement ends
with that the schema of the moment has no place for."""

_IS_NOT_NULL = re.compile(r"_bo_\d+_nn")
"""A column that is NOT NULL again, and not yet proven to be."""


def _is_elsewhere(error: psycopg.Error) -> bool:
    proven_later = _IS_NOT_NULL.fullmatch(error.diag.constraint_name or "") is not None
    return error.sqlstate in _ELSEWHERE or proven_later


class Writer:
    """One session that inserts, changes and deletes rows of its own, each statement committed by itself.

    Attributes:
        client: What it writes.
        rows: What it was told is committed: value by key.
        wrong: What must not have been: errors, and rows of its own that a statement did not find.
        steps: How often it has tried all of its statements.
    """

    def __init__(self, client: Client, database: Database, number: int, *, prepared: bool) -> None:
        self.client, self.rows, self.wrong, self.steps = client, dict[str, str](), list[str](), 0
        self._connection = database.connect()
        self._connection.prepare_threshold = 0 if prepared else None
        self._first = number * _MILLION
        self._numbers = count(self._first)
        key, *others = client.columns
        values = others or [key]
        listed, marks = ", ".join(client.columns), ", ".join(["%s"] * len(client.columns))
        self._insert = f"INSERT INTO {client.table} ({listed}) VALUES ({marks})"
        self._update = (
            f"UPDATE {client.table} SET {', '.join(f'{one} = %s' for one in values)} WHERE {key} = %s"
        )
        self._delete = f"DELETE FROM {client.table} WHERE {key} = %s"
        self._look = f"SELECT {key}, {', '.join(values)} FROM {client.table}"
        self._width = len(values)
        if client.of != "new":
            for _ in range(_KEPT):
                self._inserts()

    def run(self, ended: threading.Event) -> None:
        while not ended.wait(_PAUSE_S):
            self._inserts()
            self._updates()
            if len(self.rows) > _KEPT:
                self._deletes()
            self.steps += 1

    def found(self) -> dict[str, str]:
        """Return its rows as they are in the database; a row whose values are not all alike is shown with all of them."""
        shown: dict[str, str] = {}
        for key, *values in self._connection.execute(self._look, prepare=False).fetchall():
            if str(key).isdecimal() and int(key) // _MILLION * _MILLION == self._first:
                shown[str(key)] = ", ".join(sorted({str(one) for one in values}))
        return shown

    def _inserts(self) -> None:
        key = value = str(next(self._numbers))
        if self._did(self._insert, key, *[value] * (len(self.client.columns) - 1)):
            self.rows[key] = value

    def _updates(self) -> None:
        if not self.rows:
            return
        key, value = list(self.rows)[len(self.rows) // 2], str(next(self._numbers))
        if self._did(self._update, *[value] * self._width, key):
            self.rows.pop(key)
            self.rows[key if len(self.client.columns) > 1 else value] = value

    def _deletes(self) -> None:
        key = next(iter(self.rows))
        if self._did(self._delete, key):
            self.rows.pop(key)

    def _did(self, statement: str, *values: str) -> bool:
        """Run a statement for one row; tell whether it was acknowledged."""
        try:
            touched = self._connection.execute(statement, values).rowcount
        except psycopg.Error as error:
            if self.client.of == "both" or not _is_elsewhere(error):
                self.wrong.append(f"{statement}: {error.sqlstate} {error}")
            return False
        if touched != 1:
            self.wrong.append(f"{statement}: {values} was found {touched} times")
        return True


def writers_of(clients: Sequence[Client], database: Database) -> list[Writer]:
    """Return two for each client: one that has the server prepare its statements, where it may, and one that does not."""
    numbers = count(1)
    return [
        Writer(one, database, next(numbers), prepared=prepared)
        for one in clients
        for prepared in ([False, True] if one.prepared else [False])
    ]


@contextmanager
def writing(writers: Sequence[Writer]) -> Iterator[None]:
    """Have them write meanwhile."""
    ended = threading.Event()
    threads = [threading.Thread(target=one.run, args=(ended,)) for one in writers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def some_written(writers: Sequence[Writer]) -> None:
    """Wait until each of them has written some rows more, or tried to."""
    enough = [one.steps + _STEPS for one in writers]
    until(lambda: all(one.steps >= n for one, n in zip(writers, enough, strict=True)))
