"""The router: reads who gets connections, sends them to one side or divides them by replicas, holds by a maintenance Deployment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel

from backout.errors import BackoutError, CredentialsRefused, NotPossible, StepFailed, TargetUnreachable
from backout.faults import fault_point
from backout.kubernetes.api import Api
from backout.kubernetes.kubeconfig import choose
from backout.message import Message, msg
from backout.observed import Answer, HoldFact, SideTraffic, Traffic
from backout.platforms.base import Detection, Diagnosis, Site
from backout.routers.kubernetes_service.autoscalers import autoscalers
from backout.routers.kubernetes_service.changes import Changes
from backout.routers.kubernetes_service.doctor import diagnose
from backout.routers.kubernetes_service.labels import Labels, as_query
from backout.routers.kubernetes_service.look import Group, Look, Object, look, strangers
from backout.routers.kubernetes_service.note import Note, note_of, out_before
from backout.routers.kubernetes_service.options import KubernetesServiceOptions
from backout.routers.kubernetes_service.ports import missing_port
from backout.routers.kubernetes_service.replicas import counts_for
from backout.routers.kubernetes_service.typed import Typed
from backout.routers.shares import of_hundred

if TYPE_CHECKING:
    from backout.document import Json

_MAINTENANCE = "maintenance"
_POLL_S = 0.2
_PATIENCE_S, _FIRST_S = 20.0, 3.0
"""Seconds in which the API server has to answer: while something is under way, and before anything is changed."""
_STRAYS_S = 2.0
"""For so long a pod that is in an EndpointSlice and not in the list of pods is taken for one that comes or goes."""
NETWORK_S = 2.0
"""After an EndpointSlice was written, connections still go to where they did, for so long at most.

Source: kubernetes.io, kube-proxy, --iptables-min-sync-period (default 1s); as long again for the change to get there.
"""


class KubernetesServiceRouter:
    """One Service; see `backout.routers.base.Router`, `ShiftsTraffic` and `CutsSlowly`.

    All to one side: the Service selects what that side's Deployment does. To all of them: it selects the labels that they have in
    common, and their replicas make the shares. Holding points it to a Deployment that answers maintenance. The Service divides
    connections: kept ones stay with their pods until these end.
    """

    kind: ClassVar[str] = "kubernetes-service"
    Options: ClassVar[type[BaseModel]] = KubernetesServiceOptions

    def __init__(self, options: KubernetesServiceOptions, site: Site) -> None:
        self.options = options
        file = site.directory / options.kubeconfig if options.kubeconfig else None
        self.api = Api(partial(choose, file, options.context, site.environ), options.namespace, site.clock)
        self.typed = Typed(self.api, options.service)
        self._clock, self._changes = site.clock, Changes(self.api, options.service)

    @classmethod
    def create(cls, options: BaseModel, site: Site) -> KubernetesServiceRouter:
        """Bind the router; touches nothing."""
        return cls(KubernetesServiceOptions.model_validate(options.model_dump()), site)

    @classmethod
    def detect(cls, directory: Path) -> Detection | None:
        """Return None: which Deployments are sides of one service cannot be seen."""
        return None

    @property
    def name(self) -> str:
        """`router`."""
        return "router"

    @property
    def sides(self) -> tuple[str, ...]:
        """The names of the sides."""
        return tuple(self.options.sides)

    @property
    def cutting_s(self) -> float:
        """Pods take their time to end, and their successors to start."""
        return self.options.rollout_timeout_s

    # --- looking ------------------------------------------------------------------------------------

    def look(self, patience_s: float = _FIRST_S) -> Look:
        """Return one look.

        Raises:
            TargetUnreachable: The API server did not answer, lacks one of them, or a pod of no side gets connections: what
                reaches the service can then neither be divided nor held.
            CredentialsRefused: It does not let us look.
            NotPossible: A Deployment can be no side of a Service.
        """
        began_s = self._clock.monotonic_s()
        ends_s = began_s + min(_STRAYS_S, patience_s)
        while True:
            seen = look(
                self.api, self.options, lambda: max(0.1, began_s + patience_s - self._clock.monotonic_s())
            )
            if not seen.strays:
                return seen
            if self._clock.monotonic_s() >= ends_s:
                raise TargetUnreachable(
                    msg(
                        "service/{service} sends connections to {pods}, of no side.",
                        service=self.options.service,
                        pods=", ".join(seen.strays[:3]),
                    ),
                    state=msg("This look changed nothing."),
                    next_command=self.typed.look,
                )
            self._clock.wait(_POLL_S)

    def traffic(self, deadline_s: float) -> Traffic:
        """Return where connections go now. It is kept: the cluster stores it."""
        seen = self.look(deadline_s)
        shares = of_hundred(seen.weights)
        sides = tuple(
            SideTraffic(
                name=name,
                share=shares[name],
                admits=seen.admits(name),
                healthy=Answer.YES if one.ready else Answer.NO,
                inside=seen.inside(name),
            )
            for name, one in seen.sides.items()
        )
        return Traffic(sides=sides, kept=Answer.YES)

    def begun(self, shares: Mapping[str, int]) -> bool:
        """Tell whether the Service selects what `shift` makes it select, or the sides that gain have their replicas."""
        counts, seen = self._counts(shares), self.look()
        winners = [name for name in self.sides if shares[name]]
        if len(winners) == 1:
            alone = seen.taking == tuple(winners)
            grown = winners[0] in seen.taking and seen.sides[winners[0]].replicas == self.options.replicas
            return alone or grown
        enough = [seen.sides[name].replicas >= count for name, count in counts.items()]
        exact = [seen.sides[name].replicas == count for name, count in counts.items()]
        # Held, those that lose do not wait for those that gain.
        return set(seen.taking) == set(winners) and (seen.held or all(enough)) and any(exact)

    # --- dividing -----------------------------------------------------------------------------------

    def shift(self, shares: Mapping[str, int]) -> None:
        """Send all to one side, or divide by replicas. Idempotent.

        Raises:
            NotPossible: Replicas do not make these shares, an autoscaler changes them, or pods of no side would be selected.
            LostRace: Somebody else changed the Service or the replicas meanwhile.
            StepFailed: Pods are not ready in time; what is in force is told.
            TargetUnreachable: The API server did not answer.
        """
        counts = self._counts(shares)
        winners = [name for name in self.sides if shares[name]]
        fault_point("kubernetes-service.shift.before")
        if len(winners) == 1:
            self._to_one(winners[0])
        else:
            self._to_all(counts)
        fault_point("kubernetes-service.shift.after")

    def _to_one(self, name: str) -> None:
        seen = self.look()
        side, total = seen.sides[name], self.options.replicas
        self._alone(side, seen.service)
        grows = total is not None and side.replicas < total
        if seen.held and (side.replicas or grows):
            # Nobody is sent there before `release`, and that waits until somebody is ready.
            self._turn(seen, side.labels, (name,))
            if grows and side.deployment not in self._autoscaled():
                self._grown(self.look(), name)
            return
        others = sum(
            len(one.ready) for other, one in seen.sides.items() if other != name and seen.reached(other)
        )
        if (
            grows
            and (not side.replicas or len(side.ready) < others)
            and side.deployment not in self._autoscaled()
        ):
            # It would be less than half of what serves now that takes all: first the pods, then the requests.
            seen, grows = self._grown(seen, name), False
            side = seen.sides[name]
        if not side.replicas:
            raise NotPossible(
                msg("{deployment} is told to run no pod.", deployment=side.deployment),
                state=msg("Nothing was changed: requests go on as before."),
                next_command=self.api.kubectl("scale", side.deployment, "--replicas=1"),
            )
        if not side.ready:
            seen = self._wait(
                lambda now: None if now.sides[name].ready else _not_ready(now.sides[name], 1),
                msg("Requests go on as before."),
                self.api.kubectl("rollout", "status", side.deployment),
            )
        fault_point("kubernetes-service.shift.between")
        self._turn(seen, side.labels, (name,))
        # Who scales is asked for only now: nothing of it is in the way of requests that are to leave a side at once.
        if grows and side.deployment not in self._autoscaled():
            self._grown(self.look(), name)

    def _grown(self, seen: Look, name: str) -> Look:
        """Give a side all replicas, and return a look at them ready."""
        total = self.options.replicas
        assert total is not None
        side = seen.sides[name]
        self._changes.scale(side, total)
        state = msg(
            "{deployment} is told to run {n} pods; {now} {sides}.",
            deployment=side.deployment,
            n=total,
            now="maintenance is answered, later requests go to" if seen.held else "requests go to",
            sides=", ".join(seen.taking) or "nobody",
        )
        command = self.typed.select(side.labels) + "   # without waiting for them"
        if seen.held or seen.selector == side.labels:
            command = self.api.kubectl("rollout", "status", side.deployment)
        return self._wait(
            lambda now: None if len(now.sides[name].ready) >= total else _not_ready(now.sides[name], total),
            state,
            command,
        )

    def _to_all(self, counts: Mapping[str, int]) -> None:
        seen = self.look()
        wide = seen.wide()
        self._dividable(seen, wide)
        fixed = {name for name, count in counts.items() if seen.sides[name].replicas == count}
        # Those that get nothing now, and those that gain; who loses goes on until the others are there.
        first = {
            name
            for name, count in counts.items()
            if name not in fixed and (not seen.admits(name) or count > seen.sides[name].replicas)
        }
        for name in first:
            self._changes.scale(seen.sides[name], counts[name])
        seen = self._wait(
            lambda now: _first_lacking(now, counts, first | fixed),
            msg("Those that lose were not scaled down, and the Service selects what it did."),
            self.api.kubectl("get", "pods"),
        )
        fault_point("kubernetes-service.shift.between")
        self._turn(seen, wide, tuple(counts))
        for name, count in counts.items():
            if seen.sides[name].replicas != count:
                self._changes.scale(seen.sides[name], count)
        self._wait(
            lambda now: _first_lacking(now, counts, set(counts)) or _not_whole(now),
            msg(
                "The Service selects all sides; their replicas are told to be {counts}.", counts=_told(counts)
            ),
            self.api.kubectl("get", "pods"),
        )

    def _turn(self, seen: Look, to: Labels, sides: tuple[str, ...]) -> None:
        """Have the Service select that, for connections or for after a hold, and wait until it is so everywhere."""
        if seen.held:
            note = note_of(seen.service)
            self._changes.note(Note(held=to, out=note.out))
            return
        if seen.selector != to:
            out = out_before(seen.service, (n for n in self.sides if n not in sides and not seen.admits(n)))
            self._changes.point(seen.selector, to, Note(out=out))
            fault_point("kubernetes-service.shift.pointed")
        elif not any(seen.reached(name) for name in self.sides if name not in sides) and not _not_whole(seen):
            return
        self._wait(_not_whole, msg("The Service selects {sides}.", sides=", ".join(sides)), self.typed.look)
        self._clock.wait(NETWORK_S)

    def cut(self, side: str) -> int | None:
        """Have the pods end that connections may still be with; their Deployment makes others.

        Returns:
            0 where there were none; else None: nobody counts connections.

        Raises:
            StepFailed: Connections are still sent to it.
        """
        seen = self.look()
        if seen.admits(side):
            raise StepFailed(
                msg("{side} still gets requests: its pods are not ended.", side=side),
                state=msg("Nothing was ended."),
                next_command=self.typed.look,
            )
        connected = seen.connected(side)
        self._changes.end(connected)
        return None if connected else 0

    def shift_by_hand(self, shares: Mapping[str, int]) -> tuple[str, ...]:
        """Return the kubectl commands."""
        counts, seen = self._counts(shares), self.look()
        winners = [name for name in self.sides if shares[name]]
        if len(winners) == 1:
            one = seen.sides[winners[0]]
            return (*self.typed.one_side(one.deployment, one.labels, self.options.replicas), self.typed.look)
        by_deployment = {seen.sides[name].deployment: count for name, count in counts.items()}
        return (*self.typed.all_sides(by_deployment, seen.wide()), self.typed.look)

    def _counts(self, shares: Mapping[str, int]) -> dict[str, int]:
        """Return the replicas of each side; empty where one gets all."""
        if not any(shares.values()):
            raise self._not_possible(msg("No side would get requests."))
        if 100 in shares.values():
            return {}
        if self.options.replicas is None:
            raise self._not_possible(
                msg(
                    "router.replicas is not declared: all requests go to one side, or replicas make the shares."
                ),
                edit=True,
            )
        if not all(shares.values()):
            raise self._not_possible(msg("A Service selects one side alone, or all of them."))
        try:
            return counts_for(shares, self.options.replicas)
        except ValueError as error:
            raise self._not_possible(
                msg("Replicas cannot divide requests so: {why}.", why=str(error)), edit=True
            ) from None

    def _alone(self, side: Group, service: Object) -> None:
        """Refuse where a side's labels mean pods that are not its own, or its pods lack a port that the Service sends to."""
        if (port := missing_port(service, side)) is not None:
            raise self._not_possible(
                msg(
                    "service/{service} sends to the port {port}, and the pods of {deployment} have none of that name.",
                    service=self.options.service,
                    port=port,
                    deployment=side.deployment,
                )
            )
        if side.strangers:
            raise self._not_possible(
                msg(
                    "Pods that are not of {deployment} have its labels, and would get requests: {pods}.",
                    deployment=side.deployment,
                    pods=", ".join(side.strangers[:3]),
                )
            )

    def _dividable(self, seen: Look, wide: Labels) -> None:
        """Refuse where replicas do not make shares: somebody else changes them, or others would be selected."""
        if not wide:
            raise self._not_possible(
                msg("The sides have no label in common that the Service could select."), edit=True
            )
        scaled = self._autoscaled()
        for one in seen.sides.values():
            self._alone(one, seen.service)
            if one.deployment in scaled:
                raise NotPossible(
                    msg(
                        "{autoscaler} scales {deployment}: its replicas are no share.",
                        autoscaler=scaled[one.deployment],
                        deployment=one.deployment,
                    ),
                    state=msg("Nothing was changed."),
                    next_command=self.api.kubectl("get", scaled[one.deployment]),
                )
        if found := strangers(self.api, wide, seen.sides):
            raise self._not_possible(
                msg(
                    "Pods of no side have the labels that the sides have in common, and would get requests: {pods}.",
                    pods=", ".join(found[:3]),
                )
            )

    def _autoscaled(self) -> dict[str, str]:
        return autoscalers(self.api) if self.options.replicas is not None else {}

    # --- holding ------------------------------------------------------------------------------------

    def observe(self, deadline_s: float) -> HoldFact:
        """Return whether it holds now; while connections may still be with a side it is looked again until the deadline."""
        ends_s = self._clock.monotonic_s() + deadline_s
        fact = HoldFact(
            name=self.name,
            modes=(_MAINTENANCE,) if self.options.maintenance else (),
            held=Answer.UNKNOWN,
            within_s=self.options.rollout_timeout_s,
        )
        while True:
            try:
                seen = self.look(max(0.1, ends_s - self._clock.monotonic_s()))
            except BackoutError:
                return fact
            if not seen.held:
                prior: dict[str, Json] = {"held": False, "selector": dict(seen.selector)}
                return fact.model_copy(update={"held": Answer.NO, "prior": prior})
            empty = not any(seen.connected(name) for name in self.sides)
            if empty or self._clock.monotonic_s() >= ends_s:
                held = Answer.YES if empty else Answer.UNKNOWN
                return fact.model_copy(update={"held": held, "mode": _MAINTENANCE, "prior": {"held": True}})
            self._clock.wait(_POLL_S)

    def hold(self, mode: str) -> None:
        """Have the maintenance Deployment answer; returns when no connection can be with a side any more. Idempotent.

        Whoever keeps a connection would go on being answered by the release: the sides' pods are ended and started again.

        Raises:
            NotPossible: The mode is not `maintenance`, no Deployment is declared for it, or nothing is there to put back.
            LostRace: Somebody else pointed the Service elsewhere meanwhile.
            StepFailed: Nobody would answer, or pods do not end in time; what is in force is told.
            TargetUnreachable: The API server did not answer.
        """
        if mode != _MAINTENANCE:
            raise self._not_possible(msg("The router kubernetes-service cannot hold by {mode}.", mode=mode))
        fault_point("router.hold.before")
        seen = self.look()
        page = seen.maintenance
        if page is None:
            raise self._not_possible(
                msg("router.maintenance is not declared: a Service that selects nobody refuses connections."),
                edit=True,
            )
        if not seen.held:
            if not seen.taking:
                raise self._not_possible(msg("No side of the Service gets requests now."))
            if page.is_gone:
                raise NotPossible(
                    msg("There is no {page} that would answer maintenance.", page=page.deployment),
                    state=msg("Nothing was changed: the service takes requests."),
                    next_command=self.api.kubectl("get", "deployments"),
                )
            self._alone(page, seen.service)
            self._answers(page)
            out = out_before(seen.service, (name for name in self.sides if not seen.admits(name)))
            self._changes.point(seen.selector, page.labels, Note(held=seen.selector, out=out))
        fault_point("router.hold.after")
        try:
            self._emptied()
        except CredentialsRefused as error:
            state = msg("New connections get maintenance; those that were open may go on.")
            raise CredentialsRefused(error.what, state=state, next_command=error.next_command) from None

    def release(self, prior: dict[str, Json]) -> None:
        """Let requests through to the sides that the Service selected, unless it held before. Idempotent.

        Raises:
            NotPossible: Nothing tells what it selected.
            StepFailed: No pod of it is ready, so it goes on holding; or the Service does not follow in time.
            LostRace: Somebody else pointed the Service elsewhere meanwhile.
            TargetUnreachable: The API server did not answer.
        """
        fault_point("router.release.before")
        seen = self.look() if not (prior and prior.get("held") is True) else None
        if seen is not None and seen.held:
            to = seen.divides or _labels_in(prior.get("selector"))
            if not to:
                raise NotPossible(
                    msg("What service/{service} selected before is not known.", service=self.options.service),
                    state=msg("It answers maintenance, and somebody took its annotation away."),
                    next_command=self.typed.select(next(iter(seen.sides.values())).labels)
                    + "   # or another side",
                )
            self._let_in(seen, to)
        fault_point("router.release.after")

    def _let_in(self, seen: Look, to: Labels) -> None:
        page = seen.maintenance
        assert page is not None
        taking = seen.meant(to)
        if not taking:
            raise NotPossible(
                msg("What service/{service} selected before means no side now: {selector}.",
                    service=self.options.service, selector=as_query(to)),
                state=msg("It goes on holding: the Service answers maintenance."),
                next_command=self.typed.select(next(iter(seen.sides.values())).labels) + "   # or another side",
            )  # fmt: skip
        self._back_up(tuple(name for name in taking if seen.sides[name].replicas) or taking)
        out = {name: at for name, at in note_of(seen.service).out.items() if name not in taking}
        self._changes.point(seen.selector, to, Note(out=out))
        self._wait(_not_whole, msg("The Service selects its sides again."), self.typed.look)
        self._clock.wait(NETWORK_S)
        # Whoever keeps a connection to it would be told of maintenance for ever.
        self._changes.end(page.pods)

    def _back_up(self, sides: tuple[str, ...]) -> None:
        """Wait until all pods of these sides are ready that are told to run; at the limit one of each is enough."""

        def lacking(now: Look, enough: Callable[[Group], int]) -> Message | None:
            behind = (
                now.sides[name] for name in sides if len(now.sides[name].ready) < enough(now.sides[name])
            )
            return next((_not_ready(one, enough(one)) for one in behind), None)

        try:
            self._wait(
                lambda now: lacking(now, lambda one: max(1, one.replicas)),
                msg("It goes on holding: the Service answers maintenance."),
                self.api.kubectl("get", "pods")
                + ("   # a canary that does not start: backout canary stop" if len(sides) > 1 else ""),
            )
        except StepFailed:
            if lacking(self.look(), lambda _: 1) is not None:
                raise

    def by_hand(self, mode: str | None, prior: dict[str, Json]) -> tuple[str, ...]:
        """Return the kubectl commands that hold, or (None) point it back; where nothing can be asked, what to look at."""
        if mode is None:
            if prior.get("held") is True:
                return (self.typed.look,)
            return self.typed.release(_labels_in(prior.get("selector")) or None)
        try:
            seen = self.look()
        except BackoutError as error:
            return (error.next_command,)
        if seen.maintenance is None or seen.maintenance.is_gone:
            return (self.typed.look,)
        sides = tuple(one.labels for one in seen.sides.values())
        return self.typed.hold(seen.divides, seen.maintenance.labels, sides)

    def doctor(self) -> Iterable[Diagnosis]:
        """Try what a rollback would need, touching nothing."""
        return diagnose(self)

    def _answers(self, page: Group) -> None:
        """Wait until maintenance would be answered; its pods may just have been started again."""
        if not page.replicas:
            raise NotPossible(
                msg(
                    "{deployment} is told to run no pod that would answer maintenance.",
                    deployment=page.deployment,
                ),
                state=msg("Nothing was changed: the service takes requests."),
                next_command=self.api.kubectl("scale", page.deployment, "--replicas=1"),
            )
        self._wait(
            lambda now: (
                _not_ready(now.maintenance or page, 1)
                if now.maintenance is None or not now.maintenance.ready
                else None
            ),
            msg("Nothing was changed: the service takes requests."),
            self.api.kubectl("rollout", "status", page.deployment),
        )

    def _emptied(self) -> None:
        """End what connections may be with, once nobody is sent there any more, and wait until it is gone."""
        state = msg("New connections get maintenance; those that were open may go on.")
        seen = self._wait(_not_whole, state, self.typed.look)
        if not any(seen.connected(name) for name in self.sides):
            return
        self._clock.wait(NETWORK_S)
        for name in self.sides:
            self._changes.end(seen.connected(name))
        self._wait(
            lambda now: next(
                (
                    msg(
                        "{n} pods of side {side} do not end: kept connections may be with them.",
                        n=len(now.connected(name)),
                        side=name,
                    )
                    for name in self.sides
                    if now.connected(name)
                ),
                None,
            ),
            state,
            self.api.kubectl("get", "pods"),
        )

    # --- waiting, refusing --------------------------------------------------------------------------

    def _wait(self, lacking: Callable[[Look], Message | None], state: Message, command: str) -> Look:
        """Look until nothing lacks; raises StepFailed with what does when the time is over."""
        ends_s = self._clock.monotonic_s() + self.options.rollout_timeout_s
        while True:
            seen = self.look(_PATIENCE_S)
            what = lacking(seen)
            if what is None:
                return seen
            if self._clock.monotonic_s() >= ends_s:
                raise StepFailed(what, state=state, next_command=command)
            self._clock.wait(_POLL_S)

    def _not_possible(self, what: Message, *, edit: bool = False) -> NotPossible:
        command = "${EDITOR:-vi} backout.yaml   # router, canary.steps" if edit else self.typed.look
        return NotPossible(what, state=msg("Nothing was changed."), next_command=command)


def _not_ready(side: Group, wanted: int) -> Message:
    return msg(
        "{ready} of {wanted} pods of {deployment} are ready{why}.",
        ready=len(side.ready),
        wanted=wanted,
        deployment=side.deployment,
        why=side.trouble(),
    )


def _first_lacking(now: Look, counts: Mapping[str, int], sides: set[str]) -> Message | None:
    """Return which of some sides has not as many pods ready as it is to have."""
    return next(
        (_not_ready(now.sides[n], counts[n]) for n in sorted(sides) if len(now.sides[n].ready) != counts[n]),
        None,
    )


def _not_whole(now: Look) -> Message | None:
    """Return why connections are not sent to all that are selected and ready, and to nobody else."""
    if now.held:
        assert now.maintenance is not None
        wanted = now.maintenance.ready
    else:
        wanted = frozenset[str]().union(*(now.sides[name].ready for name in now.taking))
    if wanted and now.endpoints == wanted:
        return None
    return msg(
        "Connections are sent to {now}, and not to {wanted}.",
        now=", ".join(sorted(now.endpoints)) or "nobody",
        wanted=", ".join(sorted(wanted)) or "anybody: no pod is ready",
    )


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _labels_in(told: Json) -> Labels:
    return {str(key): str(value) for key, value in told.items()} if isinstance(told, dict) else {}
