"""`sides.start` and `sides.stop`: a side runs, or nothing acts on it any more: neither requests nor workers and crons."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from backout.errors import LostRace, TargetUnreachable
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.platforms.sides import served
from backout.platforms.sides.commands import Commands, Verb
from backout.platforms.sides.platform import SidesPlatform
from backout.platforms.sides.steps import specs


class _Running:
    """What starting and stopping share; params: side, ref, version, and both commands for people."""

    kind: ClassVar[str]
    verb: ClassVar[Verb]

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the declared command."""
        return (str(spec.params[self.verb]),)

    def inverse(self, spec: StepSpec) -> StepSpec:
        """Return the other one."""
        return spec.model_copy(update={"kind": specs.STOP if self.verb == "start" else specs.START})

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Start the command. Idempotent: it is declared harmless when it was so already."""
        acting.fence.check()
        self._commands(spec, acting).run(self.verb, acting.step_name)
        return Receipt(
            what=msg("The {verb} command of side {side} was started.", verb=self.verb, side=_side(spec))
        )

    def _commands(self, spec: StepSpec, acting: Acting) -> Commands:
        return acting.target(spec.target, SidesPlatform).commands(_side(spec))

    def _found(self, spec: StepSpec, acting: Acting) -> str | None:
        platform, name = acting.target(spec.target, SidesPlatform), _side(spec)
        try:
            return served.version_of(name, platform.options.sides[name], platform.options.timeout_s)
        except TargetUnreachable:
            return None

    def _failed(self, spec: StepSpec, commands: Commands, status: int | None) -> Message | None:
        if status in (None, 0):
            return None
        return msg(
            "The {verb} command of side {side} ended with exit status {status}; last lines:\n{lines}",
            verb=self.verb,
            side=_side(spec),
            status=status,
            lines=commands.last_lines(),
        )

    def _runs(self, spec: StepSpec) -> Probe:
        evidence = msg("The command of side {side} runs.", side=_side(spec))
        return Probe(answer=Probed.PARTIAL, evidence=evidence, in_progress=True)


class StartStep(_Running):
    """`sides.start`: done when the side says that it runs what is wanted."""

    kind: ClassVar[str] = specs.START
    verb: ClassVar[Verb] = "start"

    def describe(self, spec: StepSpec) -> Message:
        """Say what is started."""
        return msg("Start side {side} with {version}.", side=_side(spec), version=str(spec.params["version"]))

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("Side {side} does not start within {s} s", side=_side(spec), s=spec.timeout_s),
                then=msg("The run stops and shows its command's last lines; requests go on as before"),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Half done it acts or not; finished it does, though no request reaches it yet."""
        return world, replace(world, serving=world.serving | {str(spec.params["version"])})

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Refuse where the side runs something else: it would not be started by it."""
        found = self._found(spec, acting)
        if found is not None and found != spec.params["ref"]:
            raise LostRace(
                msg(
                    "Side {side} runs {found}, and not {ref}.",
                    side=_side(spec),
                    found=found,
                    ref=str(spec.params["ref"]),
                ),
                state=msg("Nothing was started."),
                next_command="backout plan",
            )

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask the side what it runs, and else how the command stands."""
        commands, found = self._commands(spec, acting), self._found(spec, acting)
        if found == spec.params["ref"]:
            evidence = msg("Side {side} runs {found}.", side=_side(spec), found=found)
            return Probe(answer=Probed.DONE, evidence=evidence)
        if commands.running():
            return self._runs(spec)
        status = commands.ended(self.verb, acting.step_name)
        evidence = (
            msg("Side {side} runs {found}.", side=_side(spec), found=found)
            if found is not None
            else msg("Side {side} does not answer.", side=_side(spec))
        )
        failed = self._failed(spec, commands, status)
        if failed is None and found is None and status == 0:
            return Probe(answer=Probed.PARTIAL, evidence=evidence, in_progress=True)
        return Probe(answer=Probed.NOT_DONE, evidence=failed or evidence)


class StopStep(_Running):
    """`sides.stop`: done when the command of this very step ended well and the side does not answer.

    That it does not answer proves nothing of its workers: so the command is run also for one that is silent already.
    """

    kind: ClassVar[str] = specs.STOP
    verb: ClassVar[Verb] = "stop"

    def describe(self, spec: StepSpec) -> Message:
        """Say what is stopped."""
        return msg(
            "Stop side {side}, so that {version} acts no more, not even without requests.",
            side=_side(spec),
            version=str(spec.params["version"]),
        )

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("Side {side} does not stop within {s} s", side=_side(spec), s=spec.timeout_s),
                then=msg("The run stops and shows its command's last lines"),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Half done it acts or not; finished it does not."""
        gone = {str(spec.params["version"])}
        return world, replace(world, serving=world.serving - gone, workers=world.workers - gone)

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Refuse while requests reach the side, or may be inside it."""
        side = acting.target(spec.target, SidesPlatform).router.traffic(specs.LOOK_S).of(_side(spec))
        if side.admits or side.inside != 0:
            raise LostRace(
                msg(
                    "Side {side} gets requests: {share} %, {n} are inside.",
                    side=side.name,
                    share=side.share,
                    n="perhaps some" if side.inside is None else side.inside,
                ),
                state=msg("It was not stopped."),
                next_command="backout plan",
            )

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look how the command stands, and whether the side answers."""
        commands = self._commands(spec, acting)
        if commands.running():
            return self._runs(spec)
        status, found = commands.ended(self.verb, acting.step_name), self._found(spec, acting)
        failed = self._failed(spec, commands, status)
        if failed is not None or status is None:
            evidence = msg("Side {side} was not stopped by this step.", side=_side(spec))
            return Probe(answer=Probed.NOT_DONE, evidence=failed or evidence)
        if found is not None:
            evidence = msg("Side {side} still answers.", side=_side(spec))
            return Probe(answer=Probed.PARTIAL, evidence=evidence, in_progress=True)
        return Probe(answer=Probed.DONE, evidence=msg("Side {side} is stopped.", side=_side(spec)))


def _side(spec: StepSpec) -> str:
    return str(spec.params["side"])
