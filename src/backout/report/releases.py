"""Releases as a deployments page shows them, for `backout releases`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from backout.message import Message, msg
from backout.release import Release, ReleaseState
from backout.report.duration import age
from backout.report.markup import first_line

_SHORT_COMMIT = 8
_UNKNOWN_YEAR = 1970
"""Releases found without a time carry the beginning of 1970."""


class Listed(Protocol):
    """One release and the two facts that are not its own (`backout.app.releases.ReleaseRow`)."""

    @property
    def release(self) -> Release:
        """The release."""
        ...

    @property
    def current(self) -> bool:
        """Whether the platform is told to run it; False too where the platform did not answer."""
        ...

    @property
    def quarantined(self) -> str | None:
        """Why it must not come back by accident; null when it may."""
        ...


@dataclass(frozen=True, slots=True)
class ReleaseLine:
    """One release for people.

    Attributes:
        marks: `current`, `quarantined`, `found` (not recorded), as far as they apply.
        commit: The first 8 characters of the commit; empty when it is not known.
        why: Why it is quarantined.
    """

    version: str
    age: Message
    state: ReleaseState
    marks: tuple[Message, ...]
    commit: str
    subject: str
    by: str
    why: str


def release_lines(listed: Iterable[Listed], now: datetime) -> tuple[ReleaseLine, ...]:
    """Return one line for each release, in the order given."""
    return tuple(_line(row, now) for row in listed)


def _line(row: Listed, now: datetime) -> ReleaseLine:
    release = row.release
    dated = release.deployed_at.year > _UNKNOWN_YEAR
    marks = (
        (row.current, msg("current")),
        (row.quarantined is not None, msg("quarantined")),
        (release.source == "found", msg("found")),
    )
    return ReleaseLine(
        version=release.version,
        age=age(release.deployed_at, now) if dated else msg("unknown"),
        state=release.state,
        marks=tuple(mark for applies, mark in marks if applies),
        commit=(release.commit or "")[:_SHORT_COMMIT],
        subject=first_line(release.subject),
        by=release.deployed_by or "",
        why=row.quarantined or "",
    )
