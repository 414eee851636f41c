"""Whether what a rollback would need works now; touches nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from backout.app.backups import list_backups
from backout.app.emergency_places import left_behind
from backout.app.history import head_at_target
from backout.app.parts import Parts
from backout.app.restorable import restorable
from backout.checks import CheckOptions
from backout.document import Document
from backout.errors import BackoutError
from backout.execute.store import Store
from backout.holds.base import HoldMeans
from backout.message import msg
from backout.observed import Answer
from backout.platforms.base import Diagnosis
from backout.report.backups import backup_lines
from backout.restores.command import OwnScript

if TYPE_CHECKING:
    from backout.signals.base import Signal

_DEADLINE_S = 5.0
_MIN_FREE_BYTES = 100 * 1024 * 1024


class Diagnoses(Document):
    """Every line of `doctor`."""

    lines: tuple[Diagnosis, ...]

    @property
    def healthy(self) -> bool:
        """Whether every line is known to be fine; unknown is not."""
        return all(line.ok for line in self.lines)


def doctor(parts: Parts) -> Diagnoses:
    """Try what a rollback would need: state file, platform, router, database, holds, records."""
    lines = list(_guarded(parts, "state file", lambda: _state(parts)))
    lines += _guarded(parts, "journal of an emergency", lambda: _emergencies(parts))
    lines += _guarded(parts, "platform", parts.platform.doctor)
    lines += _guarded(parts, "kept sides", lambda: _warm(parts))
    if parts.router is not None:
        lines += _guarded(parts, "router", parts.router.doctor)
    if parts.database is not None:
        lines += _guarded(parts, "database", parts.database.doctor)
    if parts.backups is not None:
        lines += _guarded(parts, "backups", parts.backups.doctor)
        lines += _guarded(parts, "database restore", lambda: restorable(parts).doctor_restores())
        lines += _guarded(parts, "newest backup", lambda: _backup(parts))
    for means in parts.holds:
        lines += _guarded(parts, means.name, partial(_hold, means))
    if parts.restore.command is not None:
        lines += _guarded(parts, "restore script", OwnScript(parts.restore.command, parts.site).doctor)
    if parts.switch is not None:
        lines += _guarded(parts, "database switch", parts.switch.doctor)
    lines += _guarded(parts, "releases", lambda: [_records(parts)])
    lines += _checks(parts)
    for signal in parts.signals:
        lines += _guarded(parts, f"guard metric {signal.metric.name}", partial(_metric, parts, signal))
    return Diagnoses(lines=tuple(lines))


def _guarded(parts: Parts, subject: str, look: Callable[[], Iterable[Diagnosis]]) -> list[Diagnosis]:
    try:
        return list(look())
    except BackoutError as error:
        return [Diagnosis(subject=subject, ok=False, evidence=error.what, remedy=error.next_command)]
    except Exception as error:  # One broken adapter must not hide what the others say.
        return [
            Diagnosis(
                subject=subject,
                ok=None,
                evidence=msg(
                    "{kind}: {text}", kind=type(error).__name__, text=parts.site.redactor.text(str(error))
                ),
                remedy="report it as a bug of backout, or of the adapter; nothing is known of this part until it is mended",
            )
        ]


def _state(parts: Parts) -> list[Diagnosis]:
    # A state file that is new has not lost anything that its own events could tell.
    count = parts.journal.verify(head_at_target(parts) if parts.journal.head() else None)
    directory = next(f for f in (parts.state_directory, *parts.state_directory.parents) if f.is_dir())
    free = shutil.disk_usage(directory).free
    lines = [
        _usable(parts.store, count),
        Diagnosis(
            subject="disk of the state file",
            ok=free >= _MIN_FREE_BYTES,
            evidence=msg("{free} MiB free in {path}.", free=free // 2**20, path=str(directory)),
            remedy=None if free >= _MIN_FREE_BYTES else f"df -h {directory}",
        ),
    ]
    if parts.site.environment == "production":
        lines.append(_shared(parts))
    return lines


def _usable(store: Store, count: int) -> Diagnosis:
    path = str(store.path)
    if not store.may_write():
        return Diagnosis(
            subject="state file",
            ok=False,
            evidence=msg("{path} may only be read by you: a run could not journal.", path=path),
            remedy=f"ls -la {store.path.parent}",
        )
    if not store.path.exists():
        evidence = msg("{path} is not there yet; the first command that needs it makes it.", path=path)
    else:
        evidence = msg("{path} is whole ({count} events).", path=path, count=count)
    return Diagnosis(subject="state file", ok=True, evidence=evidence)


def _shared(parts: Parts) -> Diagnosis:
    if parts.platform.record_store() is not None:
        evidence = msg(
            "Release records and the lease are kept at the target too: another machine can take over."
        )
        return Diagnosis(subject="state besides this machine", ok=True, evidence=evidence)
    return Diagnosis(
        subject="state besides this machine",
        ok=None,
        evidence=msg("Release records and the lease are in this state file alone: others do not see them."),
        remedy="act from this machine only, or keep its state folder on storage that all operators share",
    )


def _emergencies(parts: Parts) -> list[Diagnosis]:
    return [
        Diagnosis(
            subject="journal of an emergency",
            ok=False,
            evidence=msg(
                "{path} is not merged into the journal: nothing was typed since, it is damaged, or it still runs.",
                path=str(folder),
            ),
            remedy=f"backout history   # merges it; if it does not: ls -la {folder}",
        )
        for folder in left_behind(parts)
    ]


def _hold(means: HoldMeans) -> list[Diagnosis]:
    fact = means.observe(_DEADLINE_S)
    line = Diagnosis(
        subject=f"hold by {means.name}",
        ok=None if fact.held is Answer.UNKNOWN else True,
        evidence=msg(
            "Holds now: {held}. It can: {modes}.",
            held=fact.held.value,
            modes=", ".join(fact.modes) or "not tell",
        ),
        remedy="backout hold would not work by this means: look at its own line"
        if fact.held is Answer.UNKNOWN
        else None,
    )
    return [line]


def _backup(parts: Parts) -> list[Diagnosis]:
    """Say of the newest backup whether it was read to its end; doctor itself does not: that can take minutes."""
    newest = next(iter(list_backups(parts).backups), None)
    if newest is None:
        evidence = msg("There is no backup of {service}.", service=parts.site.service)
        return [
            Diagnosis(subject="newest backup", ok=False, evidence=evidence, remedy="backout backup create")
        ]
    line = backup_lines([newest], parts.clock.now())[0]
    reading = newest.reading
    return [
        Diagnosis(
            subject="newest backup",
            ok=None if reading is None else reading.ok,
            evidence=msg(
                "{name}, taken {age}: {checked}.",
                name=line.name,
                age=str(line.age),
                checked=str(line.checked),
            ),
            remedy=None
            if reading is not None and reading.ok
            else f"backout backup verify {newest.backup.name}",
        )
    ]


def _records(parts: Parts) -> Diagnosis:
    good = [r for r in parts.book.newest(50) if r.served_well or r.state.value == "good"]
    ok = len(good) >= 1
    return Diagnosis(
        subject="release records",
        ok=ok,
        evidence=msg("Recent releases recorded as good: {count}.", count=len(good)),
        remedy=None
        if ok
        else "backout record   # after each deploy; the way back is judged by these records",
    )


def _warm(parts: Parts) -> list[Diagnosis]:
    from backout.app.warm import diagnose_warm

    try:
        return diagnose_warm(parts)
    except BackoutError:
        return []  # State file, router and sides have lines of their own.


def _checks(parts: Parts) -> list[Diagnosis]:
    if not parts.declared_checks:
        return [
            Diagnosis(
                subject="checks",
                ok=False,
                evidence=msg("None is declared: a way back could not be proven."),
                remedy="declare checks in backout.yaml (docs/how-to/checks.md)",
            )
        ]
    lines: list[Diagnosis] = []
    for options in parts.declared_checks:
        lines += _guarded(parts, f"check {options.name}", partial(_check, parts, options))
    return lines


def _check(parts: Parts, options: CheckOptions) -> list[Diagnosis]:
    from backout.checks.doctor import diagnose

    return [diagnose(options, parts.site, parts.database, _DEADLINE_S)]


def _metric(parts: Parts, signal: Signal) -> list[Diagnosis]:
    """Read one metric of what runs now; of what the guard knows nothing is touched."""
    from backout.app.watch import read_now

    name = signal.metric.name
    read = read_now(parts, signal)
    if read.why is None:
        evidence = msg("It tells of {looks} windows of the last minutes.", looks=len(read.looks))
        answers = msg("It answers; what it counts is known from the second look on.")
        return [
            Diagnosis(subject=f"guard metric {name}", ok=True, evidence=evidence if read.looks else answers)
        ]
    remedy = "${EDITOR:-vi} backout.yaml   # guard.metrics, docs/how-to/watch.md"
    return [Diagnosis(subject=f"guard metric {name}", ok=False, evidence=read.why, remedy=remedy)]
