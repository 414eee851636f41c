"""What a platform may be able to do besides: each is asked for by `isinstance`, and nothing is pretended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from backout.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backout.holds.base import HoldMeans
    from backout.observed import OfferedImage, SecretChange, SidesNow, Workload
    from backout.plan.model import StepSpec
    from backout.release import Artefact, Release
    from backout.revision import Source
    from backout.routers.base import ShiftsTraffic


@runtime_checkable
class TellsReadiness(Protocol):
    """What a platform adds that can tell whether a release that was just started answers yet."""

    @property
    def ready_within_s(self) -> float:
        """Seconds that a release may take until it is ready."""
        ...

    def not_ready(self) -> Message | None:
        """Return why the release that the platform is told to run is not ready; None if it is, or nobody can tell.

        Changes nothing, and takes a few seconds at most.
        """
        ...


@runtime_checkable
class Hurries(Protocol):
    """What a platform adds that is asked over a network, also for records, leases and runs."""

    def hurry(self, seconds: float | None) -> None:
        """Give up so many seconds from now whatever is asked of it; None: each question has its own time again.

        What proves who we are is made ready first, and has its own time.
        """
        ...


@runtime_checkable
class BringsHolds(Protocol):
    """What a platform adds that can itself keep requests away, or suspend workers and crons."""

    def hold_means(self) -> tuple[HoldMeans, ...]:
        """Return the means that its options name, the strongest against requests first; touches nothing."""
        ...


@runtime_checkable
class StandsBehind(Protocol):
    """A platform whose releases all run, and whose router decides which one gets requests."""

    def behind(self, router: object) -> None:
        """Bind the configured router; None: there is none.

        Raises:
            ConfigError: That router cannot divide requests between its sides.
        """
        ...


@dataclass(frozen=True, slots=True)
class LeftRunning:
    """What goes on running after a way back, without requests.

    Attributes:
        stop: Steps that end it.
        stays: What has no such step, with its version: ``green (5.4.0)``.
    """

    stop: tuple[StepSpec, ...] = ()
    stays: tuple[str, ...] = ()


@runtime_checkable
class LeavesRunning(Protocol):
    """A platform on which other releases go on running beside the one that gets requests."""

    def left_running(self, workload: Workload, to: Artefact) -> LeftRunning:
        """Return what runs besides `to`, and could write without requests (workers, crons). Pure."""
        ...


@runtime_checkable
class DividesRequests(Protocol):
    """A platform with sides behind a router: a release can get a share of the requests."""

    @property
    def router(self) -> ShiftsTraffic:
        """What divides them."""
        ...

    @property
    def drain_timeout_s(self) -> float:
        """Seconds for what is inside a side that gets no more; then it is ended."""
        ...

    @property
    def keep_warm_s(self) -> float:
        """Seconds for which a side that lost its requests is kept running."""
        ...

    def retire(self, side: str, version: str) -> StepSpec | None:
        """Propose the step that stops a side with all that acts on it; None: it is not declared how. Pure.

        Args:
            side: One that gets no requests.
            version: What it runs.
        """
        ...

    def sides_now(self, deadline_s: float) -> SidesNow:
        """Return how requests are divided, and what each side says of itself; changes nothing.

        Raises:
            TargetUnreachable: The router does not say so within the deadline (seconds from now).
        """
        ...

    def side_not_ready(self, side: str) -> str | None:
        """Return why a side cannot take requests, asked past the router; None: it says that it can. Changes nothing."""
        ...

    def divide(
        self, now: SidesNow, side: str, shares: Mapping[str, int], *, version: str, control: str
    ) -> tuple[StepSpec, ...]:
        """Propose the steps that divide requests so: look first whether `side` is ready, and drain who loses all. Pure.

        Args:
            now: Router and sides.
            side: The one that gains.
            shares: Per cent for every side.
            version: What people call what `side` runs.
            control: What people call what gets most requests now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Arms:
    """Who serves a release, and who serves others at the same time.

    Attributes:
        canary: The side that serves the release.
        control: The sides that serve others, and have requests; empty: the release has them all.
        share: The canary's share of requests, 0 to 1; None: it has none.
        rest: The other sides.
    """

    canary: str
    control: tuple[str, ...]
    share: float | None
    rest: tuple[str, ...] = ()


@runtime_checkable
class HasArms(Protocol):
    """A platform whose releases serve side by side, so that one can be held against the other."""

    def arms(self, ref: str, deadline_s: float) -> Arms | None:
        """Return who serves the artefact, and who does not; None: no side does.

        Raises:
            TargetUnreachable: It cannot be told within the deadline (seconds from now).
        """
        ...

    def silent(self, side: str, deadline_s: float) -> Message | None:
        """Return why a side that gets requests does not say what it runs; None: it does, or gets none.

        Raises:
            TargetUnreachable: Whether it gets requests cannot be told within the deadline (seconds from now).
        """
        ...

    def urls(self) -> Mapping[str, str]:
        """Return where each side says that it is ready, past the router."""
        ...


@runtime_checkable
class HasPlace(Protocol):
    """What a platform adds whose releases lie in one place of this machine."""

    @property
    def place(self) -> str:
        """What tells this place from any other on this machine, whichever configuration names it."""
        ...


@runtime_checkable
class KeepsOne(Protocol):
    """A platform that can take one unit of the bad release aside, for the post-mortem."""

    def keep_one(self, workload: Workload, version: str) -> tuple[StepSpec, ...]:
        """Propose the steps; empty: this workload has no unit that could be spared. Pure."""
        ...


@runtime_checkable
class ActsElsewhere(Protocol):
    """A platform that acts on one of several clusters: a person has to see on which, before anything is done."""

    @property
    def where(self) -> Message:
        """Which one, in a few words."""
        ...


@runtime_checkable
class LosesEvidence(Protocol):
    """A platform on which the way back deletes what a post-mortem asks for, and that can tell it before."""

    def evidence(self, deadline_s: float) -> Iterator[tuple[str, str]]:
        """Yield name and text of each thing as it comes, within seconds from now; what cannot be had is left out."""
        ...

    def evidence_by_hand(self) -> tuple[str, ...]:
        """Return the commands that a person would type for it."""
        ...


@dataclass(frozen=True, slots=True)
class Offer:
    """What a platform would run for an image that was named instead of a release.

    Attributes:
        artefact: The release that the image is of, or a new one.
        workload: What runs, with what `switch` has to know of a new one.
        image: What is known of an image that no release is made of; None: `artefact` is one that could be run.
    """

    artefact: Artefact
    workload: Workload
    image: OfferedImage | None


@runtime_checkable
class RunsImages(Protocol):
    """What a platform adds that can run an image which no release is made of yet."""

    def offer(self, workload: Workload, name: str) -> Offer | None:
        """Return what would run for an image of that name; None: it names no image. Changes nothing."""
        ...


@runtime_checkable
class KnowsSecrets(Protocol):
    """What a platform adds that can tell whether a secret is another one now than a release had."""

    def secret_changes(self, workload: Workload, to: Artefact) -> tuple[SecretChange, ...]:
        """Return the secrets that are others now, or of which it cannot be told. Pure."""
        ...


@runtime_checkable
class Restarts(Protocol):
    """A platform that can restart a release as it is, and ask it whether it is ready."""

    def ready(self, deadline_s: float) -> bool | None:
        """Return whether the running release says that it is ready, asked past any router; None: it was not declared how."""
        ...

    def restart(self, to: Artefact, version: str) -> tuple[StepSpec, ...]:
        """Propose the steps that stop the running release and start it again. Pure."""
        ...


@runtime_checkable
class BuildsReleases(Protocol):
    """What a platform adds that can build a release anew from git, where its artefact is gone."""

    @property
    def builds(self) -> bool:
        """Whether its options say how."""
        ...

    def find_source(self, release: Release, deadline_s: float) -> Source | None:
        """Return how a release would be brought, as things are now; None: there is one way only. Changes nothing.

        Raises:
            NothingToGoBackTo: Its artefact is not known to be there, and git has not its commit.
            TargetUnreachable: Git did not answer.
        """
        ...

    def with_source(self, workload: Workload, release: Release, source: Source | None) -> Workload:
        """Return the workload with what `switch` has to know of it. Pure."""
        ...
