"""`process.stop`: ends the process of one release, politely first."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import ClassVar

from backout.errors import LostRace
from backout.faults import fault_point
from backout.launch import Holder
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.platforms.process.family import Child, children_of
from backout.platforms.process.files import disk_errors
from backout.platforms.process.lease import fenced
from backout.platforms.process.processes import Found, send, starting
from backout.platforms.process.service import Service, StopNote, guard_declared, service_of, text_of, told
from backout.platforms.process.steps import specs

_KILL_S = 5.0


class StopStep:
    """Sends the stop signal, and KILL when the patience is over; the probe waits in between.

    What the process had started is asked in the same way when the process is gone.

    The patience is counted from a note on disk, so a new process goes on where a killed one stopped.
    """

    kind: ClassVar[str] = specs.STOP

    def describe(self, spec: StepSpec) -> Message:
        """Say what the step does."""
        return msg(
            "Stop {version}: {signal}, and KILL after {patience_s} s.",
            version=text_of(spec, "version"),
            signal=told(spec)["stop_signal"],
            patience_s=f"{told(spec)['stop_timeout_s']:g}",
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would type."""
        pid_file, signal = shlex.quote(told(spec)["pid_file"]), told(spec)["stop_signal"]
        patience_s = int(told(spec)["stop_timeout_s"]) or 1
        return (
            f'pid=$(cat {pid_file}); ps -o pid,lstart,args -p "$pid"  # is it {text_of(spec, "ref")}?',
            f'kill -{signal} "$pid"',
            f'for i in $(seq {patience_s}0); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done',
            'kill -KILL "$pid" 2>/dev/null || true  # if it is still there',
        )

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("Requests that take longer than {s} s are cut", s=told(spec)["stop_timeout_s"]),
                then=msg("Raise stop_timeout_s before the run"),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Half done it still serves; finished it does not."""
        return world, replace(world, serving=world.serving - {text_of(spec, "version")})

    def inverse(self, spec: StepSpec) -> StepSpec:
        """Return the start of the same release."""
        return specs.start(text_of(spec, "ref"), text_of(spec, "version"), told(spec))

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look whether a process of that release is left."""
        service, ref = service_of(spec, acting), text_of(spec, "ref")
        held = starting(service.layout)
        mine = service.running(ref)
        if not mine:
            return _without_process(ref, held, starting(service.layout))
        note, now = service.stop_note(), acting.clock.now().timestamp()
        evidence = msg("{ref} runs as process {pid}", ref=ref, pid=mine[0].pid)
        unasked = [f for f in mine if note is None or not note.is_about(f)]
        if note is None or unasked:
            # The main process ended and left these: half done, the next apply asks them too.
            left = all(f.by == "stop note" for f in unasked)
            return Probe(answer=Probed.PARTIAL if left else Probed.NOT_DONE, evidence=evidence)
        if note.killed_at is not None:
            evidence = msg(
                "Process {pid} of {ref} was ended by KILL and is still there", pid=mine[0].pid, ref=ref
            )
            return Probe(
                answer=Probed.PARTIAL, evidence=evidence, in_progress=abs(now - note.killed_at) < _KILL_S
            )
        waited_s = abs(now - note.at)
        evidence = msg(
            "Process {pid} of {ref} was asked to end {waited_s} s ago and is still there",
            pid=mine[0].pid,
            ref=ref,
            waited_s=round(waited_s, 1),
        )
        return Probe(
            answer=Probed.PARTIAL, evidence=evidence, in_progress=waited_s < service.options.stop_timeout_s
        )

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Refuse when meanwhile somebody runs something else."""
        service, ref = service_of(spec, acting), text_of(spec, "ref")
        guard_declared(spec, service)
        running = service.running()
        if running and not any(f.ref == ref for f in running):
            raise LostRace(
                msg("{found} runs, the plan was made for {ref}", found=running[0].ref, ref=ref),
                state=msg("Process {pid} was left alone", pid=running[0].pid),
                next_command="backout plan",
            )

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Ask the process to end, or end it when it was asked long enough ago.

        Idempotent: a process that was asked is not asked again; one that is gone is not looked for.
        """
        service, ref = service_of(spec, acting), text_of(spec, "ref")
        with fenced(service.layout, acting), disk_errors(service.layout.state):
            mine = service.running(ref)
            if not mine:
                return Receipt(what=msg("Nothing of {ref} runs", ref=ref))
            note, now = service.stop_note(), acting.clock.now().timestamp()
            if note is None or not all(note.is_about(f) for f in mine):
                return _ask(service, ref, mine, now)
            if note.killed_at is None and abs(now - note.at) < service.options.stop_timeout_s:
                return Receipt(what=msg("{ref} was already asked to end", ref=ref))
            return _kill(service, ref, mine, note.model_copy(update={"killed_at": now}))


def _ask(service: Service, ref: str, mine: tuple[Found, ...], now: float) -> Receipt:
    fault_point("process.stop.before")
    # Whom to look for has to be known before the signal: nobody can tell it of a process that is gone.
    note = StopNote(
        ref=ref, pids=(), at=now, children=_children(service, mine), beside=_beside(service, mine)
    )
    service.write(note)
    fault_point("process.stop.noted")
    for process in mine:
        send(process, service.options.stop_signal)
    # The pids come after the signal: were they first, a kill -9 in between would cost the polite end.
    fault_point("process.stop.sent")
    service.write(note.model_copy(update={"pids": tuple(p for f in mine for p in (f.pid, *f.others))}))
    fault_point("process.stop.after")
    return Receipt(
        what=msg("Asked process {pid} of {ref} to end", pid=mine[0].pid, ref=ref),
        data={"pids": [f.pid for f in mine]},
    )


def _children(service: Service, mine: tuple[Found, ...]) -> tuple[Child, ...]:
    left = [Child(pid=f.pid, created=f.created, ref=f.ref) for f in service.running() if f.by == "stop note"]
    found = {c.pid: c for c in (*left, *children_of(mine, service.layout))}
    return tuple(found.values())


def _beside(service: Service, mine: tuple[Found, ...]) -> tuple[Child, ...]:
    before = service.stop_note()
    if before is not None and all(f.by == "stop note" for f in mine):
        return before.beside  # the service itself is gone: who is beside it cannot be told any more
    return service.beside()


def _kill(service: Service, ref: str, mine: tuple[Found, ...], note: StopNote) -> Receipt:
    fault_point("process.kill.before")
    for process in mine:
        send(process, "KILL", everyone=True)
    service.write(note)
    fault_point("process.kill.after")
    return Receipt(
        what=msg("Ended process {pid} of {ref} by KILL", pid=mine[0].pid, ref=ref),
        data={"pids": [f.pid for f in mine]},
    )


def _without_process(ref: str, before: Holder | None, after: Holder | None) -> Probe:
    if before is None or after is None or after.label not in (ref, None):
        return Probe(answer=Probed.DONE, evidence=msg("Nothing of {ref} runs", ref=ref))
    if before.pid is None:
        evidence = msg("{ref} is just being started", ref=ref)
        return Probe(answer=Probed.PARTIAL, evidence=evidence, in_progress=True)
    evidence = msg("Something that {ref} started runs on in a session of its own", ref=ref)
    return Probe(answer=Probed.UNKNOWN, evidence=evidence)
