"""Which backup: the newest one from before the bad release whose schema the target can use, or the one that is named."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from datetime import datetime

from backout.assess.model import Choice, Request
from backout.assess.versions import current_version, release_of
from backout.backup import Backup, BackupFormat, BesideDatabase, BesideState, stem
from backout.errors import CannotAssess, NeedsAcceptance, NoBackup, UnknownBackup
from backout.facts import DataFacts, Facts
from backout.message import Message, msg
from backout.plan.model import Scenario
from backout.release import Release, ReleaseState

_NOTHING = msg("Nothing was changed.")
_LIST = "backout backup list"
_PREPARED = re.compile(r"_prepared_\d{8}_\d{6}$")


def choose_backup(facts: Facts, request: Request, target: Release) -> Choice:
    """Return the backup that a way back of the data restores.

    Raises:
        NoBackup: None fits, or none is configured; what was passed over is named with its reason.
        UnknownBackup: The one that is named is not there.
        NeedsAcceptance: Nothing says when the damage began; a backup or a time has to be named.
    """
    data = _data(facts)
    suspects = _suspects(facts, request, target)
    before = min((r.deployed_at for r in suspects), default=None)
    usable = usable_schemas(target)
    if request.backup is not None:
        return _named(data, facts, request, suspects, usable)
    limit = request.at if request.at is not None else before
    if limit is None:
        raise NeedsAcceptance(
            msg("Nothing says when the damage began, so which backup is from before it cannot be told."),
            state=_NOTHING,
            next_command=f"{_LIST}   # then: backout plan --scenario {_scenario(request)} --backup NAME",
        )
    # A person who says a time knows when the damage came; where the target itself brought it, its migrations are that damage.
    heads = target.migration_heads if request.at is None and target.deployed_at < limit else ()
    passed_over: list[Message] = []
    for backup in data.backups:
        reason = (
            _not_from_before(backup, facts, limit, by_person=request.at is not None)
            or (_taken_while_it_ran(backup, facts, suspects) if request.at is None else None)
            or _unfit(backup, data, facts, usable)
            or _of_other_migrations(backup, heads)
        )
        if reason is None:
            return Choice(
                backup=backup,
                why=_why(backup, limit, by_person=request.at is not None),
                before=before,
                named=request.at is not None,
                late=_late(backup, facts, suspects),
                usable=usable,
                passed_over=tuple(passed_over),
            )
        passed_over.append(msg("{backup}: {reason}", backup=backup.name, reason=str(reason)))
    raise _none(data, limit, target, passed_over)


def usable_schemas(target: Release) -> tuple[str, ...]:
    """Return the fingerprints of schemas that a release is known to be able to use."""
    deployed_on = target.schema_fingerprint if target.state is ReleaseState.GOOD else None
    return tuple(dict.fromkeys(f for f in (*target.served_well, deployed_on) if f is not None))


def fits(backup: Backup, target: Release) -> bool:
    """Return whether schema and migrations are the target's, as far as backup and record tell."""
    return not (
        _of_other_schema(backup, usable_schemas(target))
        or _of_other_migrations(backup, target.migration_heads)
    )


def prepared(data: DataFacts, choice: Choice) -> BesideDatabase | None:
    """Return the database that was prepared from this very backup, or None."""
    backup = choice.backup
    for beside in reversed(data.beside):
        if (
            is_prepared(beside)
            and beside.state is BesideState.RESTORED
            and (beside.backup, beside.identity) == (backup.name, backup.identity)
        ):
            return beside
    return None


def is_prepared(beside: BesideDatabase) -> bool:
    """Whether a database was made to be swapped in (`--prepare`); what was restored to be looked into was perhaps changed."""
    return beside.run is None and _PREPARED.search(beside.name) is not None


def unpacked_bytes(data: DataFacts, backup: Backup, declared: int | None) -> int | None:
    """Return the size of a backup's data unpacked: as read, as its manifest says, as declared; None: not known.

    Where only the database's own size is known, that: its indexes and dead rows make it larger than its data.
    """
    reading = data.readings.get(backup.name)
    told = (
        reading.unpacked_bytes if reading else None,
        backup.manifest.unpacked_bytes if backup.manifest else None,
        declared,
        backup.size_bytes if backup.format is BackupFormat.PLAIN else None,
        backup.manifest.database_bytes if backup.manifest else None,
    )
    return next((size for size in told if size is not None), None)


def _data(facts: Facts) -> DataFacts:
    if facts.data is None:
        raise NoBackup(
            msg("Where the backups of {service} are is not configured.", service=facts.service),
            state=_NOTHING,
            next_command="backout init   # looks for them; then add `backups:` to backout.yaml",
        )
    if facts.data.value is None:
        raise CannotAssess(
            msg("What a restore needs cannot be told: {reason}", reason=str(facts.data.unknown)),
            state=_NOTHING,
            next_command="backout doctor",
        )
    return facts.data.value


def _suspects(facts: Facts, request: Request, target: Release) -> list[Release]:
    """Return the releases that may have done the damage: what is older than all of them cannot hold it. Empty: not known."""
    current = current_version(facts)
    running = release_of(facts, current) if current else None
    if request.scenario is Scenario.FULL and target.version != current:
        return [r for r in _recorded(facts) if r.deployed_at > target.deployed_at]
    shut_out = {q.version for q in facts.quarantined}
    backed_out = [
        r
        for r in _recorded(facts)
        if (r.version in shut_out or r.state is ReleaseState.BAD)
        and running is not None
        and r.deployed_at > running.deployed_at
    ]
    return backed_out or ([running] if running is not None and running.source == "recorded" else [])


def _recorded(facts: Facts) -> Iterator[Release]:
    return (r for r in facts.releases if r.source == "recorded")


def _named(
    data: DataFacts, facts: Facts, request: Request, suspects: list[Release], usable: tuple[str, ...]
) -> Choice:
    name = str(request.backup)
    backup = next((b for b in data.backups if b.name == name), None)
    if backup is None:
        names = [b.name for b in data.backups]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:3]
        raise UnknownBackup(
            msg("There is no backup {name}. Near: {near}.", name=name, near=", ".join(near) or "none"),
            state=_NOTHING,
            next_command=_LIST,
        )
    broken = _broken(backup, data, facts)
    if broken is not None:
        raise NoBackup(
            msg("Backup {name} cannot be restored: {reason}", name=name, reason=str(broken)),
            state=_NOTHING,
            next_command=_LIST,
        )
    _refuse_what_it_lacks(backup, request)
    why = msg("Backup {name} was asked for.", name=name)
    return Choice(
        backup=backup,
        why=why,
        before=min((r.deployed_at for r in suspects), default=None),
        named=True,
        late=_late(backup, facts, suspects),
        usable=usable,
    )


def _not_from_before(backup: Backup, facts: Facts, limit: datetime, *, by_person: bool) -> Message | None:
    if backup.taken_at is None:
        bad = release_of(facts, backup.before_version) if backup.before_version else None
        if bad is not None and bad.deployed_at <= limit:
            return None
        return msg("nothing says when it was taken")
    if backup.taken_at < limit or (by_person and backup.taken_at == limit):
        return None
    if by_person:
        return msg("it was taken after {limit}", limit=_time(limit))
    return msg("it was taken after the bad release and may hold the damage: it has to be named")


def _taken_while_it_ran(backup: Backup, facts: Facts, suspects: list[Release]) -> Message | None:
    """Say why not, where a suspect ran when the backup was taken, as its manifest tells: it was recorded only later."""
    version = backup.manifest.release if backup.manifest is not None else None
    for suspect in suspects:
        if version != suspect.version:
            continue
        # It may have run before, too, until another one was recorded.
        others = [r.deployed_at for r in _recorded(facts) if r.deployed_at < suspect.deployed_at]
        if backup.taken_at is None or not others or backup.taken_at > max(others):
            return msg(
                "it was taken while {version} ran and may hold the damage: it has to be named",
                version=version,
            )
    return None


def _refuse_what_it_lacks(backup: Backup, request: Request) -> None:
    """Raise `NoBackup` where one has the rows of some tables alone, and others would go back too."""
    if backup.tables and (not request.tables or set(request.tables) - set(backup.tables)):
        raise NoBackup(
            msg(
                "Backup {name} has the rows of {tables} alone: only these can go back by it.",
                name=backup.name,
                tables=", ".join(backup.tables),
            ),
            state=_NOTHING,
            next_command=f"backout plan --scenario data --backup {backup.name} --tables {','.join(backup.tables)}",
        )


def _unfit(backup: Backup, data: DataFacts, facts: Facts, usable: tuple[str, ...]) -> Message | None:
    if backup.tables:
        return msg("it has the rows of {tables} alone: it has to be named", tables=", ".join(backup.tables))
    broken = _broken(backup, data, facts)
    if broken is not None:
        return broken
    return _of_other_schema(backup, usable)


def _of_other_schema(backup: Backup, usable: tuple[str, ...]) -> Message | None:
    schema = backup.manifest.schema_fingerprint if backup.manifest else None
    if schema is not None and usable and schema not in usable:
        return msg("its schema is not one that the target is known to use")
    return None


def _of_other_migrations(backup: Backup, heads: tuple[str, ...]) -> Message | None:
    """Say why not, where migrations stood elsewhere: one that only rewrites rows is not in any schema.

    A deploy script migrates first and records the release then: a backup from in between has the damage of such a migration,
    and was taken before the bad release all the same.
    """
    head = backup.manifest.migration_head if backup.manifest else None
    if head is None or not heads or head in heads:
        return None
    return msg(
        "it stands at migration {head}, where the target was never seen ({heads})",
        head=head,
        heads=", ".join(heads),
    )


def _broken(backup: Backup, data: DataFacts, facts: Facts) -> Message | None:
    reading = data.readings.get(backup.name)
    if reading is not None and not reading.ok:
        return msg("reading it found: {problems}", problems="; ".join(str(p) for p in reading.problems))
    manifest = backup.manifest
    if manifest is None:
        return None
    if (manifest.service, manifest.environment) != (facts.service, facts.environment):
        return msg(
            "it is of {service} in {environment}", service=manifest.service, environment=manifest.environment
        )
    if stem(manifest.database) != stem(data.database):
        return msg("it is of the database {other}", other=manifest.database)
    if manifest.server_version // 10000 > data.server_major:
        return msg(
            "it is from PostgreSQL {newer}, newer than this server", newer=manifest.server_version // 10000
        )
    return None


def _late(backup: Backup, facts: Facts, suspects: list[Release]) -> bool:
    after = backup.taken_at is not None and any(backup.taken_at >= r.deployed_at for r in suspects)
    return after or _taken_while_it_ran(backup, facts, suspects) is not None


def _why(backup: Backup, limit: datetime, *, by_person: bool) -> Message:
    if by_person:
        return msg("The newest backup that fits from before {limit}.", limit=_time(limit))
    if backup.taken_at is None:
        return msg("Its name says that it was taken before {version}.", version=backup.before_version)
    return msg(
        "The newest backup that fits from before the bad release: taken {taken}, and it was deployed {limit}.",
        taken=_time(backup.taken_at),
        limit=_time(limit),
    )


def _none(data: DataFacts, limit: datetime, target: Release, passed_over: list[Message]) -> NoBackup:
    if not data.backups:
        what = msg("There is no backup of {database} at all.", database=data.database)
    else:
        what = msg(
            "No backup from before {limit} fits {version}. {passed_over}.",
            limit=_time(limit),
            version=target.version,
            passed_over="; ".join(str(m) for m in passed_over[:5]),
        )
    return NoBackup(
        what, state=_NOTHING, next_command=f"{_LIST}   # one that is good enough can be named: --backup NAME"
    )


def _scenario(request: Request) -> str:
    return request.scenario.value if request.scenario is not None else Scenario.DATA.value


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S UTC}"
