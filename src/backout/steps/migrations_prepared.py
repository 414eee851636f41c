"""Steps that build and compute, before anything is stopped, what the way back of migrations could not wait for; and drop it again."""

from __future__ import annotations

from backout.errors import StepFailed
from backout.faults import fault_point
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.steps.migrations import database_of, ids_of, names_of


class Prepare:
    """`migrations.prepare`: the indexes of keys that come back are built, and many values computed, while everybody works."""

    kind = "migrations.prepare"

    def describe(self, spec: StepSpec) -> Message:
        """Say what it builds, and whom it hinders."""
        return msg(
            "Build the indexes of the keys that come back with migration {ids}, and compute values that take long, while "
            "everybody works. From then on the later release is refused what these keys do not allow.",
            ids=names_of(ids_of(spec)),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Say that the next command does it."""
        return (f"# backout db rollback builds them itself: migrations {names_of(ids_of(spec))}",)

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("A value is there more than once."),
                then=msg("Nothing is changed; the run stops, and backout db status shows the values."),
            ),
            Hazard(
                what=msg("A transaction is open for long: PostgreSQL waits for it before an index is ready."),
                then=msg("Nobody waits behind this; the run goes on when that transaction has ended."),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """The schema stays the one that it is, but for hidden things."""
        return (world,)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Take them away."""
        return spec.model_copy(update={"kind": Unprepare.kind})

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask the catalog what is not built."""
        missing = database_of(acting).migrations_prepared(ids_of(spec)).missing
        if not missing:
            return Probe(answer=Probed.DONE, evidence=msg("All that is needed is built and computed."))
        return Probe(
            answer=Probed.NOT_DONE, evidence=msg("Not done: {statements}", statements="; ".join(missing))
        )

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Expect nothing."""

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Build them. Idempotent.

        Raises:
            StepFailed: One cannot be built; none of them is there.
        """
        acting.fence.check()
        done = database_of(acting).prepare_migrations(ids_of(spec))
        fault_point("migrations.prepare.after")
        if done.unfinished:
            first = done.unfinished[0]
            raise StepFailed(
                msg("{statement} failed: {why}.", statement=first.statement, why=first.why.rstrip(".")),
                state=msg("Nothing was changed: no index that was built for it is left."),
                next_command="backout db status   # then: backout resume, or backout abort",
            )
        return Receipt(what=msg("{count} thing(s) are prepared.", count=len(done.done)))


class Unprepare:
    """`migrations.unprepare`: what was built for the way back is dropped, as it is not taken."""

    kind = "migrations.unprepare"

    def describe(self, spec: StepSpec) -> Message:
        """Say what is dropped."""
        return msg(
            "Drop the indexes that were built for the way back of migration {ids}.",
            ids=names_of(ids_of(spec)),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the tool's own command."""
        return (f"backout db finish   # drops what migrations {names_of(ids_of(spec))} need no more",)

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """None."""
        return ()

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """The schema stays the one that it is, but for hidden things."""
        return (world,)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Build them."""
        return spec.model_copy(update={"kind": Prepare.kind})

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask the catalog what is built."""
        built = database_of(acting).migrations_prepared(ids_of(spec)).built
        if not built:
            return Probe(
                answer=Probed.DONE, evidence=msg("No index is left that was built for the way back.")
            )
        return Probe(answer=Probed.NOT_DONE, evidence=msg("Due: {statements}", statements="; ".join(built)))

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Expect nothing."""

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Drop them. Idempotent."""
        acting.fence.check()
        database_of(acting).unprepare_migrations(ids_of(spec))
        return Receipt(what=msg("No index is left that was built for the way back."))
