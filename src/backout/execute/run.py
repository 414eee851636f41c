"""A run is a fold of its events; CLI, page and report are views of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from pydantic import computed_field

from backout.checks.base import Outcome, Verification
from backout.document import Document
from backout.errors import ExitCode
from backout.message import Message
from backout.plan.base import Receipt
from backout.plan.model import Plan

if TYPE_CHECKING:
    from backout.execute.journal import Event


class StepState(StrEnum):
    """How far a step is."""

    PENDING = "pending"
    BEGUN = "begun"
    APPLIED = "applied"
    CONFIRMED = "confirmed"
    FAILED = "failed"


class RunState(StrEnum):
    """How far a run is."""

    CREATED = "created"
    RUNNING = "running"
    STOPPED = "stopped"
    FINISHED = "finished"
    ABORTED = "aborted"


class Trouble(Document):
    """Why a run or a step stopped, as it was told to the person."""

    code: str
    exit_code: int
    what: Message
    state: Message
    next_command: str


class StepProgress(Document):
    """What the journal says of one step."""

    key: str
    state: StepState = StepState.PENDING
    attempts: int = 0
    begun_at: datetime | None = None
    confirmed_at: datetime | None = None
    receipt: Receipt | None = None
    evidence: Message | None = None
    trouble: Trouble | None = None
    already: bool = False
    """Whether the goal was reached before this run touched it."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def seconds(self) -> float | None:
        """Seconds from the first begin to the confirmation; None until confirmed."""
        if self.begun_at is None or self.confirmed_at is None:
            return None
        return (self.confirmed_at - self.begun_at).total_seconds()


class TimelineEntry(Document):
    """One event of the run, for people."""

    at: datetime
    actor: str
    kind: str
    step: str | None = None
    text: Message | None = None


class Run(Document):
    """One run as its events tell it.

    Attributes:
        verification: The newest one: the run's own, or a later `verify`.
        exit_code: What the process told, or would tell, the shell.
        generation: The fencing token of its last owner.
        superseded: Whether the run named by `aborted_by` went on from what stood, and undid nothing.
    """

    schema_version: Literal[1] = 1
    id: str
    plan: Plan
    state: RunState
    actor: str
    reason: str | None
    created_at: datetime
    finished_at: datetime | None = None
    generation: int = 0
    resumed: int = 0
    steps: tuple[StepProgress, ...]
    verification: Verification | None = None
    trouble: Trouble | None = None
    aborted_by: str | None = None
    superseded: bool = False
    aborts: str | None = None
    emergency: bool = False
    timeline: tuple[TimelineEntry, ...]

    @property
    def open(self) -> bool:
        """Whether it still waits to be resumed or aborted (or is acting now)."""
        return self.state in (RunState.CREATED, RunState.RUNNING, RunState.STOPPED)

    @property
    def current_step(self) -> str | None:
        """The first step that is not confirmed, while the run is open."""
        return next((s.key for s in self.steps if s.state is not StepState.CONFIRMED), None)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def exit_code(self) -> ExitCode:
        """The exit code that says how this run stands."""
        if self.state is RunState.FINISHED:
            if self.verification is None:
                return ExitCode.INCONCLUSIVE if self.plan.purpose == "back" else ExitCode.DONE
            if self.verification.outcome is Outcome.PASS:
                return ExitCode.DONE
            return (
                ExitCode.PROOF_FAILED if self.verification.outcome is Outcome.FAIL else ExitCode.INCONCLUSIVE
            )
        return ExitCode(self.trouble.exit_code) if self.trouble else ExitCode.STOPPED

    def progress(self, key: str) -> StepProgress:
        """Return one step's progress; raises KeyError."""
        return next(s for s in self.steps if s.key == key)


def fold(events: Iterable[Event]) -> Run:
    """Return the run that these events (of one run, in order, beginning with its creation) tell.

    Raises:
        ValueError: The events do not begin with `run.created`.
    """
    run: Run | None = None
    for event in events:
        if event.kind == "run.created":
            run = _created(event)
        elif run is None:
            raise ValueError("a run begins with run.created")
        else:
            run = _next(run, event)
    if run is None:
        raise ValueError("no events")
    return run


def _created(event: Event) -> Run:
    plan = Plan.model_validate(event.body["plan"])
    reason, aborts = event.body.get("reason"), event.body.get("aborts")
    assert event.run is not None
    return Run(
        id=event.run,
        plan=plan,
        state=RunState.CREATED,
        actor=event.actor,
        reason=None if reason is None else str(reason),
        created_at=event.at,
        steps=tuple(StepProgress(key=s.key) for s in plan.steps),
        aborts=None if aborts is None else str(aborts),
        emergency=bool(event.body.get("emergency", False)),
        timeline=(_entry(event),),
    )


def _next(run: Run, event: Event) -> Run:
    changes: dict[str, object] = {"timeline": (*run.timeline, _entry(event))}
    if event.kind.startswith("step."):
        key = str(event.body["key"])
        changes["steps"] = tuple(_step(s, event) if s.key == key else s for s in run.steps)
    elif event.kind in ("run.started", "run.resumed"):
        changes |= {"state": RunState.RUNNING, "generation": event.generation, "trouble": None}
        changes["resumed"] = run.resumed + (event.kind == "run.resumed")
    elif event.kind == "run.stopped":
        changes |= {"state": RunState.STOPPED, "trouble": Trouble.model_validate(event.body["trouble"])}
    elif event.kind == "run.finished":
        changes |= {"state": RunState.FINISHED, "finished_at": event.at, "trouble": None}
    elif event.kind == "run.aborted":
        changes |= {"state": RunState.ABORTED, "finished_at": event.at, "aborted_by": str(event.body["by"])}
        changes["superseded"] = bool(event.body.get("superseded", False))
    elif event.kind == "run.verified":
        changes["verification"] = Verification.model_validate(event.body["verification"])
    if event.kind == "step.applied":
        receipt = Receipt.model_validate(event.body["receipt"])
        if "verification" in receipt.data:
            changes["verification"] = Verification.model_validate(receipt.data["verification"])
    return run.model_copy(update=changes)


def _step(step: StepProgress, event: Event) -> StepProgress:
    body = event.body
    if event.kind == "step.begun":
        changes: dict[str, object] = {
            "state": StepState.BEGUN,
            "attempts": step.attempts + 1,
            "trouble": None,
        }
        changes["begun_at"] = step.begun_at or event.at
    elif event.kind == "step.applied":
        changes = {"state": StepState.APPLIED, "receipt": Receipt.model_validate(body["receipt"])}
    elif event.kind == "step.confirmed":
        changes = {"state": StepState.CONFIRMED, "confirmed_at": event.at, "trouble": None}
        changes |= {"evidence": Message.model_validate(body["evidence"]), "already": bool(body["already"])}
    else:
        changes = {"state": StepState.FAILED, "trouble": Trouble.model_validate(body["trouble"])}
    return step.model_copy(update=changes)


def _entry(event: Event) -> TimelineEntry:
    step = event.body.get("key")
    trouble = event.body.get("trouble")
    text = event.body.get("text") or (trouble.get("what") if isinstance(trouble, dict) else None)
    return TimelineEntry(
        at=event.at,
        actor=event.actor,
        kind=event.kind,
        step=None if step is None else str(step),
        text=None if text is None else Message.model_validate(text),
    )
