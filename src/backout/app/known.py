"""Which releases are known: records first; what only the platform or git tells is found, and proves nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backout.release import Artefact, Release, ReleaseState

if TYPE_CHECKING:
    from backout.app.parts import Parts
    from backout.observed import Workload

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""When nobody can tell since when a release is there."""


def known_releases(
    parts: Parts,
    records: list[Release],
    artefacts: tuple[Artefact, ...],
    workload: Workload | None,
    tagged: tuple[Release, ...],
) -> tuple[Release, ...]:
    """Return records first by time; what only the platform or git knows is found, and proves nothing."""
    releases = list(records)
    refs = {r.artefact.ref for r in records if r.artefact is not None}
    taken = {r.version for r in records}
    running = [a for a in (workload.wanted, *workload.running) if a is not None] if workload else []
    for artefact in (*running, *artefacts):
        if artefact.ref in refs:
            continue
        refs.add(artefact.ref)
        # Two that the platform calls the same are told apart by their refs; the one that runs keeps the name.
        version = artefact.ref if artefact.called in taken else artefact.called
        taken.add(version)
        releases.append(found_release(parts, artefact, version))
    by_version = {r.version.lstrip("v"): r for r in tagged}
    pairs = [(r, by_version.pop(r.version.lstrip("v"), None)) for r in releases]
    releases = [_with_git(r, tag) for r, tag in pairs]
    marks = {(r.version.startswith("v"), tag.version.startswith("v")) for r, tag in pairs if tag is not None}
    site = parts.site
    releases += [
        tag.model_copy(
            update={
                "service": site.service,
                "environment": site.environment,
                "version": _as_the_platform_says(bare, tag.version, marks),
            }
        )
        for bare, tag in by_version.items()
    ]
    return tuple(sorted(releases, key=lambda r: r.deployed_at, reverse=True))


def found_release(parts: Parts, artefact: Artefact, version: str) -> Release:
    """Return a release of which there is no record."""
    return Release(
        id=f"found-{artefact.ref}",
        service=parts.site.service,
        environment=parts.site.environment,
        version=version,
        deployed_at=artefact.since or _LONG_AGO,
        artefact=artefact,
        state=ReleaseState.UNKNOWN,
        source="found",
    )


def _with_git(release: Release, tag: Release | None) -> Release:
    if tag is None or (release.commit is not None and release.subject is not None):
        return release
    return release.model_copy(
        update={"commit": release.commit or tag.commit, "subject": release.subject or tag.subject}
    )


def _as_the_platform_says(bare: str, tag: str, marks: set[tuple[bool, bool]]) -> str:
    """Return a tag's version with or without its `v`, as the platform has those that both know.

    A deploy script that knows 1.4.0 has nothing under v1.4.0.

    Args:
        bare: The version without a `v`.
        tag: The tag.
        marks: Of each release that both know, whether the platform's name and the tag begin with a `v`.
    """
    if marks == {(False, True)}:
        return bare
    return f"v{bare}" if marks == {(True, False)} else tag
