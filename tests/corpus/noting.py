"""Notes what a way leaves to be done after its transaction, before that is done: the verb itself tells it of a dry run only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from backout.databases.postgres.reversible import database
from backout.databases.postgres.reversible.due import due
from backout.databases.postgres.reversible.link import Link
from backout.migration import Finished


@contextmanager
def noting() -> Iterator[list[str]]:
    """Give the list that the statements get into."""
    finish, found = database.finish, list[str]()

    def noted(link: Link) -> Finished:
        link.rows("BEGIN READ ONLY")
        found.extend(due(link))
        link.rows("COMMIT")
        return finish(link)

    with mock.patch.object(database, "finish", noted):
        yield found
