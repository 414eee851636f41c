"""Which migrations of a database came after a release, by the journal and the records. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from backout.migration import MigrationRecord
from backout.release import Release

_STANDS = ("running", "applied", "failed", "finalized", "observed")


def made_after(
    target: Release, releases: Sequence[Release], journal: Sequence[MigrationRecord]
) -> tuple[int, ...]:
    """Return the migrations that stand and came after a release, with every later one; oldest first.

    One that names a release goes with it; one that names none, or an unknown one, goes by its time. A migration runs
    before its release is deployed, so that the target's own stand before its record.

    Args:
        target: The release that is gone back to.
        releases: The known ones, newest first.
        journal: Every migration, oldest first.
    """
    deployed = {release.version: release.deployed_at for release in reversed(releases)}
    standing = [one for one in journal if one.state in _STANDS]
    for place, one in enumerate(standing):
        if one.release == target.version:
            continue
        when = deployed.get(one.release, one.started_at) if one.release is not None else one.started_at
        if when > target.deployed_at:
            return tuple(later.id for later in standing[place:])
    return ()
