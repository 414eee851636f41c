"""Which release is watched: the one that was named, the canary, or the newest that was recorded."""

from __future__ import annotations

from backout.app.parts import Parts
from backout.errors import ConfigError, UsageError
from backout.ids import new_id
from backout.message import msg
from backout.release import Artefact, Release


def to_watch(parts: Parts, version: str | None) -> Release:
    """Return the release; a canary need not be on record, for the journal says since when it gets requests.

    Args:
        parts: The service.
        version: That was named; None: the canary that is under way, or what was recorded after it began.

    Raises:
        ConfigError: No metric is declared.
        UsageError: The release is neither on record nor the canary.
    """
    if not parts.guard.metrics:
        raise ConfigError(
            msg("No metric is declared: the guard has nothing to look at."),
            state=msg("Nothing was touched."),
            next_command="${EDITOR:-vi} backout.yaml   # guard.metrics, docs/how-to/watch.md",
        )
    canary = _canary(parts)
    if version is not None:
        found = parts.book.by_version(version)
        if found is None and canary is not None and canary.version == version:
            found = canary
    else:
        found = next(iter(parts.book.newest(1)), None)
        if canary is not None and (found is None or found.deployed_at < canary.deployed_at):
            found = parts.book.by_version(canary.version) or canary
    if found is None:
        raise UsageError(
            msg("{version} is not on record: when it was released is not known.", version=version)
            if version
            else msg("No release is on record."),
            state=msg("Nothing was touched."),
            next_command=f"backout record --version {version}" if version else "backout record",
        )
    return found


def _canary(parts: Parts) -> Release | None:
    """Return the canary as the journal tells it, deployed when it began; None: none is under way."""
    state = parts.canaries.canary()
    if state.meant is None or state.since is None:
        return None
    return Release(
        id=new_id("rel", state.since),
        service=parts.site.service,
        environment=parts.site.environment,
        version=state.meant.version,
        deployed_at=state.since,
        artefact=Artefact(ref=state.meant.ref),
    )
