"""Steps around the moment in which the restored database becomes the live one: count, swap, compare."""

from __future__ import annotations

import shlex

from backout.databases.restores import Comparable, Restorable
from backout.document import Json
from backout.errors import LossAboveCeiling, StepFailed
from backout.faults import fault_point
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.plan.restoring import rows_behind
from backout.steps.exchange import exchanged, order_of, worlds
from backout.steps.looking import LookingStep
from backout.steps.servers import options

_EXAMPLES = 5
_COUNT_S = 2.0
"""What cannot be counted within this is estimated: an incident does not wait for a count."""


class CountRows(LookingStep):
    """`data.count`: rows on both sides, held against what was approved. Only reads: cut short, it counts again."""

    kind = "data.count"

    def describe(self, spec: StepSpec) -> Message:
        """Say what it is held against."""
        ceiling = spec.params["ceiling_rows"]
        if ceiling is None:
            return msg("Count the rows that the live database has and the backup has not.")
        return msg(
            "Count the rows that the backup has not: at most {ceiling} may stay behind.", ceiling=str(ceiling)
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the query to run on both."""
        query = "SELECT relname, n_live_tup FROM pg_stat_user_tables ORDER BY 1"
        return (
            f'psql "$DATABASE_URL" -c "{query}"',
            f'psql {options(spec.params.get("server"))}-d {shlex.quote(str(spec.params["beside"]))} -c "{query}"',
        )

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Count; raises `LossAboveCeiling`."""
        ceiling = spec.params["ceiling_rows"]
        counts = _database(acting).compare_counts(str(spec.params["beside"]), _COUNT_S)
        behind = rows_behind(counts) or 0
        exact = all(c.live_exact and c.restored_exact for c in counts)
        if isinstance(ceiling, int) and behind > ceiling:
            raise LossAboveCeiling(
                msg(
                    "{rows} rows would stay behind, and {ceiling} were approved.",
                    rows=behind,
                    ceiling=ceiling,
                ),
                state=msg("Nothing was swapped; the restored database stands beside the live one."),
                next_command=f"backout abort   # then: backout plan … --max-loss {behind}",
            )
        data: list[Json] = [c.model_dump(mode="json") for c in counts]
        return Receipt(
            what=msg(
                "{rows} rows of the live database are not in the backup ({how}).",
                rows=behind,
                how="counted" if exact else "large tables estimated",
            ),
            data={"counts": data, "rows_behind": behind},
        )


class SwapData:
    """`data.swap`: the restored database is the live one; the other one is kept under a dated name."""

    kind = "data.swap"

    def describe(self, spec: StepSpec) -> Message:
        """Say what becomes what."""
        order = order_of(spec)
        return msg(
            "Swap: {beside} becomes {live}, and what is live now is kept as {kept}.",
            beside=order.beside,
            live=order.live,
            kept=order.kept,
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the statements, for psql in the maintenance database."""
        order = order_of(spec)
        live, beside, kept = (_quoted(n) for n in (order.live, order.beside, order.kept))
        text = order.live.replace("'", "''")
        return (
            "psql -d postgres <<'SQL'",
            f"ALTER DATABASE {live} ALLOW_CONNECTIONS false;",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{text}';",
            "BEGIN;",
            f"ALTER DATABASE {live} RENAME TO {kept};",
            f"ALTER DATABASE {beside} RENAME TO {live};",
            "COMMIT;",
            "SQL",
            "# sequences first: no number that was given out may be given out again (setval to the larger of both)",
        )

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("A session cannot be ended, or the server restarts in the middle."),
                then=msg(
                    "Both renames happen or none; resume swaps again, abort and release-hold open the old one again."
                ),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """The schema is the restored one; in between nobody can connect, so that nothing is served."""
        return worlds(spec, world)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Swapping back: names and numbers exchanged."""
        order = order_of(spec)
        return exchanged(spec, live=order.live, beside=order.kept, kept=order.beside)

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask which one is live."""
        order = order_of(spec)
        done = _database(acting).swap_state(order)
        if done is None:
            evidence = msg("Nobody can connect to {live}: a swap was cut short.", live=order.live)
            return Probe(answer=Probed.PARTIAL, evidence=evidence)
        if done:
            return Probe(
                answer=Probed.DONE,
                evidence=msg("{live} is the restored one; {kept} is kept.", live=order.live, kept=order.kept),
            )
        return Probe(answer=Probed.NOT_DONE, evidence=msg("{live} is still as it was.", live=order.live))

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Look once more at what would keep the swap from being made.

        Raises:
            StepFailed: Something would.
        """
        order = order_of(spec)
        found = _database(acting).swap_blockers(order)
        if found:
            raise StepFailed(
                msg("The swap cannot be made: {blockers}", blockers="; ".join(str(b) for b in found)),
                state=msg("Nothing was swapped; {live} is as it was.", live=order.live),
                next_command="backout resume   # once that is gone",
            )

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Swap."""
        order = order_of(spec)
        acting.fence.check()
        fault_point("swap.before")
        seconds = _database(acting).swap(order, note=acting.note)
        fault_point("swap.after")
        return Receipt(
            what=msg("Swapped; nobody could write for {seconds:.2f} s.", seconds=seconds),
            data={"closed_s": round(seconds, 3)},
        )


class CompareData(LookingStep):
    """`data.compare`: what the kept database has that the live one has not, for the report. Only reads, and locks nothing."""

    kind = "data.compare"

    def describe(self, spec: StepSpec) -> Message:
        """Say what is compared."""
        return msg(
            "List what {kept} has that the live database has not (the service works meanwhile).",
            kept=str(spec.params["kept"]),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the tool's own command."""
        return ("backout data diff",)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Compare; nothing is locked."""
        database = acting.target("database", Comparable)
        found = database.differences(
            str(spec.params["kept"]), tables=(), examples=_EXAMPLES, note=acting.note
        )
        changed = [d for d in found if d.inserted or d.updated or d.deleted or d.unknown]
        rows = sum(d.inserted for d in changed)
        data: list[Json] = [d.model_dump(mode="json") for d in changed]
        return Receipt(
            what=msg(
                "Since the backup: {rows} rows inserted, {updated} updated, {deleted} deleted, in {tables} tables.",
                rows=rows,
                updated=sum(d.updated for d in changed),
                deleted=sum(d.deleted for d in changed),
                tables=len(changed),
            ),
            data={"differences": data},
        )


def _database(acting: Acting) -> Restorable:
    return acting.target("database", Restorable)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
