"""What happened when, and who did it: one row for each event of a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from backout.execute.run import Run, TimelineEntry
from backout.message import Message, msg
from backout.report.duration import duration
from backout.report.words import NO_KINDS, Kinds, step_sentence, stopped_with_canary

_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One event for people.

    Attributes:
        since_s: Seconds since the run was created.
        kind: The event's kind, for colours and filters.
        detail: What is known beside the sentence: evidence, reason, what failed.
    """

    at: datetime
    since_s: float
    actor: str
    kind: str
    sentence: Message
    detail: Message | None

    @property
    def clock(self) -> str:
        """The time of day in UTC, to the tenth of a second."""
        at = self.at.astimezone(UTC)
        return f"{at:%H:%M:%S}.{at.microsecond // 100000}"

    @property
    def since(self) -> str:
        """The time since the run was created, with its sign: in seconds for the first hour."""
        if -_HOUR_S < self.since_s < _HOUR_S:
            return f"{self.since_s:+.1f} s"
        return duration(self.since_s) if self.since_s < 0 else f"+{duration(self.since_s)}"


def timeline_rows(run: Run, kinds: Kinds = NO_KINDS) -> tuple[TimelineRow, ...]:
    """Return one row for each event of the run, in order."""
    last = {(e.kind, e.step): number for number, e in enumerate(run.timeline)}
    return tuple(
        TimelineRow(
            at=entry.at,
            since_s=(entry.at - run.created_at).total_seconds(),
            actor=entry.actor,
            kind=entry.kind,
            sentence=_sentence(run, entry, kinds),
            detail=entry.text or (_detail(run, entry) if last[entry.kind, entry.step] == number else None),
        )
        for number, entry in enumerate(run.timeline)
    )


_STEP = {
    "step.begun": "Step {step} began: {what}",
    "step.applied": "Step {step} acted; looking whether it worked.",
    "step.confirmed": "Step {step} is done.",
    "step.failed": "Step {step} failed.",
}
_RUN = {
    "run.created": "The plan was confirmed.",
    "run.started": "The run started.",
    "run.resumed": "The run was resumed.",
    "run.stopped": "The run stopped.",
    "run.finished": "Every step is done.",
    "run.verified": "The checks were run again.",
    "release.quarantined": "The release that was backed out is quarantined in the records.",
    "release.lifted": "The quarantine ended in the records.",
    "release.recorded": "What the checks proved was noted on the release's record.",
}


def _sentence(run: Run, entry: TimelineEntry, kinds: Kinds) -> Message:
    if entry.kind == "run.aborted" and stopped_with_canary(run):
        return msg("backout canary stop ended it.")
    if entry.kind == "run.aborted" and run.superseded:
        return msg("Run {other} took its place.", other=run.aborted_by)
    if entry.kind == "run.aborted":
        return msg("The run was undone by {other}.", other=run.aborted_by)
    if entry.kind in _STEP:
        spec = next((s.spec for s in run.plan.steps if s.key == entry.step), None)
        what = "" if spec is None else str(step_sentence(spec, kinds))
        return msg(_STEP[entry.kind], step=entry.step, what=what)
    if entry.kind in _RUN:
        return msg(_RUN[entry.kind])
    return msg("Event {kind}.", kind=entry.kind)


def _detail(run: Run, entry: TimelineEntry) -> Message | None:
    """What the fold still knows of the newest event of a kind (an older one's detail is not in it)."""
    progress = next((s for s in run.steps if s.key == entry.step), None)
    if entry.kind == "step.applied" and progress and progress.receipt:
        return progress.receipt.what
    if entry.kind == "step.confirmed" and progress:
        return progress.evidence
    if entry.kind == "step.failed" and progress and progress.trouble:
        return progress.trouble.what
    if entry.kind == "run.stopped" and run.trouble:
        return run.trouble.what
    if entry.kind == "run.created" and run.reason:
        return msg("{reason}", reason=run.reason)
    if entry.kind == "run.verified" and run.verification:
        return msg("The checks say: {outcome}.", outcome=run.verification.outcome.value)
    return None
