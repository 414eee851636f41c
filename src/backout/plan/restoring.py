"""The steps that restore a backup beside the live database and swap it in, and what every way back of data shares. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from backout.assess.backups import prepared, unpacked_bytes
from backout.assess.model import Assessment, Choice, Request
from backout.assess.rules.backups import needed_bytes
from backout.backup import Backup, BackupFormat, RestoreOrder, SwapOrder, TableCount, stem
from backout.document import Json
from backout.facts import DataFacts, Facts
from backout.message import Message, msg
from backout.observed import Answer
from backout.plan.assembly import Terms
from backout.plan.model import DataPlan, StepSpec, Way

_LOOK_S = 600.0
_SWAP_S = 120.0
_SLACK_SHARE, _SLACK_ROWS = 0.1, 1000
_MEANWHILE_S = 3600.0
"""How long a plan may wait and its restore may take, at the rate at which rows came since the backup."""
_NAME_BYTES = 63


@dataclass(frozen=True, slots=True)
class Restoring:
    """What a plan needs to take the data back.

    Attributes:
        safeguard: Steps that stand before anything is held.
        change: Steps that make the backup the live data.
        afterwards: Steps after the proof.
        held: Steps that stand before the code is switched, while everything is held.
    """

    data: DataPlan
    safeguard: tuple[StepSpec, ...]
    change: tuple[StepSpec, ...]
    afterwards: tuple[StepSpec, ...] = ()
    held: tuple[StepSpec, ...] = ()

    @property
    def overwrites(self) -> bool:
        """Whether the live database is written over, and not kept."""
        return self.data.way in (Way.COMMAND, Way.TABLES)

    @property
    def losses(self) -> tuple[Message, ...]:
        """What the plan says would be left behind."""
        return tuple(_losses(self.data))


def swapping(
    assessment: Assessment, facts: Facts, data: DataFacts, request: Request, terms: Terms
) -> Restoring:
    """Return the steps that restore the chosen backup beside the live database and swap it in."""
    choice = chosen(assessment)
    planned = data_plan(choice, data, request, terms)
    safeguard, afterwards = looking(assessment, data, planned, terms)
    return Restoring(
        data=planned,
        safeguard=safeguard,
        change=(_swap(choice, facts, data, planned, request, terms),),
        afterwards=afterwards,
    )


def looking(
    assessment: Assessment, data: DataFacts, planned: DataPlan, terms: Terms
) -> tuple[tuple[StepSpec, ...], tuple[StepSpec, ...]]:
    """Return the steps before and after a restored database becomes the live one."""
    choice = chosen(assessment)
    before = (
        read_step(choice),
        restore_step(choice, data, planned, terms),
        _check(choice, planned, assessment.compatibility.answer),
        _count(planned),
    )
    return before, (_compare(planned),)


def chosen(assessment: Assessment) -> Choice:
    """Return the backup of a way back of data; only asked where there is one."""
    assert assessment.choice is not None
    return assessment.choice


def reconnecting(version: str, restart: tuple[StepSpec, ...], terms: Terms, way: Way) -> StepSpec:
    """Return the step that waits until the service reaches its database again, and else restarts it.

    After a switch it is restarted at once where that can be done: one that was told nothing may look well, by a session
    in the old database that is gone when anybody looks.
    """
    return StepSpec(
        kind="service.reconnect",
        target="service",
        params={
            "version": version,
            "within_s": terms.restore.reconnect_s,
            "restart": [s.model_dump(mode="json") for s in restart],
            "at_once": way is Way.SWITCH and bool(restart),
        },
        timeout_s=2 * terms.restore.reconnect_s + sum(s.timeout_s for s in restart) + 30,
    )


def database_name(live: str, what: str, at: datetime) -> str:
    """Return a name for a database beside the live one: dated, and at most 63 bytes as PostgreSQL cuts names.

    Source: PostgreSQL 18 documentation, 4.1.1 "Identifiers and Key Words" (NAMEDATALEN).
    """
    live, end = stem(live), f"_{what}_{at:%Y%m%d_%H%M%S}"
    if len((live + end).encode()) <= _NAME_BYTES:
        return live + end
    digest = hashlib.sha256(live.encode()).hexdigest()[:8]
    room = _NAME_BYTES - len(end) - len(digest) - 1
    return live.encode()[:room].decode(errors="ignore") + f"_{digest}{end}"


def rows_behind(counts: tuple[TableCount, ...]) -> int | None:
    """Return how many rows the live database has more, over all tables; None where nothing is known."""
    known = [c.live - c.restored if c.restored is not None else c.live for c in counts if c.live is not None]
    if not any(c.restored is not None for c in counts):
        return None
    return sum(max(0, more) for more in known)


def data_plan(choice: Choice, data: DataFacts, request: Request, terms: Terms) -> DataPlan:
    """Return what the plan says of the data, for a backup that is restored beside and swapped in."""
    ready = prepared(data, choice)
    counts = _counts(choice, data, request.tables)
    behind = rows_behind(counts)
    ceiling = request.max_loss_rows
    if ceiling is None and behind is not None:
        ceiling = behind + _slack(behind, choice, terms)
    return DataPlan(
        backup=choice.backup.name,
        why=choice.why,
        taken_at=choice.backup.taken_at,
        database=data.database,
        server=data.servers.get(ready.name) if ready else data.restores_on,
        beside=ready.name if ready else database_name(data.database, "restored", terms.now),
        kept=database_name(data.database, "before", terms.now),
        prepared=ready is not None,
        counts=counts,
        rows_behind=behind,
        ceiling_rows=ceiling,
        tenants=data.tenants.value if data.tenants is not None else None,
        tenants_unknown=data.tenants.unknown if data.tenants is not None else None,
        queues=terms.restore.queues,
    )


def _slack(behind: int, choice: Choice, terms: Terms) -> int:
    """Return how many rows more may stay behind than the plan shows: estimates err, and writing goes on meanwhile."""
    taken_at = choice.backup.taken_at
    since_s = max(1.0, (terms.now - taken_at).total_seconds()) if taken_at is not None else None
    meanwhile = 0.0 if since_s is None else behind / since_s * _MEANWHILE_S
    return round(behind * _SLACK_SHARE + meanwhile) + _SLACK_ROWS


def _counts(choice: Choice, data: DataFacts, tables: tuple[str, ...]) -> tuple[TableCount, ...]:
    manifest = choice.backup.manifest
    then = manifest.rows if manifest is not None else {}
    return tuple(
        TableCount(
            table=table,
            live=data.rows.get(table),
            restored=then.get(table),
            live_exact=False,
            restored_exact=manifest is not None and manifest.rows_exact,
        )
        for table in sorted(data.rows.keys() | then.keys())
        if not tables or table in tables
    )


def read_step(choice: Choice) -> StepSpec:
    """Return the step that reads the backup to its end."""
    return StepSpec(
        kind="backup.read",
        target="backups",
        params={"backup": choice.backup.model_dump(mode="json")},
        timeout_s=7200.0,
    )


def restore_step(choice: Choice, data: DataFacts, planned: DataPlan, terms: Terms) -> StepSpec:
    """Return the step that restores the backup beside, of it only the planned tables where its format allows."""
    backup, restore = choice.backup, terms.restore
    assert planned.beside is not None
    order = RestoreOrder(
        backup=backup.name,
        path=backup.path,
        format=backup.format,
        identity=backup.identity,
        database=planned.beside,
        live=data.database,
        server=planned.server,
        jobs=restore.jobs,
        tables=_taken_out(backup, planned.tables),
        needed_bytes=needed_bytes(data, backup, restore.unpacked_bytes),
        space_path=restore.free_space_path,
        min_free_bytes=restore.min_free_bytes,
        max_bytes_per_s=restore.max_bytes_per_s,
        max_replica_lag_bytes=restore.max_replica_lag_bytes,
        max_wal_bytes=restore.max_wal_bytes,
    )
    return StepSpec(
        kind="restore.beside",
        target="database",
        params={
            "order": order.model_dump(mode="json"),
            "unpacked_bytes": unpacked_bytes(data, backup, restore.unpacked_bytes),
        },
        timeout_s=restore.timeout_s,
    )


def _taken_out(backup: Backup, planned: tuple[str, ...]) -> tuple[str, ...]:
    if backup.rows_in:
        return backup.rows_in
    return planned if backup.format in (BackupFormat.DIRECTORY, BackupFormat.CUSTOM) else ()


def _check(choice: Choice, planned: DataPlan, answer: Answer) -> StepSpec:
    manifest = choice.backup.manifest
    return StepSpec(
        kind="restore.check",
        target="database",
        params={
            "beside": planned.beside,
            "server": planned.server,
            "live": planned.database,
            "usable": list(held_to(choice, answer)),
            "rows": dict(manifest.rows) if manifest is not None and manifest.rows_exact else {},
        },
        timeout_s=_LOOK_S,
    )


def held_to(choice: Choice, answer: Answer) -> tuple[str, ...]:
    """Return the schemas of which one has to stand after the restore; empty: any, as it was accepted by name."""
    manifest = choice.backup.manifest
    judged = manifest.schema_fingerprint if manifest is not None else None
    if judged is None or (not choice.usable and answer is not Answer.YES):
        return choice.usable
    return tuple(dict.fromkeys((*choice.usable, judged)))


def _count(planned: DataPlan) -> StepSpec:
    return StepSpec(
        kind="data.count",
        target="database",
        params={"beside": planned.beside, "server": planned.server, "ceiling_rows": planned.ceiling_rows},
        timeout_s=_LOOK_S,
    )


def _swap(
    choice: Choice, facts: Facts, data: DataFacts, planned: DataPlan, request: Request, terms: Terms
) -> StepSpec:
    return StepSpec(
        kind="data.swap",
        target="database",
        params=exchange_params(choice, facts, data, planned, request, terms),
        timeout_s=_SWAP_S,
        locks=("the whole database, for the time of two renames",),
    )


def exchange_params(
    choice: Choice, facts: Facts, data: DataFacts, planned: DataPlan, request: Request, terms: Terms
) -> dict[str, Json]:
    """Return the two databases, and the schema before and after; of a step that makes the restored one live."""
    assert planned.beside is not None and planned.kept is not None
    order = SwapOrder(
        live=data.database,
        live_oid=data.oid,
        beside=planned.beside,
        kept=planned.kept,
        keep_until=terms.now + timedelta(hours=terms.restore.keep_h),
        accept_slots=data.slots if "logical-slots" in request.accept else (),
    )
    schema = facts.schema_now.value
    return {
        "order": order.model_dump(mode="json"),
        "fingerprint": restored_fingerprint(choice),
        "prior_fingerprint": schema.fingerprint if schema else None,
    }


def restored_fingerprint(choice: Choice) -> str:
    """Return the fingerprint of the restored schema for the simulation: its own, or a name that only it has."""
    manifest = choice.backup.manifest
    if manifest is not None and manifest.schema_fingerprint is not None:
        return manifest.schema_fingerprint
    return f"restored from {choice.backup.name}"


def _compare(planned: DataPlan) -> StepSpec:
    return StepSpec(kind="data.compare", target="database", params={"kept": planned.kept}, timeout_s=3600.0)


def _where_they_are(data: DataPlan) -> Message:
    if data.kept is not None:
        return msg(
            "Nothing is deleted: they stay in {kept}, are listed in the report, and come over by: backout data bring.",
            kept=data.kept,
        )
    if data.safety is None:
        return msg("Nothing keeps them: no safety backup is made, as was accepted by name.")
    return msg(
        "They are in the safety backup {safety} alone; backout backup restore {safety} makes them readable.",
        safety=data.safety,
    )


def _losses(data: DataPlan) -> list[Message]:
    since = f"{data.taken_at:%Y-%m-%d %H:%M:%S UTC}" if data.taken_at is not None else "the backup"
    more = {c.table: (c.live or 0) - (c.restored or 0) for c in data.counts}
    told = ", ".join(
        f"{table} about {rows}" for table, rows in sorted(more.items(), key=lambda m: -m[1])[:5] if rows > 0
    )
    if data.rows_behind is None:
        lines = [
            msg(
                "How many rows were written since {since} is counted once the backup stands restored.",
                since=since,
            )
        ]
    else:
        lines = [
            msg(
                "Rows written since {since} ({told}) are not in the live database any more.",
                since=since,
                told=told or "no table has more rows now",
            )
        ]
    lines.append(_where_they_are(data))
    if data.tenants is not None:
        lines.append(msg("Tenants affected: {tenants}.", tenants=data.tenants))
    if data.tenants_unknown is not None:
        reason = str(data.tenants_unknown).rstrip(".")
        lines.append(msg("How many tenants are affected is not known ({reason}).", reason=reason))
    if data.queues:
        lines.append(
            msg(
                "Queues go back too; what is in them may be sent twice: {queues}.",
                queues=", ".join(data.queues),
            )
        )
    return lines
