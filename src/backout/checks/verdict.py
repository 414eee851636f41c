"""What the results of all checks add up to. PURE.

Success is claimed only when every sentence that applies is proven; a sentence that nothing speaks to is
added as inconclusive, with the key to declare. The version is proven by the answer where it carries one,
and otherwise by the identity of the artefact (`workload`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from backout.checks.base import CheckResult, Outcome
from backout.message import Message, msg

Sentence = Literal["workload", "health", "database", "smoke", "error_rate", "response_time"]


class Verdict(NamedTuple):
    """The outcome, and the results with those added that are missing."""

    outcome: Outcome
    results: tuple[CheckResult, ...]


_NEEDED: dict[Sentence, tuple[Message, Message]] = {
    "workload": (
        msg("Nothing tells whether the right processes run"),
        msg("This is a bug in backout: the platform is always asked"),
    ),
    "health": (
        msg("Nothing tells whether the service is healthy"),
        msg("Declare `checks: [{{kind: http, url: …}}]`"),
    ),
    "database": (
        msg("Nothing tells whether the service is connected to its database"),
        msg("Declare `expect_json: {{database: …}}` in a check of kind http, or a check of kind sql"),
    ),
    "error_rate": (
        msg("Nothing tells the error rate"),
        msg("Declare `checks: [{{kind: probes, url: …, max_error_rate: 0.01}}]`, or a prometheus check"),
    ),
    "response_time": (
        msg("Nothing tells the response time"),
        msg("Declare `checks: [{{kind: probes, url: …, max_p95_ms: …}}]`, or a prometheus check"),
    ),
}


def conclude(results: Sequence[CheckResult], *, database: bool) -> Verdict:
    """Return what the results add up to.

    Args:
        results: Of all checks that were declared; a declared smoke test always has one.
        database: Whether a database is configured, so that its connection must be proven.
    """
    told = {result.proves for result in results}
    needed = [s for s in _NEEDED if s not in told and (s != "database" or database)]
    complete = (*results, *(_missing(sentence) for sentence in needed))
    return Verdict(add_up(result.outcome for result in complete), complete)


def add_up(outcomes: Iterable[Outcome]) -> Outcome:
    """Return fail if anything failed, else inconclusive if anything is or nothing was asked, else pass."""
    seen = set(outcomes)
    if Outcome.FAIL in seen:
        return Outcome.FAIL
    return Outcome.PASS if seen == {Outcome.PASS} else Outcome.INCONCLUSIVE


def _missing(sentence: Sentence) -> CheckResult:
    evidence, more = _NEEDED[sentence]
    return CheckResult(
        name=sentence,
        proves=sentence,
        outcome=Outcome.INCONCLUSIVE,
        evidence=evidence,
        more=more,
    )
