"""Rules about the backup that is restored, and what restoring it needs and leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from backout.assess.backups import prepared, unpacked_bytes
from backout.assess.model import Case, Choice
from backout.assess.ways import way_in
from backout.backup import Backup
from backout.facts import DataFacts
from backout.message import msg
from backout.plan.model import Finding, Severity, Way

SPACE_FACTOR = 2.5
"""Free space that a restore needs, in sizes of the unpacked data: the rows, their indexes, and the WAL of both."""
_OLD = timedelta(hours=24)
_EXCHANGES = (Way.SWAP, Way.SWITCH)


def chosen(case: Case) -> Iterator[Finding]:
    """Which backup is restored, and which newer ones were passed over."""
    choice = case.choice
    if choice is None:
        return
    over = "; ".join(str(m) for m in choice.passed_over[:3])
    yield Finding(
        rule="backup.chosen",
        severity=Severity.INFO,
        evidence=msg(
            "{why} ({backup}){passed_over}",
            why=str(choice.why),
            backup=choice.backup.name,
            passed_over=f" Passed over: {over}." if over else "",
        ),
    )


def late(case: Case) -> Iterator[Finding]:
    """The backup was taken after the bad release was deployed: it may hold the damage."""
    if case.choice is not None and case.choice.late:
        yield Finding(
            rule="backup.after-release",
            severity=Severity.WARNS,
            evidence=msg("This backup was taken after the bad release came: it may already hold the damage."),
            remedy=msg("Look into it first: backout backup restore {name}", name=case.choice.backup.name),
        )


def age(case: Case) -> Iterator[Finding]:
    """The backup is old, or nothing but its file's time says when it was taken."""
    if case.choice is None:
        return
    backup = case.choice.backup
    if backup.taken_at is not None and case.now - backup.taken_at > _OLD:
        hours = (case.now - backup.taken_at).total_seconds() / 3600
        yield Finding(
            rule="backup.old",
            severity=Severity.WARNS,
            evidence=msg("The backup is {hours:.0f} hours old.", hours=round(hours)),
            remedy=msg("What was written since stays in the kept database: backout data diff"),
        )
    if backup.taken_at is None and case.choice.named:
        yield Finding(
            rule="backup.time-unsure",
            severity=Severity.WARNS,
            evidence=msg("Nothing says when {name} was taken: it may hold the damage.", name=backup.name),
            remedy=msg("Look into it first: backout backup restore {name}", name=backup.name),
        )
    if backup.taken_at_by == "file":
        yield Finding(
            rule="backup.time-unsure",
            severity=Severity.WARNS,
            evidence=msg(
                "Only the file's own time says when {name} was taken; a copy can change it.", name=backup.name
            ),
            remedy=msg(
                "Name files like {example}, or let backout make them.", example="NAME_YYYYMMDD_HHMMSS.sql.gz"
            ),
        )


def may_create(case: Case) -> Iterator[Finding]:
    """Our role cannot create the database that the backup is restored into."""
    restoring = _restoring(case)
    if restoring is not None and not restoring[0].may_create:
        data = restoring[0]
        yield Finding(
            rule="restore.may-not-create",
            severity=Severity.BLOCKS,
            evidence=msg("The role may not create a database beside {database}.", database=data.database),
            remedy=msg("backout doctor names the right that it lacks, and what an administrator types."),
        )


def space(case: Case) -> Iterator[Finding]:
    """There is too little free space for a second database, or nobody can tell."""
    restoring = _restoring(case)
    if restoring is None:
        return
    data, choice = restoring
    needed = needed_bytes(data, choice.backup, case.allowed.unpacked_bytes)
    if needed is None or data.free_bytes is None:
        yield Finding(
            rule="restore.space-unknown",
            severity=Severity.NEEDS_APPROVAL,
            evidence=msg("It is not known {what}.", what=" and ".join(_unknown_space(data, needed))),
            remedy=msg(
                "Size: backout backup verify measures it, or say it (restore.unpacked_bytes). Disk: name a path on it that "
                "this machine can see (restore.free_space_path), where the database's own tablespace lies. Or accept it by "
                "--accept space-unknown."
            ),
            accept="space-unknown",
        )
    elif data.free_bytes < needed:
        yield Finding(
            rule="restore.no-space",
            severity=Severity.BLOCKS,
            evidence=msg(
                "A restore needs {needed:.1f} GB of free space, and {free:.1f} GB are free.",
                needed=needed / 1e9,
                free=data.free_bytes / 1e9,
            ),
            remedy=msg("Free space on the database's disk; kept databases are listed by backout status."),
        )


def _unknown_space(data: DataFacts, needed: int | None) -> Iterator[str]:
    if needed is None:
        yield "how much this backup needs"
    if data.free_bytes is None:
        yield "how much is free on the server's disk"


def blockers(case: Case) -> Iterator[Finding]:
    """Prepared transactions, sessions out of reach or rights that lack keep the swap from being made."""
    if way_in(case) not in _EXCHANGES or case.facts.data is None or case.facts.data.value is None:
        return
    for found in case.facts.data.value.blockers:
        yield Finding(
            rule="swap.blocked",
            severity=Severity.BLOCKS,
            evidence=msg("The swap could not be made now: {found}.", found=str(found)),
            remedy=msg("End what is named, then plan again."),
        )


def slots(case: Case) -> Iterator[Finding]:
    """Logical slots and subscriptions stay with the old database: who reads them sees nothing more."""
    if way_in(case) not in _EXCHANGES or case.facts.data is None or case.facts.data.value is None:
        return
    names = case.facts.data.value.slots
    if names:
        yield Finding(
            rule="swap.slots",
            severity=Severity.NEEDS_APPROVAL,
            evidence=msg(
                "Logical slots and subscriptions stay with the old database: {names}.", names=", ".join(names)
            ),
            remedy=msg("Tell who reads them, and make them anew afterwards: --accept logical-slots."),
            accept="logical-slots",
        )


def loss(case: Case) -> Iterator[Finding]:
    """Nobody can say before the restore how many rows will stay behind, and no limit was named."""
    if case.choice is None:
        return
    # A script restores over the live database: there is no moment in which both could be counted.
    if case.request.max_loss_rows is not None and way_in(case) is not Way.COMMAND:
        return
    manifest = case.choice.backup.manifest
    if manifest is None or not manifest.rows:
        yield Finding(
            rule="data.loss-unknown",
            severity=Severity.NEEDS_APPROVAL,
            evidence=msg(
                "How many rows {name} holds is not known before it is restored, so nor is what stays behind.",
                name=case.choice.backup.name,
            ),
            remedy=msg("Say how many may stay behind: --max-loss ROWS; or --accept loss-unknown."),
            accept="loss-unknown",
        )


def needed_bytes(data: DataFacts, backup: Backup, declared: int | None) -> int | None:
    """Return the free space that restoring a backup needs; None: its size is not known."""
    unpacked = unpacked_bytes(data, backup, declared)
    return None if unpacked is None else round(unpacked * SPACE_FACTOR)


def _restoring(case: Case) -> tuple[DataFacts, Choice] | None:
    """Return the facts and the choice where a backup has still to be restored."""
    data = case.facts.data.value if case.facts.data is not None else None
    if data is None or case.choice is None or way_in(case) is Way.COMMAND:
        return None
    if prepared(data, case.choice) is not None:
        return None
    return data, case.choice


RULES = (chosen, late, age, may_create, space, blockers, slots, loss)
