"""What the evidence of one metric says, in words and figures."""

from __future__ import annotations

import math

from backout.guard import needed
from backout.guard.errors import Compared
from backout.guard.latency import Bounds, Timed
from backout.guard.limits import Limited
from backout.guard.metrics import ErrorRate, Latency, SlowAgainstLimit
from backout.guard.onset import Onset
from backout.guard.verdict import Finding
from backout.message import Field, Message, msg
from backout.observed import Answer

_MOST_SHOWN = 1e12


def finding(
    metric: ErrorRate | Latency,
    evidence: Compared | Timed | Limited | SlowAgainstLimit | None,
    alpha: float,
    fine_alpha: float,
    onset: Onset | None,
) -> Finding:
    """Return what a metric says.

    Args:
        metric: As it was declared.
        evidence: So far; None: there was no data.
        alpha: The metric's part of the chance of a false alarm.
        fine_alpha: The chance that "fine" is wrong.
        onset: When failures began, where the counts tell.
    """
    if evidence is None:
        said = Finding(
            metric=metric.name,
            harmful=Answer.UNKNOWN,
            compared=False,
            alpha=alpha,
            evidence=msg("{metric}: no data since the release", metric=metric.name),
        )
    elif isinstance(evidence, Compared):
        assert isinstance(metric, ErrorRate)
        said = _compared(metric, evidence, alpha, fine_alpha)
    elif isinstance(evidence, Timed):
        said = _timed(metric, evidence, alpha, fine_alpha)
    elif isinstance(evidence, SlowAgainstLimit):
        said = _slow(metric, evidence, alpha, fine_alpha)
    else:
        said = _limited(metric, evidence, alpha, fine_alpha)
    return said.model_copy(update={"onset": onset})


def _answer(harmful: bool, fine: bool) -> Answer:
    return Answer.YES if harmful else Answer.NO if fine else Answer.UNKNOWN


def _compared(metric: ErrorRate, evidence: Compared, alpha: float, fine_alpha: float) -> Finding:
    harmful = _answer(evidence.is_harmful(alpha), evidence.is_fine(metric.tolerated, fine_alpha))
    return Finding(
        metric=metric.name,
        harmful=harmful,
        compared=True,
        alpha=alpha,
        e_value=_shown(evidence.log_harm),
        evidence=_beside(metric.name, evidence, harmful, alpha, evidence.at_most(fine_alpha)),
        needed=needed.for_errors(evidence, metric.tolerated, fine_alpha)
        if harmful is Answer.UNKNOWN
        else None,
    )


def _beside(metric: str, evidence: Compared, harmful: Answer, alpha: float, more: float) -> Message:
    canary, control = evidence.canary, evidence.control
    counts: dict[str, Field] = {
        "metric": metric,
        "errors": canary.errors,
        "requests": canary.requests,
        "rate": f"{canary.rate:.2%}",
        "control_errors": control.errors,
        "control_requests": control.requests,
        "control_rate": f"{control.rate:.2%}",
    }
    if harmful is Answer.YES:
        return msg(
            "{metric}: {errors} of {requests} ({rate}) beside {control_errors} of {control_requests} ({control_rate}); evidence of harm {evidence}, {enough} is enough",
            **counts,
            evidence=f"{_shown(evidence.log_harm):,.0f}",
            enough=f"{1 / alpha:,.0f}",
        )
    if more < 1:
        return msg(
            "{metric}: {errors} of {requests} ({rate}) beside {control_errors} of {control_requests} ({control_rate}): at most {points} points more",
            **counts,
            points=f"{more * 100:.2f}",
        )
    return msg(
        "{metric}: {errors} of {requests} ({rate}) beside {control_errors} of {control_requests} ({control_rate}): too few to say more",
        **counts,
    )


def _limited(metric: ErrorRate | Latency, evidence: Limited, alpha: float, fine_alpha: float) -> Finding:
    arm = evidence.counted
    harmful = _answer(evidence.is_harmful(alpha), evidence.is_fine(fine_alpha))
    return Finding(
        metric=metric.name,
        harmful=harmful,
        compared=False,
        alpha=alpha,
        e_value=_shown(evidence.log_harm),
        evidence=msg(
            "{metric}: {errors} of {requests} ({rate}), at most {bound}; limit {limit}, no control arm",
            metric=metric.name,
            errors=arm.errors,
            requests=arm.requests,
            rate=f"{arm.rate:.2%}",
            bound=f"{evidence.at_most(fine_alpha):.2%}",
            limit=f"{evidence.limit:.2%}",
        ),
        needed=needed.for_limit(evidence, fine_alpha) if harmful is Answer.UNKNOWN else None,
    )


def _slow(
    metric: ErrorRate | Latency, evidence: SlowAgainstLimit, alpha: float, fine_alpha: float
) -> Finding:
    assert isinstance(metric, Latency)
    surely, maybe = evidence.surely, evidence.maybe
    harmful = _answer(surely.is_harmful(alpha), maybe.is_fine(fine_alpha))
    return Finding(
        metric=metric.name,
        harmful=harmful,
        compared=False,
        alpha=alpha,
        e_value=_shown(surely.log_harm),
        evidence=msg(
            "{metric}: {low} to {high} of {requests} took longer than {limit} s, {allowed} may; no control arm",
            metric=metric.name,
            low=surely.counted.errors,
            high=maybe.counted.errors,
            requests=maybe.counted.requests,
            limit=metric.limit_s,
            allowed=f"{surely.limit:.2%}",
        ),
        needed=needed.for_limit(maybe, fine_alpha) if harmful is Answer.UNKNOWN else None,
    )


def _timed(metric: ErrorRate | Latency, evidence: Timed, alpha: float, fine_alpha: float) -> Finding:
    harmful = _answer(evidence.is_harmful(alpha), evidence.is_fine(fine_alpha))
    canary, control = evidence.bounds(alpha)
    return Finding(
        metric=metric.name,
        harmful=harmful,
        compared=True,
        alpha=alpha,
        evidence=msg(
            "{metric}: {canary} in {requests} requests, beside {control} in {control_requests}",
            metric=metric.name,
            canary=_between(canary),
            requests=sum(evidence.canary),
            control=_between(control),
            control_requests=sum(evidence.control),
        ),
        needed=needed.for_durations(evidence, fine_alpha) if harmful is Answer.UNKNOWN else None,
    )


def _between(bounds: Bounds) -> str:
    high = "∞" if math.isinf(bounds.high_s) else f"{bounds.high_s:.3g}"
    return f"{bounds.low_s:.3g} to {high} s"


def _shown(log: float) -> float:
    """Return an e-value with three figures: past a million millions nothing is added by more."""
    return float(f"{min(math.exp(min(log, 700.0)), _MOST_SHOWN):.3g}")
