"""What follows from a verdict: nothing, a question, a way back by itself, or a freeze. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from backout.document import Document
from backout.guard.verdict import Say
from backout.message import Message, msg

APART = timedelta(hours=24)
"""One way back by itself in so long, per environment: a second one means that nobody understands what is going on."""


class Act(StrEnum):
    """What the guard does."""

    NOTHING = "nothing"
    ASK = "ask"
    BACK_OUT = "back out"
    FREEZE = "freeze"


class Standing(Document):
    """What has to be known besides the verdict.

    Attributes:
        automatic: The configuration says that the guard may go back by itself.
        paused: Why the guard is paused; None: it is not.
        age_s, within_s: Of the release, and up to which one the guard may act by itself; below 0: a clock is wrong.
        last_automatic_at: When it did so last, in this environment.
        came_by_way_back: The release runs because another one was backed out.
        unsafe: Why the way back is not one that loses nothing: refused, a restore, a loss; None: it loses nothing.
        unknown: Why that is not known; None: it is.
        stale: Why the harm may be over; None: it is of now.
        frozen: Which release stands still until a person looked; None: none does.
    """

    automatic: bool
    paused: Message | None = None
    age_s: float
    within_s: float
    last_automatic_at: datetime | None = None
    came_by_way_back: bool = False
    unsafe: Message | None = None
    unknown: Message | None = None
    stale: Message | None = None
    frozen: Message | None = None


class Decision(Document):
    """What is done, and why not more."""

    act: Act
    reasons: tuple[Message, ...] = ()


def decide_action(say: Say, standing: Standing, now: datetime) -> Decision:
    """Return what follows from a verdict.

    Only "back out" has consequences. It is done by itself only where everything is known to be fit for it; a person is called
    at once where the way back itself would do harm (freeze), and asked otherwise.
    """
    if say is not Say.BACK_OUT:
        return Decision(act=Act.NOTHING)
    if standing.paused is not None:
        return Decision(act=Act.NOTHING, reasons=(standing.paused,))
    if standing.came_by_way_back:
        why = msg("The release came by a way back: the guard does not take that back.")
        return Decision(act=Act.FREEZE, reasons=(why,))
    if standing.unsafe is not None:
        return Decision(act=Act.FREEZE, reasons=(standing.unsafe,))
    against = tuple(_against(standing, now))
    return Decision(act=Act.ASK if against else Act.BACK_OUT, reasons=against)


def _against(standing: Standing, now: datetime) -> list[Message]:
    """Return what speaks against going back without a person."""
    found = []
    if not standing.automatic:
        found.append(msg("The configuration says: ask (guard.action)."))
    if standing.unknown is not None:
        found.append(standing.unknown)
    found += [one for one in (standing.stale, standing.frozen) if one is not None]
    if standing.age_s < 0:
        found.append(msg("By this machine's clock the release is still to come: `date` tells."))
    if standing.age_s > standing.within_s:
        found.append(
            msg(
                "The release is {age_s} s old, the guard acts by itself up to {within_s} s.",
                age_s=round(standing.age_s),
                within_s=round(standing.within_s),
            )
        )
    last = standing.last_automatic_at
    if last is not None and now - last < APART:
        found.append(
            msg(
                "The guard went back by itself, or was about to, at {at}: once in 24 hours is what it does.",
                at=f"{last:%Y-%m-%d %H:%M UTC}",
            )
        )
    return found
