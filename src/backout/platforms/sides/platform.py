"""The platform itself: which version is on which side, where requests go, and the steps that send them elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel

from backout.errors import BackoutError, ConfigError, UnknownVersion
from backout.message import Message, msg
from backout.observed import Answer, SidesNow, Traffic, Workload
from backout.platforms.abilities import Arms, LeftRunning
from backout.platforms.base import Capabilities, Detection, Diagnosis, LeaseStore, RecordStore, Site
from backout.platforms.sides import served
from backout.platforms.sides.commands import Commands
from backout.platforms.sides.options import SidesOptions
from backout.platforms.sides.seen import Told, ask_sides, look
from backout.release import Artefact
from backout.routers.base import CutsSlowly, ShiftsTraffic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from backout.document import Json
    from backout.plan.base import StepKind
    from backout.plan.model import StepSpec


class SidesPlatform:
    """Sides of one service behind a router. An artefact's ref is the version that a side says it runs."""

    kind: ClassVar[str] = "sides"
    capabilities: ClassVar[Capabilities] = Capabilities(immutable_identity=False, history=True, fenced=False)
    Options: ClassVar[type[BaseModel]] = SidesOptions

    def __init__(self, options: SidesOptions, site: Site) -> None:
        self.options, self.site = options, site
        self._router: ShiftsTraffic | None = None

    @classmethod
    def create(cls, options: BaseModel, site: Site) -> SidesPlatform:
        """Bind the platform to a service; touches nothing."""
        return cls(SidesOptions.model_validate(options.model_dump()), site)

    @classmethod
    def detect(cls, directory: Path) -> Detection | None:
        """Return None: what is a side cannot be seen."""
        return None

    @classmethod
    def step_kinds(cls) -> Mapping[str, StepKind]:
        """Return the kinds of step of this platform."""
        from backout.platforms.sides.steps import step_kinds

        return step_kinds()

    def behind(self, router: object) -> None:
        """Bind the router that divides requests between the sides.

        Raises:
            ConfigError: It is none of that kind, or has other sides.
        """
        if not isinstance(router, ShiftsTraffic):
            raise ConfigError(
                msg(
                    "The platform sides needs a router that divides requests: haproxy, nginx, kubernetes-service."
                ),
                state=msg("Nothing was touched."),
                next_command="${EDITOR:-vi} backout.yaml   # the section router",
            )
        if set(router.sides) != set(self.options.sides):
            raise ConfigError(
                msg(
                    "The platform has the sides {own}, the router {other}.",
                    own=", ".join(sorted(self.options.sides)),
                    other=", ".join(sorted(router.sides)),
                ),
                state=msg("Nothing was touched."),
                next_command="${EDITOR:-vi} backout.yaml   # platform.sides and router.sides",
            )
        self._router = router

    @property
    def router(self) -> ShiftsTraffic:
        """The router; raises TypeError where none was bound: a bug in the wiring."""
        if self._router is None:
            raise TypeError("the platform sides is behind no router")
        return self._router

    def observable(self) -> bool:
        """Return True: router and sides can be asked."""
        return True

    def sides_now(self, deadline_s: float) -> SidesNow:
        """Return how requests are divided, and what each side says of itself; all are asked at the same time.

        Raises:
            TargetUnreachable: The router does not say so within the deadline (seconds from now).
        """
        return look(self.options, self.site, self.router, deadline_s)[0]

    def observe(self, deadline_s: float) -> Workload:
        """Return which version gets requests now, none where all is shut; running is also one that only clients that stick to it reach, or drains.

        Raises:
            TargetUnreachable: The router does not say where requests go, or a side that has some not what it runs.
        """
        now, told = self._known(deadline_s)
        shares, versions = now.shares, now.versions
        taking = sorted((name for name in shares if shares[name]), key=lambda name: (-shares[name], name))
        serving = taking + [one.name for one in now.sides if one.serves and not one.share]
        # One that does not even say its version, and that connections may have been kept with, answers nobody.
        running = dict.fromkeys(version for name in serving if (version := versions[name]) is not None)
        ready: list[Json] = [one.name for one in now.sides if one.not_ready is None]
        return Workload(
            wanted=Artefact(ref=str(versions[taking[0]])) if taking else None,
            running=tuple(Artefact(ref=one) for one in running),
            up=sum(name in ready for name in taking),
            expected=max(1, len(taking)),
            detail={
                "shares": dict(shares),
                "versions": dict(versions),
                "ready": ready,
                "installed": {name: one.installed for name, one in told.items() if one.installed},
            },
        )

    def _known(self, deadline_s: float) -> tuple[SidesNow, dict[str, Told]]:
        """Return all sides, of which each that has requests says its version; raises TargetUnreachable where one does not."""
        now, told = look(self.options, self.site, self.router, deadline_s)
        for one in now.sides:
            if one.is_known_to_serve and (trouble := told[one.name].trouble) is not None:
                raise trouble
        return now, told

    def not_ready_side(self, name: str, traffic: Traffic | None) -> str | None:
        """Return why a side cannot take requests; None: it says that it can, and the router's checks do not deny it."""
        if traffic is not None and traffic.of(name).healthy is Answer.NO:
            return "the router's checks fail for it"
        return served.not_ready(name, self.options.sides[name], self.options.timeout_s)

    @property
    def ready_within_s(self) -> float:
        """Seconds that a side may take until it is ready."""
        return self.options.ready_timeout_s

    def not_ready(self) -> Message | None:
        """Return why a side that gets requests is not ready; None if all are."""
        now = self.sides_now(self.options.timeout_s)
        for one in now.sides:
            if one.share and one.not_ready is not None:
                return msg("side {side}: {why}", side=one.name, why=str(one.not_ready))
        return None

    def arms(self, ref: str, deadline_s: float) -> Arms | None:
        """Return the side that runs a version and those that have requests for others; None: no side runs it.

        Raises:
            TargetUnreachable: The router does not say where requests go, or a side that has some not what it runs.
        """
        now, _ = self._known(deadline_s)
        shares, versions = now.shares, now.versions
        own = [name for name in versions if versions[name] == ref]
        if not own:
            return None
        canary = max(own, key=lambda name: shares[name])
        control = tuple(name for name in shares if shares[name] and versions[name] != ref)
        rest = tuple(name for name in shares if name != canary and name not in control)
        return Arms(canary=canary, control=control, share=shares[canary] / 100 or None, rest=rest)

    def silent(self, side: str, deadline_s: float) -> Message | None:
        """Return why a side that gets requests does not say what it runs; None: it does, or gets none.

        Raises:
            TargetUnreachable: The router does not say where requests go.
        """
        now, told = look(self.options, self.site, self.router, deadline_s)
        trouble = told[side].trouble
        return trouble.what if now.of(side).share and trouble is not None else None

    def urls(self) -> Mapping[str, str]:
        """Return where each side says that it is ready."""
        return {name: side.ready_url or side.version_url for name, side in self.options.sides.items()}

    def artefacts(self, deadline_s: float) -> tuple[Artefact, ...]:
        """Return the versions that are on a side, whether it runs or can be started."""
        told = ask_sides(self.options, self.site, deadline_s)
        return tuple(Artefact(ref=one) for one in dict.fromkeys(t.there for t in told.values()) if one)

    def identify(self, ref: str) -> Artefact:
        """Return the version if a side runs it, or would if it were started.

        Raises:
            UnknownVersion: None does.
        """
        told = ask_sides(self.options, self.site, self.options.timeout_s)
        if not any(one.there == ref for one in told.values()):
            sides = ", ".join(f"{name} {one.version or 'does not answer'}" for name, one in told.items())
            raise UnknownVersion(
                msg("No side runs {ref}: {told}.", ref=ref, told=sides),
                state=msg("Nothing was changed."),
                next_command=f"curl -isS {next(iter(self.options.sides.values())).version_url}",
            )
        return Artefact(ref=ref)

    def switch(
        self, workload: Workload, to: Artefact, *, from_version: str | None, to_version: str
    ) -> tuple[StepSpec, ...]:
        """Propose: start the side if it does not run, look that it is ready, send all requests there, drain the others. Pure.

        Where several sides run what is wanted, a ready one is taken, of those the one with the largest share.
        """
        from backout.platforms.sides.steps import specs

        seen = _Seen(workload)
        fitting = seen.fitting(to.ref)
        if not fitting:
            raise UnknownVersion(
                msg("No side runs {ref} any more.", ref=to.ref),
                state=msg("Nothing was changed."),
                next_command="backout plan",
            )
        side, *also = fitting
        wanted = {name: 100 if name == side else 0 for name in seen.versions}
        way = specs.way(
            specs.Goal(side, to.ref, to_version, wanted, tuple(one for one in also if seen.versions[one])),
            specs.Standing(from_version, seen.shares, seen.versions),
            self.options,
            self.router.shift_by_hand,
            self._cutting_s,
        )
        if seen.versions[side] is not None:
            return way
        return self._running(specs.START, side, to.ref, to_version), *way

    def left_running(self, workload: Workload, to: Artefact) -> LeftRunning:
        """Return the sides that answer and run something else: what acts there without requests goes on. Pure."""
        from backout.platforms.sides.steps import specs

        versions = _Seen(workload).versions
        left = {name: str(ref) for name, ref in versions.items() if ref not in (None, to.ref)}
        can = [name for name in left if self.options.sides[name].stop is not None]
        return LeftRunning(
            stop=tuple(self._running(specs.STOP, name, left[name], left[name]) for name in can),
            stays=tuple(f"{name} ({ref})" for name, ref in left.items() if name not in can),
        )

    def commands(self, side: str) -> Commands:
        """Return what starts and stops a side."""
        return Commands(side, self.options.sides[side], self.site)

    def _running(self, kind: str, side: str, ref: str, version: str) -> StepSpec:
        from backout.platforms.sides.steps import specs

        commands = self.commands(side)
        shown = {"start": commands.shown("start"), "stop": commands.shown("stop")}
        more_s = self.options.ready_timeout_s if kind == specs.START else 0.0
        return specs.running(kind, side, ref, version, shown, self.options.command_timeout_s + more_s)

    @property
    def drain_timeout_s(self) -> float:
        """Seconds for what is inside a side that gets no more requests; then it is ended."""
        return self.options.drain_timeout_s

    @property
    def keep_warm_s(self) -> float:
        """Seconds for which a side that lost its requests is kept."""
        return self.options.keep_warm_s

    def retire(self, side: str, version: str) -> StepSpec | None:
        """Propose the step that stops a side; None: it is not declared how. Pure."""
        from backout.platforms.sides.steps import specs

        if self.options.sides[side].stop is None:
            return None
        return self._running(specs.STOP, side, version, version)

    def side_not_ready(self, side: str) -> str | None:
        """Return why a side cannot take requests, asked past the router; None: it says that it can."""
        return served.not_ready(side, self.options.sides[side], self.options.timeout_s)

    def divide(
        self, now: SidesNow, side: str, shares: Mapping[str, int], *, version: str, control: str
    ) -> tuple[StepSpec, ...]:
        """Propose: look that the side is ready, divide requests so, wait until nothing is inside sides that lose all. Pure."""
        from backout.platforms.sides.steps import specs

        goal = specs.Goal(side, str(now.of(side).version), version, shares)
        standing = specs.Standing(control, now.shares, dict(now.versions))
        return specs.way(goal, standing, self.options, self.router.shift_by_hand, self._cutting_s)

    @property
    def _cutting_s(self) -> float:
        from backout.platforms.sides.steps import specs

        return self.router.cutting_s if isinstance(self.router, CutsSlowly) else specs.CUTTING_S

    def lease_store(self) -> LeaseStore | None:
        """Return None: neither router nor sides keep a lease."""
        return None

    def record_store(self) -> RecordStore | None:
        """Return None: neither router nor sides keep records."""
        return None

    def doctor(self) -> Iterable[Diagnosis]:
        """Try what a rollback would need, touching nothing."""
        try:
            now, told = look(self.options, self.site, self.router, self.options.timeout_s)
            denied = {one.name: one.not_ready for one in now.sides}
        except BackoutError:
            # The router's own lines tell.
            told = ask_sides(self.options, self.site, self.options.timeout_s)
            denied = {name: one.not_ready for name, one in told.items()}
        for name, side in self.options.sides.items():
            one, why = told[name], denied[name]
            if one.installed is not None:
                evidence = msg("It is stopped; started it would run {version}.", version=one.installed)
                yield Diagnosis(subject=f"side {name}", ok=True, evidence=evidence)
            elif one.trouble is not None:
                yield Diagnosis(
                    subject=f"side {name}",
                    ok=False,
                    evidence=one.trouble.what,
                    remedy=one.trouble.next_command,
                )
            elif why is None:
                evidence = msg("It runs {version} and is ready.", version=str(one.version))
                yield Diagnosis(subject=f"side {name}", ok=True, evidence=evidence)
            else:
                evidence = msg(
                    "It runs {version} and is not ready: {why}.", version=str(one.version), why=str(why)
                )
                remedy = f"curl -isS {side.ready_url or side.version_url}"
                yield Diagnosis(subject=f"side {name}", ok=False, evidence=evidence, remedy=remedy)


class _Seen:
    """What `observe` put down for the steps."""

    def __init__(self, workload: Workload) -> None:
        detail = workload.detail
        versions, shares, ready = detail["versions"], detail["shares"], detail["ready"]
        there = detail.get("installed", {})
        assert isinstance(versions, dict)
        assert isinstance(shares, dict)
        assert isinstance(ready, list)
        assert isinstance(there, dict)
        self.versions = versions
        self.shares = {name: int(str(share)) for name, share in shares.items()}
        self._ready, self._there = ready, there

    def fitting(self, ref: str) -> list[str]:
        """Return the sides with that version, the best first: ready, then with the largest share, then one to be started."""
        return sorted(
            (name for name in self.versions if ref in (self.versions[name], self._there.get(name))),
            key=lambda name: (
                self.versions[name] is None,
                name not in self._ready,
                -self.shares[name],
                name,
            ),
        )
