"""Running, resuming and aborting: the lease, the journal, the runner."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from backout.app.elsewhere import look_elsewhere, need_elsewhere
from backout.app.parts import Parts
from backout.app.plan import check_expiry, terms
from backout.app.targets import targets
from backout.document import Json
from backout.errors import RunInProgress, StepFailed, UnknownRun, UsageError
from backout.execute.held import held_now
from backout.execute.lease import HeldLease, acquire, in_progress
from backout.execute.owner import is_dead
from backout.execute.run import Run, RunState, StepState, fold
from backout.execute.runner import Runner, Watch
from backout.execute.standing import may_serve
from backout.ids import new_id
from backout.message import msg
from backout.observed import CLOSED
from backout.plan.abort import plan_abort
from backout.plan.assembly import HARMLESS
from backout.plan.model import Plan
from backout.plan.refusal import refusal


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a run is watched, stopped and taken over.

    Attributes:
        reason: Why it runs, for the journal.
        take_over: Why a run of somebody else is taken over; None: it is not.
        confirm: Key of the step that a person looked at and vouches to be done, where backout cannot tell.
    """

    reason: str | None = None
    take_over: str | None = None
    confirm: str | None = None
    watch: Watch = lambda _what, _run: None
    interrupt: threading.Event = field(default_factory=threading.Event)


def run(parts: Parts, plan: Plan, conduct: Conduct) -> Run:
    """Carry a plan out and return the finished run; its `exit_code` says how it ended.

    Raises:
        NeedsAcceptance, Refused: The plan may not run.
        PlanExpired: The plan is too old.
        RunInProgress: Somebody else acts, or an earlier run waits to be resumed or aborted.
        Stopped, OutcomeUnknown, Interrupted: It stopped; `resume` goes on.
    """
    refused = refusal(plan, parts.clock.now())
    if refused is not None:
        raise refused
    check_expiry(plan, parts)
    run_id = new_id("run", parts.clock.now())
    with _lease(parts, run_id, conduct, stops_harm=plan.purpose == "hold") as lease:
        blocking, superseded = _waiting_for(plan, conduct, open_runs(parts))
        if blocking is not None:
            raise _waiting(blocking)
        # Before the new run is in the journal: a kill -9 in between leaves no two that wait.
        for earlier in superseded:
            body: dict[str, Json] = {"by": run_id, "superseded": True}
            parts.journal.append("run.aborted", body, run=earlier.id, generation=lease.generation)
        _create(parts, run_id, plan, conduct, lease)
        return _carry_out(parts, run_id, conduct, lease)


def resume(parts: Parts, run_id: str | None, conduct: Conduct) -> Run:
    """Go on with a run that was stopped, interrupted or killed. Idempotent: a finished run is returned as it is."""
    found = load(parts, run_id, waiting=True)
    if not found.open:
        parts.journal.send(found.id)  # Its end may stand here alone.
        return found
    with _lease(parts, found.id, conduct, stops_harm=found.plan.purpose == "hold") as lease:
        # Looked at again now that nobody else acts: somebody may have ended or begun to undo it meanwhile.
        found = load(parts, found.id)
        if not found.open:
            return found
        undoing = next((r for r in open_runs(parts) if r.aborts == found.id), None)
        if undoing is not None:
            raise _waiting(undoing)
        if conduct.confirm is not None:
            _vouch(_runner(parts, conduct, lease), parts, found, conduct)
        return _carry_out(parts, found.id, conduct, lease)


def _vouch(runner: Runner, parts: Parts, found: Run, conduct: Conduct) -> None:
    """Let a person vouch for the step that the run stopped at."""
    step = found.progress(found.current_step) if found.current_step else None
    if step is None or step.key != conduct.confirm or step.attempts == 0 or not conduct.reason:
        raise UsageError(
            msg(
                "Only the step that the run stopped at can be confirmed, and with a reason: {step}.",
                step=found.current_step,
            ),
            state=msg("Nothing was changed."),
            next_command=f"backout resume {found.id} --confirm {found.current_step} --reason '…'",
        )
    evidence = msg("{actor} looked, and says: {reason}", actor=parts.actor, reason=conduct.reason)
    runner.vouch(found, found.plan.step(step.key), evidence)


def abort(parts: Parts, run_id: str | None, conduct: Conduct) -> Run:
    """Undo what a run began, and return the run that did so; an abort that was cut short goes on.

    Raises:
        Refused: The run is past its point of no return.
        StepFailed: It ended already; but one that swapped data, and is named, can still be undone.
    """
    found = load(parts, run_id, waiting=True)
    begun_before = _abort_that_waits(parts, found, named=run_id is not None) if found.open else None
    if begun_before is not None:
        return resume(parts, begun_before.id, conduct)
    abort_id = new_id("run", parts.clock.now())
    with _lease(parts, abort_id, conduct) as lease:
        # What is undone is what stands now that nobody else acts, not what stood when the command was typed.
        found = load(parts, found.id)
        if not found.open:
            _check_undoable(parts, found)
        # What was so before the run touched it is not the run's to undo.
        begun = [s.key for s in found.steps if s.state is not StepState.PENDING and not s.already]
        plan = plan_abort(found.plan, begun, parts.kinds, terms(parts), may_serve(found, parts.kinds))
        _create(parts, abort_id, plan, conduct, lease, aborts=found.id)
        return _carry_out(parts, abort_id, conduct, lease)


def _check_undoable(parts: Parts, found: Run) -> None:
    """Return for a run that ended, swapped data, and whose kept database makes it possible to swap back.

    Raises:
        StepFailed: There is nothing to undo.
        RunInProgress: Another run waits; that one comes first.
    """
    data = found.plan.data
    if (
        found.state is not RunState.FINISHED
        or data is None
        or data.kept is None
        or found.plan.purpose != "back"
    ):
        raise _over(found)
    blocking = blocking_run(open_runs(parts))
    if blocking is not None:
        raise _waiting(blocking)


def _over(found: Run) -> StepFailed:
    return StepFailed(
        msg("Run {run} is over ({state}): there is nothing to abort.", run=found.id, state=found.state.value),
        state=msg("Nothing was changed."),
        next_command=f"backout report {found.id}",
    )


def _abort_that_waits(parts: Parts, found: Run, *, named: bool) -> Run | None:
    """Return the abort that was cut short and is meant by typing abort again; one that is named is undone itself."""
    if found.aborts is not None:
        return None if named else found
    return next((r for r in open_runs(parts) if r.aborts == found.id), None)


def load(parts: Parts, run_id: str | None, *, waiting: bool = False) -> Run:
    """Return a run: the named one; else the newest that waits (or, not `waiting`, the newest of all).

    Raises:
        UnknownRun: There is none.
    """
    look_elsewhere(parts)
    if run_id is None:
        open_ones = open_runs(parts)
        newest = parts.journal.events(kinds=("run.created",), newest=1)
        if open_ones:
            return open_ones[-1]
        if newest and not waiting:
            return fold(parts.journal.events(newest[0].run))
        raise UnknownRun(
            msg("No run waits."), state=msg("Nothing was changed."), next_command="backout history"
        )
    events = parts.journal.events(run_id)
    if not events or events[0].kind != "run.created":
        raise UnknownRun(
            msg("There is no run {run} in the journal.", run=run_id),
            state=msg("Nothing was changed."),
            next_command="backout history",
        )
    return fold(events)


def open_runs(parts: Parts) -> list[Run]:
    """Return the runs that neither finished nor were aborted, oldest first."""
    look_elsewhere(parts)
    rows = parts.store.rows(
        "SELECT run FROM events WHERE kind = 'run.created' AND run NOT IN "
        "(SELECT run FROM events WHERE kind IN ('run.finished', 'run.aborted')) ORDER BY seq"
    )
    return [fold(parts.journal.events(str(row[0]))) for row in rows]


def began_anything(run: Run) -> bool:
    """Return whether a run began a step that does more than look: else there is nothing to resume or undo."""
    begun = (run.plan.step(s.key) for s in run.steps if s.state is not StepState.PENDING)
    return any(step.no_inverse_because not in HARMLESS for step in begun)


def _create(
    parts: Parts, run_id: str, plan: Plan, conduct: Conduct, lease: HeldLease, aborts: str | None = None
) -> None:
    body: dict[str, Json] = {
        "plan": plan.model_dump(mode="json"),
        "digest": plan.digest,
        "reason": conduct.reason,
        "aborts": aborts,
        "emergency": parts.emergency,
    }
    parts.journal.append("run.created", body, run=run_id, generation=lease.generation)


def _carry_out(parts: Parts, run_id: str, conduct: Conduct, lease: HeldLease) -> Run:
    return _runner(parts, conduct, lease).run(run_id)


def _runner(parts: Parts, conduct: Conduct, lease: HeldLease) -> Runner:
    return Runner(
        journal=parts.journal,
        kinds=parts.kinds,
        targets=targets(parts),
        clock=parts.clock,
        lease=lease,
        watch=conduct.watch,
        take_over=conduct.take_over,
        interrupt=conduct.interrupt,
    )


def check_free(parts: Parts) -> None:
    """Return if a new run could begin now; asked first, because whatever acts also changes what a plan would say.

    Raises:
        RunInProgress: Somebody else acts, or an earlier run waits to be resumed or aborted.
    """
    _refuse_live(parts)
    blocking = blocking_run(open_runs(parts))
    if blocking is not None:
        raise _waiting(blocking)


def blocking_run(waiting: list[Run]) -> Run | None:
    """Return the newest run that has to be resumed or aborted before another begins: one that began to change releases."""
    began = [r for r in waiting if r.plan.purpose in ("back", "abort") and began_anything(r)]
    return began[-1] if began else None


def _waiting_for(plan: Plan, conduct: Conduct, waiting: list[Run]) -> tuple[Run | None, list[Run]]:
    """Return what keeps a plan from running, and the runs whose place it takes.

    Stopping the harm is never refused. Letting go what a run holds that is half-way is: requests would meet
    whatever stands then; `resume` and `abort` let go at the right moment. A hold that did not come to its end (writes still arrive) keeps
    nobody from going back: the new plan knows what is held, and lets it go. A run that only looked is over,
    and so is one that is taken over by a new plan, made from what stands now. Each step of a canary takes the place of one that
    was cut short: it begins from what the router says. A database that a swap cut short
    has closed may be opened: the run that swaps closes it again.
    """
    if plan.purpose in ("canary", "retire"):
        return blocking_run(waiting), [r for r in waiting if r.plan.purpose == plan.purpose]
    if plan.purpose != "back":
        lets_go = any(s.spec.params.get("mode") != CLOSED for s in plan.steps)
        half_way = blocking_run(waiting) if plan.purpose == "release_hold" and lets_go else None
        blocking = half_way if half_way is not None and held_now(half_way) else None
        return blocking, [r for r in waiting if r.plan.purpose in ("hold", "release_hold")]
    return None if conduct.take_over is not None else blocking_run(waiting), waiting


def _refuse_live(parts: Parts) -> None:
    found = parts.lease_store.read()
    if found is None or found.run is None or found.expires_at <= parts.clock.now() or is_dead(found.process):
        return
    raise _in_progress_with_step(parts, in_progress(found), found.run)


@contextmanager
def _lease(parts: Parts, run_id: str, conduct: Conduct, *, stops_harm: bool = False) -> Iterator[HeldLease]:
    if conduct.take_over is None:
        _refuse_live(parts)
    lease = acquire(
        parts.lease_store,
        parts.clock,
        run=run_id,
        actor=parts.actor,
        take_over=conduct.take_over,
        head=partial(_kept_head, parts) if parts.apart is not None else parts.journal.head,
    )
    try:
        if stops_harm and parts.mirror is not None:
            parts.mirror.not_needed_for(run_id)
        (look_elsewhere if stops_harm else need_elsewhere)(parts)
        yield lease
    finally:
        lease.release()


def _kept_head(parts: Parts) -> str | None:
    """Return the head that stands at the target: a journal apart is merged, it does not replace another."""
    lease = parts.lease_store.read()
    return lease.journal_head if lease is not None else None


def _in_progress_with_step(parts: Parts, error: RunInProgress, run_id: str | None) -> RunInProgress:
    events = parts.journal.events(run_id) if run_id else []
    if events:
        step = fold(events).current_step
        error.what = msg("{who} It is at step {step}.", who=str(error.what), step=step)
    return error


def _waiting(found: Run) -> RunInProgress:
    return RunInProgress(
        msg(
            "Run {run} ({purpose} to {version}, by {actor}) waits at step {step}.",
            run=found.id,
            purpose=found.plan.purpose,
            version=found.plan.to_version,
            actor=found.actor,
            step=found.current_step,
        ),
        state=msg("This command changed nothing."),
        next_command=f"backout resume {found.id}   # or: backout abort {found.id}",
    )
