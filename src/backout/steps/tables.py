"""Steps that take chosen tables back: looked at first, then made equal in one transaction of the live database."""

from __future__ import annotations

from backout.backup import TableDifference
from backout.databases.restores import RestoresTables
from backout.document import Json
from backout.errors import LossAboveCeiling
from backout.faults import fault_point
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.steps.looking import LookingStep
from backout.steps.overwriting import comes_back_by, refuse_unheld


class CheckTables(LookingStep):
    """`tables.check`: the tables can be made equal, and not more rows would go than was approved."""

    kind = "tables.check"

    def describe(self, spec: StepSpec) -> Message:
        """Say which tables, and the limit."""
        tables, ceiling = ", ".join(_tables(spec)), spec.params["ceiling_rows"]
        if ceiling is None:
            return msg("Compare {tables} with the backup.", tables=tables)
        return msg(
            "Compare {tables} with the backup: at most {ceiling} rows may go that it has not.",
            tables=tables,
            ceiling=str(ceiling),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what to run on both, and to compare."""
        return tuple(
            f'psql "{where}" -c "\\copy (SELECT * FROM {table} ORDER BY 1) TO {table}.{what}.tsv"'
            for table in _tables(spec)
            for where, what in (("$DATABASE_URL", "live"), (f"dbname={spec.params['beside']}", "backup"))
        )

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Compare; raises `LossAboveCeiling`."""
        found = _compare(spec, acting)
        removed, ceiling = sum(d.deleted for d in found), spec.params["ceiling_rows"]
        if isinstance(ceiling, int) and removed > ceiling:
            raise LossAboveCeiling(
                msg(
                    "{rows} rows would be removed, and {ceiling} were approved.",
                    rows=removed,
                    ceiling=ceiling,
                ),
                state=msg("Nothing was changed; the restored database stands beside the live one."),
                next_command=f"backout abort   # then: backout plan … --max-loss {removed}",
            )
        return Receipt(what=_told(found), data={"differences": _listed(found)})


class RestoreTables:
    """`tables.restore`: the tables of the live database are equal to those of the backup; all others are as they were."""

    kind = "tables.restore"

    def describe(self, spec: StepSpec) -> Message:
        """Say which tables."""
        return msg(
            "Make {tables} of {database} equal to the backup, in one transaction; other tables stay as they are.",
            tables=", ".join(_tables(spec)),
            database=str(spec.params["database"]),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the shape of it; the columns are the table's own."""
        lines = []
        for table in _tables(spec):
            lines += [
                f'pg_dump --data-only --table={table} "dbname={spec.params["beside"]}" >{table}.sql',
                f"# in one transaction of the live database: DELETE FROM {table}, then \\i {table}.sql",
            ]
        return tuple(lines)

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg(
                    "Another table refers to a row that has to go, or the connection is lost in the middle."
                ),
                then=msg("It is one transaction: nothing was changed; the run stops, and abort lets go."),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Return the world as it is: the schema stays."""
        return (world,)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Return None: nothing keeps what it overwrites but the safety backup."""
        return None

    def no_inverse_because(self, spec: StepSpec) -> Message:
        """Name the safety backup, and the command that brings the tables back."""
        return comes_back_by(spec, tuple(_tables(spec)))

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Compare: equal is done."""
        found = _compare(spec, acting)
        equal = not any(d.inserted or d.updated or d.deleted for d in found)
        return Probe(answer=Probed.DONE if equal else Probed.NOT_DONE, evidence=_told(found))

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Expect that writes are held; raises `StepFailed`."""
        refuse_unheld(spec, acting)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Make them equal; nothing is half done when it raises."""
        ceiling = spec.params["ceiling_rows"]
        acting.fence.check()
        fault_point("tables.restore.before")
        found = _database(acting).restore_tables(
            str(spec.params["beside"]),
            tuple(_tables(spec)),
            max_deleted=ceiling if isinstance(ceiling, int) else None,
            note=acting.note,
        )
        fault_point("tables.restore.after")
        return Receipt(what=_told(found), data={"differences": _listed(found)})


def _compare(spec: StepSpec, acting: Acting) -> tuple[TableDifference, ...]:
    return _database(acting).compare_tables(
        str(spec.params["beside"]), tuple(_tables(spec)), note=acting.note
    )


def _told(found: tuple[TableDifference, ...]) -> Message:
    return msg(
        "{inserted} rows come back, {updated} are overwritten, {deleted} removed, in {tables} tables.",
        inserted=sum(d.inserted for d in found),
        updated=sum(d.updated for d in found),
        deleted=sum(d.deleted for d in found),
        tables=len(found),
    )


def _listed(found: tuple[TableDifference, ...]) -> list[Json]:
    return [d.model_dump(mode="json") for d in found]


def _tables(spec: StepSpec) -> list[str]:
    tables = spec.params["tables"]
    assert isinstance(tables, list)
    return [str(table) for table in tables]


def _database(acting: Acting) -> RestoresTables:
    return acting.target("database", RestoresTables)
