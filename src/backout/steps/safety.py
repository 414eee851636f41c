"""`backup.safety`: what is overwritten next stands in a backup of its own, which was read back."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from backout.faults import fault_point
from backout.message import Message, msg
from backout.plan.assembly import ADDS_ONLY
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.steps.overwriting import refuse_unheld

if TYPE_CHECKING:
    from backout.backup import Backup
    from backout.databases.restores import Note


@runtime_checkable
class MakesSafety(Protocol):
    """Makes a backup for one step of a run, and knows it again."""

    def safety_of(self, step: str, name: str) -> Backup | None:
        """Return the backup of that name if this step made it and read it back; None: it did not, or it is gone."""
        ...

    def make_safety(self, step: str, name: str, tables: tuple[str, ...], note: Note) -> Backup:
        """Make it (of `tables` alone, if there are any) and read it back; raises `StepFailed`. Idempotent."""
        ...


class SafetyBackup:
    """Made while writes are held, so that it has every row that is overwritten later."""

    kind = "backup.safety"

    def describe(self, spec: StepSpec) -> Message:
        """Say of what."""
        tables = _tables(spec)
        if tables:
            return msg(
                "Back up {tables} of {database} as they are now, as {name}, and read it back: they are overwritten next.",
                tables=", ".join(tables),
                database=str(spec.params["database"]),
                name=str(spec.params["name"]),
            )
        return msg(
            "Back up {database} as it is now, as {name}, and read it back: it is overwritten next.",
            database=str(spec.params["database"]),
            name=str(spec.params["name"]),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the command."""
        only = "".join(f" --table={quote(table)}" for table in _tables(spec))
        return (
            f'pg_dump -Fd -j 2{only} -f "{spec.params["name"]}" "$DATABASE_URL"',
            f'pg_restore -f /dev/null "{spec.params["name"]}"',
        )

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("The disk of the backups fills, the dump takes long, or it cannot be read back."),
                then=msg(
                    "Nothing was overwritten; the run stops with everything held, and abort lets go again."
                ),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Return the world as it is."""
        return (world,)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Return None: the backup stays, also when the run is undone."""
        return None

    def no_inverse_because(self, spec: StepSpec) -> Message:
        """Say that it only adds."""
        return ADDS_ONLY

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look whether this step made it and read it back."""
        name = str(spec.params["name"])
        if _maker(acting).safety_of(acting.step_name, name) is None:
            return Probe(
                answer=Probed.NOT_DONE,
                evidence=msg("There is no safety backup {name} that was read back yet.", name=name),
            )
        return Probe(
            answer=Probed.DONE, evidence=msg("The safety backup {name} is there and whole.", name=name)
        )

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Expect that writes are held; raises `StepFailed`."""
        refuse_unheld(spec, acting)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Dump it, and read it back."""
        acting.fence.check()
        fault_point("backup.safety.before")
        made = _maker(acting).make_safety(
            acting.step_name, str(spec.params["name"]), tuple(_tables(spec)), acting.note
        )
        fault_point("backup.safety.after")
        return Receipt(
            what=msg("{name} is made and read back: {bytes} bytes.", name=made.name, bytes=made.size_bytes),
            data={"backup": made.name, "size_bytes": made.size_bytes},
        )


def _tables(spec: StepSpec) -> list[str]:
    tables = spec.params.get("tables")  # plans from before it have none
    return [str(table) for table in tables] if isinstance(tables, list) else []


def _maker(acting: Acting) -> MakesSafety:
    return acting.target("safety", MakesSafety)
