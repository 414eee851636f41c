"""What all sides say of themselves, and the router of them: asked at the same time, within one deadline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from backout.errors import BackoutError, TargetUnreachable
from backout.message import Message, msg
from backout.observed import Answer, SideNow, SidesNow, SideTraffic, Traffic
from backout.platforms.sides import served
from backout.platforms.sides.asking import ask_all
from backout.platforms.sides.commands import installed

if TYPE_CHECKING:
    from backout.platforms.base import Site
    from backout.platforms.sides.options import SideOptions, SidesOptions
    from backout.routers.base import ShiftsTraffic

_ROUTER, _VERSION, _READY, _INSTALLED = "router", "version", "ready", "installed"
_OWN = 0.9
"""Of the deadline, for those who are asked: whoever set it gets what the others said before it is over."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one side says of itself.

    Attributes:
        version: What it runs; None: it does not say.
        trouble: Why it does not say.
        not_ready: Why it cannot take requests; None: it can.
        installed: What would run there if it were started; None: it runs, or that is not known.
    """

    version: str | None
    trouble: BackoutError | None
    not_ready: Message | None
    installed: str | None = None

    @property
    def there(self) -> str | None:
        """What runs there, or would."""
        return self.version or self.installed


def ask_sides(options: SidesOptions, site: Site, deadline_s: float) -> dict[str, Told]:
    """Ask every side what it runs and whether it is ready; none is waited for longer than the deadline."""
    served.prepare()
    within_s = _OWN * deadline_s
    return _told(options, ask_all(_questions(options, site, within_s), within_s), within_s)


def look(
    options: SidesOptions, site: Site, router: ShiftsTraffic, deadline_s: float
) -> tuple[SidesNow, dict[str, Told]]:
    """Ask the router and every side at the same time.

    Raises:
        TargetUnreachable: The router does not say how requests are divided.
    """
    served.prepare()
    within_s = _OWN * deadline_s
    asked: dict[tuple[str, str], Callable[[], object]] = {(_ROUTER, ""): lambda: router.traffic(within_s)}
    answers = ask_all(asked | _questions(options, site, within_s), within_s)
    traffic = answers.pop((_ROUTER, ""), None)
    if isinstance(traffic, Exception):
        raise traffic
    if not isinstance(traffic, Traffic):
        raise TargetUnreachable(
            msg("The router does not say within {s} s how requests are divided.", s=round(within_s, 1)),
            state=msg("This look changed nothing."),
            next_command="backout doctor",
        )
    told = _told(options, answers, within_s)
    return SidesNow(sides=tuple(_now(one, told[one.name]) for one in traffic.sides), kept=traffic.kept), told


def _questions(
    options: SidesOptions, site: Site, within_s: float
) -> dict[tuple[str, str], Callable[[], object]]:
    timeout_s = min(options.timeout_s, within_s)
    found: dict[tuple[str, str], Callable[[], object]] = {}
    for name, side in options.sides.items():
        found[name, _VERSION] = partial(served.version_of, name, side, timeout_s)
        found[name, _READY] = partial(served.not_ready, name, side, timeout_s)
        if side.installed is not None:
            found[name, _INSTALLED] = partial(installed, name, side, site, timeout_s)
    return found


def _told(
    options: SidesOptions, answers: Mapping[tuple[str, str], object], within_s: float
) -> dict[str, Told]:
    return {
        name: _of(
            name,
            side,
            (
                answers.get((name, _VERSION)),
                answers.get((name, _READY), _SILENT),
                answers.get((name, _INSTALLED)),
            ),
            within_s,
        )
        for name, side in options.sides.items()
    }


_SILENT = object()


def _of(name: str, side: SideOptions, answers: tuple[object, object, object], within_s: float) -> Told:
    version, why, there = answers
    silent = msg("Side {side} does not answer within {s} s.", side=name, s=round(within_s, 1))
    trouble = None
    if not isinstance(version, str):
        if isinstance(version, BackoutError):
            trouble = version
        else:
            broken = msg("Side {side} cannot be asked ({kind}).", side=name, kind=type(version).__name__)
            trouble = TargetUnreachable(
                silent if version is None else broken,
                state=msg("Nothing was changed."),
                next_command=f"curl -isS {side.version_url}",
            )
    if trouble is not None:
        return Told(None, trouble, trouble.what, there if isinstance(there, str) else None)
    ready = None if why is None else msg("{why}", why=why) if isinstance(why, str) else silent
    return Told(str(version), None, ready)


def _now(side: SideTraffic, told: Told) -> SideNow:
    denied = msg("the router's checks fail for it") if side.healthy is Answer.NO else None
    return SideNow(
        name=side.name,
        version=told.version,
        installed=told.installed,
        not_ready=denied or told.not_ready,
        share=side.share,
        admits=side.admits,
        healthy=side.healthy,
        inside=side.inside,
    )
