"""Whether a means of holding holds: what it says itself, and what the journal knows where it says too little."""

from __future__ import annotations

from datetime import datetime

from backout.app.deadline import Question
from backout.app.parts import Parts
from backout.document import Json
from backout.execute.run import fold
from backout.facts import Facts
from backout.holds.base import HoldMeans
from backout.observed import Answer, HoldFact
from backout.plan.model import Plan

_HOLDING = ("hold", "hold.release")
_ACTED = ("step.applied", "step.confirmed")
_RUNS_BACK = 50


def holding(facts: Facts) -> tuple[str, ...]:
    """Return the means that hold, or held when last used and do not answer: what checks see then is the hold."""
    return tuple(h.name for h in facts.holds if h.held is Answer.YES or h.left_holding)


def hold_fact(
    parts: Parts, means: HoldMeans, question: Question, timeout_s: float, now: datetime
) -> HoldFact:
    """Return what a means says of itself, completed by what the journal knows of it."""
    seen = question.answer(HoldFact, timeout_s, now)
    if seen.value is None:
        silent = HoldFact(name=means.name, modes=(), held=Answer.UNKNOWN)
        return silent.model_copy(update={"left_holding": _left_holding(parts, means.name)})
    if seen.value.held is Answer.UNKNOWN and seen.value.mode is None:
        return seen.value.model_copy(update={"left_holding": _left_holding(parts, means.name)})
    if seen.value.held is Answer.NO:
        return seen.value
    # Held, or on the way there: new requests are kept away, and what came before is still inside.
    fact = seen.value.model_copy(update={"left_holding": seen.value.held is Answer.UNKNOWN})
    prior = _prior_in_journal(parts, means.name)
    if prior is None and means.name != "database":
        # Held by hand, or by a run whose journal is lost: who lets it go wants requests and workers through.
        prior = {}
    if prior is not None:
        # The database itself keeps what was before; the journal has its setting to the letter.
        told = fact.prior if means.name == "database" else {}
        return fact.model_copy(update={"prior": {**told, **prior}})
    return fact


def _prior_in_journal(parts: Parts, name: str) -> dict[str, Json] | None:
    """Return what stood before the newest hold of these means: while it holds, the target no longer tells.

    A hold of what held already may not have known it: then an earlier one does.
    """
    unknown: dict[str, Json] | None = None
    for created in reversed(parts.journal.events(kinds=("run.created",), newest=50)):
        try:
            run = fold([created])
        except ValueError:
            continue
        for step in run.plan.steps:
            if step.spec.kind == "hold" and step.spec.params.get("name") == name:
                prior = step.spec.params["prior"]
                assert isinstance(prior, dict)
                if prior:
                    return prior
                unknown = prior
    return unknown


def _left_holding(parts: Parts, name: str) -> bool:
    """Return whether these means held when backout last used them, as the newest step about them tells."""
    for created in reversed(parts.journal.events(kinds=("run.created",), newest=_RUNS_BACK)):
        try:
            steps = Plan.model_validate(created.body["plan"]).steps
        except ValueError:
            continue
        about = {
            step.key: step.spec.kind
            for step in steps
            if step.spec.kind in _HOLDING and step.spec.params.get("name") == name
        }
        acted = parts.journal.events(created.run, kinds=_ACTED) if about else []
        for event in reversed(acted):
            kind = about.get(str(event.body["key"]))
            # A hold that acted holds, seen or not; only what was seen to let go does not.
            if kind == "hold" or (kind == "hold.release" and event.kind == "step.confirmed"):
                return kind == "hold"
    return False
