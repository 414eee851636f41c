"""The list one expects of a deployments page."""

from __future__ import annotations

from backout.app.deadline import Question
from backout.app.known import known_releases
from backout.app.parts import Parts
from backout.document import Document
from backout.git.tags import tags
from backout.observed import Workload
from backout.release import Artefact, Release

_DEADLINE_S = 1.0


class ReleaseRow(Document):
    """One release, and the two facts that are not its own."""

    release: Release
    current: bool
    quarantined: str | None = None


class Releases(Document):
    """Newest first.

    Attributes:
        more: Whether there are more than these.
        unknown: Why the platform could not tell which one is current; null if it could.
    """

    rows: tuple[ReleaseRow, ...]
    more: bool
    unknown: str | None = None


def releases(parts: Parts, limit: int = 20) -> Releases:
    """Return the newest releases: records, and what the platform and git know besides."""
    platform = parts.platform
    questions = (
        Question("platform", lambda: platform.observe(_DEADLINE_S)),
        Question("platform history", lambda: platform.artefacts(_DEADLINE_S)),
        Question("git", lambda: tags(parts.site.directory, _DEADLINE_S)),
    )
    records = list(parts.book.newest(limit + 1))
    workload, unknown = questions[0].told(Workload, _DEADLINE_S)
    artefacts = questions[1].told(tuple[Artefact, ...], _DEADLINE_S)[0] or ()
    tagged = questions[2].told(tuple[Release, ...], _DEADLINE_S)[0] or ()
    wanted = workload.wanted.ref if workload and workload.wanted else None
    # With more records than asked for, what platform and git know besides is older than all of them.
    many = len(records) > limit
    everything = known_releases(parts, records, () if many else artefacts, workload, () if many else tagged)
    shut_out = {q.version: q.reason for q in parts.book.quarantined()}
    rows = tuple(
        ReleaseRow(
            release=r,
            current=r.artefact is not None and r.artefact.ref == wanted and _newest_of(r, everything),
            quarantined=shut_out.get(r.version),
        )
        for r in everything[:limit]
    )
    return Releases(
        rows=rows,
        more=len(everything) > limit,
        unknown=str(unknown) if unknown else None,
    )


def _newest_of(release: Release, everything: tuple[Release, ...]) -> bool:
    ref = release.artefact.ref if release.artefact else None
    return (
        next((r.id for r in everything if r.artefact is not None and r.artefact.ref == ref), None)
        == release.id
    )
