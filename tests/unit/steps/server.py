"""A small database server that is only names and numbers: for what steps ask and order, never evidence for PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from backout.backup import (
    Backup,
    BesideDatabase,
    BesideState,
    Brought,
    Reading,
    RestoreOrder,
    SwapOrder,
    TableCount,
    TableDifference,
)
from backout.databases.restores import Checked, Dumped, InTheWay, LiveDatabase
from backout.errors import Refused, StepFailed
from backout.message import Message, msg
from backout.observed import HoldFact
from backout.platforms.base import Diagnosis

Note = Callable[[Message], None]
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@dataclass
class Server:
    """Implements `Restorable` and `Comparable`; a restore stands at once unless `slow`."""

    live_name: str = "shop"
    databases: dict[str, BesideDatabase] = field(default_factory=dict)
    accepts: bool = True
    slow: bool = False
    fails: str | None = None
    blocked: tuple[Message, ...] = ()
    rows: dict[str, int] = field(default_factory=lambda: {"public.t": 3})
    fingerprint: str = "sha256:old"
    problems: tuple[Message, ...] = ()
    counted: tuple[TableCount, ...] = ()
    found: tuple[TableDifference, ...] = ()
    live_oid: int = 7
    done: list[str] = field(default_factory=list)

    def snapshot(self) -> object:
        return (dict(self.databases), self.accepts, self.live_oid, list(self.done))

    def live(self, deadline_s: float) -> LiveDatabase:
        return LiveDatabase(self.live_name, self.live_oid, 1, self.accepts, 160004, True)

    def migration_head(self, deadline_s: float) -> str | None:
        return None

    def beside(self, deadline_s: float) -> tuple[BesideDatabase, ...]:
        return tuple(self.databases.values())

    def free_bytes(self, path: str | None) -> int | None:
        return None

    def dump(self, to: Path, *, jobs: int, note: Note, tables: tuple[str, ...] = ()) -> Dumped:
        raise NotImplementedError

    def read(self, backup: Backup, *, note: Note) -> Reading:
        raise NotImplementedError

    def start_restore(self, order: RestoreOrder, run: str | None) -> None:
        self.done.append(f"restore {order.database} for {run}")
        if self.fails is not None:
            state = BesideState.FAILED
        else:
            state = BesideState.RESTORING if self.slow else BesideState.RESTORED
        self.databases[order.database] = BesideDatabase(
            name=order.database, oid=90 + len(self.done), state=state, backup=order.backup,
            identity=order.identity, run=run, why=self.fails,
        )  # fmt: skip

    def stop_restore(self, database: str) -> None:
        self.done.append(f"stop {database}")

    def restore_state(self, database: str) -> BesideDatabase:
        absent = BesideDatabase(name=database, oid=0, state=BesideState.ABSENT)
        return self.databases.get(database, absent)

    def drop_beside(self, database: str) -> None:
        if database == self.live_name:
            raise Refused(
                msg("It is live."), state=msg("Nothing was changed."), next_command="backout status"
            )
        self.done.append(f"drop {database}")
        self.databases.pop(database, None)

    def check_restored(self, database: str, live: str, *, note: Note) -> Checked:
        self.done.append(f"look into {database}")
        return Checked(self.fingerprint, None, self.rows, self.problems, "3")

    def catch_up(self, database: str, live: str) -> tuple[Message, ...]:
        return ()

    def written(self, database: str, deadline_s: float) -> str:
        return "3"

    def counts(self, database: str, *, exact: bool, deadline_s: float) -> dict[str, int]:
        return self.rows

    def sequences(self, deadline_s: float) -> tuple[tuple[str, str, int], ...]:
        return ()

    def advance_sequences(self, reached: tuple[tuple[str, str, int], ...]) -> int:
        return 0

    def compare_counts(self, beside: str, deadline_s: float) -> tuple[TableCount, ...]:
        return self.counted

    def doctor_restores(self) -> Iterable[Diagnosis]:
        return ()

    def in_the_way(self) -> InTheWay:
        return InTheWay(self.blocked, ())

    def swap_blockers(self, order: SwapOrder) -> tuple[Message, ...]:
        return self.blocked

    def swap(self, order: SwapOrder, *, note: Note) -> float:
        if self.swap_state(order):
            return 0.0
        self.done.append(f"swap {order.beside}")
        self.accepts = True
        if self._made(order):
            return 0.0
        beside = self.databases.pop(order.beside, None)
        if beside is None:
            raise StepFailed(
                msg("There is no database {name}.", name=order.beside),
                state=msg("Nothing was swapped."),
                next_command="backout status",
            )
        self.databases[order.kept] = BesideDatabase(
            name=order.kept, oid=self.live_oid, state=BesideState.KEPT, identity=None
        )
        self.live_oid = beside.oid
        return 0.25

    def _made(self, order: SwapOrder) -> bool:
        kept = self.databases.get(order.kept)
        if order.beside_oid is not None:
            return self.live_oid == order.beside_oid
        return kept is not None and kept.oid == order.live_oid

    def swap_state(self, order: SwapOrder) -> bool | None:
        return self._made(order) if self.accepts else None

    def closed_means(self) -> HoldFact | None:
        return None

    def differences(
        self, kept: str, *, tables: tuple[str, ...], examples: int, note: Note
    ) -> tuple[TableDifference, ...]:
        return self.found

    def bring(
        self, kept: str, table: str, *, where: str | None, take_updated: bool, dry_run: bool, note: Note
    ) -> Brought:
        raise NotImplementedError
