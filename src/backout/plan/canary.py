"""Decides what a canary gets next, and how requests are divided without it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from backout.canary import Canary, Meant
from backout.errors import NotPossible, UnknownVersion, UsageError
from backout.message import Message, msg
from backout.observed import SidesNow
from backout.plan.assembly import Terms, numbered
from backout.plan.base import StepKind
from backout.plan.model import Phase, Plan, StepSpec

_STATE = msg("Nothing was changed.")
_STATUS = "backout canary status"


def told(shares: Mapping[str, int]) -> str:
    """Return shares for people: ``blue 95 %, green 5 %``."""
    return ", ".join(f"{name} {share} %" for name, share in shares.items())


def to_start(now: SidesNow, version: str, ref: str, first: int) -> Meant:
    """Return what starting a canary means.

    Args:
        now: Router and sides.
        version: The release, as people call it.
        ref: What its side has to say it runs.
        first: The first step, in per cent.

    Raises:
        UnknownVersion: No side runs it.
        NotPossible: It gets requests already, or they are divided otherwise than all to one side.
    """
    sides = [one for one in now.sides if one.version == ref]
    if not sides:
        runs = ", ".join(f"{one.name} {one.version or 'does not answer'}" for one in now.sides)
        raise UnknownVersion(
            msg("No side runs {ref}: {runs}.", ref=ref, runs=runs),
            state=_STATE,
            next_command="backout doctor",
        )
    full = [name for name, share in now.shares.items() if share == 100]
    side = min(sides, key=lambda one: (not one.serves, one.not_ready is not None, one.name))
    if side.share == 100:
        raise NotPossible(
            msg("{version} on {side} gets all requests already.", version=version, side=side.name),
            state=_STATE,
            next_command="backout",
        )
    others = [name for name, share in now.shares.items() if share and name != side.name]
    if side.share == first and len(others) == 1:
        full = others  # Typed twice: as it is.
    if not full:
        raise NotPossible(
            msg("Requests are divided already: {shares}.", shares=told(now.shares)),
            state=_STATE,
            next_command="backout canary next   # or: backout canary stop"
            if side.share
            else f"{_STATUS}   # a canary starts where one side gets all requests",
        )
    return Meant(version=version, ref=ref, side=side.name, control=full[0], share=first)


def to_next(now: SidesNow, state: Canary, steps: Sequence[int], *, resume: bool = False) -> Meant:
    """Return what the next step means, from what the router itself says.

    Raises:
        NotPossible: No canary is under way, it is paused, the router divides otherwise than a step says, or its side is another one now.
    """
    meant = _under_way(state)
    if state.paused is not None and not resume:
        raise NotPossible(
            msg(
                "The canary {version} is paused by {who} since {at}{why}.",
                version=meant.version,
                who=state.paused.by,
                at=f"{state.paused.at:%Y-%m-%d %H:%M UTC}",
                why=f": {state.paused.reason}" if state.paused.reason else "",
            ),
            state=_STATE,
            next_command="backout canary next --resume",
        )
    share = _share(now, meant, steps)
    found = next((one for one in now.sides if one.name == meant.side), None)
    if found is None or found.version != meant.ref:
        raise NotPossible(
            msg(
                "Side {side} is meant to run {ref}, and {runs}.",
                side=meant.side,
                ref=meant.ref,
                runs=f"runs {found.version}" if found and found.version else "does not say what it runs",
            ),
            state=msg("Nothing was changed. Requests are divided so: {shares}.", shares=told(now.shares)),
            next_command="backout canary stop",
        )
    following = next((step for step in steps if step > share), None)
    if following is None:
        raise NotPossible(
            msg("{version} gets all requests already.", version=meant.version),
            state=_STATE,
            next_command="backout record",
        )
    return meant.model_copy(update={"share": following})


def _share(now: SidesNow, meant: Meant, steps: Sequence[int]) -> int:
    """Return the step that the router is at; what is between two is told, and not guessed."""
    shares = now.shares
    share = shares.get(meant.side, 0)
    if share not in steps or share + shares.get(meant.control, 0) != 100:
        raise NotPossible(
            msg(
                "The router divides requests so: {shares}. That is no step of the canary {version} on {side} ({steps} %).",
                shares=told(shares),
                version=meant.version,
                side=meant.side,
                steps=", ".join(map(str, steps)),
            ),
            state=msg("Nothing was changed: backout does not guess which step is meant."),
            next_command=f"backout canary start {meant.version}"
            if shares.get(meant.control) == 100
            else "backout canary stop",
        )
    return share


def _under_way(state: Canary) -> Meant:
    if state.meant is None:
        stopped = state.stopped
        raise NotPossible(
            msg("No canary is under way.")
            if stopped is None
            else msg(
                "The canary was stopped by {who} at {at}.",
                who=stopped.by,
                at=f"{stopped.at:%Y-%m-%d %H:%M UTC}",
            ),
            state=_STATE,
            next_command="backout canary start RELEASE",
        )
    return state.meant


def refuse_unready(now: SidesNow, meant: Meant) -> None:
    """Raise `NotPossible` where the canary's side is not ready: it would get requests that it cannot answer."""
    side = now.of(meant.side)
    if side.not_ready is not None:
        raise NotPossible(
            msg("Side {side} is not ready: {why}.", side=side.name, why=str(side.not_ready)),
            state=msg("Nothing was changed. Requests are divided so: {shares}.", shares=told(now.shares)),
            next_command="backout doctor",
        )


def divided(sides: Collection[str], meant: Meant) -> dict[str, int]:
    """Return the shares of all sides."""
    shares = dict.fromkeys(sides, 0)
    return shares | {meant.control: 100 - meant.share, meant.side: meant.share}


def plan_canary(
    meant: Meant,
    state: Canary,
    note: StepSpec,
    switch: Sequence[StepSpec],
    kinds: Mapping[str, StepKind],
    terms: Terms,
    *,
    of: tuple[str, str],
    control: str | None,
) -> Plan:
    """Return the plan that gives a canary its share: look, note, divide.

    Args:
        meant: What it is to get.
        state: How it stands, as the journal says.
        note: The step that notes it.
        switch: The platform's steps; the first looks whether the side is ready.
        kinds: Every kind of step.
        terms: What plans are made under.
        of: Service and environment.
        control: The version that gets the other requests; None: it does not say.
    """
    first, *others = switch
    specs = [
        (Phase.PREPARE, first),
        (Phase.PREPARE, note),
        *((Phase.SHIFT_TRAFFIC, one) for one in others),
    ]
    steps = numbered(specs, kinds)
    begins = state.meant is None or state.meant.ref != meant.ref
    return Plan.model_validate(
        {
            "id": terms.plan_id,
            "purpose": "canary",
            "service": of[0],
            "environment": of[1],
            "scenario": "code",
            "from_version": control,
            "to_version": meant.version,
            "created_at": terms.now,
            "expires_at": terms.now + timedelta(seconds=terms.expires_s),
            "why": msg("The canary {version} begins.", version=meant.version)
            if begins
            else msg("The canary {version} gets more requests.", version=meant.version),
            "verdict": "reversible",
            "steps": steps,
            "hazards": {s.key: found for s in steps if (found := kinds[s.spec.kind].hazards(s.spec))},
        }
    )


def plan_retire(
    step: StepSpec, version: str, kinds: Mapping[str, StepKind], terms: Terms, *, of: tuple[str, str]
) -> Plan:
    """Return the plan that stops a side which gets no requests; `of`: service and environment."""
    steps = numbered([(Phase.CLEAN_UP, step)], kinds)
    return Plan.model_validate(
        {
            "id": terms.plan_id,
            "purpose": "retire",
            "service": of[0],
            "environment": of[1],
            "scenario": "code",
            "from_version": version,
            "to_version": None,
            "created_at": terms.now,
            "expires_at": terms.now + timedelta(seconds=terms.expires_s),
            "why": msg("Side {side} is kept no longer.", side=str(step.params["side"])),
            "verdict": "reversible",
            "steps": steps,
            "hazards": {s.key: found for s in steps if (found := kinds[s.spec.kind].hazards(s.spec))},
        }
    )


def to_stop(
    shares: Mapping[str, int], steps: Sequence[int], state: Canary | None, named: str | None
) -> tuple[str, Message]:
    """Return the side that is the canary, and what says so; from the router and, where it can be read, the journal.

    Args:
        shares: By side, as the router says.
        steps: The shares of a canary that are configured.
        state: The journal's; None: it cannot be read.
        named: The side that a person named; None: none.

    Raises:
        UsageError: There is no such side.
        NotPossible: Nobody can tell which side is the canary.
    """
    if named is not None:
        if named not in shares:
            raise UsageError(
                msg("The router has no side {side}: {sides}.", side=named, sides=", ".join(shares)),
                state=_STATE,
                next_command=_STATUS,
            )
        return named, msg("named")
    told_of = _noted(state)
    serving = [name for name, share in shares.items() if share]
    # Who gets nothing, while others share, is not who is to lose it.
    if (
        told_of is not None
        and told_of in shares
        and shares[told_of] != 100
        and (shares[told_of] or len(serving) < 2)
    ):
        return told_of, msg("as the journal says")
    if told_of is None and len(serving) == 2:
        # A step of a canary, whose rest is no step: then the rest is no canary.
        fits = [name for name in serving if shares[name] in steps and 100 - shares[name] not in steps]
        if len(fits) == 1:
            return fits[0], msg("as its share says, {share} %", share=shares[fits[0]])
    full = next((name for name in serving if shares[name] == 100), None)
    if full is not None and full == told_of:
        raise NotPossible(
            msg("Side {side} gets all requests: it is no canary any more.", side=full),
            state=_STATE,
            next_command=f"backout plan   # the way back, with the schema; or, the requests alone: "
            f"backout canary stop --side {full}",
        )
    raise NotPossible(
        msg("Which side is the canary is not known: {shares}.", shares=told(shares))
        if state is None
        else msg("No canary is under way: {shares}.", shares=told(shares)),
        state=_STATE,
        # No side is proposed: who follows in a hurry must not shut out the one that serves.
        next_command=_STATUS
        if state is not None and full is not None
        else f"backout canary stop --side SIDE   # the canary's: {' or '.join(serving or shares)}",
    )


def _noted(state: Canary | None) -> str | None:
    if state is None:
        return None
    if state.meant is not None:
        return state.meant.side
    return state.stopped.side if state.stopped is not None else None


def without(shares: Mapping[str, int], side: str, control: str | None) -> tuple[dict[str, int], str | None]:
    """Return the shares without a side, and who gets what it had; None: it had none.

    Args:
        shares: By side, as the router says.
        side: The one that is to have none.
        control: The side that is known to have had the other requests; None: it is not known.

    Raises:
        NotPossible: Nobody can tell who is to get them.
    """
    if not shares[side]:
        return dict(shares), None
    others = {name: share for name, share in shares.items() if name != side}
    heir = max(others, key=lambda name: (others[name], name == control))
    if not others[heir] and control not in others and len(others) > 1:
        raise NotPossible(
            msg(
                "Side {side} gets all requests, and which other side is to get them is not known.", side=side
            ),
            state=_STATE,
            next_command="backout plan --to VERSION",
        )
    return {**others, heir: others[heir] + shares[side], side: 0}, heir
