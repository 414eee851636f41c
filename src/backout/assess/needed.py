"""Which backups the ways back that are open would need, so that nobody removes them: pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import NamedTuple

from backout.assess.backups import fits
from backout.backup import Backup
from backout.message import Message, msg
from backout.release import Release, ReleaseState

_BACK = "the way back from {version}"
_BACK_UNRECORDED = "the way back from {version}, which is not recorded yet"


class _Deployment(NamedTuple):
    """A version came, not later than `at`; `earlier` is what would be gone back to."""

    version: str
    at: datetime
    earlier: Release | None


def needed(
    backups: Sequence[Backup], releases: Sequence[Release], window: datetime
) -> Iterator[tuple[str, Message]]:
    """Yield the name of each backup that a way back would need, and which way back.

    Each version that came after `window`, and the newest one whenever it came, needs the newest backup from before it, and
    the newest of these that fits the release before it. A version that nobody has recorded yet shows in the manifests of
    the backups that were made while it ran. What may come next without a record needs the newest backup that fits the
    newest release.

    Args:
        backups: Those that can be restored, newest first.
        releases: As recorded, newest first.
        window: Ways back from what came earlier are closed.
    """
    dated = [(b, b.taken_at) for b in backups if b.taken_at is not None]
    standing = next((r for r in releases if r.state is not ReleaseState.BAD), None)
    if standing is not None:
        for backup in _newest_that_fits([b for b, _at in dated], standing):
            yield backup.name, msg("a way back to {version}", version=standing.version)
    unrecorded = list(_unrecorded(dated, releases, standing))
    recorded = [_Deployment(r.version, r.deployed_at, e) for r, e in zip_longest(releases, releases[1:])]
    for deployments, why in ((recorded, _BACK), (unrecorded, _BACK_UNRECORDED)):
        newest = max((d.at for d in deployments), default=None)
        for version, at, earlier in deployments:
            if at < window and at != newest:
                continue
            before = [b for b, taken_at in dated if taken_at < at]
            for backup in (*before[:1], *_newest_that_fits(before, earlier)):
                yield backup.name, msg(why, version=version)


def _newest_that_fits(backups: Sequence[Backup], release: Release | None) -> Sequence[Backup]:
    """Return the newest one that is known to fit, or none: one of which nothing is known stands for no other."""
    return [b for b in backups if release is not None and b.manifest is not None and fits(b, release)][:1]


def _unrecorded(
    dated: Sequence[tuple[Backup, datetime]], releases: Sequence[Release], standing: Release | None
) -> Iterator[_Deployment]:
    known = {r.version for r in releases}
    for backup, taken_at in reversed(dated):
        version = backup.manifest.release if backup.manifest is not None else None
        if version is not None and version not in known:
            known.add(version)
            yield _Deployment(version, taken_at, standing)
