"""A means of holding: things of the cluster whose one field is changed, and put back exactly.

What was before stands in an annotation on each thing, written in the same request as the field: a laptop that is
wiped meanwhile takes nothing with it. A HorizontalPodAutoscaler leaves a workload alone while it has 0 replicas, and
goes on from the replicas that are put back.

Source: kubernetes.io, "Horizontal Pod Autoscaling", implicit maintenance-mode deactivation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from backout.clock import Clock
from backout.document import Json
from backout.errors import LostRace, NotPossible, StepFailed
from backout.faults import fault_point
from backout.kubernetes.api import Api, Conflict
from backout.message import Message, msg
from backout.observed import Answer, HoldFact
from backout.platforms.kubernetes.history import need
from backout.platforms.kubernetes.holds import looking, typed
from backout.platforms.kubernetes.holds.marks import NOBODY, Mark, change, is_over, mark_of, value_of
from backout.platforms.kubernetes.names import WorkloadName

Object = dict[str, Any]

_PATIENCE_S = 20.0
_POLL_S = 0.1
_TRIES = 10
_MARGIN_S = 20.0
"""What the cluster gets on top of the pods' own grace until they are gone."""
_NETWORK_S = 2.0
"""How long kube-proxy may send requests where a Service pointed before (see `settling`)."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing with what was read of it.

    Attributes:
        held: What its field has to be while it is held.
    """

    name: WorkloadName
    object: Object
    held: Json

    @property
    def mark(self) -> Mark | None:
        """What a hold wrote on it."""
        return mark_of(self.object)

    @property
    def value(self) -> Json:
        """What its field is now."""
        return value_of(self.name, self.object)


class ClusterHold:
    """Holds things in their order, and lets them go in the opposite one.

    Args:
        fence: Raises `LeaseLost` where another process took over; asked after a thing was read and before it is written. Who
            takes over changes each thing, so what was read before is old, and the API server refuses its write.
        mode: `stop`, `divert` or `suspend`.
        things: What is held; running Jobs of a CronJob are found and held with it.
        maintenance: Whose pods a Service points to while it is held; None: to nobody.
        up_within_s: How long pods may take until they are available again; None: nobody waits for them.
    """

    def __init__(
        self,
        api: Api,
        clock: Clock,
        fence: Callable[[], None],
        name: str,
        mode: str,
        things: tuple[WorkloadName, ...],
        *,
        maintenance: WorkloadName | None = None,
        up_within_s: float | None = None,
    ) -> None:
        self._api, self._clock, self._fence = api, clock, fence
        self.name, self.mode, self._names = name, mode, things
        self._maintenance, self._up_within_s = maintenance, up_within_s

    # --- looking ------------------------------------------------------------------------------------

    def observe(self, deadline_s: float) -> HoldFact:
        """Return whether everything is marked, and nothing of it at work any more.

        What is half held, or half let go, is held without a mode; either one, called again, finishes its work.
        """
        things = self._things(deadline_s)
        marked = [t for t in things if t.mark is not None]
        whole = bool(marked) and all(_is_held(t) for t in things)
        whole = whole and not any(self._at_work(t, deadline_s) for t in things)
        return HoldFact(
            name=self.name,
            modes=(self.mode,),
            held=Answer.YES if marked else Answer.NO,
            mode=self.mode if whole else None,
            prior={t.name.text: t.value if t.mark is None else t.mark.prior for t in things},
            within_s=self._within_s(),
        )

    def by_hand(self, mode: str | None, prior: dict[str, Json]) -> tuple[str, ...]:
        """Return the kubectl commands."""
        # What a CronJob had started when it was looked at stands in `prior` alone.
        jobs = [WorkloadName("Job", text.partition("/")[2]) for text in prior if text.startswith("job/")]
        names = [*self._names, *(job for job in jobs if job not in self._names)]
        if mode is not None:
            held = {n.text: self._held_value(n) for n in names}
            return tuple(typed.command(self._api, n, held[n.text], prior.get(n.text)) for n in names)
        return tuple(
            line
            for n in reversed(names)
            for line in typed.back(self._api, n, prior.get(n.text), self._held_value(n))
        )

    # --- acting -------------------------------------------------------------------------------------

    def hold(self, mode: str) -> None:
        """Give every field its value and every thing its mark, then wait until nothing is at work. Idempotent.

        Raises:
            StepFailed: Something still is; it is named.
            LostRace: Somebody changes a thing all the time.
        """
        if mode != self.mode:
            raise ValueError(f"unknown mode {mode!r}")
        for thing in self._things(_PATIENCE_S):
            self._write(thing, self._hold_one, "hold")
        # Once more: a CronJob may have started a Job until it was suspended.
        things = self._things(_PATIENCE_S)
        for thing in things:
            self._write(thing, self._hold_one, "hold")
        self._wait_until_quiet(things)

    def release(self, prior: dict[str, Json]) -> None:
        """Put every field back, wait until requests are answered again, and take the marks away. Idempotent.

        What the mark says counts; `prior` only where a mark was lost and the field still has the held value.

        Raises:
            StepFailed: Pods do not come up; the reason of one is told.
            LostRace: Somebody changes a thing all the time.
        """
        things = tuple(reversed(self._things(_PATIENCE_S)))
        for thing in things:
            self._write(thing, lambda t: _ending(t, prior), "release")
        self._wait_until_up([t.name for t in things])
        for name in (t.name for t in things):
            left = self._read(name, _PATIENCE_S)
            if left is not None:
                self._write(left, _unmarked, "release.mark")

    # --- one thing ----------------------------------------------------------------------------------

    def _hold_one(self, thing: Thing) -> Object | None:
        if _is_held(thing):
            return None
        if thing.name.kind == "Job" and thing.mark is None and is_over(thing.object):
            return None
        prior = thing.value if thing.mark is None else thing.mark.prior
        return change(thing.name, thing.object, thing.held, Mark(prior))

    def _write(self, thing: Thing, wanted: Callable[[Thing], Object | None], word: str) -> None:
        for _ in range(_TRIES):
            patch = wanted(thing)
            if patch is None:
                return
            self._fence()
            fault_point(f"kubernetes.{word}.before")
            try:
                self._api.patch(thing.name.kind, thing.name.name, patch)
            except Conflict:
                again = self._read(thing.name, _PATIENCE_S)
                if again is None:
                    return
                thing = again
                continue
            fault_point(f"kubernetes.{word}.after")
            return
        raise LostRace(
            msg("{thing} is changed by somebody else all the time", thing=thing.name.text),
            state=msg("It is as it was; what stands before it in the list is done."),
            next_command="backout status",
        )

    def _things(self, patience_s: float) -> tuple[Thing, ...]:
        found: list[Thing] = []
        for name in self._names:
            thing = self._read(name, patience_s)
            if thing is None:
                continue
            found.append(thing)
            if name.kind == "CronJob":
                found += self._jobs_of(thing, patience_s)
        return tuple(found)

    def _read(self, name: WorkloadName, patience_s: float) -> Thing | None:
        if name.kind == "Job":  # Jobs end and are cleared away: one that is not there does nothing.
            job = self._api.get("Job", name.name, patience_s=patience_s)
            return None if job is None else Thing(name, job, True)
        return Thing(name, need(self._api, name, patience_s), self._held_value(name))

    def _jobs_of(self, cron: Thing, patience_s: float) -> list[Thing]:
        uid = cron.object["metadata"]["uid"]
        jobs = [
            job
            for job in self._api.list("Job", patience_s=patience_s)
            if any(o["uid"] == uid for o in job["metadata"].get("ownerReferences") or ())
            and (mark_of(job) is not None or not is_over(job))
        ]
        return [Thing(WorkloadName("Job", str(job["metadata"]["name"])), job, True) for job in jobs]

    def _held_value(self, name: WorkloadName) -> Json:
        if name.kind in ("CronJob", "Job"):
            return True
        if name.kind != "Service":
            return 0
        if self._maintenance is None:
            return NOBODY
        selector = need(self._api, self._maintenance, _PATIENCE_S)["spec"]["selector"]
        labels = selector.get("matchLabels")
        if not labels or selector.get("matchExpressions"):
            raise NotPossible(
                msg("A Service cannot select as {workload} does: only matchLabels", workload=self._maintenance.text),
                state=msg("Nothing was changed."),
                next_command=self._api.kubectl("get", self._maintenance.text, "-o", "yaml"),
            )  # fmt: skip
        return dict(labels)

    # --- waiting ------------------------------------------------------------------------------------

    def _at_work(self, thing: Thing, patience_s: float) -> tuple[str, ...]:
        """Return what still acts or answers of a thing that is told to be held."""
        if thing.name.kind == "Service":
            assert isinstance(thing.held, dict)
            meant = looking.selected(self._api, thing.held, patience_s)
            return tuple(sorted(looking.endpoints_of(self._api, thing.name.name, patience_s) - meant))
        pods = looking.pods_of(self._api, thing.name, thing.object, patience_s)
        return tuple(str(p["metadata"]["name"]) for p in pods)

    def _wait_until_quiet(self, things: tuple[Thing, ...]) -> None:
        pods = [p for t in things for p in looking.pods_of(self._api, t.name, t.object, _PATIENCE_S)]
        ends_s = self._clock.monotonic_s() + looking.grace_s(pods) + _MARGIN_S
        while left := [n for t in things for n in self._at_work(t, _PATIENCE_S)]:
            if self._clock.monotonic_s() >= ends_s:
                raise StepFailed(
                    msg("Still at work: {pods}", pods=", ".join(left[:5])),
                    state=msg("{name} is told to hold; what is named does not end.", name=self.name),
                    next_command=self._api.kubectl("get", "pods,endpointslices"),
                )
            self._clock.wait(_POLL_S)
        if any(t.name.kind == "Service" for t in things):
            self._clock.wait(_NETWORK_S)

    def _wait_until_up(self, names: list[WorkloadName]) -> None:
        if any(n.kind == "Service" for n in names):
            self._clock.wait(_NETWORK_S)
        if self._up_within_s is None:
            return
        ends_s = self._clock.monotonic_s() + self._up_within_s
        for name in names if self.mode == "stop" else ():
            while True:
                why, failed = looking.not_up(self._api, name, _PATIENCE_S)
                if why is None:
                    break
                if failed or self._clock.monotonic_s() >= ends_s:
                    self._not_up(name, why)
                self._clock.wait(_POLL_S)

    def _not_up(self, name: WorkloadName, why: Message) -> NoReturn:
        more = looking.why_not_up(self._api, name)
        raise StepFailed(
            msg("{why}{more}", why=str(why), more=f"; {more}" if more else ""),
            state=msg("{thing} has its replicas again; its pods do not come up.", thing=name.text),
            next_command=self._api.kubectl("get", "pods"),
        )

    def _within_s(self) -> float:
        return max(30.0, (self._up_within_s or 0.0) + _MARGIN_S)


def _is_held(thing: Thing) -> bool:
    """Whether the thing is marked as held and told so; a Job that ended does not have to be."""
    if thing.name.kind == "Job" and is_over(thing.object):
        return True
    mark = thing.mark
    return mark is not None and not mark.ends and thing.value == thing.held


def _ending(thing: Thing, prior: dict[str, Json]) -> Object | None:
    if thing.mark is not None:
        before = thing.mark.prior
        if thing.mark.ends and thing.value == before:
            return None
        return change(thing.name, thing.object, before, Mark(before, ends=True))
    before = prior.get(thing.name.text)
    if before is None or before == thing.value or thing.value != thing.held:
        return None
    return change(thing.name, thing.object, before, Mark(before, ends=True))


def _unmarked(thing: Thing) -> Object | None:
    return None if thing.mark is None else change(thing.name, thing.object, thing.value, None)
