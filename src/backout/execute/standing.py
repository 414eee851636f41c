"""How things stand in the middle of a run: how far it is, what is held, which version serves. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from backout.execute.held import Held, held_now
from backout.execute.run import Run, StepState
from backout.message import Message, msg
from backout.observed import KEEPS_REQUESTS_AWAY, KEEPS_WRITES_AWAY
from backout.plan.base import StepKind, World
from backout.plan.model import PlannedStep

_NOBODY_KNOWS = "an unknown version"


def may_serve(run: Run, kinds: Mapping[str, StepKind]) -> tuple[tuple[str, ...], ...]:
    """Return each set of versions that may serve now, as `Plan.serving` keeps them; empty: it cannot be told.

    The plan's own simulation, as far as the journal says that it came: a step that is confirmed leaves its
    finished world, one that was begun leaves any that it may be cut short in.
    """
    worlds = _begin(run)
    for step in run.plan.steps:
        state = run.progress(step.key).state
        if state is StepState.PENDING:
            continue
        try:
            after = [kinds[step.spec.kind].effect(step.spec, world) for world in worlds]
        except (LookupError, TypeError, ValueError, AttributeError, AssertionError):
            return ()  # A kind, or params, of another version of backout: the journal outlives the code.
        if state is StepState.CONFIRMED:
            worlds = [possible[-1] for possible in after]
        else:
            worlds = [
                world for before, possible in zip(worlds, after, strict=True) for world in (before, *possible)
            ]
        worlds = list(dict.fromkeys(worlds))
    found = dict.fromkeys(tuple(sorted(world.serving)) for world in worlds)
    return () if any(_NOBODY_KNOWS in versions for versions in found) else tuple(found)


def state_of(run: Run, kinds: Mapping[str, StepKind]) -> Message:
    """Say how things stand, and what goes back from there."""
    if run.plan.purpose == "abort":
        way = msg("backout resume {run} goes on undoing.", run=run.id)
    elif held_now(run):
        way = msg("backout abort {run} lets go and undoes.", run=run.id)
    else:
        way = msg("backout abort {run} undoes what was done.", run=run.id)
    return msg("{standing} {way}", standing=str(standing(run, kinds)), way=str(way))


def standing(run: Run, kinds: Mapping[str, StepKind]) -> Message:
    """Say how far the run is, what is held, and which version serves."""
    held = held_now(run)
    return msg(
        "{done} of {total} steps are done; {held} {serving}",
        done=sum(s.state is StepState.CONFIRMED for s in run.steps),
        total=len(run.steps),
        held=str(_held(held)),
        serving=str(_serving(run, kinds, away=any(h.mode in KEEPS_REQUESTS_AWAY for h in held))),
    )


def _begin(run: Run) -> list[World]:
    sets = run.plan.serving or ((_NOBODY_KNOWS,),)
    return [World(serving=frozenset(versions), code=run.plan.from_version) for versions in sets]


def _held(held: tuple[Held, ...]) -> Message:
    if not held:
        return msg("nothing is held.")
    names, certain = ", ".join(h.name for h in held), all(h.certain for h in held)
    hold = ("still hold" if certain else "may still hold") + ("s" if certain and len(held) == 1 else "")
    modes = {h.mode for h in held}
    if modes & set(KEEPS_REQUESTS_AWAY):
        if certain:
            return msg("{names} {hold}: requests do not reach the service.", names=names, hold=hold)
        return msg("{names} {hold}: requests may not reach the service.", names=names, hold=hold)
    what = (
        msg("writes are refused") if modes & set(KEEPS_WRITES_AWAY) else msg("what it suspends stands still")
    )
    if certain:
        return msg(
            "{names} {hold}: {what}, requests reach the service.", names=names, hold=hold, what=str(what)
        )
    return msg(
        "{names} {hold}: perhaps {what}; requests reach the service.", names=names, hold=hold, what=str(what)
    )


def _serving(run: Run, kinds: Mapping[str, StepKind], *, away: bool) -> Message:
    """Say which version serves; behind a hold it runs, and nobody is served."""
    sets = may_serve(run, kinds)
    if not sets:
        return msg("Which version runs cannot be told from here: backout looks.")
    several = any(len(found) > 1 for found in sets)
    versions = (", or " if several else " or ").join(" and ".join(found) or "nothing" for found in sets)
    verb = ("run" if away else "serve") + ("" if len(sets[-1]) > 1 else "s")
    if len(sets) == 1:
        return msg("{versions} {verb}.", versions=versions.replace("nothing", "Nothing"), verb=verb)
    step = _open_step(run)
    if step is None:
        return msg(
            "Either {versions} {verb}: what the undone run did not end decides.", versions=versions, verb=verb
        )
    return msg(
        "Either {versions} {verb}: step {step}, which did not come to its end, decides.",
        versions=versions,
        verb=verb,
        step=step.key,
    )


def _open_step(run: Run) -> PlannedStep | None:
    """Return the step that was begun and has no end."""
    return next(
        (
            s
            for s in run.plan.steps
            if run.progress(s.key).state not in (StepState.PENDING, StepState.CONFIRMED)
        ),
        None,
    )
