"""The world in which a plan begins, as it was observed. Pure."""

from __future__ import annotations

from backout.assess.versions import current_version
from backout.facts import Facts
from backout.observed import KEEPS_REQUESTS_AWAY, Answer
from backout.plan.base import World


def world_now(facts: Facts) -> World:
    """Return the simulation's first world."""
    workload = facts.workload.value
    by_ref = {r.artefact.ref: r.version for r in facts.releases if r.artefact is not None}
    schema = facts.schema_now.value
    wanted = workload.wanted if workload else None
    serving = {by_ref.get(a.ref, a.ref) for a in (workload.running if workload else ())}
    believed = current_version(facts)
    if workload is not None and workload.expected == 0 and believed is not None:
        serving = {believed}
    return World(
        serving=frozenset(serving),
        holds=frozenset(
            h.name for h in facts.holds if h.held is Answer.YES and h.mode in KEEPS_REQUESTS_AWAY
        ),
        fingerprint=schema.fingerprint if schema else None,
        code=by_ref.get(wanted.ref, wanted.ref) if wanted else None,
    )


def serving_now(facts: Facts) -> tuple[tuple[str, ...], ...]:
    """Return the versions that serve now, as `Plan.serving` keeps them; empty where nobody can tell."""
    workload = facts.workload.value
    if workload is None or workload.expected == 0:
        return ()
    return (tuple(sorted(world_now(facts).serving)),)
