"""Steps that take the migrations of a release back, make them again, and do afterwards what takes long and blocks nobody."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from backout.databases.undoing import UndoesMigrations
from backout.document import Json
from backout.errors import BackoutError, Refused, StepFailed, Stopped
from backout.faults import fault_point
from backout.message import Message, msg
from backout.migration_way import Part
from backout.plan.assembly import PROVES_ONLY
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec

if TYPE_CHECKING:
    from backout.migration import WayTaken
    from backout.observed import Workload

_LOOK_S = 10.0
_WHICH = {
    Part.ALL: msg("Take back migration {ids}: one transaction, and nothing that was written is lost."),
    Part.NEEDED: msg(
        "Take back of migration {ids} what the earlier release cannot work with; the later one goes on working."
    ),
    Part.BORNE: msg(
        "Take back the rest of migration {ids}, which the later release needed; nothing that was written is lost."
    ),
}


@runtime_checkable
class Observable(Protocol):
    """A platform, as far as it tells what runs."""

    def observable(self) -> bool:
        """Whether it can tell."""
        ...

    def observe(self, deadline_s: float) -> Workload:
        """Tell what runs."""
        ...


class _Moves:
    """What the two directions share; their parameters are the same but for the schemas, which are exchanged."""

    kind: str
    takes_back: bool
    other: str
    goal: Message

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Another schema stands, from one moment to the next: it is one transaction."""
        return (dataclasses.replace(world, fingerprint=str(spec.params["fingerprint"])),)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """The other direction."""
        turned = {
            "fingerprint": spec.params["prior_fingerprint"],
            "prior_fingerprint": spec.params["fingerprint"],
            "alone": None,
        }
        return spec.model_copy(update={"kind": self.other, "params": {**spec.params, **turned}})

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("A session uses one of the tables, and goes on using it."),
                then=msg(
                    "Locks are asked for and given back until they are to be had, for 10 s; nobody waits behind. Then the "
                    "run stops with the schema as it was: backout db blockers names the session."
                ),
            ),
            Hazard(
                what=msg("A row written since does not fit the schema, or somebody changed it by hand."),
                then=msg("Nothing is changed, and the reason is named: it is all or nothing."),
            ),
        )

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask the journal in the database."""
        database, ids, part = database_of(acting), ids_of(spec), _part(spec)
        standing = database.migrations_left(ids, part, taken_back=True)
        undone = database.migrations_left(ids, part, taken_back=False)
        left, done = (standing, undone) if self.takes_back else (undone, standing)
        if done and not left:
            return Probe(answer=Probed.DONE, evidence=self._done(spec))
        evidence = msg(
            "Of {count} changes of migration {ids}, {done} are so.",
            count=left + done,
            ids=names_of(ids),
            done=done,
        )
        return Probe(answer=Probed.PARTIAL if done else Probed.NOT_DONE, evidence=evidence)

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """See that nothing runs any more that needs what is taken away.

        Raises:
            StepFailed: Something does.
        """
        alone = spec.params.get("alone")
        if alone is None:
            return
        platform = acting.target("platform", Observable)
        if not platform.observable():
            return
        others = sorted({a.ref for a in platform.observe(_LOOK_S).running} - {str(alone)})
        if others:
            raise StepFailed(
                msg("Code still runs that needs what would be taken away: {refs}.", refs=", ".join(others)),
                state=msg("The schema is as it was; {ref} runs on it.", ref=str(alone)),
                next_command="backout resume   # once it has ended",
            )

    def _done(self, spec: StepSpec) -> Message:
        return _about(self.goal, spec)

    def _receipt(self, spec: StepSpec, acting: Acting, done: WayTaken | None) -> Receipt:
        if done is None:
            return Receipt(what=self._done(spec))
        for one in done.unfinished:
            acting.note(
                msg(
                    "This is still due, and failed: {statement}: {why}. Next: backout db status",
                    statement=one.statement,
                    why=one.why.rstrip("."),
                )
            )
        kept = done.rows.kept_count if done.rows is not None else 0
        more = (
            f" {kept} value(s) stay as somebody has written them since (table backout.row_kept)."
            if kept
            else ""
        )
        more += "".join(f" {residue}." for residue in done.residues)
        data: dict[str, Json] = {"way": done.model_dump(mode="json", exclude={"statements"})}
        return Receipt(
            what=msg("{done} Tables were locked for {seconds:.3f} s.{more}", done=str(self._done(spec)),
                     seconds=done.seconds, more=more),
            data=data,
        )  # fmt: skip


class TakeBack(_Moves):
    """`migrations.back`: what these migrations did is taken back; no row and no value is lost."""

    kind = "migrations.back"
    takes_back = True
    other = "migrations.again"
    goal = msg("Migration {ids} is taken back.")

    def describe(self, spec: StepSpec) -> Message:
        """Say which."""
        return _about(_WHICH[_part(spec)], spec)

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the tool's own command, which needs no configuration."""
        line = f"backout db rollback --steps {len(ids_of(spec))}   # migrations {names_of(ids_of(spec))}"
        return (f"{line}; once the later release has stopped" if _part(spec) is not Part.ALL else line,)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Take them back.

        Idempotent: what is back already is left as it is.

        Raises:
            StepFailed: Tables stay in use, or a row does not fit; nothing was changed.
            LostRace: Another migration was made since the plan.
        """
        acting.fence.check()
        fault_point("migrations.before")
        done = _moved(lambda: database_of(acting).take_back(ids_of(spec), _part(spec)))
        fault_point("migrations.after")
        return self._receipt(spec, acting, done)


class MakeAgain(_Moves):
    """`migrations.again`: what was taken back stands as it stood, with what was written meanwhile."""

    kind = "migrations.again"
    takes_back = False
    other = "migrations.back"
    goal = msg("Migration {ids} is made again.")

    def describe(self, spec: StepSpec) -> Message:
        """Say which."""
        return msg("Make migration {ids} again, with all that was written since.", ids=names_of(ids_of(spec)))

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the tool's own command, which needs no configuration."""
        return (f"backout db redo --steps {len(ids_of(spec))}   # migrations {names_of(ids_of(spec))}",)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Make them again; idempotent, and with the errors of `TakeBack.apply`."""
        acting.fence.check()
        fault_point("migrations.again.before")
        done = _moved(lambda: database_of(acting).make_again(ids_of(spec), _part(spec)))
        return self._receipt(spec, acting, done)


class Finish:
    """`migrations.finish`: constraints are proven and indexes built that the way back could not wait for."""

    kind = "migrations.finish"

    def describe(self, spec: StepSpec) -> Message:
        """Say what it does."""
        return msg(
            "Prove constraints and build indexes that are due after the way back; nobody waits for it."
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the tool's own command."""
        return ("backout db finish",)

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("A row written since does not fit a constraint."),
                then=msg("The constraint holds for new rows; backout db status names it until it is proven."),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Nothing that an application can notice."""
        return (world,)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """None: there is nothing to undo."""
        return None

    def no_inverse_because(self, spec: StepSpec) -> Message:
        """Say that nothing has to."""
        return PROVES_ONLY

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask the catalog what is due."""
        found = database_of(acting).migrations_due()
        if not found:
            return Probe(answer=Probed.DONE, evidence=msg("Nothing is due."))
        return Probe(answer=Probed.NOT_DONE, evidence=msg("Due: {statements}", statements="; ".join(found)))

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Expect nothing."""

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Do what is due.

        Raises:
            StepFailed: Something of it failed.
        """
        done = database_of(acting).finish_migrations()
        if done.unfinished:
            first = done.unfinished[0]
            raise StepFailed(
                msg("{statement} failed: {why}.", statement=first.statement, why=first.why.rstrip(".")),
                state=msg("The earlier release runs on its schema; only this is not done."),
                next_command="backout db status   # then: backout resume",
            )
        return Receipt(what=msg("{count} statement(s) that were due are run.", count=len(done.done)))


def _part(spec: StepSpec) -> Part:
    return Part(str(spec.params.get("part", Part.ALL)))


def ids_of(spec: StepSpec) -> tuple[int, ...]:
    """Return the migrations' numbers, oldest first."""
    found = spec.params["migrations"]
    assert isinstance(found, list | tuple)
    return tuple(int(one) for one in found if isinstance(one, int))


def _moved(move: Callable[[], WayTaken | None]) -> WayTaken | None:
    """Move migrations; what stands against it stops the run."""
    try:
        return move()
    except Stopped:
        raise
    except Refused as error:
        way = "backout db status   # then: backout resume, or backout abort"
        raise StepFailed(error.what, state=error.state, next_command=way) from error
    except BackoutError as error:
        way = "backout db blockers   # then: backout resume"
        raise StepFailed(error.what, state=error.state, next_command=way) from error


def _about(said: Message, spec: StepSpec) -> Message:
    return said.model_copy(update={"fields": {"ids": names_of(ids_of(spec))}})


def database_of(acting: Acting) -> UndoesMigrations:
    """Return the database whose migrations a step is about."""
    return acting.target("database", UndoesMigrations)


def names_of(ids: Iterable[int]) -> str:
    """Return the numbers of migrations for a sentence."""
    return " and ".join(map(str, ids))
