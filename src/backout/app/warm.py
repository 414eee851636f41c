"""Sides that lost their requests: kept running for a while, told of, and stopped when that is over."""

from __future__ import annotations

from datetime import datetime, timedelta

from backout.app.canary import LOOK_S, dividing
from backout.app.parts import Parts
from backout.app.plan import terms
from backout.app.run import Conduct, run
from backout.canary import KINDS
from backout.errors import NeedsAcceptance, NotPossible, UsageError
from backout.execute.run import Run, fold
from backout.execute.warmth import Warm, kept, lost_at, since
from backout.message import Message, msg
from backout.observed import SideNow, SidesNow
from backout.plan.canary import plan_retire
from backout.platforms.abilities import DividesRequests
from backout.platforms.base import Diagnosis

STILL_WARM = "still-warm"
"""Name for `--accept`: a side is stopped that is to be kept, or of which nothing tells since when it gets no requests."""
_RUNS_BACK = 20


def warm_sides(parts: Parts, now: SidesNow) -> tuple[Warm, ...]:
    """Return the sides that get no requests, as the router says; since when, as the journal or the newest record tells.

    Raises:
        StoreUnreadable: The journal cannot be read.
    """
    platform = dividing(parts)
    created = parts.journal.events(kinds=("run.created",), newest=_RUNS_BACK)
    runs = [fold(parts.journal.events(event.run)) for event in created]
    events = parts.journal.events(kinds=KINDS)
    backed_out = {q.version for q in parts.book.quarantined()} | set(parts.canaries.canary().backed_out)
    deployed: dict[str, datetime] = {}
    for release in reversed(parts.book.newest()):  # Oldest first: the newest record of a version counts.
        deployed[release.artefact.ref if release.artefact is not None else release.version] = (
            release.deployed_at
        )
    serving = max(
        (deployed[str(one.version)] for one in now.sides if one.share and one.version in deployed),
        default=None,
    )
    return tuple(
        kept(
            one,
            since(lost_at(one.name, runs, events), deployed.get(str(one.version)), serving),
            platform.keep_warm_s,
            way_back=one.version not in backed_out,
        )
        for one in now.sides
        if not one.serves
    )


def told(parts: Parts, now: SidesNow) -> tuple[Message, ...]:
    """Return a sentence for each side that gets no requests: until when it is kept, or the command that stops it."""
    if not any(one.share for one in now.sides):
        return ()
    platform, at = dividing(parts), parts.clock.now()
    return tuple(
        _sentence(one, platform, at)
        for one in warm_sides(parts, now)
        # One that never had requests is the next release, and nothing that is kept.
        if one.side.version and (one.since is not None or not one.way_back)
    )


def _sentence(warm: Warm, platform: DividesRequests, now: datetime) -> Message:
    side, version = warm.side.name, str(warm.side.version)
    can = platform.retire(side, version) is not None
    if warm.is_over(now):
        why = msg("it is kept no longer") if warm.way_back else msg("it was backed out")
        if not can:
            return msg(
                "{side} runs {version}; {why}: stop it yourself.", side=side, version=version, why=str(why)
            )
        return msg(
            "{side} runs {version}; {why}: backout canary retire {side}",
            side=side,
            version=version,
            why=str(why),
        )
    if warm.since is None or warm.until is None:
        return msg(
            "{side} runs {version}; since when it gets no requests is not known. Going back to it takes seconds.",
            side=side,
            version=version,
        )
    return msg(
        "{side} with {version} gets no requests since {since}, and is kept until {until}: going back to it takes seconds.",
        side=side,
        version=version,
        since=f"{warm.since:%Y-%m-%d %H:%M UTC}",
        until=f"{warm.until:%Y-%m-%d %H:%M UTC}",
    )


def retire(parts: Parts, side: str, accept: tuple[str, ...], conduct: Conduct) -> Run:
    """Stop a side that gets no requests, and return the finished run.

    Raises:
        UsageError: There is no such side.
        NotPossible: Requests reach it, or it is not declared how it is stopped.
        NeedsAcceptance: It is to be kept for a while yet.
    """
    platform = dividing(parts)
    now = platform.sides_now(LOOK_S)
    found = _side(now, side)
    if found.serves:
        raise NotPossible(
            msg(
                "Side {side} gets requests: {share} %, {n} are inside.",
                side=side,
                share=found.share,
                n="perhaps some" if found.inside is None else found.inside,
            ),
            state=msg("Nothing was changed."),
            next_command="backout canary stop" if 0 < found.share < 100 else "backout canary status",
        )
    version = found.version or found.installed or side
    step = platform.retire(side, version)
    if step is None:
        raise NotPossible(
            msg("It is not declared how side {side} is stopped.", side=side),
            state=msg("Nothing was changed."),
            next_command="${EDITOR:-vi} backout.yaml   # platform.sides: start, stop, installed",
        )
    warm = next(one for one in warm_sides(parts, now) if one.side.name == side)
    if STILL_WARM not in accept and not warm.is_over(parts.clock.now()):
        raise NeedsAcceptance(
            _sentence(warm, platform, parts.clock.now())
            if found.version
            else msg("Side {side} is to be kept.", side=side),
            state=msg("Nothing was changed."),
            next_command=f"backout canary retire {side} --accept {STILL_WARM}",
        )
    site = parts.site
    plan = plan_retire(step, version, parts.kinds, terms(parts), of=(site.service, site.environment))
    return run(parts, plan, conduct)


def _side(now: SidesNow, name: str) -> SideNow:
    for one in now.sides:
        if one.name == name:
            return one
    raise UsageError(
        msg("There is no side {side}: {sides}.", side=name, sides=", ".join(now.shares)),
        state=msg("Nothing was changed."),
        next_command="backout canary status",
    )


def diagnose_warm(parts: Parts) -> list[Diagnosis]:
    """Return a line for each side that is to be kept and does not answer: the way back is not a matter of seconds."""
    if not isinstance(parts.platform, DividesRequests):
        return []
    now, at = parts.platform.sides_now(LOOK_S), parts.clock.now()
    return [
        Diagnosis(
            subject=f"side {one.side.name}: kept",
            ok=False,
            evidence=msg(
                "It is to be kept until {until}, and does not answer: going back to it takes more than seconds.",
                until=f"{one.until:%Y-%m-%d %H:%M UTC}",
            ),
            remedy="start it again, or go on without a way back that is warm",
        )
        for one in warm_sides(parts, now)
        if one.side.version is None
        and one.until is not None
        and at < one.until
        and not _retired(parts, one.side.name, one.until - timedelta(seconds=parts.platform.keep_warm_s))
    ]


def _retired(parts: Parts, side: str, since: datetime) -> bool:
    """Return whether a run stopped the side since then: it did not die."""
    for created in parts.journal.events(kinds=("run.created",), newest=_RUNS_BACK):
        if created.at < since:
            continue
        found = fold(parts.journal.events(created.run))
        for step in found.plan.steps:
            if step.spec.kind == "sides.stop" and step.spec.params.get("side") == side:
                return True
    return False
