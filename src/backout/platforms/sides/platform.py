"""The platform itself: which version is on which side, where requests go, and the steps that send them elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel

from backout.errors import BackoutError, ConfigError, TargetUnreachable, UnknownVersion
from backout.message import Message, msg
from backout.observed import Answer, Workload
from backout.platforms.base import Capabilities, Detection, Diagnosis, LeaseStore, RecordStore, Site
from backout.platforms.sides import served
from backout.platforms.sides.options import SidesOptions
from backout.release import Artefact
from backout.routers.base import CutsSlowly, ShiftsTraffic, Traffic

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

    def observe(self, deadline_s: float) -> Workload:
        """Return which version gets requests now, none where all is shut; running is also one that only clients that stick to it reach, or drains.

        Raises:
            TargetUnreachable: The router does not say where requests go, or a side that has some not what it runs.
        """
        traffic = self.router.traffic(deadline_s)
        versions = self.versions(traffic)
        shares = traffic.shares
        taking = sorted((name for name in shares if shares[name]), key=lambda name: (-shares[name], name))
        serving = taking + [one.name for one in traffic.sides if one.serves and not one.share]
        # One that does not even say its version, and that connections may have been kept with, answers nobody.
        running = dict.fromkeys(version for name in serving if (version := versions[name]) is not None)
        detail: dict[str, Json] = {"shares": dict(shares), "versions": dict(versions)}
        return Workload(
            wanted=Artefact(ref=str(versions[taking[0]])) if taking else None,
            running=tuple(Artefact(ref=one) for one in running),
            up=sum(self.not_ready_side(name, traffic) is None for name in taking),
            expected=max(1, len(taking)),
            detail=detail,
        )

    def versions(self, traffic: Traffic | None = None) -> dict[str, str | None]:
        """Return the version of each side; None where it does not say: an error for one that has requests."""
        found: dict[str, str | None] = {}
        for name, side in self.options.sides.items():
            try:
                found[name] = served.version_of(name, side, self.options.timeout_s)
            except TargetUnreachable:
                if traffic is not None and traffic.of(name).is_known_to_serve:
                    raise
                found[name] = None
        return found

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
        traffic = self.router.traffic(self.options.timeout_s)
        shares = traffic.shares
        for name in shares:
            if shares[name] and (why := self.not_ready_side(name, traffic)) is not None:
                return msg("side {side}: {why}", side=name, why=why)
        return None

    def artefacts(self, deadline_s: float) -> tuple[Artefact, ...]:
        """Return the versions that are on a side, those that get requests first."""
        traffic = self.router.traffic(deadline_s)
        versions, shares = self.versions(), traffic.shares
        names = sorted(versions, key=lambda name: (-shares[name], name))
        return tuple(Artefact(ref=one) for one in dict.fromkeys(versions[name] for name in names) if one)

    def identify(self, ref: str) -> Artefact:
        """Return the version if a side runs it.

        Raises:
            UnknownVersion: None does.
        """
        versions = self.versions()
        if ref not in versions.values():
            told = ", ".join(f"{name} {one or 'does not answer'}" for name, one in versions.items())
            raise UnknownVersion(
                msg("No side runs {ref}: {told}.", ref=ref, told=told),
                state=msg("Nothing was changed."),
                next_command=f"curl -isS {next(iter(self.options.sides.values())).version_url}",
            )
        return Artefact(ref=ref)

    def switch(
        self, workload: Workload, to: Artefact, *, from_version: str | None, to_version: str
    ) -> tuple[StepSpec, ...]:
        """Propose: look that the side is ready, send all requests there, wait until nothing is inside the others. Pure."""
        from backout.platforms.sides.steps import specs

        versions, shares = workload.detail["versions"], workload.detail["shares"]
        assert isinstance(versions, dict)
        assert isinstance(shares, dict)
        side = max(
            (name for name in versions if versions[name] == to.ref),
            key=lambda name: int(str(shares[name])),
            default=None,
        )
        if side is None:
            raise UnknownVersion(
                msg("No side runs {ref} any more.", ref=to.ref),
                state=msg("Nothing was changed."),
                next_command="backout plan",
            )
        wanted = {name: 100 if name == side else 0 for name in versions}
        return specs.way(
            side,
            to.ref,
            to_version,
            from_version,
            wanted,
            shares,
            versions,
            self.options,
            self.router.shift_by_hand,
            self.router.cutting_s if isinstance(self.router, CutsSlowly) else specs.CUTTING_S,
        )

    def lease_store(self) -> LeaseStore | None:
        """Return None: neither router nor sides keep a lease."""
        return None

    def record_store(self) -> RecordStore | None:
        """Return None: neither router nor sides keep records."""
        return None

    def doctor(self) -> Iterable[Diagnosis]:
        """Try what a rollback would need, touching nothing."""
        try:
            traffic = self.router.traffic(self.options.timeout_s)
        except BackoutError:
            traffic = None  # The router's own lines tell.
        for name, side in self.options.sides.items():
            try:
                version = served.version_of(name, side, self.options.timeout_s)
            except TargetUnreachable as error:
                yield Diagnosis(
                    subject=f"side {name}", ok=False, evidence=error.what, remedy=error.next_command
                )
                continue
            why = self.not_ready_side(name, traffic)
            if why is None:
                evidence = msg("It runs {version} and is ready.", version=version)
                yield Diagnosis(subject=f"side {name}", ok=True, evidence=evidence)
            else:
                evidence = msg("It runs {version} and is not ready: {why}.", version=version, why=why)
                remedy = f"curl -isS {side.ready_url or side.version_url}"
                yield Diagnosis(subject=f"side {name}", ok=False, evidence=evidence, remedy=remedy)
