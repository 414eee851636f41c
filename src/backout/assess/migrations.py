"""Which migrations of a database came after a release, by the journal and the records. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from backout.migration import MigrationRecord
from backout.release import Release

_STANDS = ("running", "applied", "failed", "observed", "finalized")


def made_after(target: Release, releases: Sequence[Release], journal: Sequence[MigrationRecord]) -> int:
    """Return how many of the newest migrations that stand came after a release.

    One that names a release goes with it; one that names none, or an unknown one, goes by its time. A migration runs
    before its release is deployed, so that the target's own stand before its record.

    Args:
        target: The release that is gone back to.
        releases: The known ones.
        journal: Every migration, oldest first.
    """
    deployed = {release.version: release.deployed_at for release in releases}
    standing = [one for one in journal if one.state in _STANDS]
    for place, one in enumerate(standing):
        if one.release == target.version:
            continue
        when = deployed.get(one.release, one.started_at) if one.release is not None else one.started_at
        if when > target.deployed_at:
            return len(standing) - place
    return 0
