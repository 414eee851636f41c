"""How long the steps of a restore take at least, where no run has measured them yet. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from backout.assess.model import Choice
from backout.backup import Backup, BackupFormat, PastRestore
from backout.facts import DataFacts
from backout.message import Message, msg
from backout.plan.assembly import RestoreTerms, Terms
from backout.plan.model import DataPlan, Estimate

_IN_PARALLEL = (BackupFormat.DIRECTORY, BackupFormat.CUSTOM)


def lengths(choice: Choice, data: DataFacts, planned: DataPlan, terms: Terms) -> dict[str, Estimate]:
    """Return what is known of a kind of step though no run measured it: nothing is left to do, or a lower bound.

    A backup that was read, or restored beside the live database by hand, tells how long restoring it takes at least.
    """
    found: dict[str, Estimate] = {}
    if planned.prepared:
        found["restore.beside"] = Estimate(seconds=0.0, basis=msg("it stands restored already"))
    else:
        bounds = list(_of_restoring(choice.backup, data, terms.restore))
        found |= {"restore.beside": max(bounds, key=lambda e: e.least_s or 0.0)} if bounds else {}
    reading = data.readings.get(choice.backup.name)
    if reading is not None:
        when = _time(reading.read_at)
        if terms.now - reading.read_at < timedelta(hours=terms.restore.verified_for_h):
            found["backup.read"] = Estimate(seconds=0.0, basis=msg("it was read {when}", when=when))
        else:
            why = msg("so long reading it took {when}", when=when)
            found["backup.read"] = Estimate(least_s=reading.seconds, basis=why)
    return found


def _of_restoring(backup: Backup, data: DataFacts, restore: RestoreTerms) -> Iterator[Estimate]:
    if restore.max_bytes_per_s:
        yield _bound(
            backup.size_bytes / restore.max_bytes_per_s, msg("so long by restore.max_bytes_per_s alone")
        )
    past = _past(backup, data.restored)
    if past is not None:
        yield past
        return
    reading = data.readings.get(backup.name)
    if reading is not None:
        # It is read by one process, and may be restored by several.
        jobs = restore.jobs if backup.format in _IN_PARALLEL else 1
        yield _bound(
            reading.seconds / jobs, msg("reading it alone takes that; its restore was not measured yet")
        )


def _past(backup: Backup, restored: tuple[PastRestore, ...]) -> Estimate | None:
    """Return what the newest restore by hand took: of this very backup, else of one of its format, by its size."""
    for past in restored:
        if (past.backup, past.identity) == (backup.name, backup.identity):
            return _bound(past.seconds, msg("so long restoring it by hand took {when}", when=_time(past.at)))
    for past in restored:
        if past.format is backup.format and past.size_bytes:
            return _bound(
                past.seconds * backup.size_bytes / past.size_bytes,
                msg(
                    "so long restoring {other} by hand took {when}, reckoned by size",
                    other=past.backup,
                    when=_time(past.at),
                ),
            )
    return None


def _bound(seconds: float, why: Message) -> Estimate:
    return Estimate(least_s=round(seconds, 3), basis=why)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M UTC}"
