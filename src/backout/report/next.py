"""What to do next, by how a run stands: sentences with the command to type."""

from __future__ import annotations

from backout.checks.base import Outcome, Verification
from backout.execute.held import held_now
from backout.execute.paused import paused_now
from backout.execute.run import Run, RunState
from backout.message import Message, msg
from backout.observed import DIVERT, KEEPS_REQUESTS_AWAY, KEEPS_WRITES_AWAY
from backout.plan.base import PASSING
from backout.plan.holding import IN_FORCE
from backout.plan.model import DataPlan
from backout.report.holding import quarantined_now
from backout.report.markup import plain
from backout.report.words import stopped_with_canary

Step = tuple[Message, str | None]


def next_steps(run: Run) -> tuple[Step, ...]:
    """Return at least one sentence, the most urgent first, each with its command or None."""
    if stopped_with_canary(run):
        return ((msg("See how requests are divided:"), "backout canary status"),)
    if run.state is RunState.ABORTED and run.superseded:
        return ((msg("See how the run that took its place ended:"), f"backout report {run.aborted_by}"),)
    if run.state is RunState.ABORTED:
        return ((msg("See what the run that undid this one found."), f"backout report {run.aborted_by}"),)
    if run.state is RunState.CREATED:
        return (
            (msg("Nothing was changed. To carry it out:"), f"backout resume {run.id}"),
            (msg("To drop it:"), f"backout abort {run.id}"),
        )
    if run.state is RunState.RUNNING:
        return (
            (msg("See whether somebody acts now:"), "backout"),
            (msg("If nobody does, go on where it was cut:"), f"backout resume {run.id}"),
        )
    if run.state is RunState.STOPPED:
        return _stopped(run)
    return (*_still_held(run), *_finished(run), *_still_paused(run))


def _still_paused(run: Run) -> tuple[Step, ...]:
    return tuple(
        (msg("{name} is paused. Once git says the same, let it go on:", name=one.name), one.resume)
        for one in paused_now(run)
    )


def _stopped(run: Run) -> tuple[Step, ...]:
    resume, abort = f"backout resume {run.id}", f"backout abort {run.id}"
    steps: list[Step] = []
    if run.trouble is not None and run.trouble.next_command not in (resume, abort):
        steps.append((msg("First look at what stopped it:"), run.trouble.next_command))
    steps.append((msg("To go on where it stopped:"), resume))
    steps.append((msg("To undo what it did:"), abort))
    return tuple(steps)


def _stopped_by(run: Run) -> Message:
    """Say what this hold really stopped: never more than its means can."""
    modes = {str(s.spec.params["mode"]) for s in run.plan.steps if s.spec.kind == "hold"}
    before = {str(f.evidence.fields.get("mode")) for f in run.plan.findings if f.rule == IN_FORCE}
    held = {h.mode for h in held_now(run)} | modes | before
    if held & set(KEEPS_REQUESTS_AWAY):
        return msg("Requests do not reach the service. See how to go back:")
    if DIVERT in held:
        return msg(
            "New connections do not reach the release; open ones STILL DO until they are closed. "
            "See how to go back:"
        )
    if held & set(KEEPS_WRITES_AWAY):
        return msg("Writes are refused, but requests STILL REACH the service. See how to go back:")
    return msg(
        "Requests and writes STILL REACH the service: no means for those is configured. See how to go back:"
    )


def _letting_go(run: Run) -> Message:
    """Say what letting go gives back; and who connects meanwhile, where CONNECT was taken away."""
    data = (s.receipt.data for s in run.steps if s.receipt is not None)
    passing = next((d[PASSING] for d in data if PASSING in d), None)
    if passing is None:
        return msg("To let it go as it was:")
    return msg(
        "CONNECT on the database is taken away: {passing}. To let it go as it was:", passing=str(passing)
    )


def _finished(run: Run) -> tuple[Step, ...]:
    if run.plan.purpose == "hold":
        return (
            (_stopped_by(run), "backout plan"),
            (_letting_go(run), "backout release-hold"),
        )
    if run.plan.purpose in ("canary", "retire"):
        return ((msg("See what it gets:"), "backout canary status"),)
    if run.verification is None:
        return (
            ((msg("See how things stand:"), "backout"),)
            if run.plan.purpose != "back"
            else ((msg("Prove that it works:"), "backout verify"),)
        )
    if run.verification.outcome is Outcome.INCONCLUSIVE:
        return ((_perhaps_fine(run.verification), "backout verify"),)
    if run.verification.outcome is Outcome.FAIL:
        return _failed(run.verification)
    if run.plan.data is not None:
        return (*_data(run, run.plan.data), *_quarantined(run))
    away = ", ".join(quarantined_now(run))
    if not away:
        return ((msg("Nothing has to be done."), None),)
    stays = msg(
        "Nothing has to be done. {versions} stays quarantined until it is named on purpose.", versions=away
    )
    return ((stays, None),)


def _perhaps_fine(proof: Verification) -> Message:
    """Say what the proof still needs, each once."""
    needed = dict.fromkeys(plain(r.more) for r in proof.results if r.more is not None)
    if not needed:
        return msg("It may well be fine. Let the checks look longer:")
    return msg("It may well be fine. {needed}. Let the checks look longer:", needed=". ".join(needed))


def _data(run: Run, plan: DataPlan) -> tuple[Step, ...]:
    if plan.kept is None:
        if plan.safety is None:
            return (
                (
                    msg("What was overwritten is in no safety backup; see what there is:"),
                    "backout backup list",
                ),
            )
        said = msg(
            "What was overwritten is in the safety backup {backup}. To look into it:", backup=plan.safety
        )
        return ((said, f"backout backup restore {plan.safety}"),)
    return (
        (
            msg("Look at what was written since the backup, and bring over what is wanted:"),
            "backout data diff",
        ),
        (
            msg(
                "The database that was live is kept as {kept}. When it is not needed any more:",
                kept=plan.kept,
            ),
            f"backout backup drop {plan.kept}",
        ),
        (msg("To go back to that database, while it is there:"), f"backout abort {run.id}"),
    )


def _quarantined(run: Run) -> tuple[Step, ...]:
    away = ", ".join(quarantined_now(run))
    if not away:
        return ()
    return ((msg("{versions} stays quarantined until it is named on purpose.", versions=away), None),)


def _failed(proof: Verification) -> tuple[Step, ...]:
    failed = (r for r in proof.results if r.outcome is Outcome.FAIL)
    return (
        *(
            (msg("Failed: {check}: {evidence}", check=r.name, evidence=plain(r.evidence)), None)
            for r in failed
        ),
        (msg("To look again:"), "backout verify"),
        (msg("If it does harm, stop the service at once:"), "backout hold"),
        (msg("To see the way to an earlier release:"), "backout releases"),
    )


def _still_held(run: Run) -> tuple[Step, ...]:
    names = ", ".join(h.name for h in held_now(run))
    if not names or run.plan.purpose == "hold":
        return ()
    return ((msg("{names} still holds. To let go:", names=names), "backout release-hold"),)
