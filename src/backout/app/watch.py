"""Watching a release: look, keep what was seen, and do what follows from it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from backout.app import watch_state
from backout.app.canary_stop import stop
from backout.app.parts import Parts
from backout.app.run import Conduct, run
from backout.app.watch_marks import ACTED, BY_ITSELF, freeze, holding
from backout.app.watch_release import to_watch
from backout.app.watch_standing import standing
from backout.app.watch_state import Watched
from backout.document import Document, Json
from backout.errors import BackoutError
from backout.guard import Say, Verdict, Watch
from backout.guard.action import Act, Decision, decide_action
from backout.message import Message, msg
from backout.observed import Answer
from backout.plan.canary import told as divided_so
from backout.plan.model import Plan
from backout.platforms.abilities import Arms, HasArms, TellsReadiness
from backout.release import Release
from backout.signals.base import Reading, Signal, Span

LOOK_BACK = timedelta(minutes=30)
"""So much before the release is read, where it can be: an incident that began there is not the release's."""
_LOOK_S = 10.0
_PLATFORM_S = 5.0
_MOST_OF = 0.5
"""A release with a larger share is what runs: its way back is a run, and not only that it gets no more requests."""


class Seen(Document):
    """One look.

    Attributes:
        verdict: What all that is known says.
        decision: What follows.
        notes: Why a metric had no data.
        next_command: What to type; None: nothing.
        taken_back: What the guard did; None: nothing.
        run: The run that it did that by; None: it stopped a canary.
        exit_code: How that run ended.
    """

    release: str
    at: datetime
    verdict: Verdict
    decision: Decision
    notes: tuple[Message, ...] = ()
    next_command: str | None = None
    taken_back: Message | None = None
    run: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Watching:
    """How long to watch, and who is told.

    Attributes:
        release: Version; None: the canary that is under way, or what was recorded after it began.
        once: One look.
        for_s: Seconds to go on for; None: until the release is as old as the guard may act by itself.
        interrupt: Ends it between two looks.
    """

    release: str | None = None
    once: bool = False
    for_s: float | None = None
    tell: Callable[[Seen], None] = lambda _seen: None
    interrupt: threading.Event = field(default_factory=threading.Event)


def watch(parts: Parts, told: Watching) -> Seen:
    """Look until the time is over, or something follows from a verdict; return the last look.

    Raises:
        ConfigError: No metric is declared.
        UsageError: The release is neither on record nor the canary.
        RunInProgress: Another guard watches it, on this machine.
        BackoutError: The guard went back by itself, and that stopped; or what it knows cannot be read.
    """
    release = to_watch(parts, told.release)
    with watch_state.alone(parts.state_directory, release.version):
        known = _known(parts, release)
        ends_s = parts.clock.monotonic_s() + _for_s(parts, release, told)
        while True:
            serving = _serving(parts, release)
            known, notes = _looked(parts, release, known, serving)
            watch_state.save(parts.state_directory, release.version, known)
            seen = _consequences(parts, release, known, serving, notes, told.interrupt)
            told.tell(seen)
            over = parts.clock.monotonic_s() + parts.guard.interval_s > ends_s
            if told.once or over or seen.decision.act is not Act.NOTHING:
                return seen
            if told.interrupt.wait(parts.guard.interval_s):
                return seen


def _known(parts: Parts, release: Release) -> Watched:
    """Return what is known of the release so far; nothing where its metrics, what they ask, or its time, are others now."""
    anew = Watch(
        release=release.version,
        released_at=release.deployed_at,
        metrics=tuple(one.metric for one in parts.signals),
        alpha=parts.guard.false_alarms,
        quiet_s=max(_break_s(parts), *(one.lag_s for one in parts.signals)),
        ids=all(one.has_ids for one in parts.signals),
    )
    known = watch_state.load(parts.state_directory, release.version)
    declared = watch_state.digest(parts.guard.metrics)
    same = (
        known is not None
        and known.declared == declared
        and all(
            getattr(known.watch, name) == getattr(anew, name)
            for name in ("released_at", "metrics", "alpha", "quiet_s")
        )
    )
    return known if known is not None and same else Watched(watch=anew, declared=declared)


def _for_s(parts: Parts, release: Release, told: Watching) -> float:
    if told.for_s is not None:
        return told.for_s
    age_s = (parts.clock.now() - release.deployed_at).total_seconds()
    return max(0.0, parts.guard.automatic_within_s - age_s)


def _looked(
    parts: Parts, release: Release, known: Watched, serving: _Serving
) -> tuple[Watched, tuple[Message, ...]]:
    if serving.answer is Answer.NO:
        return known.served_by(None, parts.clock.now()), ()
    if serving.why is not None:
        # Whose requests they are is not known: nothing is counted, and what was counted stays.
        silent = _silent(parts, known)
        now, break_s = parts.clock.now(), _break_s(parts)
        return known.readiness(unready=silent, now=now, break_s=break_s), (serving.why,)
    arms = serving.arms
    own = () if arms is None else (arms.canary, *arms.control)
    known = known.served_by(own, parts.clock.now())
    watch, memory = known.watch, dict(known.memory)
    notes: tuple[Message, ...] = ()
    for signal in parts.signals:
        name = signal.metric.name
        read = _read(parts, release, signal, known, serving.arms, memory.get(name))
        for look in read.looks:
            watch = watch.add(look)
        memory[name] = read.memory
        if read.without_id:
            watch = watch.model_copy(update={"ids": False})
        notes = (*notes, *([read.why] if read.why else []), *read.notes)
    unready = _unready(parts, serving)
    if unready is not None:
        notes = (*notes, unready)
    known = known.model_copy(update={"watch": watch, "memory": memory})
    break_s = _break_s(parts)
    return known.readiness(unready=unready is not None, now=parts.clock.now(), break_s=break_s), notes


def _break_s(parts: Parts) -> float:
    """Return after how many seconds without a look what was going on is over."""
    return max(120.0, 4 * parts.guard.interval_s)


def _read(
    parts: Parts, release: Release, signal: Signal, known: Watched, arms: Arms | None, memory: Json
) -> Reading:
    now = parts.clock.now()
    begins = release.deployed_at - LOOK_BACK if signal.looks_back else release.deployed_at
    seen = known.watch.known.get(signal.metric.name)
    since = (seen.ended if seen else None) or begins
    span = Span(
        since=since,
        now=now,
        released_at=release.deployed_at,
        arms=arms,
        deadline_s=_LOOK_S,
        not_before=known.not_before,
    )
    return signal.read(span, memory)


def read_now(parts: Parts, signal: Signal) -> Reading:
    """Return what a signal tells of the last minutes, of the release that runs; what the guard knows is not touched."""
    now, arms = parts.clock.now(), None
    platform = parts.platform
    if isinstance(platform, HasArms):
        wanted = platform.observe(_PLATFORM_S).wanted
        arms = platform.arms(wanted.ref, _PLATFORM_S) if wanted is not None else None
    began = now - timedelta(seconds=signal.lag_s)
    span = Span(since=began, now=now, released_at=began, arms=arms, deadline_s=_LOOK_S)
    return signal.read(span, None)


@dataclass(frozen=True, slots=True)
class _Serving:
    """Whether the release serves now, and who else does.

    Attributes:
        answer: Unknown also where the release has no artefact yet; no also while requests are held.
        arms: Who serves it, and who does not, on a platform whose releases serve side by side.
        why: Why that is not known, or what holds.
    """

    answer: Answer
    arms: Arms | None = None
    why: Message | None = None

    @property
    def beside_others(self) -> bool:
        return self.arms is not None and bool(self.arms.control)


def _serving(parts: Parts, release: Release) -> _Serving:
    platform = parts.platform
    if (held := holding(parts)) is not None:
        return _Serving(Answer.NO, why=held)
    if release.artefact is None:
        why = msg(
            "{release} has no artefact on record: backout record, once it runs.", release=release.version
        )
        return _Serving(Answer.UNKNOWN, why=why)
    try:
        if isinstance(platform, HasArms):
            arms = platform.arms(release.artefact.ref, _PLATFORM_S)
            serves = arms is not None and arms.share is not None
            return _Serving(Answer.YES if serves else Answer.NO, arms)
        wanted = platform.observe(_PLATFORM_S).wanted
    except BackoutError as error:
        return _Serving(Answer.UNKNOWN, why=error.what)
    return _Serving(Answer.YES if wanted is not None and wanted.ref == release.artefact.ref else Answer.NO)


def _silent(parts: Parts, known: Watched) -> bool:
    """Tell whether the side that served the release at the last look gets requests, and does not answer any more."""
    if not known.arms or not isinstance(parts.platform, HasArms):
        return False
    try:
        return parts.platform.silent(known.arms[0], _PLATFORM_S) is not None
    except BackoutError:
        return False  # The router's silence is not the release's.


def _unready(parts: Parts, serving: _Serving) -> Message | None:
    """Return why the platform says that the release is not ready; None: it is, serves others beside it, or nobody can tell."""
    platform = parts.platform
    if not isinstance(platform, TellsReadiness) or serving.answer is not Answer.YES or serving.beside_others:
        return None
    try:
        return platform.not_ready()
    except BackoutError:
        return None  # Whoever does not answer says nothing of the release.


def _said(parts: Parts, known: Watched, now: datetime) -> Verdict:
    """Return the verdict: of the metrics, or that the platform has not got the release ready for longer than that may take."""
    verdict = known.watch.verdict(now)
    if (ahead := known.ahead(now)) is not None:
        verdict = _unsure(verdict, ahead)
    since, platform = known.unready_since, parts.platform
    if since is None or not isinstance(platform, TellsReadiness):
        return verdict
    seconds = (now - max(since, known.watch.released_at)).total_seconds()
    if seconds <= platform.ready_within_s:
        return _unsure(verdict, msg("The platform says that the release is not ready."))
    why = msg(
        "{release} is not ready since {seconds} s; {within_s} s are allowed.",
        release=known.watch.release,
        seconds=round(seconds),
        within_s=platform.ready_within_s,
    )
    claim = msg("What the platform says is taken as it is: no chance of a false alarm is promised for that.")
    return verdict.model_copy(
        update={
            "say": Say.BACK_OUT,
            "reasons": (why, *(verdict.reasons if verdict.say is Say.BACK_OUT else ())),
            "needed": None,
            "promised": None,
            "not_promised": (*verdict.not_promised, claim),
        }
    )


def _unsure(verdict: Verdict, why: Message) -> Verdict:
    if verdict.say is not Say.CONTINUE:
        return verdict
    return verdict.model_copy(update={"say": Say.CANNOT_TELL, "reasons": (why,)})


def _consequences(
    parts: Parts,
    release: Release,
    known: Watched,
    serving: _Serving,
    notes: tuple[Message, ...],
    interrupt: threading.Event,
) -> Seen:
    now = parts.clock.now()
    verdict = _said(parts, known, now)
    gone_silent = serving.answer is Answer.UNKNOWN and known.unready_seen is not None
    if serving.answer is not Answer.YES and not (gone_silent and verdict.say is Say.BACK_OUT):
        # What was seen is of a time that is over, or nobody knows whose it would be.
        gone = msg("{release} gets no requests now.", release=release.version)
        reasons = (serving.why or gone,)
        verdict = verdict.model_copy(update={"say": Say.CANNOT_TELL, "reasons": reasons, "needed": None})
    nothing = Decision(act=Act.NOTHING)
    seen = Seen(release=release.version, at=now, verdict=verdict, decision=nothing, notes=notes)
    if verdict.say is not Say.BACK_OUT:
        return seen
    share = serving.arms.share if serving.arms is not None else None
    beside = serving.beside_others or (gone_silent and len(known.arms or ()) > 1)
    canary = beside and (share or 0) <= _MOST_OF
    # Who does not answer may run another release by now: a person has to look.
    doubt = serving.why or known.stale(verdict, now)
    stands, made, first = standing(parts, release, canary=canary, stale=doubt)
    decision = decide_action(verdict.say, stands, now)
    back = first or ("backout canary stop" if canary else "backout run")
    seen = seen.model_copy(update={"decision": decision, "next_command": back})
    if decision.act is Act.FREEZE:
        freeze(parts, release.version, decision.reasons[0])
        # Of what came by a way back the plan is to prove it: where to go from there a person has to name.
        there = made is not None and made.to_version == release.version
        look = (
            "backout releases   # then: backout plan --to VERSION, and" if there else "backout plan   # then:"
        )
        return seen.model_copy(update={"next_command": f"{look} backout watch --resume"})
    if decision.act is Act.BACK_OUT and canary and serving.arms is not None:
        return _stop_canary(parts, release, serving.arms.canary, seen)
    if decision.act is Act.BACK_OUT and made is not None:
        return _go_back(parts, release, made, seen, interrupt)
    return seen


def _stop_canary(parts: Parts, release: Release, side: str, seen: Seen) -> Seen:
    """Take the canary's requests from it; on record first, as a way back."""
    why = "; ".join(str(one) for one in seen.verdict.reasons)
    parts.journal.append(ACTED, {"release": release.version, "side": side, "why": why})
    said: list[Message] = []
    stopped = stop(parts, side, (), f"{BY_ITSELF}{why}", said.append)
    done = msg(
        "The canary on {side} gets no request any more: {shares}.",
        side=side,
        shares=divided_so(stopped.shares),
    )
    notes = (*seen.notes, *said, *([stopped.noted] if stopped.noted is not None else []))
    return seen.model_copy(
        update={"taken_back": done, "notes": notes, "next_command": "backout canary status"}
    )


def _go_back(parts: Parts, release: Release, made: Plan, seen: Seen, interrupt: threading.Event) -> Seen:
    """Take the release back. That it was tried is on record first: a kill in between, and nobody tries twice."""
    why = "; ".join(str(one) for one in seen.verdict.reasons)
    parts.journal.append(ACTED, {"release": release.version, "plan": made.id, "why": why})
    done = run(parts, made, Conduct(reason=f"{BY_ITSELF}{why}", interrupt=interrupt))
    back = msg("{release} was taken back by run {run}.", release=release.version, run=done.id)
    ended = seen.model_copy(update={"taken_back": back, "run": done.id, "exit_code": int(done.exit_code)})
    return ended.model_copy(update={"next_command": f"backout report {done.id}"})
