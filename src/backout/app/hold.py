"""Stopping the harm at once, before any plan; and letting go again exactly as before."""

from __future__ import annotations

from collections.abc import Callable

from backout.app.emergency_places import journal_apart
from backout.app.observe import observe
from backout.app.parts import Parts
from backout.app.plan import terms
from backout.app.run import Conduct, blocking_run, open_runs, run
from backout.errors import NotPossible, StoreFull, StoreTooNew, StoreUnreadable
from backout.execute.held import held_now
from backout.execute.run import Run
from backout.message import msg
from backout.observed import CLOSED, Answer
from backout.plan.holding import plan_hold, plan_release_hold

DEADLINE_S = 3.0


def hold(parts: Parts, conduct: Conduct) -> Run:
    """Hold by every means configured, and prove that no write arrives. Idempotent.

    Where the state file cannot be used, this is journalled apart (`Parts.apart` says why), and merged later.

    Raises:
        NotPossible: No means of holding is configured, or none answers.
    """
    return _with_any_journal(parts, conduct, _hold)


def release_hold(parts: Parts, conduct: Conduct) -> Run:
    """Let go what is held, putting back exactly what was before; also without a state file. Idempotent.

    Of what a run that is half-way holds, only a database that its swap has closed is opened.

    Raises:
        RunInProgress: A run that is half-way holds: it lets go itself, at the right moment.
    """
    return _with_any_journal(parts, conduct, _release_hold)


def _with_any_journal(parts: Parts, conduct: Conduct, act: Callable[[Parts, Conduct], Run]) -> Run:
    try:
        return act(parts, conduct)
    except (StoreUnreadable, StoreTooNew, StoreFull) as error:
        if parts.apart is not None:
            raise
        # Both are idempotent: what was done before the journal failed is found done.
        journal_apart(parts, error.what)
        return act(parts, conduct)


def _hold(parts: Parts, conduct: Conduct) -> Run:
    facts = observe(parts, DEADLINE_S)
    usable = [f for f in facts.holds if f.held is not Answer.UNKNOWN or f.mode is not None]
    if not usable:
        silent = ", ".join(f.name for f in facts.holds)
        raise NotPossible(
            msg("Nothing that can hold answers ({names}).", names=silent)
            if silent
            else msg("No means of holding is configured."),
            state=msg("The service goes on as before."),
            next_command="backout run --emergency --scenario code"
            if silent
            else "backout plan   # and see docs/how-to/hold.md for next time",
        )
    return run(parts, plan_hold(facts, parts.kinds, terms(parts)), conduct)


def _release_hold(parts: Parts, conduct: Conduct) -> Run:
    facts = observe(parts, DEADLINE_S)
    half_way = blocking_run(open_runs(parts))
    closed = tuple(f for f in facts.holds if f.mode == CLOSED)
    if closed and half_way is not None and held_now(half_way):
        facts = facts.model_copy(update={"holds": closed})
    return run(parts, plan_release_hold(facts, parts.kinds, terms(parts)), conduct)
