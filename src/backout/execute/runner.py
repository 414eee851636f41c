"""Runs a plan's steps durably: probe, guard, apply, probe; every boundary in the journal; resumable anywhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from backout.clock import Clock
from backout.document import Json
from backout.errors import (
    BackoutError,
    ExitCode,
    Interrupted,
    LeaseLost,
    LostRace,
    NeedsApproval,
    OutcomeUnknown,
    StepFailed,
    Stopped,
)
from backout.execute.journal import Event, Journal
from backout.execute.lease import HeldLease
from backout.execute.run import Run, RunState, StepState, Trouble, fold
from backout.execute.standing import state_of
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, StepKind, Vouched
from backout.plan.model import Phase, PlannedStep, Retry
from backout.plan.refusal import words_of

POLL_S, _LONGEST_POLL_S, _POLL_SHARE = 0.05, 0.5, 0.02
SETTLE_S = 1.5
"""How long a probe may say "not done, and nothing is under way" after `apply` before the step has failed."""

SWITCHES = {
    Phase.BRIDGE_SCHEMA: ("schema",),
    Phase.REVERT_CODE: ("wanted",),
    Phase.SWITCH_SCHEMA: ("schema",),
    Phase.SWAP_DATA: ("schema",),
    Phase.START_CODE: ("wanted",),
    Phase.CONTRACT_SCHEMA: ("schema",),
}
"""Phases that change what the guard compares, and what of it."""

Watch = Callable[[Event | Message, Run], None]


def poll_after_s(waited_s: float) -> float:
    """Return the seconds until a step that goes on for so long already is looked at again.

    Each look costs its target something (a database a session), also where a restore needs the machine for itself; so what
    takes long is asked less often, and is seen done two per cent later at most.
    """
    return min(max(POLL_S, waited_s * _POLL_SHARE), _LONGEST_POLL_S)


@dataclass(slots=True)
class Runner:
    """Carries out one run.

    Attributes:
        targets: Live adapters by target name.
        take_over: Why the run was taken over from somebody else; None if it was not.
        interrupt: Set by a signal handler; the run stops at the next safe moment.
        watch: Is told each event, and notes of steps under way.
    """

    journal: Journal
    kinds: Mapping[str, StepKind]
    targets: Mapping[str, object]
    clock: Clock
    lease: HeldLease
    watch: Watch = lambda _what, _run: None
    take_over: str | None = None
    interrupt: threading.Event = field(default_factory=threading.Event)
    _applied: set[str] = field(default_factory=set)

    def run(self, run_id: str) -> Run:
        """Carry the run out from wherever its journal says it is, and return it finished.

        Idempotent: steps that are confirmed are not touched; a step that was cut short is probed first.

        Raises:
            Stopped: A step failed; nothing is half done that `resume` would not finish.
            OutcomeUnknown: What a step did cannot be told.
            Interrupted: A person stopped it.
        """
        run = fold(self.journal.events(run_id))
        if run.state in (RunState.FINISHED, RunState.ABORTED):
            return run
        began_before = run.state is not RunState.CREATED
        body: dict[str, Json] = {}
        if self.take_over is not None:
            body["text"] = msg("Taken over: {reason}", reason=self.take_over).model_dump(mode="json")
        run = self._append(run, "run.resumed" if began_before else "run.started", body)
        if began_before:
            self._look_again(run)
        for step in run.plan.steps:
            if run.progress(step.key).state is StepState.CONFIRMED:
                continue
            try:
                run = self._step(run, step)
            except BackoutError as error:
                raise self._stopped(run, step, error) from error
            except Exception as error:
                run = self._as_journalled(run)
                self._record_stop(run, step, _bug(run, error, self._state(run)))
                raise
        self._close_aborted(run)
        return self._append(run, "run.finished", {})

    def vouch(self, run: Run, step: PlannedStep, reason: Message) -> None:
        """Confirm a step by a person's word where it cannot be told, and do what is backout's own part of it.

        Where it can be told that it is done, or half done, nothing is written: `run` goes on from there.

        Raises:
            StepFailed: It is not done.
        """
        kind, acting = self.kinds[step.spec.kind], self._acting(run, step)
        try:
            probe = kind.probe(step.spec, acting)
            if probe.answer is Probed.NOT_DONE:
                raise StepFailed(
                    msg("Step {step} is not done: {evidence}", step=step.key, evidence=str(probe.evidence)),
                    state=self._state(run),
                    next_command=f"backout resume {run.id}",
                )
            if probe.answer is not Probed.UNKNOWN:
                return
            if isinstance(kind, Vouched):
                kind.vouched(step.spec, acting)
        except BackoutError as error:
            raise self._stopped(run, step, error) from error
        body: dict[str, Json] = {"key": step.key, "kind": step.spec.kind, "already": False}
        self._append(run, "step.confirmed", body | {"evidence": reason.model_dump(mode="json")})

    def _look_again(self, run: Run) -> None:
        """Compare once more what the plan rests on: between a stop and a resume anything may have changed.

        Raises:
            LostRace: It did change, and code or data is still to be switched.
        """
        states = [run.progress(s.key).state for s in run.plan.steps if s.phase in SWITCHES]
        if all(state is StepState.CONFIRMED for state in states):
            return
        # Once a switch has begun, another release or schema stands than when the plan was made: by this run.
        own = {
            changed
            for step in run.plan.steps
            if run.progress(step.key).state is not StepState.PENDING
            for changed in SWITCHES.get(step.phase, ())
        }
        for step in run.plan.steps:
            if step.spec.kind != "guard" or run.progress(step.key).state is not StepState.CONFIRMED:
                continue
            expects = {name: value for name, value in step.spec.expects.items() if name not in own}
            try:
                self.kinds["guard"].apply(
                    step.spec.model_copy(update={"expects": expects}), self._acting(run, step)
                )
            except BackoutError as error:
                raise self._stopped(run, step, error) from error

    def _close_aborted(self, run: Run) -> None:
        """Close the run that this one undid; first, so that a kill -9 in between leaves only this one to resume."""
        if run.aborts is not None and fold(self.journal.events(run.aborts)).open:
            self.journal.append(
                "run.aborted", {"by": run.id}, run=run.aborts, generation=self.lease.generation
            )

    def _step(self, run: Run, step: PlannedStep) -> Run:
        self._check_interrupt(run)
        self.lease.check()
        kind, begun_before = self.kinds[step.spec.kind], run.progress(step.key).attempts > 0
        run = self._append(run, "step.begun", {"key": step.key})
        acting = self._acting(run, step)
        probe = kind.probe(step.spec, acting)
        if probe.answer is Probed.DONE:
            return self._confirm(run, step, probe, already=not begun_before)
        if not probe.in_progress:
            if begun_before and probe.answer is Probed.UNKNOWN and step.spec.retry is not Retry.SAFE:
                raise _unknown(run, step, probe, self._state(run))
            kind.guard(step.spec, acting)
            receipt = kind.apply(step.spec, acting)
            self._applied.add(step.key)
            run = self._append(
                run, "step.applied", {"key": step.key, "receipt": receipt.model_dump(mode="json")}
            )
        probe = self._await(run, step, kind)
        return self._confirm(run, step, probe, already=False)

    def _await(self, run: Run, step: PlannedStep, kind: StepKind) -> Probe:
        """Poll the probe until the goal is reached; raises when it is not by the deadline, or will not be."""
        acting = self._acting(run, step)
        began_s = self.clock.monotonic_s()
        settled_s = began_s + min(SETTLE_S, step.spec.timeout_s)
        while True:
            probe = kind.probe(step.spec, acting)
            if probe.answer is Probed.DONE:
                return probe
            if probe.answer is Probed.PARTIAL and not probe.in_progress and step.spec.retry is Retry.SAFE:
                # Nothing is under way by itself any more: the step's next move (KILL after TERM) is due.
                self.lease.check()
                kind.apply(step.spec, acting)
                settled_s = self.clock.monotonic_s() + SETTLE_S
            now_s = self.clock.monotonic_s()
            if now_s >= acting.deadline_s or (not probe.in_progress and now_s >= settled_s):
                if probe.answer is Probed.UNKNOWN:
                    raise _unknown(run, step, probe, self._state(run))
                raise StepFailed(
                    probe.evidence, state=self._state(run), next_command=f"backout resume {run.id}"
                )
            self._check_interrupt(run)
            self.clock.wait(max(poll_after_s(now_s - began_s), probe.worthwhile_s))

    def _acting(self, run: Run, step: PlannedStep) -> Acting:
        # A look that another process took, and did not live to confirm, is an old look: it is taken anew.
        receipts: dict[str, Receipt] = {
            s.key: s.receipt
            for s in run.steps
            if s.receipt is not None and (s.state is StepState.CONFIRMED or s.key in self._applied)
        }
        return Acting(
            targets=self.targets,
            clock=self.clock,
            fence=self.lease,
            step_name=f"{run.id}/{step.key}",
            deadline_s=self.clock.monotonic_s() + step.spec.timeout_s,
            note=lambda message: self.watch(message, run),
            confirmed=receipts,
        )

    def _confirm(self, run: Run, step: PlannedStep, probe: Probe, *, already: bool) -> Run:
        body: dict[str, Json] = {"key": step.key, "kind": step.spec.kind, "already": already}
        begun_at = run.progress(step.key).begun_at
        if not already and begun_at is not None and run.resumed == 0:
            body["seconds"] = round((self.clock.now() - begun_at).total_seconds(), 3)
        return self._append(
            run, "step.confirmed", body | {"evidence": probe.evidence.model_dump(mode="json")}
        )

    def _check_interrupt(self, run: Run) -> None:
        if self.interrupt.is_set():
            raise Interrupted(
                msg("Run {run} was interrupted.", run=run.id),
                state=self._state(run),
                next_command=f"backout resume {run.id}",
            )

    def _stopped(self, run: Run, step: PlannedStep, error: BackoutError) -> BackoutError:
        """Journal the stop, and return the error as the person gets it: with the state of the whole run."""
        run = self._as_journalled(run)
        told = self._told(run, error)
        trouble = Trouble(
            code=told.code,
            exit_code=int(told.exit_code),
            what=told.what,
            state=told.state,
            next_command=told.next_command,
        )
        self._record_stop(run, step, trouble)
        return told

    def _told(self, run: Run, error: BackoutError) -> BackoutError:
        """Return the error with the state of the whole run; one who was taken over cannot speak for it."""
        told = error
        if not isinstance(error, Stopped | OutcomeUnknown | Interrupted | NeedsApproval):
            told = StepFailed(error.what, state=error.state, next_command=f"backout resume {run.id}")
        if isinstance(told, LostRace) and any(s.state is StepState.CONFIRMED for s in run.steps):
            # What this plan rests on is gone, so `resume` cannot help: a new plan goes on from what stands now.
            told.next_command = (
                f"backout run {words_of(run.plan)} --take-over --reason '…'"
                "   # or name the version that runs, to keep it and close this run"
            )
        standing = self._state(run)
        if not isinstance(told, Interrupted | LeaseLost) and str(standing) not in str(told.state):
            told.state = msg("{own} {run}", own=str(told.state), run=str(standing))
        return told

    def _as_journalled(self, run: Run) -> Run:
        """Return the run with the step that just failed as begun; where the journal itself failed, as it was."""
        try:
            return fold(self.journal.events(run.id))
        except BackoutError:
            return run

    def _state(self, run: Run) -> Message:
        return state_of(run, self.kinds)

    def _record_stop(self, run: Run, step: PlannedStep, trouble: Trouble) -> None:
        body: dict[str, Json] = {"key": step.key, "trouble": trouble.model_dump(mode="json")}
        try:
            if trouble.exit_code != ExitCode.INTERRUPTED:
                run = self._append(run, "step.failed", body)
            self._append(run, "run.stopped", {"trouble": trouble.model_dump(mode="json")})
        except BackoutError:
            # Hazard: the journal itself may be what failed (disk full). The error that stopped the run is
            # on its way to the person; a resume probes the step that has no end in the journal.
            return

    def _append(self, run: Run, kind: str, body: dict[str, Json]) -> Run:
        try:
            event = self.journal.append(kind, body, run=run.id, generation=self.lease.generation)
        except BackoutError as error:
            raise self._told(run, error) from error
        run = fold(self.journal.events(run.id))
        self.watch(event, run)
        return run


def _unknown(run: Run, step: PlannedStep, probe: Probe, state: Message) -> OutcomeUnknown:
    return OutcomeUnknown(
        msg("What step {step} did is not known: {evidence}", step=step.key, evidence=str(probe.evidence)),
        state=state,
        next_command=f"backout resume {run.id}   # once it can be told; or, if you looked and it is done: "
        f"backout resume {run.id} --confirm {step.key} --reason '…'",
    )


def _bug(run: Run, error: Exception, state: Message) -> Trouble:
    return Trouble(
        code="bug",
        exit_code=int(ExitCode.BUG),
        what=msg("A bug in backout: {kind}.", kind=type(error).__name__),
        state=state,
        next_command=f"backout resume {run.id}",
    )
