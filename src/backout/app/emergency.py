"""The emergency: the code goes back with nothing but the platform's API; the journal is local and merged later."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from backout.app.observe import observe
from backout.app.parts import Parts
from backout.app.plan import plan_from
from backout.assess.model import AUTOMATION, Request
from backout.errors import BackoutError
from backout.execute.journal import Journal
from backout.execute.mirror import told
from backout.execute.owner import is_dead
from backout.execute.store import Store
from backout.observed import Answer
from backout.plan.model import Plan, Scenario
from backout.release import Quarantine, ReleaseState

ACCEPTED = ("schema-unknown", "known-bad", "artefact-changed", "hold-unknown", "image-by-tag")
"""Risks that an emergency takes, and any owner of which nobody can tell whether it would undo the way back; they are
shown, confirmed by one word, and recorded with the reason."""

_DEADLINE_S, _PLATFORM_S = 1.0, 8.0
"""Nothing is waited for longer than a second, but the platform: without it nothing can be done."""


def emergency_plan(parts: Parts, to: str | None, accept: tuple[str, ...] = ()) -> Plan:
    """Return the code plan, made from the platform and whatever else answers within a second.

    Raises:
        UnknownVersion, NothingToGoBackTo, CannotAssess: As for any plan.
    """
    facts = observe(parts, _DEADLINE_S, platform_s=_PLATFORM_S)
    workload = facts.workload.value
    perhaps = [o for o in workload.owners if o.reverts is Answer.UNKNOWN] if workload is not None else []
    taken = dict.fromkeys((*ACCEPTED, *(f"{AUTOMATION}{o.name}" for o in perhaps), *accept))
    return plan_from(parts, facts, Request(to=to, scenario=Scenario.CODE, accept=tuple(taken)))


def merge_emergencies(parts: Parts, folders: Iterable[Path]) -> int:
    """Append what emergencies of this service journalled elsewhere, and return how many runs that were.

    Idempotent: a folder that was merged is renamed to ``….merged``.
    """
    merged = 0
    for folder in folders:
        try:
            merged += _merge(parts, folder)
        except (BackoutError, OSError):
            continue  # Left where it is: the next command tries again, and `doctor` lists it.
    return merged


def _may_be_running(parts: Parts, runs: set[str | None]) -> bool:
    lease = parts.lease_store.read()
    held = lease is not None and lease.run in runs and lease.expires_at > parts.clock.now()
    return lease is not None and held and not is_dead(lease.process)


def _merge(parts: Parts, folder: Path) -> int:
    store = Store(folder)
    try:
        events = Journal(store, parts.clock, parts.actor, parts.site.redactor).events()
    finally:
        store.close()
    ended = any(e.kind in ("run.finished", "run.stopped") for e in events)
    if not ended and _may_be_running(parts, {e.run for e in events}):
        return 0
    # All at once, and only then out of the way: a kill -9 in between merges it again, and finds it here.
    merged = parts.journal.adopt([told(e) for e in events if e.kind.startswith(("run.", "step.", "canary."))])
    for event in events:
        version = str(event.body.get("version"))
        if event.kind == "release.quarantined" and not parts.book.is_quarantined(version):
            entry = {"version": version, "reason": event.body["reason"], "since": event.at, "run": event.run}
            parts.book.quarantine(Quarantine.model_validate(entry), ReleaseState.BAD, str(event.run))
    shutil.move(folder, folder.with_name(folder.name + ".merged"))
    return merged
