"""Continue, back out, or cannot tell yet: from what each metric says, and what is known of the time around it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from backout.document import Document
from backout.guard.needed import Needed
from backout.guard.onset import Onset
from backout.message import Message, msg
from backout.observed import Answer


class Say(StrEnum):
    """The three verdicts."""

    CONTINUE = "continue"
    BACK_OUT = "back out"
    CANNOT_TELL = "cannot tell yet"


class Finding(Document):
    """What one metric says.

    Attributes:
        harmful: Yes: it is worse than allowed. No: it surely is not. Unknown: neither is shown.
        compared: Whether there was a control arm; without one, whatever else happens looks like the release.
        evidence: Figures, in a sentence.
        e_value: How strong the evidence of harm is; null for what is decided by bounds. Harm is said from 1/alpha on.
        alpha: The metric's part of the chance of a false alarm.
        needed: How many more requests until it can be called fine, where that is unknown.
        onset: When failures began, where the counts tell.
    """

    metric: str
    harmful: Answer
    compared: bool
    evidence: Message
    e_value: float | None = None
    alpha: float
    needed: Needed | None = None
    onset: Onset | None = None


class Verdict(Document):
    """What the guard says, and why.

    Attributes:
        reasons: What decided.
        notes: What else has to be known: an incident of both arms, gaps.
        needed: How many more requests until "continue" can be said; null: it is not about requests.
        within_s: How long that takes at the pace so far, in seconds.
        promised: The chance, at most, that "back out" is wrong; null: none is promised.
        not_promised: Why not.
    """

    say: Say
    reasons: tuple[Message, ...]
    findings: tuple[Finding, ...]
    notes: tuple[Message, ...] = ()
    needed: Needed | None = None
    within_s: float | None = None
    promised: float | None = None
    not_promised: tuple[Message, ...] = ()


def decide(
    findings: Sequence[Finding],
    *,
    release: str,
    from_before: Sequence[str] = (),
    blind: Message | None = None,
) -> tuple[Say, tuple[Message, ...]]:
    """Return the verdict and what decided it.

    Harm is said as soon as one metric shows it; "continue" only when every metric is shown to be fine and the data are of now.

    Args:
        findings: Of every metric, also of those without any data.
        release: As it is called.
        from_before: Metrics without control arm whose failures began before the release.
        blind: Why nothing is known of now; None: the data are of now.
    """
    harmful = [one for one in findings if one.harmful is Answer.YES]
    its_own = [one for one in harmful if one.metric not in from_before]
    if its_own:
        return Say.BACK_OUT, tuple(one.evidence for one in its_own)
    earlier = tuple(
        msg(
            "{metric}: failures began before {release} (by {latest}): unlikely the release's",
            metric=one.metric,
            release=release,
            latest=f"{one.onset.latest:%H:%M:%S}" if one.onset else "",
        )
        for one in harmful
    )
    if earlier or blind:
        return Say.CANNOT_TELL, (*earlier, *([blind] if blind else []))
    if findings and all(one.harmful is Answer.NO for one in findings):
        return Say.CONTINUE, tuple(one.evidence for one in findings)
    return Say.CANNOT_TELL, tuple(one.evidence for one in findings if one.harmful is Answer.UNKNOWN)
