"""Runs a migration through the engine without a proxy between: the session is the test's own, the keeper the real one."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from backout.databases.postgres.reversible import back, journal
from backout.databases.postgres.reversible.after import finish
from backout.databases.postgres.reversible.due import due
from backout.databases.postgres.reversible.keeper import Kept, ReversibleKeeper
from backout.databases.postgres.reversible.link import DirectLink, LinkError
from backout.databases.postgres.reversible.parse import statements
from backout.databases.postgres.reversible.proxy.keeper import Manner, Pass, Veto
from backout.databases.postgres.reversible.rows.capture import Capture
from backout.migration import Unfinished


def migrate(
    link: DirectLink, *scripts: str, release: str = "2.0.0", answers: dict[str, str] | None = None
) -> int:
    """Run each script as one transaction, as the proxy would; return the migration's number."""
    journal.install(link)
    number = journal.begin(link, release, "test")
    with psycopg.connect(
        link.connection.info.dsn, password=link.connection.info.password, autocommit=True
    ) as own:
        try:
            _migrate(link, Kept(number, lambda: DirectLink(own), answers or {}), scripts)
        finally:
            assert Capture(DirectLink(own), number).remove() == []
    assert finish(link).unfinished == ()
    return number


def _migrate(link: DirectLink, kept: Kept, scripts: tuple[str, ...]) -> None:
    keeper = ReversibleKeeper(kept)
    state = "failed"
    try:
        for script in scripts:
            _transaction(link, keeper, script)
        state = "applied"
    finally:
        journal.end(link, kept.migration, state)


def _transaction(link: DirectLink, keeper: ReversibleKeeper, script: str) -> None:
    found = statements(script)
    if len(found) == 1 and keeper.manner(found[0]) is Manner.ALONE:
        keeper.before_alone(link, found[0])
        link.rows(found[0].text)
        keeper.ended_alone(link, found[0], failed=False)
        return
    link.rows("BEGIN")
    try:
        keeper.begins(link)
        for one in found:
            if isinstance(keeper.statement(link, one), Pass):
                link.rows(one.text)
                keeper.ran(link, one)
        keeper.before_commit(link)
    except (Veto, LinkError):
        link.rows("ROLLBACK")
        keeper.ended(committed=False)
        raise
    link.rows("COMMIT")
    keeper.ended(committed=True)


def _due(link: DirectLink) -> list[str]:
    link.rows("BEGIN")
    found = due(link)
    link.rows("COMMIT")
    return found


def undo_leaving(link: DirectLink, *numbers: int) -> list[Unfinished]:
    """Take migrations back; return what could not be finished."""
    back.undo(link, [m for m in journal.migrations(link) if m.id in numbers], patience_s=5)
    return finish(link).unfinished


def undo(link: DirectLink, *numbers: int) -> back.Outcome:
    chosen = [m for m in journal.migrations(link) if m.id in numbers]
    outcome = back.undo(link, chosen, patience_s=5)
    assert finish(link).unfinished == ()
    assert _due(link) == []
    return outcome


def redo(link: DirectLink, *numbers: int) -> back.Outcome:
    chosen = [m for m in journal.migrations(link) if m.id in numbers]
    outcome = back.redo(link, chosen, patience_s=5)
    assert finish(link).unfinished == ()
    assert _due(link) == []
    return outcome


def run(link: DirectLink, script: str | Iterable[str]) -> None:
    for one in [s.text for s in statements(script)] if isinstance(script, str) else script:
        link.rows(one)
