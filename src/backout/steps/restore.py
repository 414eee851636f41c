"""Steps that bring a backup back beside the live database: read it, restore it, look whether it is whole."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from backout.backup import Backup, BesideState, RestoreOrder
from backout.databases.restores import Restorable
from backout.errors import BackoutError, BackupUnusable
from backout.faults import fault_point
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.steps.looking import LookingStep
from backout.steps.servers import options

if TYPE_CHECKING:
    from backout.backup import Reading
    from backout.databases.restores import Checked, Note

_BESIDE_IS_HARMLESS = msg("The live database is not touched; the run stops, and the new one can be dropped.")


@runtime_checkable
class BackupReader(Protocol):
    """Reads backups to their end, and remembers what it read."""

    def good(self, backup: Backup, note: Note) -> Reading:
        """Return what reading the backup told, from memory where that is fresh.

        Raises:
            BackupUnusable: It cannot be restored, with every reason.
        """
        ...

    def checked(self, name: str) -> Checked | None:
        """Return what was found in a database when it was prepared, if nobody has written to it since; else None."""
        ...


class ReadBackup(LookingStep):
    """`backup.read`: the backup is whole, of this database, and would not leave the new one. Only reads; the journal has it."""

    kind = "backup.read"

    def describe(self, spec: StepSpec) -> Message:
        """Say which."""
        return msg("Read backup {name} to its end: whole, of this database, safe.", name=_backup(spec).name)

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what reads it to its end."""
        backup = _backup(spec)
        path = shlex.quote(backup.path)
        if backup.format.value == "plain gzip":
            return (f"gunzip -t {path} && zcat {path} | tail -5   # says: dump complete",)
        if backup.format.value == "plain":
            return (f"tail -5 {path}   # says: dump complete",)
        return (f"pg_restore -f /dev/null {path}",)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Read it; raises `BackupUnusable`."""
        backup = _backup(spec)
        reading = acting.target("backups", BackupReader).good(backup, acting.note)
        return Receipt(
            what=msg(
                "{name} is whole: {tables} tables, read in {seconds:.1f} s.",
                name=backup.name,
                tables=len(reading.tables),
                seconds=reading.seconds,
            ),
            data={"reading": reading.model_dump(mode="json")},
        )


class RestoreBeside:
    """`restore.beside`: the backup stands restored in a new database; the live one is not touched."""

    kind = "restore.beside"

    def describe(self, spec: StepSpec) -> Message:
        """Say what goes where."""
        order = _order(spec)
        if order.server is not None:
            return msg(
                "Restore {backup} on {server}, as {database}.",
                backup=order.backup, server=order.server, database=order.database,
            )  # fmt: skip
        return msg(
            "Restore {backup} beside the live database, as {database}.",
            backup=order.backup,
            database=order.database,
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the commands of the format."""
        order = _order(spec)
        name, path = shlex.quote(order.database), shlex.quote(order.path)
        at = options(order.server)
        make, into = f"createdb {at}-T template0 {name}", f"{at}-d {name}"
        if order.format.value == "plain gzip":
            return (make, f"gunzip -c {path} | psql -X -v ON_ERROR_STOP=1 -1 {into}")
        if order.format.value == "plain":
            return (make, f"psql -X -v ON_ERROR_STOP=1 -1 {into} -f {path}")
        return (make, f"pg_restore -j {order.jobs} --exit-on-error {into} {path}")

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("The disk fills, the server restarts, or the backup does not fit."),
                then=_BESIDE_IS_HARMLESS,
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Return the world as it is: nobody knows the new database."""
        return (world,)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Dropping it."""
        return spec.model_copy(update={"kind": "restore.drop"})

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask how far it is; a kept database of that name was swapped in once, and out again."""
        order = _order(spec)
        found = _database(acting).restore_state(order.database)
        if found.state in (BesideState.RESTORED, BesideState.KEPT):
            if found.identity != order.identity:
                return Probe(
                    answer=Probed.UNKNOWN,
                    evidence=msg(
                        "{database} holds another backup ({other}).",
                        database=order.database,
                        other=found.backup,
                    ),
                )
            return Probe(
                answer=Probed.DONE,
                evidence=msg(
                    "{database} stands restored from {backup}.", database=order.database, backup=order.backup
                ),
            )
        if found.state is BesideState.RESTORING:
            return Probe(
                answer=Probed.PARTIAL,
                evidence=msg(
                    "{database} is being restored. {why}", database=order.database, why=found.why or ""
                ),
                in_progress=True,
            )
        evidence = (
            msg("The restore into {database} failed: {why}", database=order.database, why=found.why)
            if found.state is BesideState.FAILED
            else msg("{database} is {state}.", database=order.database, state=found.state.value)
        )
        return Probe(answer=Probed.NOT_DONE, evidence=evidence)

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Expect nothing."""

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Start it, anew if it was cut short; it goes on by itself."""
        order = _order(spec)
        acting.fence.check()
        fault_point("restore.start.before")
        try:
            _database(acting).start_restore(order, acting.step_name.partition("/")[0])
        except BackoutError:
            acting.fence.check()  # Who was taken over in the meantime has to learn that, and nothing else.
            raise
        fault_point("restore.start.after")
        return Receipt(
            what=msg(
                "{backup} is being restored into {database}.", backup=order.backup, database=order.database
            )
        )


class DropBeside:
    """`restore.drop`: the restored database is gone; one that was live once is kept."""

    kind = "restore.drop"

    def describe(self, spec: StepSpec) -> Message:
        """Say which."""
        return msg("Drop {database}, unless it was live meanwhile.", database=_order(spec).database)

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the command."""
        return (
            f"dropdb {options(_order(spec).server)}{shlex.quote(_order(spec).database)}   # not if it was live meanwhile: then it has rows",
        )

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return nothing: it holds nothing that the backup does not hold."""
        return ()

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Return the world as it is: nobody knows that database."""
        return (world,)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Restoring it again: the backup is still there."""
        return spec.model_copy(update={"kind": "restore.beside"})

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask whether it is gone, or has to be kept."""
        name = _order(spec).database
        found = _database(acting).restore_state(name)
        if found.state is BesideState.ABSENT:
            return Probe(answer=Probed.DONE, evidence=msg("{database} is not there.", database=name))
        if found.state is BesideState.KEPT:
            return Probe(
                answer=Probed.DONE,
                evidence=msg("{database} was live: it is kept, with what was written to it.", database=name),
            )
        return Probe(
            answer=Probed.NOT_DONE,
            evidence=msg("{database} is {state}.", database=name, state=found.state.value),
        )

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Expect nothing."""

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """End the restore if it goes on, and drop the database."""
        name, database = _order(spec).database, _database(acting)
        acting.fence.check()
        fault_point("restore.drop.before")
        database.stop_restore(name)
        database.drop_beside(name)
        fault_point("restore.drop.after")
        return Receipt(what=msg("{database} is dropped.", database=name))


class CheckRestored(LookingStep):
    """`restore.check`: what was restored is whole, and is a schema that the release can use."""

    kind = "restore.check"

    def describe(self, spec: StepSpec) -> Message:
        """Say what is looked at."""
        return msg(
            "Check {database}: constraints, indexes, rights and settings, rows counted, schema as the release needs it.",
            database=str(spec.params["beside"]),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the queries."""
        into = f"psql {options(spec.params.get('server'))}-d {shlex.quote(str(spec.params['beside']))}"
        return (
            f'{into} -c "SELECT conrelid::regclass, conname FROM pg_constraint WHERE NOT convalidated"   # none',
            f'{into} -c "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid"   # none',
        )

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Look, and give what was prepared earlier the publications made since; raises `BackupUnusable` for what is not whole."""
        beside, usable = str(spec.params["beside"]), spec.params["usable"]
        assert isinstance(usable, list)
        known = acting.target("backups", BackupReader).checked(beside)
        database, live = _database(acting), str(spec.params["live"])
        found = known or database.check_restored(beside, live, note=acting.note)
        problems = list(found.problems if known is None else database.catch_up(beside, live))
        if usable and found.fingerprint not in usable:
            problems.append(
                msg(
                    "its schema is not one that the release is known to use ({fingerprint})",
                    fingerprint=found.fingerprint[:19],
                )
            )
        problems += _other_rows(spec, found.rows)
        if problems:
            raise BackupUnusable(
                msg(
                    "What was restored into {database} is not as it has to be: {problems}",
                    database=beside,
                    problems="; ".join(str(p) for p in problems),
                ),
                state=_BESIDE_IS_HARMLESS,
                next_command="backout backup list   # then: backout abort, and plan with another one: --backup NAME",
            )
        rows = sum(found.rows.values())
        return Receipt(
            what=msg(
                "{database} is whole: {tables} tables, {rows} rows{when}.",
                database=beside,
                tables=len(found.rows),
                rows=rows,
                when=" (seen when it was prepared, and not written to since)" if known else "",
            ),
            data={"rows": dict(found.rows), "fingerprint": found.fingerprint, "head": found.migration_head},
        )


def _other_rows(spec: StepSpec, rows: Mapping[str, int]) -> list[Message]:
    """Return the tables that do not have the rows that were counted in the backup's own snapshot."""
    expected = spec.params.get("rows", {})
    assert isinstance(expected, dict)
    return [
        msg("{table} has {found} rows, and had {expected} when it was backed up",
            table=table, found=rows.get(table, 0), expected=str(count))
        for table, count in expected.items()
        if rows.get(table, 0) != count
    ]  # fmt: skip


def _backup(spec: StepSpec) -> Backup:
    return Backup.model_validate(spec.params["backup"])


def _order(spec: StepSpec) -> RestoreOrder:
    return RestoreOrder.model_validate(spec.params["order"])


def _database(acting: Acting) -> Restorable:
    return acting.target("database", Restorable)
