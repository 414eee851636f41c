"""Observing: every source is asked at the same time, each with a deadline; what does not answer is unknown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from backout.app.deadline import Question
from backout.app.held import hold_fact
from backout.app.known import known_releases
from backout.app.parts import Parts
from backout.errors import BackoutError
from backout.facts import DataFacts, Facts
from backout.git.tags import tags
from backout.message import msg
from backout.observed import Observed, Workload
from backout.release import Artefact, Release
from backout.schema import Schema

DEADLINE_S = 8.0


def observe(
    parts: Parts,
    deadline_s: float = DEADLINE_S,
    *,
    platform_s: float | None = None,
    versions: tuple[str, ...] = (),
    data: bool = False,
    tables: tuple[str, ...] = (),
    meanwhile: Callable[[], None] = lambda: None,
) -> Facts:
    """Return the world as it is now.

    Args:
        parts: The service.
        deadline_s: Seconds that any source may take; what is slower is unknown.
        platform_s: Seconds that the platform may take, where nothing can be done without it.
        versions: Versions whose records are wanted even if they are old.
        data: Whether to look also at the backups and at what a restore needs.
        tables: Tables that are to go back alone.
        meanwhile: What to do while the sources answer, before the records are read.
    """
    clock, platform, database = parts.clock, parts.platform, parts.database
    own_s = deadline_s if platform_s is None else platform_s
    began_s = clock.monotonic_s()
    workload = Question("platform", lambda: platform.observe(own_s))
    available = Question("platform history", lambda: platform.artefacts(own_s))
    schema = None if database is None else Question("database", lambda: database.schema(deadline_s))
    holds = [(means, Question(means.name, partial(means.observe, deadline_s))) for means in parts.holds]
    tagged = None if parts.emergency else Question("git", lambda: tags(parts.site.directory, deadline_s))
    meanwhile()
    records = _records(parts, versions)

    def left_s(of_s: float = deadline_s) -> float:
        return began_s + of_s - clock.monotonic_s()

    now = clock.now()
    seen = workload.answer(Workload, left_s(own_s), now)
    if not platform.observable():
        nobody_can_tell = Workload(wanted=None, expected=0)
        seen = Observed[Workload](value=nobody_can_tell, source="platform", observed_at=now)
    history = available.answer(tuple[Artefact, ...], left_s(own_s), now)
    if schema is not None:
        schema_now = schema.answer(Schema, left_s(), now)
    else:
        unasked = msg("The database was not asked: this is an emergency.") if parts.emergency else None
        schema_now = Observed[Schema](unknown=unasked, source="configuration", observed_at=now)
    found = tagged.answer(tuple[Release, ...], left_s(), now) if tagged is not None else None
    releases = known_releases(
        parts, records, history.value or (), seen.value, (found.value or ()) if found else ()
    )
    fingerprints = {f for r in releases for f in (*r.served_well, r.schema_fingerprint) if f is not None}
    return Facts(
        observed_at=now,
        service=parts.site.service,
        environment=parts.site.environment,
        platform=platform.kind,
        workload=seen,
        available=history,
        schema_now=schema_now,
        holds=tuple(hold_fact(parts, means, question, left_s(), now) for means, question in holds),
        releases=releases,
        schemas=parts.book.schemas(fingerprints),
        quarantined=parts.book.quarantined(),
        records_at_target=platform.record_store() is not None,
        step_seconds=_step_seconds(parts),
        data=_data(parts, deadline_s, now, tables) if data else None,
    )


def _data(
    parts: Parts, deadline_s: float, now: datetime, tables: tuple[str, ...]
) -> Observed[DataFacts] | None:
    from backout.app.data_facts import observe_data

    return observe_data(parts, deadline_s, now, tables)


def _records(parts: Parts, versions: tuple[str, ...]) -> list[Release]:
    records = list(parts.book.newest())
    known = {r.id for r in records}
    for version in versions:
        record = parts.book.by_version(version)
        if record is not None and record.id not in known:
            records.append(record)
    return records


def _step_seconds(parts: Parts) -> dict[str, tuple[float, ...]]:
    """Return the newest measured durations by step kind, at most 50 each."""
    measured: dict[str, list[float]] = {}
    try:
        events = parts.journal.events(kinds=("step.confirmed",), newest=400)
    except BackoutError:
        return {}
    for event in events:
        seconds = event.body.get("seconds")
        if isinstance(seconds, int | float):
            measured.setdefault(str(event.body["kind"]), []).append(float(seconds))
    return {kind: tuple(values[-50:]) for kind, values in measured.items()}
