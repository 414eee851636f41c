"""What people and the guard have said of watching, in the journal: paused, frozen, going on again."""

from __future__ import annotations

from datetime import datetime

from backout.app.parts import Parts
from backout.document import Json
from backout.execute.held import held_now
from backout.execute.run import Run, fold
from backout.message import Message, msg

PAUSED, RESUMED, FROZEN, ACTED = "guard.paused", "guard.resumed", "guard.frozen", "guard.acted"
"""Kinds of event; the last one: the guard went back by itself."""
BY_ITSELF = "backout watch: "
"""How the reason of its runs begins: these reach the journals of other machines, the marks do not."""
_RUNS = 50


def acted(parts: Parts) -> datetime | None:
    """Return when a guard of this environment went back by itself last, here or on another machine; None: never."""
    marks = parts.journal.events(kinds=(ACTED,), newest=1)
    runs = parts.journal.events(kinds=("run.created",), newest=_RUNS)
    own = [one for one in runs if str(one.body.get("reason") or "").startswith(BY_ITSELF)]
    return max((one.at for one in (*marks, *own)), default=None)


def holding(parts: Parts) -> Message | None:
    """Return which run holds something, so that requests fail or wait; None: none does, as the journal knows it."""
    for created in reversed(parts.journal.events(kinds=("run.created",), newest=_RUNS)):
        run = fold(parts.journal.events(created.run))
        if any(one.spec.kind in ("hold", "hold.release") for one in run.plan.steps):
            return _holds(run)
    return None


def _holds(run: Run) -> Message | None:
    if not (held := held_now(run)):
        return None
    return msg(
        "Run {run} holds {means}: what fails meanwhile is not counted. backout release-hold lets it go.",
        run=run.id,
        means=", ".join(sorted(one.name for one in held)),
    )


def paused(parts: Parts) -> Message | None:
    """Return who paused the guard, and why; None: nobody did, or it goes on again."""
    newest = parts.journal.events(kinds=(PAUSED, RESUMED), newest=1)
    if not newest or newest[0].kind == RESUMED:
        return None
    one = newest[0]
    return msg(
        "The guard is paused since {at} by {actor}{why}: it looks, and does nothing.",
        at=f"{one.at:%Y-%m-%d %H:%M UTC}",
        actor=one.actor,
        why=f" ({one.body['reason']})" if one.body.get("reason") else "",
    )


def frozen(parts: Parts) -> Message | None:
    """Return why releases stand still until a person lets them go on; None: they do not."""
    newest = parts.journal.events(kinds=(FROZEN, RESUMED), newest=1)
    if not newest or newest[0].kind == RESUMED:
        return None
    one = newest[0]
    return msg(
        "{release} is frozen since {at}: {why}",
        release=str(one.body.get("release")),
        at=f"{one.at:%Y-%m-%d %H:%M UTC}",
        why=str(one.body.get("why")),
    )


def pause(parts: Parts, reason: str | None) -> None:
    """Let no guard of this environment do anything, until `resume`. Idempotent."""
    if paused(parts) is None:
        _journal(parts, PAUSED, reason)


def resume(parts: Parts, reason: str | None) -> None:
    """Let guards act again, and releases go on that were frozen. Idempotent."""
    if paused(parts) is not None or frozen(parts) is not None:
        _journal(parts, RESUMED, reason)


def freeze(parts: Parts, release: str, why: Message) -> None:
    """Journal that a release stands still until a person decides. Idempotent."""
    newest = parts.journal.events(kinds=(FROZEN, RESUMED), newest=1)
    if not newest or newest[0].kind == RESUMED or newest[0].body.get("release") != release:
        parts.journal.append(FROZEN, {"release": release, "why": str(why)})


def _journal(parts: Parts, kind: str, reason: str | None) -> None:
    body: dict[str, Json] = {"reason": reason} if reason else {}
    parts.journal.append(kind, body)
