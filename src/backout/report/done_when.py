"""How to see that a step is done: known sentences for generic steps, the simulated world for all others."""

from __future__ import annotations

from backout.execute.held import held_before
from backout.message import Message, msg
from backout.observed import KEEPS_REQUESTS_AWAY
from backout.plan.base import World
from backout.plan.model import Plan, StepSpec
from backout.report.words import Kinds

_HOLD = {
    "queue": "A request to {name} waits: it is neither answered nor refused.",
    "maintenance": "A request to {name} is answered 503.",
    "stop": "No pod or process of {name} is left.",
    "divert": "A request to {name} on a new connection gets no answer of the release.",
    "refuse_writes": "A write through {name} is refused, and a read works.",
    "refuse_connections": "Nobody but superusers and backout's own role can connect to {name}.",
    "suspend": "{name} runs nothing any more.",
}
_GENERIC = {
    "guard": msg(
        "What runs now is what this plan names, and the schema is as it was. If not, make a new plan."
    ),
    "hold.release": msg("A request through {name} is answered by the service, and a write works."),
    "automation.pause": msg("{name} says that it is paused."),
    "automation.resume": msg("{name} says that it goes on."),
    "hold.proof": msg("Both counts are the same: no row was written in between."),
    "canary.note": msg("The team knows which release is meant to get how many requests."),
    "quarantine": msg("No pipeline can deploy {version} again, and the team knows."),
    "quarantine.lift": msg("The team knows that {version} may be deployed again."),
    "backup.read": msg("The command ends without an error, and the end of the dump is there."),
    "restore.beside": msg("The command ended without an error, and the new database has the tables."),
    "restore.drop": msg("The database is not there any more, or it is kept because it was live."),
    "restore.check": msg("Both queries find nothing, and the tables that matter have the rows they should."),
    "data.count": msg("The rows that would stay behind are no more than was approved."),
    "data.swap": msg(
        "The live name has the restored tables, and the old database is there under its dated name."
    ),
    "data.switch": msg(
        "The service's connection names the restored database, and no session of it is left in the old one."
    ),
    "service.reconnect": msg("The service says that it reaches its database."),
    "data.compare": msg("What only the kept database has is written down, by table."),
    "backup.safety": msg("The dump ended without an error, and pg_restore reads it to its end."),
    "data.rows": msg("The rows of the tables that matter are written down, and are what they should be."),
    "tables.check": msg("The rows that would go are no more than was approved."),
    "tables.restore": msg("Both copies of each table are the same, compared again."),
    "restore.command": msg(
        "The script ended with exit status 0, and the tables have the rows of the backup."
    ),
    "migrations.prepare": msg(
        "The indexes are built, and backout db status says that the way back is possible."
    ),
    "migrations.unprepare": msg(
        "Nothing refuses a value that is there already, as the later release expects."
    ),
    "migrations.back": msg("backout db history says `undone` for each of them."),
    "migrations.again": msg("backout db history says `applied` for each of them."),
    "migrations.finish": msg("backout db status names nothing that is due."),
    "evidence.save": msg("What the commands print is saved somewhere that the roll-out does not delete."),
    "verify": msg("Every line of the checklist at the end holds."),
}


def first_world(plan: Plan) -> World:
    """Return the world that a plan starts from, as far as the plan itself tells it."""
    held = frozenset(name for name, mode in held_before(plan).items() if mode in KEEPS_REQUESTS_AWAY)
    serving = frozenset() if plan.from_version is None else frozenset({plan.from_version})
    return World(serving=serving, holds=held, code=plan.from_version)


def world_after(spec: StepSpec, kinds: Kinds, world: World) -> World:
    """Return the world after a step; as it was, where the kind is not known."""
    kind = kinds.get(spec.kind)
    return kind.effect(spec, world)[-1] if kind else world


def done_when(spec: StepSpec, before: World, after: World) -> tuple[Message, ...]:
    """Return what a person can look at to see that a step is done; at least one sentence."""
    fields = {"name": str(spec.params.get("name")), "version": str(spec.params.get("version"))}
    if spec.kind == "hold":
        return (msg(_HOLD.get(str(spec.params.get("mode")), _HOLD["suspend"]), name=fields["name"]),)
    if spec.kind in _GENERIC:
        return (_GENERIC[spec.kind].model_copy(update={"fields": fields}),)
    return _differences(before, after) or (msg("{target} shows the values named above.", target=spec.target),)


def _differences(before: World, after: World) -> tuple[Message, ...]:
    found = [
        msg("No process of {version} is left.", version=v) for v in sorted(before.serving - after.serving)
    ]
    answers = (
        "{version} is up and ready; requests reach it once they are let through."
        if after.holds
        else "{version} is up and answers requests."
    )
    found += [msg(answers, version=v) for v in sorted(after.serving - before.serving)]
    if after.code != before.code:
        found.append(msg("What the platform is told to run is {version}.", version=after.code or "nothing"))
    if after.fingerprint != before.fingerprint:
        found.append(msg("The schema's fingerprint is {fingerprint}.", fingerprint=after.fingerprint))
    found += [msg("{name} keeps requests away.", name=n) for n in sorted(after.holds - before.holds)]
    found += [msg("{name} lets requests through.", name=n) for n in sorted(before.holds - after.holds)]
    return tuple(found)
