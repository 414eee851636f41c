"""One screen: what runs since when, what was before it, whether going back is safe, who acts, what to type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from backout.app.back import brought_back
from backout.app.canary_now import sharing
from backout.app.deadline import Question
from backout.app.elsewhere import look_elsewhere
from backout.app.observe import observe
from backout.app.parts import Parts
from backout.app.paused import reminders
from backout.app.plan import plan_from
from backout.app.run import blocking_run, load, open_runs
from backout.app.watch_marks import frozen, paused
from backout.assess.assess import UNPROVEN
from backout.assess.model import Request
from backout.assess.versions import current_version, release_of
from backout.errors import BackoutError, NothingToGoBackTo
from backout.execute.owner import is_dead
from backout.facts import Facts
from backout.message import Message, msg
from backout.observed import Answer
from backout.plan.model import Estimate, Verdict
from backout.plan.refusal import refusal
from backout.platforms.abilities import Hurries
from backout.platforms.base import Lease
from backout.release import Release
from backout.report.overview import Acting, Overview

DEADLINE_S, _SOON_S = 1.0, 0.1
_ALL_S = 1.4
"""All that is asked of a platform over a network, records and runs that it keeps included."""


def overview(parts: Parts) -> Overview:
    """Look at everything, wait at most a second for any of it, and say what to type next."""
    with _in_a_hurry(parts):
        return _overview(parts)


@contextmanager
def _in_a_hurry(parts: Parts) -> Iterator[None]:
    """Let what is asked of the platform in turn, as what it keeps is, take no longer all together."""
    platform = parts.platform
    if not isinstance(platform, Hurries):
        yield
        return
    platform.hurry(_ALL_S)
    try:
        yield
    finally:
        platform.hurry(None)


def _overview(parts: Parts) -> Overview:
    began_s, asked = parts.clock.monotonic_s(), Question("the lease", parts.lease_store.read)
    facts = observe(parts, DEADLINE_S, meanwhile=partial(look_elsewhere, parts))
    left_s = began_s + DEADLINE_S - parts.clock.monotonic_s()
    lease, lease_unknown = asked.told(Lease, max(_SOON_S, left_s))
    version, workload = current_version(facts), facts.workload.value
    previous, safe, why, duration, command = _way_back(parts, facts)
    acting = _acting(parts, lease)
    held = tuple(h.name for h in facts.holds if h.held is Answer.YES)
    if acting is not None:
        # What is half-way is no ground to judge another way back from.
        previous = _other_version(parts, facts, acting.run) or previous
        safe, why = Answer.UNKNOWN, msg("Run {run} is not at its end.", run=acting.run)
        command = f"backout resume {acting.run}" if acting.waits else f"backout status {acting.run}"
    sources = (facts.workload, facts.available, facts.schema_now)
    silent = tuple(
        msg("{name} does not answer.", name=h.name)
        if h.mode is None
        else msg("{name} holds ({mode}), and requests are still inside.", name=h.name, mode=h.mode)
        for h in facts.holds
        if h.held is Answer.UNKNOWN
    )
    who = () if lease_unknown is None else (msg("Who acts: {why}", why=str(lease_unknown)),)
    canary = sharing(parts, facts)
    if canary is not None and acting is None:
        safe, command = Answer.UNKNOWN, "backout canary status"
        why = msg("A canary shares the requests; to take all from it: backout canary stop")
    current = release_of(facts, version) if version else None
    back = brought_back(parts, version) if version else None
    return Overview(
        service=facts.service,
        environment=facts.environment,
        observed_at=facts.observed_at,
        current=current,
        since=max(
            (
                at
                for at in (
                    back.at if back else None,
                    current.deployed_at if current else None,
                    workload.wanted.since if workload and workload.wanted else None,
                )
                if at is not None
            ),
            default=None,
        ),
        running=tuple(a.ref for a in workload.running) if workload else (),
        up=workload.up if workload else 0,
        expected=workload.expected if workload else 0,
        previous=previous,
        safe=safe,
        why=why,
        duration=duration,
        acting=acting,
        acting_known=lease_unknown is None,
        held=held,
        canary=_cut_short(parts, acting)
        if canary is None
        else msg(
            "{version} on {side} gets {share} %",
            version=canary.version,
            side=canary.side,
            share=canary.share,
        ),
        paused=(*reminders(parts, workload), *_guard(parts)),
        unknown=tuple({str(s.unknown): s.unknown for s in sources if s.unknown is not None}.values())
        + silent
        + who,
        next_command=command,
    )


def _cut_short(parts: Parts, acting: Acting | None) -> Message | None:
    """Return that a canary's step did not come to its end, and the router may not do what was meant; None: none is open."""
    if acting is not None:
        return None
    with suppress(BackoutError):  # Whoever needs the journal says what is wrong with it.
        for run in open_runs(parts):
            if run.plan.purpose == "canary":
                return msg(
                    "{version}: run {run} was cut short. What is so, and what to type: {command}",
                    version=str(run.plan.to_version),
                    run=run.id,
                    command="backout canary status",
                )
    return None


def _guard(parts: Parts) -> Iterator[Message]:
    """Yield that the guard is paused, or a release frozen, with the command that ends it."""
    for standing in (paused, frozen):
        with suppress(BackoutError):  # Whoever needs the journal says what is wrong with it.
            if (why := standing(parts)) is not None:
                yield msg("{why} To go on: {command}", why=str(why), command="backout watch --resume")


def _way_back(parts: Parts, facts: Facts) -> tuple[Release | None, Answer, Message, Estimate, str]:
    if (why := _silent(parts, facts)) is not None:
        return None, Answer.UNKNOWN, why, Estimate(), "backout doctor"
    try:
        plan = plan_from(parts, facts, Request())
    except NothingToGoBackTo as error:
        # Who follows in a hurry must not bring back what was backed out: it has to be chosen.
        return None, Answer.UNKNOWN, error.what, Estimate(), "backout releases"
    except BackoutError as error:
        return None, Answer.UNKNOWN, error.what, Estimate(), error.next_command
    if plan.to_version == current_version(facts):
        why = msg(
            "{version} is what the last way back brought. To go further, name a version.",
            version=plan.to_version,
        )
        return None, Answer.UNKNOWN, why, Estimate(), "backout verify"
    previous = release_of(facts, plan.to_version) if plan.to_version else None
    refused = refusal(plan, facts.observed_at)
    if refused is None and plan.verdict is Verdict.REVERSIBLE:
        return previous, Answer.YES, plan.why, plan.total, f"backout run --to {plan.to_version}"
    safe = Answer.NO if plan.verdict is Verdict.FORWARD_FIX_ONLY else Answer.UNKNOWN
    unproven = next((f.evidence for f in plan.findings if f.rule in UNPROVEN), plan.why)
    why = refused.what if refused is not None else unproven
    return previous, safe, why, plan.total, f"backout plan --to {plan.to_version}"


def _silent(parts: Parts, facts: Facts) -> Message | None:
    """Return why no plan can be made in time: to make one, what did not answer now would be asked again, with patience."""
    if facts.workload.unknown is not None:
        return msg("What runs now cannot be told: {reason}", reason=str(facts.workload.unknown))
    return facts.available.unknown if parts.platform.capabilities.history else None


def _other_version(parts: Parts, facts: Facts, run_id: str) -> Release | None:
    """Return the release that a run goes to, or what it comes from where that serves already; None: it moves none."""
    try:
        plan = load(parts, run_id).plan
    except BackoutError:
        return None  # It is in the journal of another machine.
    versions = (plan.to_version, plan.from_version) if plan.purpose in ("back", "abort") else ()
    other = next((v for v in versions if v is not None and v != current_version(facts)), None)
    return release_of(facts, other) if other else None


def acting_on(parts: Parts) -> Acting | None:
    """Return who acts on the environment now, else the run that waits.

    Raises:
        TargetUnreachable: The target keeps the lease, and does not answer.
    """
    return _acting(parts, parts.lease_store.read())


def _acting(parts: Parts, lease: Lease | None) -> Acting | None:
    waiting = open_runs(parts)
    if (
        lease is not None
        and lease.run is not None
        and lease.expires_at > parts.clock.now()
        and not is_dead(lease.process)
    ):
        step = next((r.current_step for r in waiting if r.id == lease.run), None)
        return Acting(run=lease.run, holder=lease.holder, since=lease.acquired_at, step=step, waits=False)
    run = blocking_run(waiting)
    if run is not None:
        return Acting(run=run.id, holder=run.actor, since=run.created_at, step=run.current_step, waits=True)
    return None
