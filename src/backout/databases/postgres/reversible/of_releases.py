"""The migrations of releases: how a plan looks at their way back, and how a run takes it, by their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from backout.databases.postgres.reversible import back, journal
from backout.databases.postgres.reversible.choosing import STATES_BACK
from backout.databases.postgres.reversible.database import ReversibleDatabase
from backout.databases.postgres.reversible.effects import effect
from backout.databases.postgres.reversible.journal import Entry, Migration
from backout.databases.postgres.reversible.records import record, taken
from backout.databases.postgres.reversible.refusals import told
from backout.errors import LostRace
from backout.message import msg
from backout.migration import MigrationRecord, WayTaken
from backout.migration_way import MigrationsBack, Place

_PATIENCE_S = 10.0


class ReleaseMigrations(ReversibleDatabase):
    """The journal of one database, as the way back of a release uses it."""

    def records(self) -> tuple[MigrationRecord, ...]:
        """Return every migration, oldest first."""
        return self.history().migrations

    def outlook(self, newest: int) -> MigrationsBack:
        """Look how so many of the newest migrations could be taken back now; changes nothing."""
        status = self.status(steps=newest)
        with self._link() as link:
            ids = tuple(one.id for one in status.migrations)
            entries = journal.entries(link, ids, "applied")
            chosen = tuple(record(link, one) for one in journal.migrations(link) if one.id in ids)
        stays = any(entry.operation.get("residue") for entry in entries)
        return MigrationsBack(
            migrations=chosen,
            place=place_of(entries),
            schema_after=chosen[0].schema_before if chosen and not stays else None,
            possible=status.possible,
            why=status.why,
            rows=status.rows,
        )

    def due(self) -> tuple[str, ...]:
        """Return what is still to be run after a way back or forward."""
        return self.status(steps=1).due

    def take_back(self, ids: Sequence[int]) -> WayTaken | None:
        """Take back those that are not taken back yet; None: there is none."""
        with self._link() as link:
            found = self._known(link)
            left = _left(found, ids, STATES_BACK)
            later = [one.id for one in found if left and one.id > left[0].id and one.state in STATES_BACK]
            if set(later) - set(ids):
                raise LostRace(
                    msg("Another migration was made since the plan: {later}", later=_names(set(later) - set(ids))),
                    state=msg("No migration was taken back."),
                    next_command="backout plan",
                )  # fmt: skip
            if not left:
                return None
            with told("rollback"):
                return taken("back", back.undo(link, left, patience_s=_PATIENCE_S), (), dry_run=False)

    def make_again(self, ids: Sequence[int]) -> WayTaken | None:
        """Make those again that are taken back; None: there is none."""
        with self._link() as link:
            found = self._known(link)
            left = _left(found, ids, ("undone",))
            if not left:
                return None
            return self._redo(link, found, left, dry_run=False, patience_s=_PATIENCE_S)


def place_of(entries: Sequence[Entry]) -> Place:
    """Return when changes are taken back beside the code. Pure."""
    bears = [effect(entry.kind).bears(entry.operation) for entry in entries]
    if all(one.old for one in bears):
        return Place.AFTER
    return Place.BEFORE if all(one.new for one in bears) else Place.BETWEEN


def _left(found: Sequence[Migration], ids: Sequence[int], states: Sequence[str]) -> list[Migration]:
    """Return those of them in one of these states, oldest first.

    Raises:
        LostRace: One of them is not in the journal any more, or was finalized.
    """
    there = {one.id: one for one in found}
    gone = [
        number for number in ids if number not in there or there[number].state in ("finalized", "discarded")
    ]
    if gone:
        raise LostRace(
            msg("The journal has nothing any more by which to move migration {gone}", gone=_names(gone)),
            state=msg("No migration was moved."),
            next_command="backout db history",
        )
    return [there[number] for number in sorted(ids) if there[number].state in states]


def _names(ids: Sequence[int] | set[int]) -> str:
    return ", ".join(map(str, sorted(ids)))
