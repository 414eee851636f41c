"""What was deployed: releases and the artefacts they are made of."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from backout.document import Document


class ReleaseState(StrEnum):
    """How a release is doing, as far as anybody knows."""

    DEPLOYING = "deploying"
    FAILED = "failed"
    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


class Artefact(Document):
    """What a platform runs, named so that it can never mean something else later.

    Attributes:
        ref: The platform's own name: a release directory, an image, a deployment id.
        digest: ``sha256:…`` of the content; null where the platform has no immutable identity.
        since: When the platform got it, where it can tell; not part of the identity.
        version: What the platform itself calls it (an image's tag); null: its `ref`. Not part of the identity.
    """

    ref: str
    digest: str | None = None
    since: datetime | None = None
    version: str | None = None

    @property
    def called(self) -> str:
        """What people call it where no record says better."""
        return self.version or self.ref


class Baseline(Document):
    """How the service answered, from backout's own probes; on a record: while the release was doing well.

    Attributes:
        p95_ms: A request that failed counts as long as the probes' time-out.
    """

    requests: int
    errors: int
    p95_ms: float
    measured_at: datetime


class Release(Document):
    """One release of one service in one environment.

    Attributes:
        schema_fingerprint: The schema as it stood right after this release was deployed.
        served_well: Fingerprints of schemas under which this release was seen to pass its checks.
        migration_heads: Where the migrations stood (as in a backup's manifest) when it was recorded, and when it passed its checks.
        source: `recorded` by `backout record`, or `found` in the platform's history or git tags.
    """

    schema_version: Literal[1] = 1
    id: str
    service: str
    environment: str
    version: str
    deployed_at: datetime
    deployed_by: str | None = None
    commit: str | None = None
    subject: str | None = None
    artefact: Artefact | None = None
    schema_fingerprint: str | None = None
    served_well: tuple[str, ...] = ()
    migration_heads: tuple[str, ...] = ()
    config_digest: str | None = None
    state: ReleaseState = ReleaseState.UNKNOWN
    baseline: Baseline | None = None
    source: Literal["recorded", "found"] = "recorded"


class Quarantine(Document):
    """Why a version must not come back by accident."""

    version: str
    reason: str
    since: datetime
    run: str | None = None
