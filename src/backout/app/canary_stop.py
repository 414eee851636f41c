"""All requests away from the canary: needs the router alone, waits for nobody, and works at any moment.

Neither lease nor state file is needed: what is read of it, is read for a second at most, and what is noted, is noted
after the router was told; where it cannot be noted there, it is journalled apart, and merged later.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from backout.app.canary import dividing
from backout.app.deadline import Question
from backout.app.emergency_places import journal_apart
from backout.app.parts import Parts
from backout.app.run import open_runs
from backout.canary import STOP_ID, Canary
from backout.document import Document
from backout.errors import BackoutError, NeedsAcceptance, StepFailed, StoreFull, StoreTooNew, StoreUnreadable
from backout.execute.canaries import Canaries
from backout.execute.journal import Journal
from backout.execute.store import Store
from backout.faults import fault_point
from backout.ids import new_id
from backout.message import Message, msg
from backout.observed import Answer, SideTraffic, Traffic
from backout.plan.canary import to_stop, told, without
from backout.platforms.abilities import DividesRequests
from backout.release import Quarantine, ReleaseState
from backout.routers.base import Router, ShiftsTraffic

_ROUTER_S, _STATE_S, _POLL_S = 10.0, 1.0, 0.1
CONTROL_NOT_READY = "control-not-ready"
"""Name for `--accept`: the side that is to get the requests does not answer, or nobody can tell whether it does."""


class CanaryStopped(Document):
    """What stopping did.

    Attributes:
        side: The side that gets no request any more.
        because: What says that it is the canary.
        version: What ran there, if the journal can be read.
        before, shares: How requests were divided, and how they are: read back from the router.
        ended: Connections that were ended when the time to drain was over; null: some, perhaps: the router cannot tell.
        closed: Runs that were to give the canary requests, and do not go on.
        noted: Why it is not noted in the state file, or where else it is; null: it is noted there.
    """

    side: str
    because: Message
    version: str | None
    before: dict[str, int]
    shares: dict[str, int]
    ended: int | None
    closed: tuple[str, ...]
    noted: Message | None


def stop(
    parts: Parts,
    side: str | None,
    accept: tuple[str, ...],
    reason: str | None,
    tell: Callable[[Message], None],
) -> CanaryStopped:
    """Take all requests from the canary, note that it was stopped, and drain its side. Idempotent.

    Args:
        parts: Made with `look_only`, so that nothing was written before the router is told.
        side: The canary's side; None: as journal or shares tell.
        accept: `control-not-ready` sends requests also to a side that does not answer.
        reason: Why, for the journal.
        tell: Told what is done, as it happens.

    Raises:
        TargetUnreachable: The router does not answer; whether anything was changed is told.
        NotPossible: Nobody can tell which side is the canary, or who is to get its requests.
        NeedsAcceptance: Who is to get its requests is not ready.
        StepFailed: The router refused, or divides otherwise after it was told.
    """
    platform = dividing(parts)
    router = platform.router
    asked = Question("the journal", lambda: _journalled(parts))
    traffic = router.traffic(_ROUTER_S)
    state, _ = asked.told(Canary, _STATE_S)
    before = traffic.shares
    canary, because = to_stop(before, parts.canary_steps, state, side)
    meant = state.meant if state is not None and state.meant and state.meant.side == canary else None
    shares, heir = without(before, canary, meant.control if meant else None)
    if heir is not None and CONTROL_NOT_READY not in accept:
        _refuse_dead(platform, traffic, heir, canary, side)
    found = traffic.of(canary)
    served = bool(found.share or found.admits)
    if served or traffic.kept is Answer.NO:
        fault_point("canary.stop.before")
        _shift(router, canary, shares, parts.router if CONTROL_NOT_READY in accept else None, tell)
        fault_point("canary.stop.after")
    now = _read_back(router, canary, shares)
    tell(msg("No request goes to {side} any more: {shares}.", side=canary, shares=told(now.shares)))
    stopped = state is not None and state.meant is None and state.stopped and state.stopped.side == canary
    closed: tuple[str, ...] = ()
    noted = None
    if served or not stopped:
        closed, noted = _note(parts, canary, meant.version if meant else None, reason)
    ended = _drain(platform, canary, tell)
    last = _read_back(router, canary, shares)
    return CanaryStopped(
        side=canary,
        because=because,
        version=meant.version if meant else None,
        before=before,
        shares=last.shares,
        ended=ended,
        closed=closed,
        noted=noted,
    )


def _journalled(parts: Parts) -> Canary:
    """Read how it stands with a connection of its own: whoever gave up waiting must not share it."""
    store = Store(parts.state_directory, look_only=True)
    try:
        return Canaries(Journal(store, parts.clock, parts.actor, parts.site.redactor)).canary()
    finally:
        store.close()


def _refuse_dead(
    platform: DividesRequests, traffic: Traffic, heir: str, canary: str, named: str | None
) -> None:
    """Raise where the side that is to get the requests cannot take them: everybody would get an error at once."""
    side = traffic.of(heir)
    why = "the router's checks fail for it" if side.healthy is Answer.NO else None
    if side.healthy is Answer.UNKNOWN:
        why = platform.side_not_ready(heir)
    if why is None:
        return
    words = f" --side {canary}" if named else ""
    raise NeedsAcceptance(
        msg("Side {side} is to get all requests, and is not ready: {why}.", side=heir, why=why),
        state=msg("Nothing was changed. Requests are divided so: {shares}.", shares=told(traffic.shares)),
        next_command=f"backout canary stop{words} --accept {CONTROL_NOT_READY}   # or answer maintenance: backout hold",
    )


def _shift(
    router: ShiftsTraffic,
    canary: str,
    shares: dict[str, int],
    holding: Router | None,
    tell: Callable[[Message], None],
) -> None:
    """Divide requests so; what fails after the canary gets none any more is told, and stops nothing.

    `holding`: the same router, where it is to do so also if nobody is left that answers.
    """
    try:
        try:
            router.shift(shares)
        except StepFailed:
            # A router does not shut the last side out that answers; while it holds, it divides without looking.
            if holding is None or _is_off(router, canary, shares):
                raise
            with suppress(StepFailed):  # It holds, and what is inside has not ended.
                holding.hold("maintenance")
            router.shift(shares)
            holding.release({})
    except BackoutError as error:
        if not _is_off(router, canary, shares):
            raise
        tell(
            msg(
                "{what} {state} To look: {command}",
                what=str(error.what),
                state=str(error.state),
                command=error.next_command,
            )
        )


def _is_off(router: ShiftsTraffic, canary: str, shares: dict[str, int]) -> bool:
    """Tell whether no request goes to the canary any more, for good; where that cannot be told it is not so."""
    try:
        now = router.traffic(_ROUTER_S)
    except BackoutError:
        return False
    return now.shares == shares and not now.of(canary).admits and now.kept is Answer.YES


def _read_back(router: ShiftsTraffic, canary: str, shares: dict[str, int]) -> Traffic:
    now = router.traffic(_ROUTER_S)
    side = now.of(canary)
    if side.share or side.admits or now.shares != shares:
        raise StepFailed(
            msg("The router divides requests so: {shares}.", shares=told(now.shares))
            if side.share or not side.admits
            else msg("Clients that stick to {side} still reach it.", side=canary),
            state=msg("The router was told otherwise: somebody else divides them at the same time."),
            next_command="backout canary stop",
        )
    return now


def _note(
    parts: Parts, side: str, version: str | None, reason: str | None
) -> tuple[tuple[str, ...], Message | None]:
    """Note the stop; return the runs that were closed, and why it does not stand in the state file (None: it does)."""
    parts.look_only = False
    try:
        parts.canaries.stop(side, version, reason)
        _quarantine(parts, version, reason)
        return _close_runs(parts), None
    except (StoreUnreadable, StoreTooNew, StoreFull) as error:
        try:
            journal_apart(parts, error.what)
            parts.canaries.stop(side, version, reason)
        except BackoutError as worse:
            return (), msg("It is noted nowhere: {why}", why=str(worse.what))
        told_of = msg(
            "{why} It is noted in {folder}, and merged by the next command that can use the state file.",
            why=str(error.what),
            folder=str(parts.state_directory),
        )
        return (), told_of
    except BackoutError as error:
        return (), msg("It is not noted: {why}", why=str(error.what))


def _quarantine(parts: Parts, version: str | None, reason: str | None) -> None:
    """Shut the release away, so that nothing brings it back by accident; `canary start --accept backed-out` lets it in again."""
    if version is None or parts.book.is_quarantined(version):
        return
    why = f"its canary was stopped{f': {reason}' if reason else ''}"
    entry = Quarantine(version=version, reason=why, since=parts.clock.now())
    parts.book.quarantine(entry, ReleaseState.BAD, None)


def _close_runs(parts: Parts) -> tuple[str, ...]:
    """End the runs that would give the canary requests again when they are resumed."""
    by = new_id(STOP_ID, parts.clock.now())
    runs = tuple(run.id for run in open_runs(parts) if run.plan.purpose == "canary")
    for run in runs:
        parts.journal.append("run.aborted", {"by": by, "superseded": True}, run=run)
    return runs


def _drain(platform: DividesRequests, name: str, tell: Callable[[Message], None]) -> int | None:
    """Wait until nothing is inside the side; at the limit end what is, and return how much that was; None: nobody knows."""
    router, until = platform.router, time.monotonic() + platform.drain_timeout_s
    side: SideTraffic = router.traffic(_ROUTER_S).of(name)
    if side.inside != 0:
        tell(
            msg(
                "{n} requests or connections are still inside {side}; after {s} s they are ended.",
                n="Perhaps some" if side.inside is None else side.inside,
                side=name,
                s=platform.drain_timeout_s,
            )
        )
    while side.inside != 0 and time.monotonic() < until:
        time.sleep(_POLL_S)
        side = router.traffic(_ROUTER_S).of(name)
    return router.cut(name) if side.inside != 0 else 0
