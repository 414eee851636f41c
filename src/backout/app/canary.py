"""A canary: a release that gets a share of the requests, in steps; what it gets is asked of the router each time."""

from __future__ import annotations

from backout.app.parts import Parts
from backout.app.plan import terms
from backout.app.run import Conduct, blocking_run, open_runs, run
from backout.app.watch_marks import frozen
from backout.app.watch_state import harm_seen
from backout.canary import Canary, Meant
from backout.errors import BackoutError, NeedsAcceptance, NotPossible, UsageError
from backout.execute.run import Run
from backout.message import Message, msg
from backout.observed import SidesNow
from backout.plan.canary import divided, plan_canary, refuse_unready, to_next, to_start
from backout.platforms.abilities import DividesRequests
from backout.release import ReleaseState
from backout.report.canary import CanaryStatus
from backout.steps.canary import note_spec

LOOK_S = 5.0
_LET_GO_ON = "backout watch --resume   # once a person has looked"
BACKED_OUT = "backed-out"
"""Name for `--accept`: a release that was backed out, or whose canary was stopped, is started again."""


def dividing(parts: Parts) -> DividesRequests:
    """Return the platform; raises `UsageError` where it has no sides."""
    platform: object = parts.platform
    if not isinstance(platform, DividesRequests):
        raise UsageError(
            msg("A canary needs a platform with sides; this one is {kind}.", kind=parts.platform.kind),
            state=msg("Nothing was changed."),
            next_command="${EDITOR:-vi} backout.yaml   # platform: {kind: sides, …}",
        )
    return platform


def start(parts: Parts, release: str, accept: tuple[str, ...], conduct: Conduct) -> Run:
    """Give a release the first share of the requests, and return the finished run.

    Raises:
        UnknownVersion: No side runs it.
        NeedsAcceptance: It was backed out before.
        NotPossible: Its side is not ready, or requests are divided already.
        RunInProgress: Somebody else acts.
    """
    platform = dividing(parts)
    recorded = parts.book.by_version(release)
    ref = recorded.artefact.ref if recorded is not None and recorded.artefact is not None else release
    state = parts.canaries.canary()
    _refuse_frozen(parts)
    if BACKED_OUT not in accept:
        _refuse_backed_out(parts, release, state)
    now = platform.sides_now(LOOK_S)
    meant = to_start(now, release, ref, parts.canary_steps[0])
    refuse_unready(now, meant)
    if parts.book.is_quarantined(release):
        parts.book.lift(release, ReleaseState.UNKNOWN, None)
    return _go(parts, platform, now, meant, state, conduct)


def advance(parts: Parts, conduct: Conduct, *, resume: bool = False) -> Run:
    """Give the canary the next share, and return the finished run.

    Args:
        parts: The service.
        conduct: How the run is watched and stopped.
        resume: End a pause first.

    Raises:
        NotPossible: None is under way, it is paused, not ready, or the router divides requests otherwise than any step says.
        NeedsAcceptance: A way back took it, and it was not started again.
        RunInProgress: Somebody else acts.
    """
    platform, state = dividing(parts), parts.canaries.canary()
    _refuse_frozen(parts)
    if state.meant is not None:
        _refuse_backed_out(parts, state.meant.version, state)
    now = platform.sides_now(LOOK_S)
    meant = to_next(now, state, parts.canary_steps, resume=resume)
    refuse_unready(now, meant)
    if resume and state.paused is not None:
        parts.canaries.resume()
        state = parts.canaries.canary()
    return _go(parts, platform, now, meant, state, conduct)


def pause(parts: Parts, reason: str | None) -> Canary:
    """Have nothing give the canary more requests until `next --resume`; what it gets stays. Idempotent.

    Takes no lease: it is noted also while somebody else acts.

    Raises:
        NotPossible: None is under way.
    """
    dividing(parts)
    state = parts.canaries.canary()
    if state.meant is None:
        raise NotPossible(
            msg("No canary is under way."),
            state=msg("Nothing was changed."),
            next_command="backout canary status",
        )
    if state.paused is None:
        parts.canaries.pause(reason)
    return parts.canaries.canary()


def status(parts: Parts) -> CanaryStatus:
    """Return how it stands, as the router says; changes nothing.

    Raises:
        TargetUnreachable: The router does not say how requests are divided.
    """
    from backout.app.warm import told as warm_told

    platform = dividing(parts)
    now = platform.sides_now(LOOK_S)
    notes: list[Message] = []
    waits, bad, still, recorded = None, None, None, False
    try:
        state = parts.canaries.canary()
        cut_short = [r for r in open_runs(parts) if r.plan.purpose == "canary"]
        waits = cut_short[-1].id if cut_short else None
        blocked = blocking_run(open_runs(parts))
        warm = warm_told(parts, now)
        bad, still, recorded = _bad(parts, state), frozen(parts), _recorded(parts, state)
    except BackoutError as error:
        state, blocked, warm = Canary(), None, ()
        notes.append(msg("What was meant is not known: {why}", why=str(error.what)))
    meant = state.meant
    share = now.shares.get(meant.side) if meant is not None else None
    at_step = (
        meant is not None
        and share in parts.canary_steps
        and share is not None
        and share + now.shares.get(meant.control, 0) == 100
    )
    if meant is not None:
        notes += _differences(now, meant, waits)
    notes += [one for one in (bad, still) if one is not None]
    return CanaryStatus(
        service=parts.site.service,
        environment=parts.site.environment,
        observed_at=parts.clock.now(),
        sides=now.sides,
        kept=now.kept,
        steps=parts.canary_steps,
        canary=state,
        share=share,
        at_step=at_step,
        waits=waits,
        warm=warm,
        notes=tuple(notes),
        next_command=f"backout resume {blocked.id}"
        if blocked is not None
        else _next(
            now,
            state,
            share if at_step else None,
            waits,
            bad=bad is not None,
            still=still is not None,
            recorded=recorded,
        ),
    )


def _recorded(parts: Parts, state: Canary) -> bool:
    found = parts.book.by_version(state.meant.version) if state.meant is not None else None
    return found is not None and found.state is ReleaseState.GOOD


def _bad(parts: Parts, state: Canary) -> Message | None:
    """Return why it is to get no more requests; None: nothing that is known speaks against it."""
    meant, since = state.meant, state.since
    if meant is None or since is None:
        return None
    if parts.book.is_quarantined(meant.version):
        return msg("{version} was backed out: nothing gives it more requests.", version=meant.version)
    harm = harm_seen(parts.state_directory, meant.version, since)
    if harm is None:
        return None
    return msg("The guard saw that {version} does harm: {why}", version=meant.version, why=str(harm))


def _differences(now: SidesNow, meant: Meant, waits: str | None) -> list[Message]:
    notes = []
    share = now.shares.get(meant.side, 0)
    if share != meant.share:
        notes.append(
            msg(
                "{version} was meant to get {meant} %, and gets {share} %.",
                version=meant.version,
                meant=meant.share,
                share=share,
            )
        )
    found = now.versions.get(meant.side)
    if found != meant.ref:
        notes.append(
            msg(
                "Side {side} was started with {ref}, and runs {found}.",
                side=meant.side,
                ref=meant.ref,
                found=found or "nothing that answers",
            )
        )
    if waits is not None:
        notes.append(msg("Run {run} was cut short, or acts now.", run=waits))
    return notes


def _next(
    now: SidesNow,
    state: Canary,
    step: int | None,
    waits: str | None,
    *,
    bad: bool,
    still: bool,
    recorded: bool,
) -> str:
    """Return the command to type.

    Args:
        now: Router and sides.
        state: As the journal says.
        step: That it is at; None: the router is at none.
        waits: Run of a step that was cut short.
        bad: It is to get no more requests.
        still: No release is, until a person lets it.
        recorded: It is on record as good.
    """
    meant = state.meant
    if meant is None:
        divided_now = sum(bool(share) for share in now.shares.values()) > 1
        if divided_now:
            return "backout canary stop"
        return _LET_GO_ON if still else "backout canary start RELEASE"
    if step == 100:
        return "backout plan" if bad else "backout" if recorded else "backout record"
    if bad:
        return "backout canary stop"
    if step is None or now.of(meant.side).not_ready is not None:
        # Where it gets none, this notes that it is over.
        return f"backout resume {waits}   # or: backout canary stop" if waits else "backout canary stop"
    if still:
        return _LET_GO_ON
    return "backout canary next --resume" if state.paused is not None else "backout canary next"


def _go(
    parts: Parts, platform: DividesRequests, now: SidesNow, meant: Meant, state: Canary, conduct: Conduct
) -> Run:
    refuse_unready(now, meant)
    control = now.of(meant.control).version
    switch = platform.divide(
        now,
        meant.side,
        divided(now.shares, meant),
        version=meant.version,
        control=control or meant.control,
    )
    note = note_spec(meant, state.meant, state.changed)
    site = parts.site
    plan = plan_canary(
        meant,
        state,
        note,
        switch,
        parts.kinds,
        terms(parts),
        of=(site.service, site.environment),
        control=control,
    )
    return run(parts, plan, conduct)


def _refuse_frozen(parts: Parts) -> None:
    why = frozen(parts)
    if why is not None:
        raise NotPossible(
            msg("No release gets more requests: {why}", why=str(why)),
            state=msg("Nothing was changed."),
            next_command=_LET_GO_ON,
        )


def _refuse_backed_out(parts: Parts, release: str, state: Canary) -> None:
    entry = next((q for q in parts.book.quarantined() if q.version == release), None)
    word = state.backed_out.get(release)
    if entry is None and word is None:
        return
    raise NeedsAcceptance(
        msg(
            "The canary {version} was stopped by {who} at {at}{why}.",
            version=release,
            who=word.by,
            at=f"{word.at:%Y-%m-%d %H:%M UTC}",
            why=f": {word.reason}" if word.reason else "",
        )
        if word is not None
        else msg("{version} was backed out: {reason}", version=release, reason=entry.reason if entry else ""),
        state=msg("Nothing was changed."),
        next_command=f"backout canary start {release} --accept {BACKED_OUT}",
    )
