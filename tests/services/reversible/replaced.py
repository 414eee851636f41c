"""Something that a migration replaces by another: written to under either release, there and back, forward and back again."""

from __future__ import annotations

from typing import NamedTuple

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import changed, schema_of, seen


class Case(NamedTuple):
    """What is replaced, and what everybody writes and sees.

    Attributes:
        before: Schema and rows.
        up: Each one transaction.
        new: What later code writes.
        look: What earlier code reads.
        back: What it sees after the way back.
        old: What it writes then.
        ahead: What later code reads.
        forth: What it sees after the way forward again.
    """

    before: str
    up: tuple[str, ...]
    new: str
    look: str
    back: str
    old: str
    ahead: str
    forth: str


def there_and_back(case: Case, database: Database) -> None:
    """Assert that either release sees what was written under the other, in its own schema."""
    link = database.link()
    run(link, case.before)
    before = schema_of(database.url)
    number = migrate(link, *case.up)
    after = schema_of(database.url)
    run(link, case.new)

    undo(link, number)
    assert changed(before, schema_of(database.url)) == []
    assert seen(link, case.look) == case.back

    run(link, case.old)
    old = seen(link, case.look)
    redo(link, number)
    assert changed(after, schema_of(database.url)) == []
    assert seen(link, case.ahead) == case.forth

    undo(link, number)
    assert changed(before, schema_of(database.url)) == []
    assert seen(link, case.look) == old
