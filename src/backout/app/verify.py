"""Verifying at any time: the checks on what runs now; goes on where the proof of a run or a record was inconclusive."""

from __future__ import annotations

from backout.app.back import note_proof
from backout.app.canary_now import sharing
from backout.app.elsewhere import look_elsewhere
from backout.app.held import holding
from backout.app.observe import observe
from backout.app.parts import Parts
from backout.app.targets import Checks
from backout.assess.versions import current_version
from backout.checks.base import Verification
from backout.errors import CannotAssess, Inconclusive
from backout.execute.run import RunState, fold
from backout.message import msg

DEADLINE_S = 120.0


def verify(parts: Parts) -> Verification:
    """Run every check on the release that runs now; the newest run that brought it gets the result, else its record.

    Raises:
        CannotAssess: What runs cannot be told.
        Inconclusive: Something is held, or a canary shares the requests: the checks would meet that, and not the release alone.
    """
    look_elsewhere(parts)
    facts = observe(parts)
    version = current_version(facts)
    workload = facts.workload.value
    if version is None or workload is None or workload.wanted is None:
        raise CannotAssess(
            msg(
                "What runs now cannot be told: {reason}",
                reason=str(facts.workload.unknown or "nothing is deployed"),
            ),
            state=msg("Nothing was changed."),
            next_command="backout doctor",
        )
    held = holding(facts)
    if held:
        raise Inconclusive(
            msg(
                "{version} cannot be judged while {names} hold: the checks would meet the hold.",
                version=version,
                names=", ".join(held),
            ),
            state=msg("Nothing was changed; what is on record of {version} stays.", version=version),
            next_command="backout release-hold   # then: backout verify",
        )
    canary = sharing(parts, facts)
    if canary is not None:
        raise Inconclusive(
            msg(
                "{version} cannot be judged while the canary {canary} shares the requests: the checks would meet both.",
                version=version,
                canary=canary.version,
            ),
            state=msg("Nothing was changed; what is on record of {version} stays.", version=version),
            next_command="backout canary status",
        )
    found = Checks(parts).verify(version, workload.wanted.ref, workload.wanted.digest, DEADLINE_S)
    newest = parts.journal.events(kinds=("run.finished",), newest=1)
    if newest and newest[0].run is not None:
        run = fold(parts.journal.events(newest[0].run))
        if run.state is RunState.FINISHED and run.plan.to_version == version and run.plan.purpose == "back":
            parts.journal.append("run.verified", {"verification": found.model_dump(mode="json")}, run=run.id)
            return found
    recorded = parts.book.by_version(version)
    if recorded is not None:
        note_proof(parts, recorded, found)
    return found
