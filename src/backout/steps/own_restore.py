"""`restore.command`: a person's own script restores the backup over the live database, never twice at the same time."""

from __future__ import annotations

import dataclasses
import shlex

from backout.errors import LostRace, StepFailed
from backout.message import Message, msg
from backout.observed import Answer
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.restores.command import OwnScript
from backout.steps.overwriting import comes_back_by, refuse_unheld

_HALF = "half restored by a script"


class RestoreByScript:
    """Starts the script through the launcher, and lets the declared probe tell what it did."""

    kind = "restore.command"

    def describe(self, spec: StepSpec) -> Message:
        """Say what is overwritten by what."""
        return msg(
            "Overwrite {database} with backup {name} by your own script: {command}.",
            database=str(spec.params["database"]),
            name=str(spec.params["name"]),
            command=_line(spec),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would type."""
        return (f"cd {shlex.quote(str(spec.params['cwd']))} && {_line(spec)}",)

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("The script fails half-way, or takes longer than {s:g} s.", s=spec.timeout_s),
                then=msg(
                    "The run stops with everything held and shows its last lines; a script that runs on is not ended. "
                    "Resume goes on; the way back is the safety backup."
                ),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """A script is not looked into: half done, the schema may be any."""
        fingerprint = spec.params["fingerprint"]
        done = None if fingerprint is None else str(fingerprint)
        return (
            world,
            dataclasses.replace(world, fingerprint=_HALF),
            dataclasses.replace(world, fingerprint=done),
        )

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Return None: nothing keeps what it overwrites but the safety backup."""
        return None

    def no_inverse_because(self, spec: StepSpec) -> Message:
        """Name the safety backup, and the command that restores it."""
        return comes_back_by(spec)

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look whether the script of this very step runs; else, once it was started, ask the declared probe."""
        script, name = _script(acting), str(spec.params["name"])
        started = script.started()
        if started is None or started.step != acting.step_name:
            # An earlier restore of the same backup is none of this run: rows were written since.
            evidence = msg("This run has not started the script for {name}.", name=name)
            return Probe(answer=Probed.NOT_DONE, evidence=evidence)
        if script.job.running():
            evidence = msg("The script for {name} runs.", name=name)
            return Probe(answer=Probed.PARTIAL, evidence=evidence, in_progress=True)
        answer, why = script.restored(_stands_for(spec))
        evidence = msg(
            "Whether {name} is restored: {answer}; {why}; {ended}",
            name=name,
            answer=answer.value,
            why=why,
            ended=script.how_it_ended(),
        )
        told = {Answer.YES: Probed.DONE, Answer.NO: Probed.NOT_DONE, Answer.UNKNOWN: Probed.UNKNOWN}
        return Probe(answer=told[answer], evidence=evidence)

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Refuse a plan that was made for another script, and one whose hold somebody let go.

        Raises:
            LostRace: The configured script is another one.
            StepFailed: Writes are not held any more.
        """
        script = _script(acting)
        if spec.params["command"] != script.shown(_stands_for(spec)) or spec.params["cwd"] != str(script.cwd):
            raise LostRace(
                msg("The configured restore script changed since the plan was made"),
                state=msg("No script was started by this attempt."),
                next_command="backout plan",
            )
        started = script.started()
        # A script that drops and creates the database has dropped its hold too; it must be possible to run it again.
        again = started is not None and started.step == acting.step_name
        refuse_unheld(spec, acting, but=("database",) if again else ())

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Start the script.

        Idempotent: while a script runs, none is started.

        Raises:
            StepFailed: It cannot be started, or that of another run still runs.
        """
        script, name = _script(acting), str(spec.params["name"])
        acting.fence.check()
        if not script.start(acting.step_name, _stands_for(spec)):
            raise StepFailed(
                msg(
                    "A restore script still runs, for {other}.",
                    other=script.job.label() or "an unknown backup",
                ),
                state=msg("The script for {name} was not started.", name=name),
                next_command=f"tail -f {shlex.quote(str(script.job.log))}",
            )
        return Receipt(what=msg("Started the script for {name}.", name=name))


def _script(acting: Acting) -> OwnScript:
    return acting.target("restore", OwnScript)


def _stands_for(spec: StepSpec) -> dict[str, str]:
    return {name: str(spec.params[name]) for name in ("path", "name", "database")}


def _line(spec: StepSpec) -> str:
    words = spec.params["command"]
    return shlex.join(map(str, words)) if isinstance(words, list) else ""
