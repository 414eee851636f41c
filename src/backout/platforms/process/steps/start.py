"""`process.start`: starts one release, once, and waits until it is ready."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import ClassVar

from backout.errors import LostRace, StepFailed
from backout.faults import fault_point
from backout.launch import exit_status, size_of, spawn
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.platforms.process.files import disk_errors
from backout.platforms.process.lease import fenced
from backout.platforms.process.processes import Found, starting
from backout.platforms.process.service import (
    Service,
    StartNote,
    guard_declared,
    service_of,
    text_of,
    told,
)
from backout.platforms.process.steps import specs
from backout.platforms.process.strangers import told as tell_strangers

# Hazard: Linux tells its boot time in whole seconds (proc(5), `btime`), and a process's start is counted from it: a process
# looks up to a second older than it is.
_SETTLE_S = 2.0
"""A process without a ready URL must live that long: most failed starts end sooner."""


class StartStep:
    """Starts the release through the launcher: it outlives backout and never runs twice."""

    kind: ClassVar[str] = specs.START

    def describe(self, spec: StepSpec) -> Message:
        """Say what the step does."""
        return msg(
            "Start {version}, and wait up to {patience_s} s until it is ready.",
            version=text_of(spec, "version"),
            patience_s=f"{told(spec)['start_timeout_s']:g}",
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would type."""
        told_of, quote = told(spec), shlex.quote
        release = f"{told_of['root']}/releases/{text_of(spec, 'ref')}"
        command = shlex.join(str(word).replace("{release}", release) for word in told_of["start"])
        env = f"set -a && . {quote(told_of['env_file'])} && set +a && " if told_of["env_file"] else ""
        log, pid = quote(told_of["log_file"]), quote(told_of["pid_file"])
        # The braces matter: a bare `&` would put the whole line behind, and `$!` would name a shell.
        start = f"cd {quote(release)} && {env}{{ nohup {command} >> {log} 2>&1 & echo $! > {pid}; }}"
        ready, patience_s = told_of["ready_url"], int(told_of["start_timeout_s"]) or 1
        if not ready:
            return start, f"tail {log}"
        return start, f"curl -fsS --retry {patience_s} --retry-delay 1 --retry-connrefused {quote(ready)}"

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("{version} does not start", version=text_of(spec, "version")),
                then=msg("The run stops and shows the last lines of {log}", log=told(spec)["log_file"]),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Half done it serves or not; finished it does."""
        return world, replace(world, serving=world.serving | {text_of(spec, "version")})

    def inverse(self, spec: StepSpec) -> StepSpec:
        """Return the stop of the same release."""
        return specs.stop(text_of(spec, "ref"), text_of(spec, "version"), told(spec))

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look whether the release runs, and whether it is ready."""
        service, ref = service_of(spec, acting), text_of(spec, "ref")
        held = starting(service.layout)
        mine = tuple(f for f in service.running(ref) if f.by != "stop note")
        if mine:
            return _readiness(service, mine[0], acting)
        if held is not None and held.label in (ref, None) and starting(service.layout) is not None:
            evidence = msg("{ref} is just being started", ref=ref)
            return Probe(answer=Probed.PARTIAL, evidence=evidence, in_progress=True)
        return Probe(answer=Probed.NOT_DONE, evidence=_why_not(service, ref, acting))

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Refuse while another release runs: two would fight over the port and the data."""
        service, ref = service_of(spec, acting), text_of(spec, "ref")
        guard_declared(spec, service)
        for other in service.running():
            if other.ref != ref:
                raise LostRace(
                    msg("{found} runs as process {pid}", found=other.ref, pid=other.pid),
                    state=msg("{ref} was not started", ref=ref),
                    next_command="backout plan",
                )

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Start the release unless it runs.

        Idempotent: the lock that the started process holds refuses a second copy.
        """
        service, ref = service_of(spec, acting), text_of(spec, "ref")
        _check_folder(service, ref)
        env = service.env()
        # Asked before the target's lock is taken: that is held for moments only.
        answered, strangers = service.answers(), service.strangers()
        with fenced(service.layout, acting), disk_errors(service.layout.state):
            self.guard(spec, acting)
            found = service.running(ref)
            _refuse_left_over(found)
            if found:
                return Receipt(what=msg("{ref} runs already as process {pid}", ref=ref, pid=found[0].pid))
            if answered:
                raise _stranger(service, ref)
            if strangers and starting(service.layout) is None:
                what, command = tell_strangers(strangers, service.layout)
                raise StepFailed(what, state=msg("{ref} was not started", ref=ref), next_command=command)
            return _start(service, ref, env, acting)


def _stranger(service: Service, ref: str) -> StepFailed:
    pid_file = str(service.layout.pid_file)
    return StepFailed(
        msg(
            "{url} answers although nothing runs that backout knows: {file} does not name it",
            url=str(service.options.ready_url),
            file=pid_file,
        ),
        state=msg("{ref} was not started: two copies would fight over the port", ref=ref),
        next_command=f"ss -ltnp  # whose port is it? if the service's: echo PID > {shlex.quote(pid_file)}",
    )


def _refuse_left_over(found: tuple[Found, ...]) -> None:
    left = next((f for f in found if f.by == "stop note"), None)
    if left is not None:
        raise StepFailed(
            msg(
                "Process {pid}, which {ref} started before it was stopped, still runs",
                pid=left.pid,
                ref=left.ref,
            ),
            state=msg("{ref} was not started: the same work would be done twice", ref=left.ref),
            next_command=f"ps -o pid,lstart,args -p {left.pid}; kill {left.pid}; backout resume",
        )


def _start(service: Service, ref: str, env: dict[str, str], acting: Acting) -> Receipt:
    layout = service.layout
    note = StartNote(
        ref=ref,
        step=acting.step_name,
        pid=None,
        at=acting.clock.now().timestamp(),
        log_from=size_of(layout.log_file),
    )
    service.write(note)
    fault_point("process.start.before")
    pid = spawn(
        service.command(ref),
        lock=layout.service_lock,
        pid_file=layout.pid_file,
        log=layout.log_file,
        cwd=layout.release(ref),
        env=env,
        label=ref,
    )
    fault_point("process.start.after")
    if pid is None:
        return _already(service, ref)
    service.write(note.model_copy(update={"pid": pid}))
    return Receipt(what=msg("Started {ref} as process {pid}", ref=ref, pid=pid), data={"pid": pid})


def _already(service: Service, ref: str) -> Receipt:
    held = starting(service.layout)
    if held is not None and held.label == ref:
        return Receipt(what=msg("{ref} is already being started", ref=ref))
    lock = shlex.quote(str(service.layout.service_lock))
    raise StepFailed(
        msg("Something that {label} started still runs", label=(held and held.label) or "an earlier release"),
        state=msg("{ref} was not started: two copies would fight over the port", ref=ref),
        next_command=f"fuser -v {lock}",
    )


def _check_folder(service: Service, ref: str) -> None:
    if not service.layout.release(ref).is_dir():
        raise StepFailed(
            msg("Release folder {path} is not there", path=str(service.layout.release(ref))),
            state=msg("Nothing was started"),
            next_command=f"ls -lt {shlex.quote(str(service.layout.releases))}",
        )


def _readiness(service: Service, process: Found, acting: Acting) -> Probe:
    ending, note = service.stop_note(), service.start_note()
    now = acting.clock.now().timestamp()
    if ending and ending.is_about(process) and abs(now - ending.at) < service.options.stop_timeout_s:
        evidence = msg("Process {pid} of {ref} was asked to end", pid=process.pid, ref=process.ref)
        return Probe(answer=Probed.PARTIAL, evidence=evidence, in_progress=True)
    trouble = service.trouble_of_ready_url()
    if trouble is not None:
        evidence = msg(
            "Process {pid} of {ref} runs; {url} is not ready: {trouble}; last lines of {log}:\n{lines}",
            pid=process.pid,
            ref=process.ref,
            url=str(service.options.ready_url),
            trouble=trouble,
            log=str(service.layout.log_file),
            lines=service.last_lines(note.log_from if note else 0),
        )
        return Probe(answer=Probed.PARTIAL, evidence=evidence, in_progress=True)
    if service.options.ready_url is None and abs(now - process.created) < _SETTLE_S:
        evidence = msg("Process {pid} of {ref} has just started", pid=process.pid, ref=process.ref)
        return Probe(answer=Probed.PARTIAL, evidence=evidence, in_progress=True)
    evidence = msg("{ref} runs as process {pid} and is ready", ref=process.ref, pid=process.pid)
    return Probe(answer=Probed.DONE, evidence=evidence)


def _why_not(service: Service, ref: str, acting: Acting) -> Message:
    note = service.start_note()
    if note is None or note.ref != ref or note.step != acting.step_name:
        return msg("{ref} does not run", ref=ref)
    status = exit_status(note.pid) if note.pid is not None else None
    return msg(
        "{ref} was started and ended within {seconds} s, exit status {status}; last lines of {log}:\n{lines}",
        ref=ref,
        seconds=round(max(0.0, acting.clock.now().timestamp() - note.at), 1),
        status="unknown" if status is None else status,
        log=str(service.layout.log_file),
        lines=service.last_lines(note.log_from),
    )
