"""The migrations of releases: how a plan looks at their way back, and how a run takes it, by their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from backout.databases.postgres.reversible import back, journal
from backout.databases.postgres.reversible.after import finish
from backout.databases.postgres.reversible.ahead import to_convert
from backout.databases.postgres.reversible.back import Outcome
from backout.databases.postgres.reversible.built import left_over, to_build
from backout.databases.postgres.reversible.catalog import read_alone
from backout.databases.postgres.reversible.choosing import STATES_STAYED
from backout.databases.postgres.reversible.database import ReversibleDatabase
from backout.databases.postgres.reversible.due import due_in
from backout.databases.postgres.reversible.effects import effect
from backout.databases.postgres.reversible.following import ASIDE
from backout.databases.postgres.reversible.journal import Entry, Migration
from backout.databases.postgres.reversible.link import DirectLink
from backout.databases.postgres.reversible.proven import schema_back
from backout.databases.postgres.reversible.ready import get_ready, give_up
from backout.databases.postgres.reversible.records import record, taken
from backout.databases.postgres.reversible.refusals import giving_back, out_of_order, told
from backout.errors import LostRace
from backout.message import msg
from backout.migration import Finished, MigrationRecord, Unfinished, WayTaken
from backout.migration_way import MigrationsBack, Part, Place, Prepared

_PATIENCE_S = 10.0


class ReleaseMigrations(ReversibleDatabase):
    """The journal of one database, as the way back of a release uses it."""

    def records(self) -> tuple[MigrationRecord, ...]:
        """Return every migration, oldest first."""
        return self.history().migrations

    def outlook(self, ids: Sequence[int]) -> MigrationsBack:
        """Look how migrations could be taken back now; changes nothing."""
        status, now = self.status(only=ids), self._fingerprint()
        with self._link() as link:
            chosen = [one for one in journal.migrations(link) if one.id in ids]
            entries = journal.entries(link, tuple(ids), "applied")
            builds = (*to_build(read_alone(link), entries), *to_convert(link, entries, self._budget_ms))
            records = tuple(record(link, one) for one in chosen)
        return MigrationsBack(
            migrations=records,
            place=place_of(entries),
            schema_after=schema_back(chosen, entries, now),
            possible=status.possible,
            why=status.why,
            rows=status.rows,
            over_budget=status.over_budget,
            builds=builds,
        )

    def prepared(self, ids: Sequence[int]) -> Prepared:
        """Return how far that is which has to be built before migrations are taken back."""
        with self._link() as link:
            now, entries = read_alone(link), journal.entries(link, tuple(ids), "applied")
            missing = (*to_build(now, entries), *to_convert(link, entries, self._budget_ms))
        return Prepared(tuple(left_over(now, entries)), missing)

    def prepare(self, ids: Sequence[int]) -> Finished:
        """Build it; where something of it cannot be built, nothing of it stays."""
        with self._link() as link:
            self._known(link)
            entries = journal.entries(link, tuple(ids), "applied")
            statements = [*to_build(read_alone(link), entries), *to_convert(link, entries, self._budget_ms)]
            with told("rollback"), giving_back():
                failed = get_ready(link, entries, budget_ms=self._budget_ms)
        return Finished(done=() if failed else tuple(statements), unfinished=failed)

    def unprepare(self, ids: Sequence[int]) -> None:
        """Drop what was built for a way back that is not taken."""
        with self._link() as link:
            self._known(link)
            with giving_back():
                give_up(link, journal.entries(link, tuple(ids), "applied"))

    def due(self) -> tuple[str, ...]:
        """Return what is still to be run after a way back or forward."""
        with self._link() as link:
            return tuple(due_in(read_alone(link), journal.every_entry(link)))

    def left(self, ids: Sequence[int], part: Part, *, taken_back: bool) -> int:
        """Return how many changes of a part are still to be taken back, or made again."""
        with self._link() as link:
            state = "applied" if taken_back else "undone"
            return len(back.of_part(journal.entries(link, tuple(ids), state), part))

    def take_back(self, ids: Sequence[int], part: Part) -> WayTaken | None:
        """Take back what is not taken back yet; None: nothing is left."""
        with self._link() as link:
            found = self._known(link)
            left = _left(link, found, ids, "applied", part)
            later = [one.id for one in found if left and one.id > left[0].id and one.state in STATES_STAYED]
            if set(later) - set(ids):
                raise LostRace(
                    msg("Another migration was made since the plan: {later}", later=_names(set(later) - set(ids))),
                    state=msg("No migration was taken back."),
                    next_command="backout plan",
                )  # fmt: skip
            if not left:
                return None
            with told("rollback"):
                done = back.undo(
                    link, left, patience_s=_PATIENCE_S, part=part, ahead=False, budget_ms=self._budget_ms
                )
            return taken("back", done, (), dry_run=False)

    def make_again(self, ids: Sequence[int], part: Part) -> WayTaken | None:
        """Make again what is taken back; None: nothing is."""
        with self._link() as link:
            found = self._known(link)
            left = _left(link, found, ids, "undone", part)
            later = [one.id for one in found if left and one.id > left[0].id and one.state in STATES_STAYED]
            if set(later) - set(ids):
                raise out_of_order(left[0].id, sorted(set(later) - set(ids)))
            done: list[Outcome] = []
            unfinished: list[Unfinished] = []
            for one in left:
                with told("redo"):
                    done.append(back.redo(link, [one], patience_s=_PATIENCE_S, part=part))
                # What a migration builds after its COMMIT may be renamed by the next one.
                unfinished += finish(link).unfinished
            return taken("forward", back.joined(done), tuple(unfinished), dry_run=False) if done else None


def place_of(entries: Sequence[Entry]) -> Place:
    """Return when changes are taken back beside the code. Pure."""
    bears = [effect(entry.kind).bears(entry.operation) for entry in entries]
    if all(one.old for one in bears):
        return Place.AFTER
    if all(one.new for one in bears):
        return Place.BEFORE
    apart = all(one.old or one.new for one in bears) and not _names_of(entries, ".added") & _names_of(
        entries, ".hidden"
    )
    return Place.AROUND if apart else Place.BETWEEN


def _names_of(entries: Sequence[Entry], kinds: str) -> set[tuple[str, int, str]]:
    """Return the names of what was added, or hidden, with the kind and the table: one cannot stand for two things at once.

    Something may have been renamed before it was dropped: it has both names.
    """
    found = set()
    for entry in entries:
        what, _, how = entry.kind.partition(".")
        told = entry.operation.get("hidden") or entry.operation
        if f".{how}" == kinds or (entry.kind == ASIDE and kinds == ".hidden"):
            table = int(told["table"]) if what in ("column", "trigger") else 0
            last = str(told["called"]).rpartition(".")[2]
            found |= {(what, table, last), (what, table, str(told.get("name", last)))}
    return found


def _left(
    link: DirectLink, found: Sequence[Migration], ids: Sequence[int], state: str, part: Part
) -> list[Migration]:
    """Return those of them that have changes of a part in a state, oldest first.

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
    having = {one.migration for one in back.of_part(journal.entries(link, tuple(ids), state), part)}
    return [there[number] for number in sorted(ids) if number in having]


def _names(ids: Sequence[int] | set[int]) -> str:
    return ", ".join(map(str, sorted(ids)))
