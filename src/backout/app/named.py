"""Which release a name means: a known one, an image that the platform can run, or a commit that it can build."""

from __future__ import annotations

from backout.app.known import found_release
from backout.app.parts import Parts
from backout.app.revisions import release_of_commit
from backout.assess.versions import choose_target
from backout.errors import UnknownVersion
from backout.facts import Facts
from backout.platforms.abilities import Offer, RunsImages
from backout.release import Release


def named_release(parts: Parts, facts: Facts, to: str | None) -> tuple[Facts, Release]:
    """Return the release to go back to, and the facts; where an image is named, with what the platform says of it.

    Raises:
        UnknownVersion: It is no known release, no image, and no commit.
        NothingToGoBackTo: No release qualifies.
    """
    try:
        return facts, choose_target(facts, to)
    except UnknownVersion:
        offer = _offer(parts, facts, to)
        if offer is None:
            of_commit = release_of_commit(parts, facts, to)
            if of_commit is None:
                raise
            return facts, of_commit
    ref, called = offer.artefact.ref, offer.artefact.called
    if offer.image is None:
        known = next((r for r in facts.releases if r.artefact is not None and r.artefact.ref == ref), None)
        return facts, known or found_release(parts, offer.artefact, called)
    taken = any(r.version == called for r in facts.releases)
    workload = facts.workload.model_copy(update={"value": offer.workload})
    facts = facts.model_copy(update={"workload": workload, "offered": offer.image})
    # It comes now: a fix that is newer than what runs backs nothing out.
    artefact = offer.artefact.model_copy(update={"since": facts.observed_at})
    return facts, found_release(parts, artefact, ref if taken else called)


def _offer(parts: Parts, facts: Facts, to: str | None) -> Offer | None:
    workload = facts.workload.value
    if to is None or workload is None or not isinstance(parts.platform, RunsImages):
        return None
    return parts.platform.offer(workload, to)
