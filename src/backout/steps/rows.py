"""`data.rows`: rows and sequences of the live database before and after it is overwritten, held against what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from backout.backup import TableCount
from backout.databases.restores import Restorable
from backout.document import Json
from backout.errors import LossAboveCeiling, StepFailed, TargetUnreachable
from backout.message import Message, msg
from backout.plan.base import Acting, Receipt
from backout.plan.model import StepSpec
from backout.plan.restoring import rows_behind
from backout.steps.looking import LookingStep

if TYPE_CHECKING:
    from backout.schema import Schema

_COUNT_S = 60.0
_SCHEMA_S = 30.0
_LOOK_S = 10.0


@runtime_checkable
class HasSchema(Protocol):
    """A database whose schema can be read."""

    def schema(self, deadline_s: float) -> Schema:
        """Read it in one snapshot."""
        ...


class CountLive(LookingStep):
    """Counts; before: not more may be lost than was approved; after: the schema is one that the release can use.

    A script puts sequences back to what the backup had: afterwards they are set past what was given out before. That is no
    looking, but can be done again at any time.
    """

    kind = "data.rows"

    def describe(self, spec: StepSpec) -> Message:
        """Say what it is held against."""
        database, ceiling = str(spec.params["database"]), spec.params["ceiling_rows"]
        if spec.params["when"] == "after":
            return msg(
                "Count the rows of {database}, compare its schema with the release's, and set sequences past every number that "
                "was given out.",
                database=database,
            )
        if ceiling is None:
            return msg("Count the rows of {database} before it is overwritten.", database=database)
        return msg(
            "Count the rows of {database}: at most {ceiling} may be missing from the backup.",
            database=database,
            ceiling=str(ceiling),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the queries."""
        return (
            'psql "$DATABASE_URL" -c "SELECT relname, n_live_tup FROM pg_stat_user_tables ORDER BY 1"',
            'psql "$DATABASE_URL" -c "SELECT schemaname, sequencename, last_value FROM pg_sequences"   # setval where it was larger before',
        )

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Count, and compare.

        Raises:
            LossAboveCeiling: More rows would be lost than was approved.
            StepFailed: The schema is not one that the release is known to use.
            NotPossible: The role may not read or set a sequence.
        """
        name = str(spec.params["database"])
        rows, exact = _count(name, acting)
        data: dict[str, Json] = {"when": spec.params["when"], "rows": dict(rows), "exact": exact}
        database = acting.target("database", Restorable)
        if spec.params["when"] == "before":
            _refuse_losses(spec, rows)
            data["sequences"] = [list(one) for one in database.sequences(_LOOK_S)]
        else:
            _refuse_schema(spec, acting)
            acting.fence.check()
            data["sequences_set"] = database.advance_sequences(_given_out(acting))
        return Receipt(
            what=msg(
                "{database} has {rows} rows in {tables} tables ({how}).",
                database=name,
                rows=sum(rows.values()),
                tables=len(rows),
                how="counted" if exact else "estimated",
            ),
            data=data,
        )


def _given_out(acting: Acting) -> tuple[tuple[str, str, int], ...]:
    """Return what sequences had reached before anything was overwritten, as this run's own receipt tells."""
    for receipt in acting.confirmed.values():
        told = receipt.data.get("sequences")
        if isinstance(told, list):
            return tuple(
                (str(one[0]), str(one[1]), int(str(one[2]))) for one in told if isinstance(one, list)
            )
    return ()


def _count(name: str, acting: Acting) -> tuple[dict[str, int], bool]:
    database = acting.target("database", Restorable)
    try:
        return database.counts(name, exact=True, deadline_s=_COUNT_S), True
    except TargetUnreachable:
        return database.counts(name, exact=False, deadline_s=_COUNT_S), False


def _refuse_losses(spec: StepSpec, rows: dict[str, int]) -> None:
    then, ceiling = spec.params["then"], spec.params["ceiling_rows"]
    assert isinstance(then, dict)
    known = {table: count for table, count in then.items() if isinstance(count, int)}
    behind = rows_behind(
        tuple(TableCount(table=t, live=rows.get(t), restored=known.get(t)) for t in {*rows, *known})
    )
    if behind is not None and isinstance(ceiling, int) and behind > ceiling:
        raise LossAboveCeiling(
            msg("{rows} rows would be lost, and {ceiling} were approved.", rows=behind, ceiling=ceiling),
            state=msg("Nothing was overwritten; writes are held."),
            next_command=f"backout abort   # then: backout plan … --max-loss {behind}",
        )


def _refuse_schema(spec: StepSpec, acting: Acting) -> None:
    usable = spec.params["usable"]
    found = acting.target("database", HasSchema).schema(_SCHEMA_S).fingerprint
    if isinstance(usable, list) and usable and found not in usable:
        raise StepFailed(
            msg(
                "What was restored has a schema that the release is not known to use ({fingerprint}).",
                fingerprint=found[:19],
            ),
            state=msg("The live database is as the script left it, and writes are held."),
            next_command="backout resume   # once its schema is right",
        )
