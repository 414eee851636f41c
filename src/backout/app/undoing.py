"""What a plan has to know of migrations: those that came after its target, and one that hangs and keeps everybody waiting."""

from __future__ import annotations

from backout.app.parts import Parts
from backout.assess.compatibility import compatibility
from backout.assess.migrations import made_after
from backout.assess.model import Request
from backout.databases.undoing import UndoesMigrations
from backout.errors import BackoutError
from backout.facts import Facts
from backout.migration_way import MigrationsBack
from backout.observed import Answer, Observed
from backout.plan.model import Scenario
from backout.release import Release

_LOOK_S = 3.0


def with_migrations(parts: Parts, facts: Facts, target: Release, request: Request) -> Facts:
    """Return the facts with the migrations after the target, where they could have to go back with its code."""
    database: object = parts.database
    if parts.emergency or not isinstance(database, UndoesMigrations) or not facts.schema_now.known:
        return facts
    if request.scenario not in (None, Scenario.SCHEMA):
        return facts
    if request.scenario is None and compatibility(target, facts, parts.allowed).answer is Answer.YES:
        return facts
    now, source = parts.clock.now(), "journal of migrations"
    try:
        after = made_after(target, facts.releases, database.migrations())
        if not after:
            return facts
        back = database.migrations_back(after)
    except BackoutError as error:
        unread = Observed[MigrationsBack](unknown=error.what, source=source, observed_at=now)
        return facts.model_copy(update={"migrations": unread})
    found = Observed[MigrationsBack](value=back, source=source, observed_at=now)
    stands = parts.book.schemas({back.schema_after}) if back.schema_after is not None else {}
    return facts.model_copy(update={"migrations": found, "schemas": {**facts.schemas, **stands}})


def with_waiting(parts: Parts, facts: Facts) -> Facts:
    """Return the facts with who waits for locks: a migration that hangs is the commonest bad release."""
    database: object = parts.database
    if parts.emergency or not isinstance(database, UndoesMigrations):
        return facts
    try:
        return facts.model_copy(update={"waiting": database.waiting(_LOOK_S)})
    except BackoutError:
        return facts  # that the database does not answer is said where its schema is asked for
