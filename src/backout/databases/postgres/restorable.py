"""The part of `PostgresDatabase` that takes data back: dump, restore beside, swap. Each call imports what it needs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from backout.errors import NotPossible
from backout.message import msg

if TYPE_CHECKING:
    from backout.backup import Backup, BesideDatabase, Reading, RestoreOrder, SwapOrder, TableCount
    from backout.databases.postgres.cluster import Cluster
    from backout.databases.postgres.dumps.rules import Terms
    from backout.databases.restores import Checked, Dumped, InTheWay, LiveDatabase, Note
    from backout.message import Message
    from backout.observed import HoldFact
    from backout.platforms.base import Diagnosis, Site

_VERSION_DEADLINE_S = 5.0


class PostgresRestores:
    """Keeps the contract `databases.restores.Restorable`; see there for what each call promises."""

    _cluster: Cluster
    _site: Site

    def live(self, deadline_s: float) -> LiveDatabase:
        """Return the live database, asked through the maintenance database."""
        from backout.databases.postgres.cluster import live_database

        return live_database(self._cluster, deadline_s)

    def migration_head(self, deadline_s: float) -> str | None:
        """Return which migration the live database stands at; None: no tool is known."""
        from backout.databases.postgres.heads import migration_head

        with self._cluster.connector.session(deadline_s) as connection:
            connection.read_only = True
            return migration_head(connection)

    def beside(self, deadline_s: float) -> tuple[BesideDatabase, ...]:
        """Return every database of this service that stands beside the live one, oldest first."""
        from backout.databases.postgres.beside import list_beside

        return list_beside(self._cluster, deadline_s)

    def free_bytes(self, path: str | None) -> int | None:
        """Return the free bytes on the disk of that path; None: it cannot be told from here."""
        from backout.databases.postgres.restore import free_bytes

        return free_bytes(path)

    def dump(self, to: Path, *, jobs: int, note: Note, tables: tuple[str, ...] = ()) -> Dumped:
        """Write the live database into the new folder `to`, from one snapshot."""
        from backout.databases.postgres.dump import dump

        return dump(self._cluster, to, jobs=jobs, note=note, tables=tables)

    def read(self, backup: Backup, *, note: Note) -> Reading:
        """Read a backup to its end, and everything that a restore would run; see `dumps.read`."""
        from backout.databases.postgres.dumps.read import read_backup
        from backout.databases.postgres.programs import find_programs

        terms = self._terms()
        if terms.server_major is None:
            note(msg("The server does not answer: the backup is not compared with its version."))
        version = None if terms.server_major is None else terms.server_major * 10_000
        return read_backup(
            backup,
            terms,
            programs=lambda: find_programs(self._cluster.programs, version),
            clock=self._site.clock,
            note=note,
        )

    def _terms(self) -> Terms:
        """Return the live database's name and the version of the server that restores, as far as they can be told now."""
        from backout.databases.postgres.cluster import server_version
        from backout.databases.postgres.dumps.rules import Terms

        try:
            with self._cluster.making(_VERSION_DEADLINE_S) as connection:
                return Terms(self._cluster.live, server_version(connection) // 10_000)
        except NotPossible:
            return Terms(self._cluster.live, None)

    def start_restore(self, order: RestoreOrder, run: str | None) -> None:
        """Make the new database and start the restore in a process that outlives this one."""
        from backout.databases.postgres.restore import start_restore

        start_restore(self._cluster, order, run)

    def stop_restore(self, database: str) -> None:
        """End the restore into that database if one goes on. Idempotent."""
        from backout.databases.postgres.restore import stop_restore

        stop_restore(self._cluster, database)

    def restore_state(self, database: str) -> BesideDatabase:
        """Return how far that database is, with what it waits for in `why`."""
        from backout.databases.postgres.restore import restore_state

        return restore_state(self._cluster, database)

    def drop_beside(self, database: str) -> None:
        """End its restore, and drop a database that stands beside. Idempotent."""
        from backout.databases.postgres.beside import drop
        from backout.databases.postgres.closing import ClosedBySwap
        from backout.databases.postgres.restore import forget_failed, stop_restore

        ClosedBySwap(self._cluster).forget_if_open(database)
        stop_restore(self._cluster, database)
        drop(self._cluster, database)
        forget_failed(self._cluster, database)

    def check_restored(self, database: str, live: str, *, note: Note) -> Checked:
        """Look whether a restored database is whole, and compare it with the live one."""
        from backout.databases.postgres.restored import check_restored

        return check_restored(self._cluster, database, live, note=note)

    def catch_up(self, database: str, live: str) -> tuple[Message, ...]:
        """Give a restored database the publications of the live one; return those that could not be made so."""
        from backout.databases.postgres.publications import catch_up

        return catch_up(self._cluster, database, live)

    def written(self, database: str, deadline_s: float) -> str:
        """Return a mark that changes when a row is written in that database, or an object is changed."""
        from backout.databases.postgres.restored import written

        with self._cluster.inside(database, deadline_s) as connection:
            return written(connection)

    def counts(self, database: str, *, exact: bool, deadline_s: float) -> dict[str, int]:
        """Return rows by table (``schema.table``): counted, or the server's estimates."""
        from backout.databases.postgres.counts import counts

        return counts(self._cluster, database, exact=exact, deadline_s=deadline_s)

    def sequences(self, deadline_s: float) -> tuple[tuple[str, str, int], ...]:
        """Return schema, name and last value of each sequence of the live database that has given one out."""
        from backout.databases.postgres.sequences import read_all

        with self._cluster.connector.session(deadline_s) as connection:
            connection.read_only = True
            return tuple((r.schema, r.name, r.value) for r in read_all(connection))

    def advance_sequences(self, reached: tuple[tuple[str, str, int], ...]) -> int:
        """Set sequences of the live database that are behind to what was reached; return how many. Idempotent."""
        from backout.databases.postgres.sequences import Reached, advance_all

        with self._cluster.connector.session(_VERSION_DEADLINE_S) as connection:
            return advance_all(connection, [Reached(*one) for one in reached])

    def compare_counts(self, beside: str, deadline_s: float) -> tuple[TableCount, ...]:
        """Return the rows by table of the live database and of `beside`."""
        from backout.databases.postgres.counts import compare

        return compare(self._cluster, beside, deadline_s)

    def in_the_way(self) -> InTheWay:
        """Return what stands against any swap of the live database now."""
        from backout.databases.postgres.blockers import in_the_way

        with self._cluster.maintenance() as connection:
            return in_the_way(connection, self._cluster)

    def swap_blockers(self, order: SwapOrder) -> tuple[Message, ...]:
        """Return what would keep the swap from being made now, or would end with it."""
        from backout.databases.postgres.blockers import swap_blockers

        with self._cluster.maintenance() as connection:
            return swap_blockers(connection, self._cluster, order)

    def swap(self, order: SwapOrder, *, note: Note) -> float:
        """Make `beside` live; return the seconds in which no one could write."""
        from backout.databases.postgres.swap import swap

        return swap(self._cluster, order, note=note)

    def swap_state(self, order: SwapOrder) -> bool | None:
        """Return True: the new one is live and open; False: the old one; None: neither is open."""
        from backout.databases.postgres.swap import swap_state

        return swap_state(self._cluster, order)

    def closed_means(self) -> HoldFact | None:
        """Return a hold that a swap cut short has left behind; None: there is none."""
        from backout.databases.postgres.closing import ClosedBySwap
        from backout.databases.postgres.writes import MODES, RefuseWrites

        return ClosedBySwap(self._cluster).observe(10, RefuseWrites.name, MODES)

    def doctor_restores(self) -> Iterable[Diagnosis]:
        """Try what a restore beside and a swap would need, touching nothing."""
        from backout.databases.postgres.doctor_restores import diagnose_restores

        return diagnose_restores(self._cluster)
